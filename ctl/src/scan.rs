//! `mcrctl scan`: storage trees on disk, offline; never how a tree is read.

mod bar;
mod figures;
mod text;

use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use clap::{ArgAction, Args, ValueEnum};
use mcr_scanner::{KindRules, Layout, Report, ScanError, Settings};
use mcr_seams::Clock;
use reqwest::Url;
use serde_json::Value;

use crate::failure::{Failure, Outcome};
use crate::global::Global;
use crate::kinds::FailOn;
use crate::outlets::Outlets;
use crate::print::{self, Answer};
use crate::runtime;
use bar::Watcher;

pub(crate) const EXAMPLES: &str = "Examples:
  mcrctl scan /var/lib/docker-registry
  mcrctl scan --kind mirror=pull-through --textfile /var/lib/node_exporter/scan.prom /srv/registries
  mcrctl scan --deep --jobs 4 --json /srv/mcr
  mcrctl scan --repair links --repair revisions --dry-run /var/lib/docker-registry

Layouts: distribution (registry:2 and 3), mcr (this registry), oci-layout; or a folder of several registries.
Exit codes: 0 sound, 1 findings, 2 wrong usage, 3 could not be looked at";

/// Most threads.
const JOBS_MAX: u16 = 256;

/// The options of `scan`.
#[derive(Debug, Args)]
pub(crate) struct Scan {
    /// Storage roots, or folders of several registries
    #[arg(value_name = "PATH", required_unless_present_any = ["fail_on", "kind", "repository", "repair"])]
    paths: Vec<PathBuf>,
    /// How the tree is laid out, instead of finding out: distribution, mcr, oci-layout
    #[arg(long, value_name = "LAYOUT", value_parser = layout)]
    layout: Option<Layout>,
    /// What registries are: private, pull-through, or NAME=pull-through for one of them; may be repeated
    #[arg(long, value_name = "KIND")]
    kind: Vec<String>,
    /// Hash every blob; an interrupted run goes on where it was
    #[arg(long)]
    deep: bool,
    /// Threads (default: one a processor)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=i64::from(JOBS_MAX)))]
    jobs: Option<u16>,
    /// Only repositories that match: * within a path segment, ** across; may be repeated
    #[arg(long, value_name = "GLOB")]
    repository: Vec<String>,
    /// Where the blobs of a database of ours lie, if not in layers beside it
    #[arg(long, value_name = "DIR")]
    layers: Option<PathBuf>,
    /// Where --deep keeps how far it is (default: $XDG_STATE_HOME/mcrctl)
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Write the metrics into this file, for the textfile collector
    #[arg(long, value_name = "FILE")]
    textfile: Option<PathBuf>,
    /// Push the metrics to this Pushgateway
    #[arg(long, value_name = "URL")]
    pushgateway: Option<Url>,
    /// Group the metrics at the Pushgateway under this instance, where several machines scan
    #[arg(long, value_name = "NAME", requires = "pushgateway")]
    instance: Option<String>,
    /// Fail only on findings of these kinds; others are shown
    #[arg(long, value_name = "KIND", num_args = 1..)]
    fail_on: Vec<String>,
    /// links: remove layer links without bytes; revisions: write back missing revision links; may be repeated
    #[arg(long, value_name = "WHAT", value_delimiter = ',', action = ArgAction::Append)]
    repair: Vec<Repair>,
    /// Change nothing: the default, and with --repair only say what would be changed
    #[arg(long)]
    dry_run: bool,
}

/// What can be repaired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Repair {
    /// Layer links without bytes behind them are removed.
    Links,
    /// Missing revision links of manifests that hash right are written back.
    Revisions,
}

fn layout(text: &str) -> Result<Layout, String> {
    Layout::parse(text).ok_or_else(|| "expected distribution, mcr or oci-layout".to_owned())
}

