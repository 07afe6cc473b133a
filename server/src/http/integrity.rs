//! `/v1/integrity`: the probe's runs, what is open, every tag with its state, as JSON; never a judgement of its own.

use http::StatusCode;
use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use mcr_access::{Catalog, Pull};
use mcr_metadata::{ProbeRun, TagQuery, TagReport, TagState};
use mcr_oci::{Finding, RepositoryName};
use mcr_registry::{Error, IntegrityReport};
use mcr_seams::rfc3339;
use serde_json::{Map, Value, json};

use super::query::encode;
use super::respond::{Answer, json as json_answer, next_page};
use super::service::{Context, for_method};

/// Tags in a page where the client names no number.
const PAGE: usize = 100;
/// Tags in a page at most.
const MAX_PAGE: usize = 1000;
/// Runs that are shown, newest first.
const HISTORY: usize = 50;

/// `/v1/integrity`.
///
/// # Errors
/// The answer to the failure.
pub async fn report(context: &Context<'_>, head: bool) -> Result<Answer, Answer> {
    let permit = context.permit_global::<Catalog>().map_err(|refused| in_its_form(&refused))?;
    let query = query(context)?;
    let report = context
        .edge
        .registry
        .integrity_report(&permit, HISTORY, query.clone())
        .await
        .map_err(|error| failed(&error))?;
    let next = report.tags.next.as_ref().map(|(repository, tag)| format!("{repository}:{tag}"));
    let mut answer = json_answer(StatusCode::OK, &document(context, &report, next.as_deref()));
    if let Some(next) = next {
        next_page(&mut answer, &link(context, &next, query.limit));
    }
    Ok(for_method(answer, head))
}

/// An answer that was made for the registry's API, in the form of this one.
#[must_use]
pub fn in_its_form(other: &Answer) -> Answer {
    let reason = match other.status() {
        StatusCode::UNAUTHORIZED => "authentication required: log in as an account that may list repositories",
        StatusCode::FORBIDDEN => "this account may not list repositories",
        StatusCode::TOO_MANY_REQUESTS => "too many failed logins; wait before the next try",
        StatusCode::SERVICE_UNAVAILABLE => "logins cannot be checked now; try again",
        _ => "the request is not in good form",
    };
    let mut answer = json_answer(other.status(), &json!({ "error": reason }));
    for name in [WWW_AUTHENTICATE, RETRY_AFTER] {
        if let Some(value) = other.headers().get(&name) {
            answer.headers_mut().insert(name, value.clone());
        }
    }
    answer
}

fn failed(error: &Error) -> Answer {
    let mut answer = json_answer(StatusCode::SERVICE_UNAVAILABLE, &json!({ "error": error.to_string() }));
    if let Error::Unavailable { retry_after, .. } = error {
        answer.headers_mut().insert(RETRY_AFTER, (*retry_after).into());
    }
    answer
}

fn refuse(message: &str) -> Answer {
    json_answer(StatusCode::BAD_REQUEST, &json!({ "error": message }))
}

fn query(context: &Context<'_>) -> Result<TagQuery, Answer> {
    let given = |name: &str| context.query.get(name).filter(|value| !value.is_empty());
    let limit = match given("n") {
        None => PAGE,
        Some(text) => text.parse().map_err(|_| refuse("n must be a whole number, 0 or more"))?,
    };
    let state = match given("state") {
        None => None,
        Some(text) => Some(TagState::parse(text).ok_or_else(|| refuse("state must be sound, broken or undetermined"))?),
    };
    let last = match given("last") {
        None => None,
        Some(text) => {
            let (repository, tag) = text.rsplit_once(':').ok_or_else(|| refuse("last must be REPOSITORY:TAG"))?;
            Some((repository.to_owned(), tag.to_owned()))
        }
    };
    Ok(TagQuery { repository: given("repository").map(str::to_owned), state, last, limit: limit.min(MAX_PAGE) })
}

fn link(context: &Context<'_>, next: &str, limit: usize) -> String {
    let mut link = format!("/v1/integrity?last={}&n={limit}", encode(next));
    for name in ["state", "repository"] {
        if let Some(value) = context.query.get(name).filter(|value| !value.is_empty()) {
            link.push_str(&format!("&{name}={}", encode(value)));
        }
    }
    link
}

