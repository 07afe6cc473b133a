//! `mcrctl probe`: every tag of a registry, once or on a schedule, as text, JSON and metrics; never how a closure is
//! walked.

mod bar;
mod figures;
mod lines;
mod listen;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use mcr_client::Client;
use mcr_oci::Finding;
use mcr_probe::{Gauges, KindRule, Level, ProbeOptions, Run, RunFailure, Schedule, Ticks, Watch};
use mcr_seams::rfc3339;
use reqwest::Url;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use crate::address::shown;
use crate::failure::{Failure, Outcome};
use crate::global::Global;
use crate::kinds::FailOn;
use crate::print::{self, Answer, printable};
use crate::{logging, runtime};
use bar::Bar;
use figures::Figures;
use lines::Lines;

pub(crate) const EXAMPLES: &str = "Examples:
  mcrctl --addr https://registry.example probe
  mcrctl --addr http://127.0.0.1:5000 probe --schedule \"*/15 * * * *\" --listen 127.0.0.1:9115
  mcrctl --addr registry.example probe --textfile /var/lib/node_exporter/registry.prom --instance registry.example
  mcrctl --addr registry.example probe --kind \"mirror/**=pull-through\" --min-repositories 40

Exit codes: 0 everything can be pulled, 1 findings, 2 wrong usage, 3 could not be determined: the catalog or a login
failed, or the catalog lists fewer repositories than --min-repositories";

/// How long one run may take where nothing was said.
const PATIENCE: Duration = Duration::from_secs(3600);
/// Most findings in the text; JSON has all.
const MAX_LINES: usize = 1_000;

/// The options of `probe`.
#[derive(Debug, Args)]
pub(crate) struct Probe {
    /// Run once (the default)
    #[arg(long, conflicts_with_all = ["schedule", "listen"])]
    once: bool,
    /// Run at once and then at these times: five fields as in crontab, or six with seconds first; UTC
    #[arg(long, value_name = "CRON", value_parser = schedule)]
    schedule: Option<Schedule>,
    /// Serve /metrics on this address, such as 127.0.0.1:9115
    #[arg(long, value_name = "ADDR", requires = "schedule")]
    listen: Option<SocketAddr>,
    /// Push the metrics to this Pushgateway after each run
    #[arg(long, value_name = "URL")]
    pushgateway: Option<Url>,
    /// Write the metrics into this file after each run, for the textfile collector
    #[arg(long, value_name = "FILE")]
    textfile: Option<PathBuf>,
    /// Label every metric with this instance; scrape with honor_labels
    #[arg(long, value_name = "NAME")]
    instance: Option<String>,
    /// Look only at repositories that match: * within a path segment, ** across
    #[arg(long, value_name = "GLOB", num_args = 1.., value_delimiter = ',')]
    repositories: Vec<String>,
    /// Look only at the first N tags of each repository; 0 is all
    #[arg(long, value_name = "N", default_value_t = 0)]
    tags_per_repository: usize,
    /// A catalog of fewer repositories is taken for a broken one
    #[arg(long, value_name = "N", default_value_t = 1)]
    min_repositories: usize,
    /// How closely blobs are looked at: head, tail or full
    #[arg(long, default_value = "tail")]
    level: Level,
    /// Requests under way at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,
    /// What repositories are: private, pull-through, or GLOB=pull-through for some
    #[arg(long, value_name = "KIND", num_args = 1.., value_delimiter = ',')]
    kind: Vec<KindRule>,
}

fn schedule(text: &str) -> Result<Schedule, String> {
    Schedule::parse(text).map_err(|error| error.to_string())
}

/// Looks at everything the registry lists.
///
/// # Errors
/// Wrong usage, or that nothing could be found out.
pub(crate) fn run(global: &Global, command: &Probe) -> Result<Answer, Failure> {
    let base = global.base()?;
    let client = global.client(base.clone())?;
    let bars = command.schedule.is_none() && print::bars_wanted(global);
    logging::start(global, bars || (global.quiet && command.schedule.is_none()));
    let probing = Probing {
        global,
        command,
        client,
        options: ProbeOptions {
            level: command.level,
            jobs: usize::from(command.jobs),
            repositories: command.repositories.clone(),
            tags_per_repository: command.tags_per_repository,
            min_repositories: command.min_repositories,
            kinds: command.kind.iter().cloned().collect(),
            ..ProbeOptions::default()
        },
        figures: Figures::new(command.instance.as_deref(), command.textfile.clone(), command.pushgateway.as_ref())?,
        base,
    };
    runtime::block_on(async move {
        match &command.schedule {
            None => probing.once(bars).await,
            Some(schedule) => probing.scheduled(schedule).await,
        }
    })
}

struct Probing<'a> {
    global: &'a Global,
    command: &'a Probe,
    base: Url,
    client: Client,
    options: ProbeOptions,
    figures: Figures,
}