/// Looks at the trees.
///
/// # Errors
/// Wrong usage, or that nothing could be looked at.
pub(crate) fn run(global: &Global, command: &Scan) -> Result<Answer, Failure> {
    let (fail_on, swallowed) = FailOn::read(&command.fail_on)?;
    let paths: Vec<PathBuf> = command.paths.iter().cloned().chain(swallowed.into_iter().map(PathBuf::from)).collect();
    if paths.is_empty() {
        return Err(Failure::Usage("say what to scan, such as /var/lib/docker-registry".to_owned()));
    }
    let outlets = Outlets::new(
        command.textfile.clone(),
        command.pushgateway.as_ref(),
        figures::JOB,
        command.instance.as_deref(),
    )?;
    let settings = settings(command)?;
    let started = Instant::now();
    let watcher = Arc::new(Watcher::new(global));
    let report = within(global.timeout, paths, settings, &watcher);
    watcher.clear();
    let report = report?;
    let mut answer = Answer {
        text: text::text(&report, started.elapsed()),
        json: json(&report)?,
        outcome: fail_on.outcome(report.registries.iter().flat_map(|registry| &registry.findings)),
    };
    let figures = figures::metrics(&report, Clock::system().now_ms());
    if let Err(told) = runtime::block_on(async { Ok(outlets.deliver(figures, true).await) })? {
        print::tell(global.log_format, &told);
        if answer.outcome == Outcome::Holds {
            answer.outcome = Outcome::Undetermined;
        }
    }
    Ok(answer)
}

/// Scans on a thread of its own where there is a limit: a disk that never answers cannot be interrupted, only left.
/// Repairs are steps that each leave a whole tree, so that it may be left at any moment.
fn within(
    timeout: Option<Duration>,
    paths: Vec<PathBuf>,
    settings: Settings,
    watcher: &Arc<Watcher>,
) -> Result<Report, Failure> {
    let Some(timeout) = timeout else {
        return mcr_scanner::scan(&paths, &settings, watcher.as_ref()).map_err(|error| failure(&error));
    };
    let (sender, receiver) = mpsc::sync_channel(1);
    let watching = Arc::clone(watcher);
    let scanning = std::thread::Builder::new().name("scan".to_owned()).spawn(move || {
        // Nobody receives any more when the time is over; then there is nobody to tell.
        let _ = sender.send(mcr_scanner::scan(&paths, &settings, watching.as_ref()));
    });
    scanning.map_err(|error| Failure::Undetermined(format!("no thread to scan on: {error}")))?;
    match receiver.recv_timeout(timeout) {
        Ok(report) => report.map_err(|error| failure(&error)),
        Err(_) => {
            let seconds = timeout.as_secs_f64();
            let told = format!("could not be looked at whole within {seconds} s; try a longer --timeout");
            Err(Failure::Undetermined(told))
        }
    }
}

fn settings(command: &Scan) -> Result<Settings, Failure> {
    let defaults = Settings::default();
    Ok(Settings {
        layout: command.layout,
        kinds: KindRules::parse(&command.kind).map_err(Failure::Usage)?,
        deep: command.deep,
        jobs: command.jobs.map_or(defaults.jobs.min(usize::from(JOBS_MAX)), usize::from),
        repositories: command.repository.clone(),
        state: command.state_dir.clone().or_else(state_directory),
        layers: command.layers.clone(),
        repair: mcr_scanner::Repair {
            links: command.repair.contains(&Repair::Links),
            revisions: command.repair.contains(&Repair::Revisions),
            only_plan: command.dry_run,
        },
        now_ms: Clock::system().now_ms(),
    })
}

/// Where programs keep what outlives them and is no configuration.
fn state_directory() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = variable("XDG_STATE_HOME").or_else(|| variable("HOME").map(|home| home.join(".local/state")))?;
    Some(state.join("mcrctl"))
}

fn failure(error: &ScanError) -> Failure {
    let told = error.to_string();
    if error.is_usage() { Failure::Usage(told) } else { Failure::Undetermined(told) }
}

fn json(report: &Report) -> Result<Value, Failure> {
    serde_json::to_value(report)
        .map_err(|error| Failure::Undetermined(format!("the report cannot be written: {error}")))
}
