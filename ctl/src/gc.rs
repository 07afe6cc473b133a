//! `mcrctl gc`: garbage collection begun, watched, asked about; never what is collected.

use std::io::IsTerminal as _;

use clap::{Args, Subcommand};
use mcr_client::Call;
use serde_json::{Map, Value};

use crate::api::Api;
use crate::confirm::Confirm;
use crate::failure::{Failure, Outcome};
use crate::global::Global;
use crate::plan::{self, Plan};
use crate::print::{Answer, printable};
use crate::run;
use crate::shape::{NOTHING, time};

pub(crate) const EXAMPLES: &str = "Examples:
  mcrctl gc --addr https://registry.example
  mcrctl gc run --addr https://registry.example --dry-run
  mcrctl gc run --addr https://registry.example --grace 0s --undo 0s --yes
  mcrctl gc status --addr https://registry.example
  mcrctl gc plan list --addr https://registry.example

Exit codes: 0 done, 1 refused, given up or waiting to be confirmed, 2 wrong usage, 3 could not be determined";

const RUN: &str = "Examples:
  mcrctl gc run --addr https://registry.example --dry-run
  mcrctl gc run --addr https://registry.example
  mcrctl gc run --addr https://registry.example --grace 0s --undo 0s --yes

Exit codes: 0 done, 1 refused, given up or waiting to be confirmed, 2 wrong usage, 3 could not be determined";

const STATUS: &str = "Examples:
  mcrctl gc status --addr https://registry.example
  mcrctl gc status --addr https://registry.example --json | jq .last_run.bytes_freed";

const PLAN: &str = "Examples:
  mcrctl gc plan --addr https://registry.example
  mcrctl gc plan show --addr https://registry.example 1f0c…
  mcrctl gc plan confirm --addr https://registry.example 1f0c…";

/// Where runs are begun.
const PATH: &str = "/v1/gc";

/// `gc`, which is `gc run` where no other word follows.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Gc {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: Run,
}

/// The commands below `gc`.
#[derive(Debug, Subcommand)]
enum Command {
    /// Remove what nothing refers to and whose time is past; wait for the end and say what it came to
    #[command(after_help = RUN)]
    Run(Run),
    /// Say what runs, what the last run freed, what waits until when, when the next one comes
    #[command(after_help = STATUS)]
    Status,
    /// What runs would take or took: list, show, confirm, discard
    #[command(after_help = PLAN)]
    Plan(plan::OfJob),
}

/// The options of `gc run`.
#[derive(Debug, Args)]
struct Run {
    /// Keep what nothing refers to for this long instead of [gc] grace: 0s, 30m, 24h, 7d
    #[arg(long, value_name = "DURATION", value_parser = span)]
    grace: Option<String>,
    /// Keep what was deleted for this long instead of [gc] undo; it cannot be restored afterwards
    #[arg(long, value_name = "DURATION", value_parser = span)]
    undo: Option<String>,
    /// Also remove files that have no row, and report rows that have no file
    #[arg(long)]
    reconcile: bool,
    /// Say what would go and why, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask, and do not stop at max_delete_percent
    #[arg(long, short)]
    yes: bool,
    /// Do not wait for the end
    #[arg(long)]
    no_wait: bool,
}

/// Reads a length of time as the server does: `0`, or numbers with units, the largest first.
///
/// # Errors
/// What was expected.
fn span(text: &str) -> Result<String, String> {
    let mut rest = text;
    let mut parts = 0;
    while let Some(end) = rest.find(|c: char| !c.is_ascii_digit()).filter(|end| *end > 0) {
        let (_, after) = rest.split_at(end);
        let unit = ["ms", "s", "m", "h", "d"].into_iter().find_map(|unit| {
            let left = after.strip_prefix(unit)?;
            left.chars().next().is_none_or(|next| next.is_ascii_digit()).then_some(left)
        });
        rest = unit.ok_or_else(expected)?;
        parts += 1;
    }
    if text == "0" || (parts > 0 && rest.is_empty()) { Ok(text.to_owned()) } else { Err(expected()) }
}

fn expected() -> String {
    "expected a length of time such as 0s, 30m, 24h or 7d".to_owned()
}

