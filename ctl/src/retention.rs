//! `mcrctl retention`: running the rules of which tags are kept; never a rule.

use std::io::IsTerminal as _;

use clap::{Args, Subcommand};
use mcr_client::Call;
use serde_json::json;

use crate::api::Api;
use crate::confirm::Confirm;
use crate::failure::Failure;
use crate::global::Global;
use crate::plan::{self, Plan};
use crate::print::Answer;
use crate::run;

pub(crate) const EXAMPLES: &str = "Examples:
  mcrctl retention run --addr https://registry.example --dry-run
  mcrctl retention run --addr https://registry.example
  mcrctl retention plan list --addr https://registry.example

Which tags are kept is configured on the server: [[retention.rule]]. A rule that is new or changed only reports until
its first plan was confirmed.

Exit codes: 0 done, 1 refused, given up or waiting to be confirmed, 2 wrong usage, 3 could not be determined";

const RUN: &str = "Examples:
  mcrctl retention run --addr https://registry.example --dry-run
  mcrctl retention run --addr https://registry.example --repositories 'infra/**'
  mcrctl retention run --addr https://registry.example --yes

Exit codes: 0 done, 1 refused, given up or waiting to be confirmed, 2 wrong usage, 3 could not be determined";

const PLAN: &str = "Examples:
  mcrctl retention plan --addr https://registry.example
  mcrctl retention plan show --addr https://registry.example 1f0c…";

/// The commands below `retention`.
#[derive(Debug, Subcommand)]
pub(crate) enum Retention {
    /// Delete the tags that no rule keeps; wait for the end and say what it came to
    #[command(after_help = RUN)]
    Run(Run),
    /// What runs would take or took: list, show, confirm, discard
    #[command(after_help = PLAN)]
    Plan(plan::OfJob),
}

/// The options of `retention run`.
#[derive(Debug, Args)]
pub(crate) struct Run {
    /// Only repositories that match: * within a path segment, ** across; may be repeated
    #[arg(long, value_name = "GLOB")]
    repositories: Vec<String>,
    /// Say what would go and why, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not wait for the end
    #[arg(long)]
    no_wait: bool,
    /// Do not ask, do not stop at max_delete_percent, and confirm rules that are new
    #[arg(long, short)]
    yes: bool,
}

/// Runs a command below `retention`.
///
/// # Errors
/// Wrong usage, what the registry refuses, or that it could not be asked.
pub(crate) fn run(global: &Global, command: &Retention) -> Result<Answer, Failure> {
    match command {
        Retention::Run(command) => retain(global, command),
        Retention::Plan(wanted) => {
            plan::run(global, wanted.command.as_ref().unwrap_or(&Plan::all()), Some("retention"))
        }
    }
}

fn retain(global: &Global, command: &Run) -> Result<Answer, Failure> {
    if !command.dry_run && !command.yes && std::io::stdin().is_terminal() {
        let what = "This deletes the tags that no retention rule keeps. They can be restored until [gc] undo is over.";
        Confirm { yes: false }.ask(what, "retention")?;
    }
    let api = Api::new(global)?;
    let body = json!({"dry_run": command.dry_run, "yes": command.yes, "repositories": command.repositories});
    let begun = api.ask(&Call::post("/v1/retention/run", body))?;
    run::followed(global, &api, &begun, !command.no_wait, command.dry_run)
}
