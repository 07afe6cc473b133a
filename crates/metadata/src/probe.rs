//! Writing down what the probe saw: runs, findings, tags, and an audit row for what is new; never the probe itself.

use std::collections::{BTreeMap, BTreeSet};

use mcr_oci::{Digest, Finding, FindingKind};
use rusqlite::{Connection, params};
use serde_json::json;

use crate::Metadata;
use crate::audit::{self, Audit};
use crate::error::Error;
use crate::job::{Done, Write, job};
use crate::probe_rows::{BrokenTag, ProbeRun, ProbedTag, RecordProbeRun, RecordProbedTags, TagState};
use crate::sql;

/// Tags written in one transaction, so that a push never waits behind a large run.
pub const PROBE_BATCH: usize = 1000;

/// Findings of a run that are kept; more are counted only.
pub const MAX_PROBE_FINDINGS: usize = 10_000;

/// Audit rows that one run adds at most; a last one counts the rest.
const MAX_NEWS: usize = 1000;

/// How long runs are kept, in milliseconds: 30 days.
const KEEP_MS: i64 = 30 * 24 * 3600 * 1000;

/// Runs that are kept at most.
const KEEP_RUNS: i64 = 10_000;

impl Metadata {
    /// Writes down tags of a run, ahead of [`record_probe_run`](Self::record_probe_run).
    pub fn record_probed_tags(&self, request: RecordProbedTags, done: Done<()>) {
        self.submit(job(request, done));
    }

    /// Writes down a run. A complete one replaces the findings of the last and forgets the tags it did not see;
    /// what was not among them before is an `integrity_finding` in the audit. `done` learns what is new.
    pub fn record_probe_run(&self, request: RecordProbeRun, done: Done<Vec<BrokenTag>>) {
        self.submit(job(request, done));
    }
}

impl Write for RecordProbedTags {
    type Answer = ();

    fn apply(&self, tx: &Connection) -> Result<(), Error> {
        self.tags.iter().try_for_each(|tag| write_tag(tx, tag, self.at_ms))
    }
}

impl Write for RecordProbeRun {
    type Answer = Vec<BrokenTag>;

    fn apply(&self, tx: &Connection) -> Result<Vec<BrokenTag>, Error> {
        let id = write_run(tx, &self.run)?;
        let mut news = Vec::new();
        if self.run.is_complete() {
            let at_ms = self.run.ended_at_ms;
            self.tags.iter().try_for_each(|tag| write_tag(tx, tag, at_ms))?;
            tx.prepare_cached("DELETE FROM probe_tags WHERE checked_at <> ?1")?.execute([at_ms])?;
            news = replace_findings(tx, &self.findings, at_ms)?;
            tell(tx, &self.findings, &news, at_ms)?;
        }
        forget_old(tx, id, self.run.ended_at_ms)?;
        Ok(news)
    }

    /// What was found may be noted on a full disk, as long as it is little.
    fn is_frugal(&self, news: &Vec<BrokenTag>) -> bool {
        news.len() < 10 && self.tags.len() < 100
    }
}

fn write_run(tx: &Connection, run: &ProbeRun) -> Result<i64, Error> {
    tx.prepare_cached(
        "INSERT INTO probe_runs (started_at, ended_at, duration_ms, level, outcome, reason, catalog_accessible,
                                 repositories, tags, indexes, findings, broken_tags, undetermined)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    )?
    .execute(params![
        run.started_at_ms,
        run.ended_at_ms,
        sql::size(run.duration_ms),
        run.level,
        if run.is_complete() { "complete" } else { "incomplete" },
        run.reason,
        run.catalog_accessible,
        sql::size(run.repositories),
        sql::size(run.tags),
        sql::size(run.indexes),
        sql::size(run.findings),
        sql::size(run.broken_tags),
        sql::size(run.undetermined),
    ])?;
    Ok(tx.last_insert_rowid())
}

fn write_tag(tx: &Connection, tag: &ProbedTag, at_ms: i64) -> Result<(), Error> {
    let whole = (tag.state == TagState::Sound).then_some(at_ms);
    tx.prepare_cached(
        "INSERT INTO probe_tags (repository, tag, digest, state, findings, checked_at, last_seen_whole)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (repository, tag) DO UPDATE SET
             digest = excluded.digest, state = excluded.state, findings = excluded.findings,
             checked_at = excluded.checked_at,
             last_seen_whole = coalesce(excluded.last_seen_whole, last_seen_whole)",
    )?
    .execute(params![
        tag.repository,
        tag.tag,
        tag.digest.as_ref().map(Digest::as_str),
        tag.state.as_str(),
        sql::size(tag.findings),
        at_ms,
        whole,
    ])?;
    Ok(())
}

