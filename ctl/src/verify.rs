//! `mcrctl verify`: whether references can be pulled whole, now, from any registry; never how a closure is walked.

mod bars;
mod junit;
mod report;
mod tree;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use mcr_client::Client;
use mcr_oci::{Finding, FindingKind};
use mcr_probe::{Level, Verified, VerifyOptions};
use mcr_verifier::PlatformFilter;

use crate::failure::{Failure, Outcome};
use crate::files;
use crate::global::Global;
use crate::kinds::FailOn;
use crate::length::length;
use crate::print::{self, Answer};
use crate::runtime;
use crate::target::{Target, target};
use bars::Bars;

pub(crate) const EXAMPLES: &str = "Examples:
  mcrctl verify registry.example/infra/ci:latest
  mcrctl --addr 127.0.0.1:8443 --ca-cert srv/tls/cert.pem verify --level full infra/ci:1.4
  mcrctl verify --wait 30s --junit verify.xml registry.example/infra/ci@sha256:<digest>

Levels: head asks for each blob, tail (the default) also for its last byte, full downloads and hashes everything.
Exit codes: 0 everything can be pulled, 1 findings, 2 wrong usage, 3 could not be determined";

/// How long one reference may take where nothing was said: without and with downloads.
const PATIENCE: [Duration; 2] = [Duration::from_secs(300), Duration::from_secs(3600)];
/// The first pause between two looks of `--wait`, and the longest.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(5)];

/// The options of `verify`.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// What to look at: [HOST[:PORT]/]NAME[:TAG][@DIGEST]; without a host it is on --addr
    #[arg(value_name = "REF", required_unless_present = "fail_on")]
    references: Vec<String>,
    /// How closely blobs are looked at: head, tail or full
    #[arg(long, default_value = "tail")]
    level: Level,
    /// The only platform of an index to look at: OS/ARCH[/VARIANT]
    #[arg(long, value_name = "PLATFORM", value_parser = platform)]
    platform: Option<PlatformFilter>,
    /// Requests under way at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,
    /// Look again until everything is there, so long at most; this time is added to --timeout
    #[arg(long, value_name = "DURATION", value_parser = length)]
    wait: Option<Duration>,
    /// Write the result as JUnit XML too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Fail only on findings of these kinds; others are shown
    #[arg(long, value_name = "KIND", num_args = 1..)]
    fail_on: Vec<String>,
}

fn platform(text: &str) -> Result<PlatformFilter, String> {
    PlatformFilter::parse(text).ok_or_else(|| "expected OS/ARCH or OS/ARCH/VARIANT, such as linux/amd64".to_owned())
}

/// One reference and what was found of it.
pub(crate) struct Looked {
    target: Target,
    level: Level,
    duration: Duration,
    /// `None` where the registry could not be asked at all.
    verified: Option<Verified>,
    findings: Vec<Finding>,
}

impl Looked {
    fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Looks at every reference.
///
/// # Errors
/// Wrong usage alone; what could not be looked at is a finding.
pub(crate) fn run(global: &Global, command: &Verify) -> Result<Answer, Failure> {
    let (fail_on, swallowed) = FailOn::read(&command.fail_on)?;
    let addr = global.said_base()?;
    let words = command.references.iter().chain(&swallowed);
    let targets: Vec<Target> =
        words.map(|word| target(word, addr.as_ref(), global.plain_http)).collect::<Result<_, _>>()?;
    if targets.is_empty() {
        return Err(Failure::Usage("say which reference to verify, such as registry.example/infra/ci:latest".into()));
    }
    let clients: Vec<Client> =
        targets.iter().map(|target| global.client(target.base.clone())).collect::<Result<_, _>>()?;
    let bars = Bars::new(print::bars_wanted(global), command.level);
    let looked = runtime::block_on(async {
        let mut all = Vec::new();
        for (target, client) in targets.into_iter().zip(&clients) {
            all.push(one(global, command, client, target, &bars).await);
        }
        Ok(all)
    })?;
    bars.clear();
    if let Some(path) = &command.junit {
        let told = |error: String| Failure::Undetermined(format!("--junit {}: {error}", path.display()));
        let xml = junit::xml(&looked).map_err(told)?;
        files::replace(path, xml.as_bytes()).map_err(|error| told(error.to_string()))?;
    }
    Ok(Answer {
        text: looked.iter().map(tree::draw).collect::<Vec<_>>().join("\n"),
        json: report::json(&looked),
        outcome: fail_on.outcome(looked.iter().flat_map(|looked| &looked.findings)),
    })
}

/// Looks at one reference, with `--wait` until it is sound or the time is over.
async fn one(global: &Global, command: &Verify, client: &Client, target: Target, bars: &Bars) -> Looked {
    let started = Instant::now();
    let downloads = usize::from(command.level == Level::Full);
    let patience = global.timeout.or(PATIENCE.get(downloads).copied()).unwrap_or_default();
    let wait = command.wait.unwrap_or_default();
    let options =
        VerifyOptions { level: command.level, jobs: usize::from(command.jobs), platform: command.platform.clone() };
    let [mut pause, longest] = PAUSES;
    bars.begin(&target.text);
    loop {
        let left = (patience + wait).saturating_sub(started.elapsed());
        let asked = mcr_probe::verify(client, &target.repository, &target.reference, &options, bars);
        let looked = match tokio::time::timeout(left, asked).await {
            Ok(Ok(verified)) => Looked {
                target: target.clone(),
                level: command.level,
                duration: started.elapsed(),
                findings: verified.findings.clone(),
                verified: Some(verified),
            },
            Ok(Err(gone)) => unlooked(&target, command.level, started, gone.to_string()),
            Err(_) => {
                let seconds = (patience + wait).as_secs_f64();
                let last = client.trouble().map(|trouble| format!("; last {trouble}")).unwrap_or_default();
                let told = format!("could not be looked at whole within {seconds} s{last}; try a longer --timeout");
                unlooked(&target, command.level, started, told)
            }
        };
        if looked.is_sound() || started.elapsed() + pause > wait {
            return looked;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(longest);
        bars.begin(&target.text);
    }
}

fn unlooked(target: &Target, level: Level, started: Instant, detail: String) -> Looked {
    let finding = Finding {
        repository: Some(target.repository.as_str().to_owned()),
        detail: Some(detail),
        ..Finding::new(FindingKind::Unreachable)
    };
    Looked { target: target.clone(), level, duration: started.elapsed(), verified: None, findings: vec![finding] }
}

/// The exit code of one reference, for the last line of its tree.
fn verdict(looked: &Looked) -> Outcome {
    FailOn::default().outcome(&looked.findings)
}
