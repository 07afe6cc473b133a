//! `mcrctl plan`: what runs of garbage collection and retention would take, or took; confirming and discarding; never a run.

use std::io::IsTerminal as _;

use clap::{Args, Subcommand};
use mcr_client::Call;
use serde_json::Value;

use crate::api::{Api, escaped};
use crate::confirm::Confirm;
use crate::failure::Failure;
use crate::global::Global;
use crate::print::{Answer, printable};
use crate::run;
use crate::shape::{NOTHING, bytes, cell, entries, time};
use crate::table::table;

pub(crate) const EXAMPLES: &str = "Examples:
  mcrctl plan list --addr https://registry.example
  mcrctl plan show --addr https://registry.example 1f0c…
  mcrctl plan confirm --addr https://registry.example 1f0c…

Exit codes: 0 done, 1 there is none, or it does not wait, 2 wrong usage, 3 could not be determined";

const LIST: &str = "Examples:
  mcrctl plan list --addr https://registry.example
  mcrctl plan list --addr https://registry.example --state needs_confirmation --json | jq -r '.plans[].id'";

const SHOW: &str = "Examples:
  mcrctl plan show --addr https://registry.example 1f0c…
  mcrctl plan show --addr https://registry.example 1f0c… --json | jq -r '.steps[] | select(.action == \"tag\") | .tag'";

const CONFIRM: &str = "Examples:
  mcrctl plan show --addr https://registry.example 1f0c…
  mcrctl plan confirm --addr https://registry.example 1f0c…";

const DISCARD: &str = "Examples:
  mcrctl plan discard --addr https://registry.example 1f0c…";

const PATH: &str = "/v1/plans";
/// Plans that are listed where no other number was said: more than a registry keeps.
const LISTED: usize = 200;
/// Steps that are shown where no other number was said.
const STEPS: usize = 1000;

/// The commands below `plan`.
#[derive(Debug, Subcommand)]
pub(crate) enum Plan {
    /// List plans, the newest first
    #[command(after_help = LIST)]
    List(List),
    /// Show a plan: every step with its reason, and what became of it
    #[command(after_help = SHOW)]
    Show(Show),
    /// Apply a plan that waits for it, wait for the end and say what it came to
    #[command(after_help = CONFIRM)]
    Confirm(Apply),
    /// Give up a plan that waits
    #[command(after_help = DISCARD)]
    Discard(One),
}

/// `plan` below `gc` and `retention`: those of one job.
#[derive(Debug, Args)]
pub(crate) struct OfJob {
    /// `plan list` where nothing follows.
    #[command(subcommand)]
    pub(crate) command: Option<Plan>,
}

/// The options of `plan list`.
#[derive(Debug, Default, Args)]
pub(crate) struct List {
    /// Only those in this state: planning, needs_confirmation, running, done, failed, discarded
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    /// At most this many
    #[arg(long, value_name = "N", value_parser = crate::cli::limit)]
    limit: Option<usize>,
}

/// The options of `plan show`.
#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    one: One,
    /// At most this many steps; 1000 where it is not said
    #[arg(long, value_name = "N", value_parser = crate::cli::limit)]
    limit: Option<usize>,
}

/// The options of `plan confirm`.
#[derive(Debug, Args)]
pub(crate) struct Apply {
    #[command(flatten)]
    one: One,
    /// Do not wait for the end
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    confirm: Confirm,
}

/// One plan.
#[derive(Debug, Args)]
pub(crate) struct One {
    /// Its id, as plan list shows it
    #[arg(value_name = "ID")]
    id: String,
}

impl Plan {
    /// Listing them all.
    pub(crate) fn all() -> Self {
        Self::List(List::default())
    }
}

impl One {
    fn path(&self) -> String {
        format!("{PATH}/{}", escaped(&self.id).replace('/', "%2F"))
    }
}

/// Runs a command below `plan`; `job` limits the list.
///
/// # Errors
/// Wrong usage, what the registry refuses, or that it could not be asked.
pub(crate) fn run(global: &Global, command: &Plan, job: Option<&str>) -> Result<Answer, Failure> {
    match command {
        Plan::List(command) => list(global, command, job),
        Plan::Show(command) => {
            let api = Api::new(global)?;
            let json = with_steps(&api, &command.one.path(), command.limit.unwrap_or(STEPS))?;
            Ok(Answer::done(shown(&json), json))
        }
        Plan::Confirm(command) => confirm(global, command),
        Plan::Discard(one) => {
            let json = Api::new(global)?.ask(&Call::post(format!("{}/discard", one.path()), serde_json::json!({})))?;
            Ok(Answer::done(format!("discarded {}\n", printable(&cell(&json, "id"))), json))
        }
    }
}

fn list(global: &Global, command: &List, job: Option<&str>) -> Result<Answer, Failure> {
    let query: Vec<(&str, String)> = job
        .map(|job| ("job", job.to_owned()))
        .into_iter()
        .chain(command.state.clone().map(|state| ("state", state)))
        .collect();
    let json = Api::new(global)?.list(PATH, &query, &["plans"], Some(command.limit.unwrap_or(LISTED)))?;
    let row = |one: &Value| {
        vec![
            cell(one, "id"),
            if one.get("dry_run") == Some(&Value::Bool(true)) { "dry run".to_owned() } else { cell(one, "state") },
            cell(one, "job"),
            time(one, "created_at"),
            cell(one, "actor"),
            cell(one, "message"),
        ]
    };
    let rows: Vec<Vec<String>> = entries(&json, "plans").iter().map(row).collect();
    Ok(Answer::done(table(&["ID", "STATE", "JOB", "CREATED", "BY", "WHAT"], &[], &rows), json))
}