/// Puts these findings in the place of those there were, and says which tags and kinds are new.
fn replace_findings(tx: &Connection, findings: &[Finding], at_ms: i64) -> Result<Vec<BrokenTag>, Error> {
    let before = known(tx)?;
    tx.prepare_cached("DELETE FROM probe_findings")?.execute([])?;
    let mut insert = tx.prepare_cached(
        "INSERT INTO probe_findings (repository, tag, kind, since, finding) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    let mut news = BTreeSet::new();
    for finding in findings.iter().filter(|f| f.kind != FindingKind::Unreachable).take(MAX_PROBE_FINDINGS) {
        let place = broken(finding);
        let since = before.get(&place).copied();
        let text = serde_json::to_string(finding).map_err(|error| Error::Io(format!("a finding as JSON: {error}")))?;
        insert.execute(params![place.repository, place.tag, place.kind.as_str(), since.unwrap_or(at_ms), text])?;
        if since.is_none() {
            news.insert(place);
        }
    }
    Ok(news.into_iter().collect())
}

/// The tags and kinds that the last complete run found, and since when.
fn known(tx: &Connection) -> Result<BTreeMap<BrokenTag, i64>, Error> {
    let mut statement =
        tx.prepare_cached("SELECT repository, tag, kind, min(since) FROM probe_findings GROUP BY 1, 2, 3")?;
    let mut rows = statement.query([])?;
    let mut known = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let kind: String = row.get(2)?;
        let kind = FindingKind::parse(&kind).ok_or_else(|| Error::invalid("a kind of finding", &kind))?;
        known.insert(BrokenTag { repository: row.get(0)?, tag: row.get(1)?, kind }, row.get(3)?);
    }
    Ok(known)
}

fn broken(finding: &Finding) -> BrokenTag {
    BrokenTag {
        repository: finding.repository.clone().unwrap_or_default(),
        tag: finding.tag.clone(),
        kind: finding.kind,
    }
}

/// One audit row for each tag and kind that is new.
fn tell(tx: &Connection, findings: &[Finding], news: &[BrokenTag], at_ms: i64) -> Result<(), Error> {
    let mut first: BTreeMap<BrokenTag, &Finding> = BTreeMap::new();
    for finding in findings {
        first.entry(broken(finding)).or_insert(finding);
    }
    for place in news.iter().take(MAX_NEWS) {
        let finding = first.get(place);
        let details = json!({
            "by": "mcr-probe",
            "kind": place.kind.as_str(),
            "detail": finding.and_then(|finding| finding.detail.clone()),
            "path": finding.map(|finding| &finding.path),
        });
        let audit = Audit {
            repository: Some(&place.repository),
            tag: place.tag.as_deref(),
            digest: finding.and_then(|finding| finding.digest.as_ref()).map(Digest::as_str),
            details,
            ..Audit::by_system("integrity_finding", at_ms)
        };
        audit::append(tx, audit)?;
    }
    let rest = news.len().saturating_sub(MAX_NEWS);
    if rest > 0 {
        let details = json!({ "by": "mcr-probe", "count": rest });
        audit::append(tx, Audit { details, ..Audit::by_system("integrity_finding", at_ms) })?;
    }
    Ok(())
}

/// Old runs go; never the last complete one, and never the last that learnt how the catalog is: both are what a
/// restart shows.
fn forget_old(tx: &Connection, newest: i64, now_ms: i64) -> Result<(), Error> {
    tx.prepare_cached(
        "DELETE FROM probe_runs
         WHERE (id <= ?1 OR ended_at < ?2) AND id <> ?3
           AND id IS NOT (SELECT max(id) FROM probe_runs WHERE outcome = 'complete')
           AND id IS NOT (SELECT max(id) FROM probe_runs WHERE catalog_accessible IS NOT NULL)",
    )?
    .execute([newest - KEEP_RUNS, now_ms - KEEP_MS, newest])?;
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests;
