//! `mcrctl integrity`: what a registry's own probe saw last, what is open, which tags are broken; never a look of its own.

use std::time::Duration;

use clap::Args;
use mcr_oci::{Finding, RepositoryName};
use serde::Deserialize;
use serde_json::Value;

use crate::api::Api;
use crate::failure::{Failure, Outcome};
use crate::global::Global;
use crate::print::{Answer, printable};
use crate::shape::count;

pub(crate) const EXAMPLES: &str = "Examples:
  mcrctl --addr https://127.0.0.1:8443 --ca-cert srv/tls/cert.pem --username admin integrity
  mcrctl --addr registry.example integrity --repository infra/ci
  mcrctl --addr registry.example integrity --json | jq -r '.tags[] | select(.state != \"sound\") | .tag'

Exit codes: 0 everything was looked at and is whole, 1 something is wrong, 2 wrong usage, 3 it is not known: no run has
completed yet, the last attempt could not, or the registry cannot be asked";

/// Where a registry says what its probe saw.
const PATH: &str = "/v1/integrity";
/// Findings and tags shown as text; JSON has all.
const MAX_LINES: usize = 200;

/// The options of `integrity`.
#[derive(Debug, Args)]
pub(crate) struct Integrity {
    /// Only findings and tags of this repository
    #[arg(long, value_name = "NAME", value_parser = repository)]
    repository: Option<RepositoryName>,
}

fn repository(text: &str) -> Result<RepositoryName, String> {
    RepositoryName::parse(text).map_err(|error| error.to_string())
}

/// The server's document, as far as the text needs it.
#[derive(Clone, Debug, Deserialize)]
struct Document {
    probe: Probe,
    findings: Vec<Open>,
    tags: Vec<Tag>,
}