/// A plan with its steps, at most `limit`.
///
/// # Errors
/// What the registry refuses, or that it could not be asked.
pub(crate) fn with_steps(api: &Api, path: &str, limit: usize) -> Result<Value, Failure> {
    api.list(path, &[], &["steps"], Some(limit))
}

/// A plan by its id.
pub(crate) fn path_of(id: &str) -> String {
    One { id: id.to_owned() }.path()
}

/// A plan with its steps, for a person.
pub(crate) fn shown(json: &Value) -> String {
    let mut text = format!(
        "{} of {}: {}\nbegun {} by {}, {}\n",
        printable(&cell(json, "job")),
        printable(&cell(json, "id")),
        printable(&cell(json, "message")),
        time(json, "created_at"),
        printable(&cell(json, "actor")),
        printable(&cell(json, "state")),
    );
    if json.get("expires_at").is_some_and(Value::is_string) {
        text.push_str(&format!("discarded on {} unless it is confirmed before\n", time(json, "expires_at")));
    }
    text.push_str(&steps(json));
    text
}

/// The table of a plan's steps; nothing where it has none.
pub(crate) fn steps(json: &Value) -> String {
    let row = |one: &Value| {
        let what = match (one.get("repository").and_then(Value::as_str), one.get("tag").and_then(Value::as_str)) {
            (Some(repository), Some(tag)) => format!("{repository}:{tag}"),
            (Some(repository), None) => repository.to_owned(),
            _ => NOTHING.to_owned(),
        };
        let state = match one.get("detail").and_then(Value::as_str) {
            Some(detail) => format!("{}: {detail}", cell(one, "state")),
            None => cell(one, "state"),
        };
        vec![cell(one, "action"), what, cell(one, "digest"), bytes(one, "bytes"), cell(one, "reason"), state]
    };
    let rows: Vec<Vec<String>> = entries(json, "steps").iter().map(row).collect();
    if rows.is_empty() {
        return String::new();
    }
    let mut text = format!("\n{}", table(&["STEP", "WHERE", "DIGEST", "SIZE", "WHY", "STATE"], &[3], &rows));
    let all = json.pointer("/totals/steps").and_then(Value::as_u64).unwrap_or(0);
    let shown = rows.len() as u64;
    if all > shown {
        let id = printable(&cell(json, "id"));
        text.push_str(&format!("… and {} more: mcrctl plan show {id} --limit {all}\n", all - shown));
    }
    text
}

fn confirm(global: &Global, command: &Apply) -> Result<Answer, Failure> {
    let api = Api::new(global)?;
    let path = command.one.path();
    // Whoever says which plan has confirmed it; a person who can be asked is shown once more what it takes.
    if !command.confirm.yes && std::io::stdin().is_terminal() {
        let json = with_steps(&api, &path, 1)?;
        let what = format!("{}: {}", printable(&cell(&json, "job")), printable(&cell(&json, "message")));
        command.confirm.ask(&what, &command.one.id)?;
    }
    let json = api.ask(&Call::post(format!("{path}/confirm"), serde_json::json!({})))?;
    run::followed(global, &api, &json, !command.no_wait, false)
}

/// A line about a plan that waits, and how to look at it.
pub(crate) fn waiting_line(plan: &Value) -> String {
    let id = printable(&cell(plan, "id"));
    format!("waiting for confirmation: mcrctl plan show {id}; then mcrctl plan confirm {id}\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plan_shows_every_step_with_its_reason() {
        let json = json!({"id": "ab", "job": "gc", "state": "needs_confirmation", "message": "it takes a lot",
        "created_at": "2026-11-21T03:30:00.000Z", "actor": "mcrsrv", "expires_at": "2026-11-28T03:30:00.000Z",
        "totals": {"steps": 3},
        "steps": [
            {"action": "tag", "repository": "infra/ci", "tag": "old", "digest": "sha256:1", "bytes": 0,
             "reason": "keep_last = 10", "state": "planned", "detail": null},
            {"action": "blob", "repository": null, "tag": null, "digest": "sha256:2", "bytes": 2048,
             "reason": "nothing refers to it", "state": "skipped", "detail": "it was pushed again"},
        ]});
        let text = shown(&json);
        assert!(text.starts_with("gc of ab: it takes a lot\nbegun 2026-11-21T03:30:00Z by mcrsrv"), "{text}");
        assert!(text.contains("discarded on 2026-11-28T03:30:00Z unless"), "{text}");
        assert!(text.contains("infra/ci:old") && text.contains("2.00 KiB"), "{text}");
        assert!(text.contains("skipped: it was pushed again"), "{text}");
        assert!(text.ends_with("… and 1 more: mcrctl plan show ab --limit 3\n"), "{text}");
    }

    #[test]
    fn an_id_is_one_segment() {
        assert_eq!(path_of("a/../b"), "/v1/plans/a%2F..%2Fb");
    }
}
