//! `mcrctl repo`: repositories listed, shown, deleted, restored; never how they are stored.

use clap::{Args, Subcommand};
use mcr_client::{About, Call};
use serde_json::{Value, json};

use crate::api::Api;
use crate::confirm::Confirm;
use crate::failure::Failure;
use crate::global::Global;
use crate::place;
use crate::print::Answer;
use crate::restore;
use crate::shape::{bytes, cell, count, entries, time};
use crate::table::table;

pub(crate) const EXAMPLES: &str = "Examples:
  mcrctl repo list --addr https://registry.example
  mcrctl repo show registry.example/infra/ci
  mcrctl repo delete registry.example/old/thing --dry-run

Exit codes: 0 done, 1 there is none or it may not be, 2 wrong usage, 3 could not be determined";

const LIST: &str = "Examples:
  mcrctl repo list --addr https://registry.example
  mcrctl repo list --addr registry.example --filter 'infra/**'
  mcrctl repo list --addr registry.example --json | jq -r '.repositories[].name'";

const SHOW: &str = "Examples:
  mcrctl repo show registry.example/infra/ci
  mcrctl repo show --addr registry.example infra/ci --json | jq -r '.tags[].digest'";

const DELETE: &str = "Examples:
  mcrctl repo delete registry.example/old/thing --dry-run
  mcrctl repo delete registry.example/old/thing
  mcrctl repo delete --addr registry.example old/thing --yes";

const RESTORE: &str = "Examples:
  mcrctl repo restore registry.example/old/thing

Exit codes: 0 all of it came back, 1 not all, or there is nothing, 2 wrong usage, 3 could not be determined";

/// The commands below `repo`.
#[derive(Debug, Subcommand)]
pub(crate) enum Repo {
    /// List the repositories you may pull from, with tags, manifests and bytes
    #[command(after_help = LIST)]
    List(List),
    /// Show a repository: its tags and manifests
    #[command(after_help = SHOW)]
    Show(Show),
    /// Delete a repository with all its tags
    #[command(after_help = DELETE)]
    Delete(Delete),
    /// Bring back a repository that was deleted, while it can be
    #[command(after_help = RESTORE)]
    Restore(restore::Repo),
}

/// The options of `repo list`.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only repositories that match: * within a path segment, ** across
    #[arg(long, value_name = "GLOB")]
    filter: Option<String>,
    /// At most this many
    #[arg(long, value_name = "N", value_parser = crate::cli::limit)]
    limit: Option<usize>,
}

/// The options of `repo show`.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// The repository: [HOST/]REPO
    #[arg(value_name = "REPO")]
    repository: String,
    /// At most this many tags and manifests
    #[arg(long, value_name = "N", value_parser = crate::cli::limit)]
    limit: Option<usize>,
}

/// The options of `repo delete`.
#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// The repository: [HOST/]REPO
    #[arg(value_name = "REPO")]
    repository: String,
    /// Say what would go, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    confirm: Confirm,
}

/// Runs a command below `repo`.
///
/// # Errors
/// Wrong usage, what the registry refuses, or that it could not be asked.
pub(crate) fn run(global: &Global, command: &Repo) -> Result<Answer, Failure> {
    match command {
        Repo::List(command) => list(global, command),
        Repo::Show(command) => show(global, command),
        Repo::Delete(command) => delete(global, command),
        Repo::Restore(command) => restore::repo(global, command),
    }
}

/// Its slash at the end tells a name that ends in `tags/x` from a tag.
fn path_of(place: &place::Repository) -> String {
    format!("/v1/repositories/{}/", place.name)
}

fn list(global: &Global, command: &List) -> Result<Answer, Failure> {
    let api = Api::new(global)?.about(About::Catalog);
    let query: Vec<(&str, String)> = command.filter.iter().map(|glob| ("filter", glob.clone())).collect();
    let json = api.list("/v1/repositories", &query, &["repositories"], command.limit)?;
    let row = |one: &Value| {
        vec![
            cell(one, "name"),
            cell(one, "tag_count"),
            cell(one, "manifest_count"),
            bytes(one, "total_size"),
            time(one, "updated_at"),
        ]
    };
    let rows: Vec<Vec<String>> = entries(&json, "repositories").iter().map(row).collect();
    Ok(Answer::done(table(&["REPOSITORY", "TAGS", "MANIFESTS", "SIZE", "UPDATED"], &[1, 2, 3], &rows), json))
}