impl Probing<'_> {
    async fn once(&self, bars: bool) -> Result<Answer, Failure> {
        let bar = bars.then(Bar::new);
        let watch: &dyn Watch = bar.as_ref().map_or(&Lines, |bar| bar);
        let outcome = self.run(watch).await;
        if let Some(bar) = bar {
            bar.clear();
        }
        let delivered = self.figures.deliver(outcome.as_ref().map(Run::gauges)).await;
        let run = outcome.map_err(|failure| Failure::Undetermined(failure.to_string()))?;
        let mut answer = self.answer(&run);
        if let Err(told) = delivered {
            print::tell(self.global.log_format, &told);
            if answer.outcome == Outcome::Holds {
                answer.outcome = Outcome::Undetermined;
            }
        }
        Ok(answer)
    }

    async fn scheduled(&self, schedule: &Schedule) -> Result<Answer, Failure> {
        let failed = |what: &dyn std::fmt::Display| Failure::Undetermined(what.to_string());
        let mut terminate = signal(SignalKind::terminate()).map_err(|error| failed(&error))?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| failed(&error))?;
        let mut ticks = Ticks::start(schedule).await.map_err(|error| failed(&error))?;
        let exposition = Arc::clone(self.figures.exposition());
        let serving = async {
            match self.command.listen {
                None => std::future::pending().await,
                Some(address) => listen::serve(address, exposition).await,
            }
        };
        let running = async {
            loop {
                self.tick().await;
                ticks.next().await;
            }
        };
        let outcome = tokio::select! {
            stopped = serving => stopped.map_err(Failure::Undetermined),
            () = running => Ok(()),
            _ = terminate.recv() => Ok(()),
            _ = interrupt.recv() => Ok(()),
        };
        outcome.map(|()| Answer { text: String::new(), json: json!({"stopped": true}), outcome: Outcome::Holds })
    }

    /// One run of the schedule: whatever it comes to is logged and shown, and the next one follows.
    async fn tick(&self) {
        let outcome = self.run(&Lines).await;
        match &outcome {
            Ok(run) if run.is_sound() => tracing::info!("probe: {}", run.summary()),
            Ok(run) => tracing::warn!("probe: {}", run.summary()),
            Err(failure) => tracing::error!("probe: {failure}"),
        }
        if let Err(told) = self.figures.deliver(outcome.as_ref().map(Run::gauges)).await {
            tracing::error!("probe: {told}");
        }
    }

    async fn run(&self, watch: &dyn Watch) -> Result<Run, RunFailure> {
        let patience = self.global.timeout.unwrap_or(PATIENCE);
        let run = mcr_probe::run(&self.client, &self.options, watch);
        tokio::time::timeout(patience, run).await.unwrap_or_else(|_| {
            let seconds = patience.as_secs_f64();
            let last = self.client.trouble().map(|trouble| format!("; last {trouble}")).unwrap_or_default();
            let told = format!("it took over {seconds} s{last}; try a longer --timeout, or more --jobs");
            Err(RunFailure::Interrupted(told))
        })
    }

    fn answer(&self, run: &Run) -> Answer {
        let mut lines: Vec<String> = run.findings.iter().take(MAX_LINES).map(line).collect();
        if run.findings.len() > MAX_LINES {
            lines.push(format!("… and {} more; --json has all", run.findings.len() - MAX_LINES));
        }
        lines.push(format!("probe: {}\n", run.summary()));
        let Gauges { failures, undetermined, repositories, tags, indexes, .. } = run.gauges();
        Answer {
            text: lines.join("\n"),
            json: json!({
                "registry": shown(&self.base),
                "level": self.options.level,
                "started_at": rfc3339(run.started_at_ms),
                "duration_ms": u64::try_from(run.duration.as_millis()).unwrap_or(u64::MAX),
                "checked": {"repositories": repositories, "tags": tags, "indexes": indexes},
                "failures": failures,
                "undetermined": undetermined,
                "findings": run.findings,
                "sound": run.is_sound(),
            }),
            outcome: FailOn::default().outcome(&run.findings),
        }
    }
}

fn line(finding: &Finding) -> String {
    let place = finding.repository.as_deref().unwrap_or_default();
    let tag = finding.tag.as_deref().map(|tag| format!(":{tag}")).unwrap_or_default();
    let platform = finding.platform.as_deref().map(|platform| format!(" {platform}")).unwrap_or_default();
    let digest = finding.digest.as_ref().map(|digest| format!(" {digest}")).unwrap_or_default();
    let status = finding.status.map(|status| format!(" ({status})")).unwrap_or_default();
    let detail = finding.detail.as_deref().map(|detail| format!(": {detail}")).unwrap_or_default();
    printable(&format!("{place}{tag}{platform} {}{status}{digest}{detail}", finding.kind))
}
