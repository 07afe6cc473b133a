//! `mcrctl tag restore` and `mcrctl repo restore`: bringing back what was deleted; never how.

use clap::{ArgGroup, Args};
use mcr_client::Call;
use mcr_oci::{Digest, Reference};
use serde_json::{Map, Value, json};

use crate::api::Api;
use crate::failure::{Failure, Outcome};
use crate::global::Global;
use crate::place;
use crate::print::{Answer, printable};
use crate::shape::{cell, count, entries};
use crate::when::{When, when};

/// The options of `tag restore`.
#[derive(Debug, Args)]
#[group(skip)]
#[command(group = ArgGroup::new("what").required(true).args(["reference", "run", "since"]))]
pub(crate) struct Tag {
    /// The tag, or a manifest by its digest: [HOST/]REPO:TAG, [HOST/]REPO@DIGEST
    #[arg(value_name = "REPO:TAG")]
    reference: Option<String>,
    /// Point the tag at this manifest of its history instead of the one before
    #[arg(long, value_name = "DIGEST", requires = "reference", value_parser = digest)]
    to: Option<Digest>,
    /// Undo everything that this run of retention or garbage collection, or this delete of a repository, took away
    #[arg(long, value_name = "ID")]
    run: Option<String>,
    /// Undo every delete since then: 2h, 7d, or a time such as 2026-11-21T16:00:00Z
    #[arg(long, value_name = "TIME", value_parser = when)]
    since: Option<When>,
    /// With --since: only deletes of this account
    #[arg(long, value_name = "ACCOUNT", requires = "since", conflicts_with_all = ["run", "reference"])]
    by: Option<String>,
    /// Say what would come back, and change nothing
    #[arg(long, conflicts_with = "reference")]
    dry_run: bool,
}

/// The options of `repo restore`.
#[derive(Debug, Args)]
pub(crate) struct Repo {
    /// The repository: [HOST/]REPO
    #[arg(value_name = "REPO")]
    repository: String,
}

fn digest(text: &str) -> Result<Digest, String> {
    Digest::parse(text).map_err(|error| error.to_string())
}

/// Runs `tag restore`.
///
/// # Errors
/// Wrong usage, what the registry refuses, or that it could not be asked.
pub(crate) fn tag(global: &Global, command: &Tag) -> Result<Answer, Failure> {
    match &command.reference {
        Some(reference) => one(global, reference, command.to.as_ref()),
        None => many(global, command),
    }
}

fn one(global: &Global, text: &str, to: Option<&Digest>) -> Result<Answer, Failure> {
    let place = place::referenced(global, text)?;
    let api = place.repository.api(global)?;
    let name = &place.repository.name;
    match &place.reference {
        Reference::Tag(tag) => {
            let body = to.map_or_else(|| json!({}), |to| json!({"to": to.as_str()}));
            let json = api.ask(&Call::post(format!("/v1/repositories/{name}/tags/{tag}/restore"), body))?;
            let before = match json.get("previous").and_then(Value::as_str) {
                Some(previous) => format!(", and pointed at {} before", printable(previous)),
                None => String::new(),
            };
            Ok(Answer::done(format!("{name}:{tag} points at {}{before}\n", printable(&cell(&json, "digest"))), json))
        }
        Reference::Digest(_) if to.is_some() => Err(Failure::Usage("--to is for a tag, not for a digest".to_owned())),
        Reference::Digest(digest) => {
            let path = format!("/v1/repositories/{name}/manifests/{digest}/restore");
            let json = api.ask(&Call::post(path, json!({})))?;
            let manifests = json.get("manifests_restored").and_then(Value::as_u64).unwrap_or(0);
            Ok(Answer::done(format!("restored {}\n", count(manifests, "manifest", "manifests")), json))
        }
    }
}