fn document(context: &Context<'_>, report: &IntegrityReport, next: Option<&str>) -> Value {
    let probe = &context.edge.probe;
    let now_ms = probe.now_ms();
    // What a probe that was switched off saw once is history, not the state of things.
    let complete = report.state.last_complete.as_ref().filter(|_| probe.is_on());
    let open = report.open.iter().map(|open| shown(&open.finding, "serving", open.opened_at_ms));
    let probed = report.probed.iter().filter(|_| complete.is_some());
    let probed = probed.map(|found| shown(&found.finding, "probe", found.since_ms));
    let wanted = context.query.get("repository").filter(|value| !value.is_empty());
    let findings: Vec<Value> = open
        .chain(probed)
        .filter(|(repository, _)| repository.as_deref().is_none_or(|name| may_see(context, name)))
        .filter(|(repository, _)| wanted.is_none() || repository.as_deref() == wanted)
        .map(|(_, finding)| finding)
        .collect();
    let tags: Vec<Value> =
        report.tags.tags.iter().filter(|tag| may_see(context, &tag.repository)).map(tag_row).collect();
    json!({
        "sound": verdict(complete, report.open.is_empty()),
        "probe": {
            "schedule": probe.schedule(),
            "level": probe.level().as_str(),
            "next_run": probe.next_run_ms().map(rfc3339),
            "last_run": report.state.last_complete.as_ref().map(|run| aged(run, now_ms)),
            "last_attempt": report.state.history.first().map(|run| aged(run, now_ms)),
            "history": report.state.history.iter().map(run).collect::<Vec<_>>(),
        },
        "scrub": null,
        "findings": findings,
        "tags": tags,
        "next": next,
    })
}

/// False where something is known to be wrong; true where all was looked at and nothing is; else nobody knows.
fn verdict(complete: Option<&ProbeRun>, nothing_open: bool) -> Option<bool> {
    let found = complete.is_some_and(|run| run.findings > 0);
    if found || !nothing_open {
        return Some(false);
    }
    complete.is_some_and(|run| run.undetermined == 0).then_some(true)
}

/// Lists that name repositories show only those whose content the caller may read.
fn may_see(context: &Context<'_>, repository: &str) -> bool {
    RepositoryName::parse(repository).is_ok_and(|name| context.may::<Pull>(&name))
}

fn run(run: &ProbeRun) -> Value {
    json!({
        "started_at": rfc3339(run.started_at_ms),
        "ended_at": rfc3339(run.ended_at_ms),
        "duration_ms": run.duration_ms,
        "level": run.level,
        "outcome": if run.is_complete() { "complete" } else { "incomplete" },
        "reason": run.reason,
        "catalog_accessible": run.catalog_accessible,
        "repositories": run.repositories,
        "tags": run.tags,
        "indexes": run.indexes,
        "findings": run.findings,
        "broken_tags": run.broken_tags,
        "undetermined": run.undetermined,
    })
}

/// A run, and how long ago it ended: clocks of server and client may differ.
fn aged(of: &ProbeRun, now_ms: i64) -> Value {
    let mut object = run(of);
    if let Value::Object(object) = &mut object {
        let age = u64::try_from(now_ms.saturating_sub(of.ended_at_ms) / 1000).unwrap_or(0);
        object.insert("age_seconds".to_owned(), age.into());
    }
    object
}

/// A finding in its own shape, with where it was met and since when; and its repository.
fn shown(finding: &Finding, source: &str, since_ms: i64) -> (Option<String>, Value) {
    let mut object = match serde_json::to_value(finding) {
        Ok(Value::Object(object)) => object,
        _ => Map::new(),
    };
    object.insert("source".to_owned(), source.into());
    object.insert("since".to_owned(), rfc3339(since_ms).into());
    (finding.repository.clone(), Value::Object(object))
}

fn tag_row(tag: &TagReport) -> Value {
    json!({
        "repository": tag.repository,
        "tag": tag.tag,
        "digest": tag.digest.as_str(),
        "state": tag.state.as_str(),
        "last_seen_whole": tag.last_seen_whole_ms.map(rfc3339),
        "checked_at": tag.checked_at_ms.map(rfc3339),
        "findings": tag.findings,
    })
}
