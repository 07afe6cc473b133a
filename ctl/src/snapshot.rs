//! `mcrctl snapshot`: a copy of the database taken by the server, and those there are; never a file of its own.

use clap::{Args, Subcommand};
use mcr_client::Call;
use serde_json::{Value, json};

use crate::api::Api;
use crate::failure::Failure;
use crate::global::Global;
use crate::print::{Answer, printable};
use crate::shape::{bytes, cell, entries, time};
use crate::table::table;

pub(crate) const EXAMPLES: &str = "Examples:
  mcrctl snapshot --addr https://registry.example
  mcrctl snapshot list --addr https://registry.example
  mcrctl snapshot --addr https://registry.example --json | jq -r .path

Exit codes: 0 done, 1 refused, 2 wrong usage, 3 could not be determined";

const LIST: &str = "Examples:
  mcrctl snapshot list --addr https://registry.example
  mcrctl snapshot list --addr https://registry.example --json | jq -r '.snapshots[0].path'";

const PATH: &str = "/v1/snapshot";

/// `snapshot`, which takes one where no other word follows.
#[derive(Debug, Args)]
pub(crate) struct Snapshot {
    #[command(subcommand)]
    command: Option<Command>,
}

/// The commands below `snapshot`.
#[derive(Debug, Subcommand)]
enum Command {
    /// List the snapshots there are, the newest first
    #[command(after_help = LIST)]
    List,
}

/// Runs `snapshot` or a command below it.
///
/// # Errors
/// What the registry refuses, or that it could not be asked.
pub(crate) fn run(global: &Global, command: &Snapshot) -> Result<Answer, Failure> {
    let api = Api::new(global)?;
    match command.command {
        None => {
            let json = api.ask(&Call::post(PATH, json!({})))?;
            let (path, size) = (printable(&cell(&json, "path")), bytes(&json, "bytes"));
            Ok(Answer::done(format!("{path}: {size}, refers to {} blobs\n", cell(&json, "blobs")), json))
        }
        Some(Command::List) => {
            let json = api.get(PATH)?;
            let row = |one: &Value| {
                let state = if one.get("trouble").is_some_and(Value::is_string) {
                    cell(one, "trouble")
                } else {
                    "sound".to_owned()
                };
                vec![cell(one, "name"), time(one, "taken_at"), bytes(one, "bytes"), cell(one, "blobs"), state]
            };
            let rows: Vec<Vec<String>> = entries(&json, "snapshots").iter().map(row).collect();
            Ok(Answer::done(table(&["SNAPSHOT", "TAKEN", "SIZE", "BLOBS", "STATE"], &[2, 3], &rows), json))
        }
    }
}