fn many(global: &Global, command: &Tag) -> Result<Answer, Failure> {
    let mut body = Map::new();
    let since = command.since.as_ref().map(When::past);
    for (name, said) in [("run", command.run.clone()), ("since", since), ("by", command.by.clone())] {
        if let Some(said) = said {
            body.insert(name.to_owned(), Value::from(said));
        }
    }
    body.insert("dry_run".to_owned(), Value::from(command.dry_run));
    let json = Api::new(global)?.ask(&Call::post("/v1/restore", Value::Object(body)))?;
    Ok(undone(json))
}

/// What an undo brought back; what it could not is a bad answer.
fn undone(json: Value) -> Answer {
    let number = |key: &str| json.get(key).and_then(Value::as_u64).unwrap_or(0);
    let dry_run = json.get("dry_run").and_then(Value::as_bool).unwrap_or(false);
    let mut text = String::new();
    for tag in entries(&json, "tags") {
        let (repository, name) = (printable(&cell(tag, "repository")), printable(&cell(tag, "tag")));
        text.push_str(&format!("{repository}:{name} {}\n", printable(&cell(tag, "digest"))));
    }
    let unlisted = number("tags_restored").saturating_sub(entries(&json, "tags").len() as u64);
    if unlisted > 0 {
        text.push_str(&format!("… and {}\n", count(unlisted, "more tag", "more tags")));
    }
    for refused in entries(&json, "refused") {
        text.push_str(&format!("not {}: {}\n", printable(&cell(refused, "what")), printable(&cell(refused, "why"))));
    }
    let (tags, manifests) = (number("tags_restored"), number("manifests_restored"));
    text.push_str(&format!(
        "{} {} and {} in {}\n",
        if dry_run { "would restore" } else { "restored" },
        count(tags, "tag", "tags"),
        count(manifests, "manifest", "manifests"),
        count(number("repositories"), "repository", "repositories"),
    ));
    let refused = number("refused_total");
    if refused > 0 {
        text.push_str(&format!("{} could not be\n", count(refused, "other", "others")));
    }
    Answer { text, outcome: if refused > 0 { Outcome::Bad } else { Outcome::Holds }, json }
}

/// Runs `repo restore`.
///
/// # Errors
/// Wrong usage, what the registry refuses, or that it could not be asked.
pub(crate) fn repo(global: &Global, command: &Repo) -> Result<Answer, Failure> {
    let place = place::repository(global, &command.repository)?;
    let api = place.api(global)?;
    let json = api.ask(&Call::post(format!("/v1/repositories/{}/restore", place.name), json!({})))?;
    let number = |key: &str| json.pointer(&format!("/restored/{key}")).and_then(Value::as_u64).unwrap_or(0);
    let mut text = format!(
        "restored {}: {}, {}\n",
        place.name,
        count(number("tags"), "tag", "tags"),
        count(number("manifests"), "manifest", "manifests")
    );
    let refused = entries(&json, "refused");
    for one in refused {
        text.push_str(&format!("not {}: {}\n", printable(&cell(one, "what")), printable(&cell(one, "why"))));
    }
    let outcome = if refused.is_empty() { Outcome::Holds } else { Outcome::Bad };
    Ok(Answer { text, json, outcome })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_come_back_is_a_bad_answer() {
        let tag = json!({"repository": "a", "tag": "v1", "digest": "sha256:1"});
        let whole = undone(json!({"dry_run": false, "tags": [tag], "tags_restored": 1, "manifests_restored": 3,
            "repositories": 1, "refused": [], "refused_total": 0}));
        assert_eq!(whole.text, "a:v1 sha256:1\nrestored 1 tag and 3 manifests in 1 repository\n");
        assert_eq!(whole.outcome, Outcome::Holds);
        let part = undone(json!({"dry_run": true, "tags": [tag], "tags_restored": 5, "manifests_restored": 3,
            "repositories": 2, "refused": [{"what": "a:v2", "why": "it points elsewhere"}], "refused_total": 1}));
        let expected = "a:v1 sha256:1\n… and 4 more tags\nnot a:v2: it points elsewhere\n\
            would restore 5 tags and 3 manifests in 2 repositories\n1 other could not be\n";
        assert_eq!(part.text, expected);
        assert_eq!(part.outcome, Outcome::Bad);
    }
}
