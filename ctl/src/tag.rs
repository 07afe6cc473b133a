//! `mcrctl tag`: tags listed, where they pointed, deleted; never what they point at.

use clap::{Args, Subcommand};
use mcr_client::Call;
use serde_json::{Value, json};

use crate::confirm::Confirm;
use crate::failure::Failure;
use crate::global::Global;
use crate::place;
use crate::print::{Answer, printable};
use crate::restore;
use crate::shape::{cell, entries, time};
use crate::table::table;

pub(crate) const EXAMPLES: &str = "Examples:
  mcrctl tag list registry.example/infra/ci
  mcrctl tag history registry.example/infra/ci:latest
  mcrctl tag delete registry.example/infra/ci:old

Exit codes: 0 done, 1 there is none or it may not be, 2 wrong usage, 3 could not be determined";

const LIST: &str = "Examples:
  mcrctl tag list registry.example/infra/ci
  mcrctl tag list --addr registry.example infra/ci | grep '^v1'";

const HISTORY: &str = "Examples:
  mcrctl tag history registry.example/infra/ci:latest
  mcrctl tag history --addr registry.example infra/ci:latest --limit 1 --json";

const DELETE: &str = "Examples:
  mcrctl tag delete registry.example/infra/ci:old
  mcrctl tag delete --addr registry.example infra/ci:old --yes";

const RESTORE: &str = "Examples:
  mcrctl tag restore registry.example/infra/ci:latest
  mcrctl tag restore registry.example/infra/ci:latest --to sha256:98f7…
  mcrctl tag restore --addr registry.example --run 1f0c… --dry-run
  mcrctl tag restore --addr registry.example --since 2h --by ci

Exit codes: 0 all of it came back, 1 not all, or there is nothing, 2 wrong usage, 3 could not be determined";

/// The commands below `tag`.
#[derive(Debug, Subcommand)]
pub(crate) enum Tag {
    /// List the tags of a repository, one a line
    #[command(after_help = LIST)]
    List(List),
    /// Show where a tag pointed and who moved it, newest first
    #[command(after_help = HISTORY)]
    History(History),
    /// Delete a tag; what it points at stays
    #[command(after_help = DELETE)]
    Delete(Delete),
    /// Point a tag at where it pointed before, or undo a whole run, while it can be
    #[command(after_help = RESTORE)]
    Restore(restore::Tag),
}

/// The options of `tag list`.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// The repository: [HOST/]REPO
    #[arg(value_name = "REPO")]
    repository: String,
    /// At most this many
    #[arg(long, value_name = "N", value_parser = crate::cli::limit)]
    limit: Option<usize>,
}

/// The options of `tag history`.
#[derive(Debug, Args)]
pub(crate) struct History {
    /// The tag: [HOST/]REPO:TAG
    #[arg(value_name = "REPO:TAG")]
    tag: String,
    /// At most this many changes
    #[arg(long, value_name = "N", value_parser = crate::cli::limit)]
    limit: Option<usize>,
}

/// The options of `tag delete`.
#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// The tag: [HOST/]REPO:TAG
    #[arg(value_name = "REPO:TAG")]
    tag: String,
    /// Say what would go, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    confirm: Confirm,
}

/// Runs a command below `tag`.
///
/// # Errors
/// Wrong usage, what the registry refuses, or that it could not be asked.
pub(crate) fn run(global: &Global, command: &Tag) -> Result<Answer, Failure> {
    match command {
        Tag::List(command) => list(global, command),
        Tag::History(command) => history(global, command),
        Tag::Delete(command) => delete(global, command),
        Tag::Restore(command) => restore::tag(global, command),
    }
}

fn list(global: &Global, command: &List) -> Result<Answer, Failure> {
    let place = place::repository(global, &command.repository)?;
    let api = place.api(global)?;
    let json = api.list(&format!("/v1/repositories/{}/tags", place.name), &[], &["tags"], command.limit)?;
    let names = entries(&json, "tags").iter().filter_map(Value::as_str);
    let text: String = names.map(|name| format!("{}\n", printable(name))).collect();
    Ok(Answer::done(text, json))
}

fn history(global: &Global, command: &History) -> Result<Answer, Failure> {
    let place = place::tagged(global, &command.tag)?;
    let api = place.api(global)?;
    let path = format!("/v1/repositories/{}/tags/{}/history", place.name, place.tag);
    let json = api.list(&path, &[], &["history"], command.limit)?;
    let row = |one: &Value| {
        let current =
            if one.get("current").is_none_or(Value::is_null) { "deleted".to_owned() } else { cell(one, "current") };
        vec![time(one, "at"), cell(one, "actor"), current, cell(one, "previous")]
    };
    let rows: Vec<Vec<String>> = entries(&json, "history").iter().map(row).collect();
    Ok(Answer::done(table(&["AT", "BY", "TO", "FROM"], &[], &rows), json))
}

fn delete(global: &Global, command: &Delete) -> Result<Answer, Failure> {
    if !command.dry_run {
        command.confirm.possible()?;
    }
    let place = place::tagged(global, &command.tag)?;
    let api = place.api(global)?;
    let path = format!("/v1/repositories/{}/tags/{}", place.name, place.tag);
    let name = format!("{}:{}", place.name, place.tag);
    let newest = api.get(format!("{path}/history?n=1"))?;
    let pointed = entries(&newest, "history").first().and_then(|change| change.get("current")).cloned();
    let pointed = pointed.unwrap_or_default();
    let Some(digest) = pointed.as_str().map(printable) else {
        return Err(Failure::Refused(format!("{name}: there is no such tag")));
    };
    if command.dry_run {
        let json =
            json!({"repository": place.name.as_str(), "tag": place.tag.as_str(), "digest": pointed, "dry_run": true});
        return Ok(Answer::done(format!("would delete {name}, which points at {digest}\n"), json));
    }
    let what = format!("This deletes the tag {name}, which points at {digest}. The manifest stays.");
    command.confirm.ask(&what, &name)?;
    api.ask(&Call::delete(path))?;
    let json =
        json!({"repository": place.name.as_str(), "tag": place.tag.as_str(), "digest": pointed, "deleted": true});
    Ok(Answer::done(format!("deleted {name}, which pointed at {digest}\n"), json))
}