#[derive(Clone, Debug, Deserialize)]
struct Probe {
    schedule: Option<String>,
    next_run: Option<String>,
    last_run: Option<Run>,
    last_attempt: Option<Run>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
struct Run {
    started_at: String,
    ended_at: String,
    age_seconds: u64,
    duration_ms: u64,
    level: String,
    reason: Option<String>,
    repositories: u64,
    tags: u64,
    indexes: u64,
    findings: u64,
    undetermined: u64,
}

#[derive(Clone, Debug, Deserialize)]
struct Open {
    #[serde(flatten)]
    finding: Finding,
    source: String,
    since: String,
}

#[derive(Clone, Debug, Deserialize)]
struct Tag {
    repository: String,
    tag: String,
    state: String,
    last_seen_whole: Option<String>,
    findings: u64,
}

/// Asks a registry what its probe saw.
///
/// # Errors
/// When it could not be asked, or what answers is no such registry.
pub(crate) fn run(global: &Global, command: &Integrity) -> Result<Answer, Failure> {
    let api = Api::new(global)?;
    // For people the broken tags, for programs all.
    let state = (!global.json).then(|| ("state", "broken".to_owned()));
    let of = command.repository.as_ref().map(|name| ("repository", name.to_string()));
    let query: Vec<(&str, String)> = state.into_iter().chain(of).collect();
    let json = api.list(PATH, &query, &["tags"], None)?;
    let document = read(api.registry(), &json)?;
    let outcome = outcome(&document);
    Ok(Answer { text: text(&document, outcome), json, outcome })
}

fn read(registry: &str, json: &Value) -> Result<Document, Failure> {
    Document::deserialize(json).map_err(|error| {
        Failure::Undetermined(format!(
            "{registry} sent another document ({error}) to {PATH}, which is not how this registry answers; check --addr"
        ))
    })
}

/// Findings are bad. Without one, it holds only if the last attempt looked at everything.
fn outcome(document: &Document) -> Outcome {
    let probe = &document.probe;
    if !document.findings.is_empty() || document.tags.iter().any(|tag| tag.state == "broken") {
        return Outcome::Bad;
    }
    match (&probe.last_run, &probe.last_attempt) {
        _ if probe.schedule.is_none() => Outcome::Undetermined,
        (Some(run), Some(attempt)) if attempt.reason.is_none() && run.undetermined == 0 => Outcome::Holds,
        _ => Outcome::Undetermined,
    }
}

fn text(document: &Document, outcome: Outcome) -> String {
    let probe = &document.probe;
    let mut lines = vec![verdict(document, outcome)];
    lines.push(match &probe.last_run {
        None => "last run:     none has completed yet".to_owned(),
        Some(run) => format!(
            "last run:     {} ({} ago), level {}: {}, {}, {} in {:.1} s",
            run.ended_at,
            age(run.age_seconds),
            run.level,
            count(run.repositories, "repository", "repositories"),
            count(run.tags, "tag", "tags"),
            count(run.indexes, "index", "indexes"),
            Duration::from_millis(run.duration_ms).as_secs_f64()
        ),
    });
    if let Some(attempt) = &probe.last_attempt
        && let Some(reason) = &attempt.reason
    {
        let (began, ago) = (&attempt.started_at, age(attempt.age_seconds));
        lines.push(format!("last attempt: {began} ({ago} ago) could not complete: {reason}"));
    }
    lines.push(match (&probe.next_run, &probe.schedule) {
        (Some(next), Some(schedule)) => format!("next run:     {next} (schedule {schedule})"),
        _ => "next run:     never, the probe is off ([probe] schedule)".to_owned(),
    });
    findings(document, &mut lines);
    broken(document, &mut lines);
    let mut text: String = lines.iter().map(|line| format!("{}\n", printable(line))).collect();
    if document.findings.len() > MAX_LINES || document.tags.len() > MAX_LINES {
        text.push_str("… and more; --json has all\n");
    }
    text
}

fn verdict(document: &Document, outcome: Outcome) -> String {
    let found = document.findings.len() as u64;
    match outcome {
        Outcome::Holds => "sound".to_owned(),
        Outcome::Bad | Outcome::WrongUsage => format!("BROKEN: {}", count(found, "finding", "findings")),
        Outcome::Undetermined => {
            let unknown = document.probe.last_run.as_ref().map_or(0, |run| run.undetermined);
            match unknown {
                0 => "UNDETERMINED".to_owned(),
                _ => format!("UNDETERMINED: {} could not be looked at", count(unknown, "place", "places")),
            }
        }
    }
}

fn findings(document: &Document, lines: &mut Vec<String>) {
    if document.findings.is_empty() {
        return;
    }
    lines.push("findings:".to_owned());
    for open in document.findings.iter().take(MAX_LINES) {
        let finding = &open.finding;
        let repository = finding.repository.as_deref().unwrap_or("(in every repository that has it)");
        let tag = finding.tag.as_deref().map(|tag| format!(":{tag}")).unwrap_or_default();
        let platform = finding.platform.as_deref().map(|platform| format!(" {platform}")).unwrap_or_default();
        let digest = finding.digest.as_ref().map(|digest| format!(" {digest}")).unwrap_or_default();
        lines.push(format!("  {repository}{tag}{platform} {}{digest}", finding.kind));
        if !finding.path.is_empty() {
            let path: Vec<String> = finding.path.iter().map(ToString::to_string).collect();
            lines.push(format!("    below {}", path.join(" > ")));
        }
        if let Some(detail) = &finding.detail {
            lines.push(format!("    {detail}"));
        }
        let by = if open.source == "probe" { "by the probe" } else { "while serving" };
        lines.push(format!("    found {by}, since {}", open.since));
    }
}

fn broken(document: &Document, lines: &mut Vec<String>) {
    let broken: Vec<&Tag> = document.tags.iter().filter(|tag| tag.state == "broken").collect();
    if broken.is_empty() {
        return;
    }
    lines.push("broken tags:".to_owned());
    for tag in broken.into_iter().take(MAX_LINES) {
        let whole = tag.last_seen_whole.as_ref();
        let whole = whole.map_or_else(|| "never seen whole".to_owned(), |at| format!("last seen whole {at}"));
        let found = count(tag.findings, "finding", "findings");
        lines.push(format!("  {}:{} ({found}, {whole})", tag.repository, tag.tag));
    }
}

/// An age in the unit that a reader wants.
fn age(seconds: u64) -> String {
    match seconds {
        0..120 => count(seconds, "second", "seconds"),
        120..7_200 => count(seconds / 60, "minute", "minutes"),
        7_200..172_800 => count(seconds / 3600, "hour", "hours"),
        _ => count(seconds / 86_400, "day", "days"),
    }
}

#[cfg(test)]
mod tests;