fn show(global: &Global, command: &Show) -> Result<Answer, Failure> {
    let place = place::repository(global, &command.repository)?;
    let api = place.api(global)?;
    let json = api.list(&path_of(&place), &[], &["tags", "manifests"], command.limit)?;
    Ok(Answer::done(shown(&json), json))
}

fn shown(json: &Value) -> String {
    let mut text = format!(
        "{}: {}\ncreated {}, last changed {}\n",
        crate::print::printable(&cell(json, "name")),
        summary(json),
        time(json, "created_at"),
        time(json, "updated_at")
    );
    let tag = |one: &Value| vec![cell(one, "name"), cell(one, "digest"), bytes(one, "size"), time(one, "moved_at")];
    let tags: Vec<Vec<String>> = entries(json, "tags").iter().map(tag).collect();
    if !tags.is_empty() {
        text.push_str(&format!("\n{}", table(&["TAG", "DIGEST", "SIZE", "MOVED"], &[2], &tags)));
    }
    let manifest = |one: &Value| {
        vec![cell(one, "digest"), cell(one, "kind"), bytes(one, "size"), time(one, "pushed_at"), cell(one, "tags")]
    };
    let manifests: Vec<Vec<String>> = entries(json, "manifests").iter().map(manifest).collect();
    if !manifests.is_empty() {
        text.push_str(&format!("\n{}", table(&["MANIFEST", "KIND", "SIZE", "PUSHED", "TAGS"], &[2], &manifests)));
    }
    text
}

/// `3 tags, 5 manifests, 41.00 MiB`.
fn summary(json: &Value) -> String {
    let number = |key: &str| json.get(key).and_then(Value::as_u64).unwrap_or(0);
    let (tags, manifests) = (number("tag_count"), number("manifest_count"));
    let (tags, manifests) = (count(tags, "tag", "tags"), count(manifests, "manifest", "manifests"));
    format!("{tags}, {manifests}, {}", bytes(json, "total_size"))
}

fn delete(global: &Global, command: &Delete) -> Result<Answer, Failure> {
    if !command.dry_run {
        command.confirm.possible()?;
    }
    let place = place::repository(global, &command.repository)?;
    let api = place.api(global)?;
    let path = path_of(&place);
    let there = api.get(format!("{path}?n=1"))?;
    let what = format!("{}: {}", place.name, summary(&there));
    if command.dry_run {
        let json = json!({"repository": place.name.as_str(), "dry_run": true,
            "would_delete": {"tags": there.get("tag_count"), "manifests": there.get("manifest_count")}});
        return Ok(Answer::done(format!("would delete {what}\n"), json));
    }
    command.confirm.ask(&format!("This deletes the repository {what}."), place.name.as_str())?;
    let json = api.ask(&Call::delete(path))?;
    let gone = json.get("deleted").cloned().unwrap_or_default();
    let number = |key: &str| gone.get(key).and_then(Value::as_u64).unwrap_or(0);
    let (tags, manifests) = (number("tags"), number("manifests"));
    let text = format!(
        "deleted {}: {}, {}\n",
        place.name,
        count(tags, "tag", "tags"),
        count(manifests, "manifest", "manifests")
    );
    Ok(Answer::done(text, json))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_shown_with_tags_and_manifests() {
        let json = json!({"name": "infra/ci", "tag_count": 1, "manifest_count": 2, "total_size": 2048,
            "created_at": "2026-11-21T16:00:00.000Z", "updated_at": "2026-11-21T17:00:00.000Z",
            "tags": [{"name": "v1", "digest": "sha256:1", "size": 7, "moved_at": "2026-11-21T17:00:00.000Z"}],
            "manifests": [{"digest": "sha256:1", "kind": "index", "size": 7, "pushed_at": "x", "tags": ["v1"]}]});
        let text = shown(&json);
        assert!(text.starts_with("infra/ci: 1 tag, 2 manifests, 2.00 KiB\ncreated 2026-11-21T16:00:00Z"), "{text}");
        assert!(text.contains("TAG") && text.contains("MANIFEST") && text.contains("index"), "{text}");
    }
}