/// Runs `gc` or a command below it.
///
/// # Errors
/// Wrong usage, what the registry refuses, or that it could not be asked.
pub(crate) fn run(global: &Global, command: &Gc) -> Result<Answer, Failure> {
    match &command.command {
        None => collect(global, &command.run),
        Some(Command::Run(run)) => collect(global, run),
        Some(Command::Status) => status(global),
        Some(Command::Plan(wanted)) => plan::run(global, wanted.command.as_ref().unwrap_or(&Plan::all()), Some("gc")),
    }
}

fn collect(global: &Global, command: &Run) -> Result<Answer, Failure> {
    let sharper = command.grace.is_some() || command.undo.is_some();
    if sharper && !command.dry_run && !command.yes && std::io::stdin().is_terminal() {
        let what = "This removes for good what nothing refers to. What was deleted longer ago than --undo says cannot be restored afterwards.";
        Confirm { yes: false }.ask(what, "gc")?;
    }
    let mut body = Map::new();
    for (name, length) in [("grace", &command.grace), ("undo", &command.undo)] {
        if let Some(length) = length {
            body.insert(name.to_owned(), Value::from(length.as_str()));
        }
    }
    for (name, flag) in [("reconcile", command.reconcile), ("dry_run", command.dry_run), ("yes", command.yes)] {
        if flag {
            body.insert(name.to_owned(), Value::from(true));
        }
    }
    let api = Api::new(global)?;
    let begun = api.ask(&Call::post(PATH, Value::Object(body)))?;
    run::followed(global, &api, &begun, !command.no_wait, command.dry_run)
}

fn status(global: &Global) -> Result<Answer, Failure> {
    let api = Api::new(global)?;
    let json = api.get("/v1/gc/status")?;
    let waiting = api.list(
        "/v1/plans",
        &[("job", "gc".to_owned()), ("state", "needs_confirmation".to_owned())],
        &["plans"],
        Some(100),
    )?;
    let mut text = told(&json);
    for plan in crate::shape::entries(&waiting, "plans") {
        text.push_str(&plan::waiting_line(plan));
    }
    let last_failed = json.pointer("/last_run/state").and_then(Value::as_str) == Some("failed");
    Ok(Answer { text, json, outcome: if last_failed { Outcome::Bad } else { Outcome::Holds } })
}

fn told(json: &Value) -> String {
    let running = json.get("running").and_then(Value::as_bool).unwrap_or(false);
    let message = json.get("message").and_then(Value::as_str).map(printable).unwrap_or_default();
    let mut text = format!("{}: {message}\n", if running { "running" } else { "idle" });
    let last = json.get("last_run").filter(|last| !last.is_null());
    if let Some(last) = last {
        let by = printable(last.get("actor").and_then(Value::as_str).unwrap_or(NOTHING));
        text.push_str(&format!("last run {} by {by}\n", time(last, "completed_at")));
    }
    match json.get("next_run").filter(|next| !next.is_null()) {
        Some(_) => text.push_str(&format!("next run {}\n", time(json, "next_run"))),
        None => text.push_str("no schedule: [gc] schedule is off\n"),
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lengths_of_time_are_checked_before_they_are_sent() {
        for good in ["0", "0s", "30m", "24h", "7d", "1h30m", "500ms", "1d2h3m4s5ms"] {
            assert_eq!(span(good).as_deref(), Ok(good));
        }
        for bad in ["", "1", "s", "1w", "-1s", "1.5h", "1h 30m", "1hs", "--dry-run", "é"] {
            assert!(span(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_status_says_what_runs_what_ran_and_what_comes() {
        let json = json!({"running": false, "message": "freed 0 B; nothing waits",
            "last_run": {"actor": "mcrsrv", "completed_at": "2026-11-21T03:30:01.000Z"},
            "next_run": "2026-11-22T03:30:00.000Z"});
        let expected =
            "idle: freed 0 B; nothing waits\nlast run 2026-11-21T03:30:01Z by mcrsrv\nnext run 2026-11-22T03:30:00Z\n";
        assert_eq!(told(&json), expected);
        let json = json!({"running": true, "message": "a run is under way", "last_run": null, "next_run": null});
        assert_eq!(told(&json), "running: a run is under way\nno schedule: [gc] schedule is off\n");
    }
}
