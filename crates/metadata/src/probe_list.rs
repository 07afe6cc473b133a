//! Reading what the probe saw: its runs, its findings, every tag with its state; never writing any of it.

use mcr_oci::Finding;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::Metadata;
use crate::error::Error;
use crate::probe_rows::{ProbeFinding, ProbeRun, ProbeState, TagPage, TagQuery, TagReport, TagState};
use crate::sql;

/// Tags that a page examines at least before it may be short.
const EXAMINED_MIN: usize = 1000;

/// The columns of [`run`].
macro_rules! run_columns {
    () => {
        "started_at, ended_at, duration_ms, level, reason, catalog_accessible, repositories, tags, indexes, findings,
         broken_tags, undetermined"
    };
}

impl Metadata {
    /// The last complete run, and the last `history` runs of any outcome.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn probe_state(&self, history: usize) -> Result<ProbeState, Error> {
        self.readers.read(|connection| {
            let last_complete = last_complete(connection)?;
            let catalog_accessible = connection
                .prepare_cached(
                    "SELECT catalog_accessible FROM probe_runs INDEXED BY probe_runs_catalog
                     WHERE catalog_accessible IS NOT NULL ORDER BY id DESC LIMIT 1",
                )?
                .query_row([], |row| row.get(0))
                .optional()?;
            let mut statement = connection.prepare_cached(concat!(
                "SELECT ",
                run_columns!(),
                " FROM probe_runs ORDER BY id DESC LIMIT ?1"
            ))?;
            let rows = statement.query_and_then([i64::try_from(history).unwrap_or(i64::MAX)], run)?;
            Ok(ProbeState { last_complete, catalog_accessible, history: rows.collect::<Result<_, Error>>()? })
        })
    }

    /// What the last complete run found, in its order, at most `limit`.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn probe_findings(&self, limit: usize) -> Result<Vec<ProbeFinding>, Error> {
        self.readers.read(|connection| {
            let mut statement =
                connection.prepare_cached("SELECT finding, since FROM probe_findings ORDER BY id LIMIT ?1")?;
            let rows = statement.query_and_then([i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
                let text = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
                let finding: Finding = serde_json::from_str(text).map_err(|_| Error::invalid("a finding", text))?;
                Ok(ProbeFinding { finding, since_ms: row.get(1)? })
            })?;
            rows.collect()
        })
    }

    /// Tags that the registry lists, with what the probe knows of them. A page examines at most
    /// `max(10 * limit, 1000)` tags.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn probed_tags(&self, query: &TagQuery) -> Result<TagPage, Error> {
        if query.limit == 0 {
            return Ok(TagPage::default());
        }
        self.readers.read(|connection| page(connection, query))
    }
}

/// The last run that looked at everything.
pub(crate) fn last_complete(connection: &Connection) -> Result<Option<ProbeRun>, Error> {
    connection
        .prepare_cached(concat!(
            "SELECT ",
            run_columns!(),
            " FROM probe_runs INDEXED BY probe_runs_complete WHERE outcome = 'complete' ORDER BY id DESC LIMIT 1"
        ))?
        .query_row([], |row| Ok(run(row)))
        .optional()?
        .transpose()
}

fn run(row: &Row<'_>) -> Result<ProbeRun, Error> {
    Ok(ProbeRun {
        started_at_ms: row.get(0)?,
        ended_at_ms: row.get(1)?,
        duration_ms: sql::unsigned(row, 2)?,
        level: row.get(3)?,
        reason: row.get(4)?,
        catalog_accessible: row.get(5)?,
        repositories: sql::unsigned(row, 6)?,
        tags: sql::unsigned(row, 7)?,
        indexes: sql::unsigned(row, 8)?,
        findings: sql::unsigned(row, 9)?,
        broken_tags: sql::unsigned(row, 10)?,
        undetermined: sql::unsigned(row, 11)?,
    })
}

/// Every tag, in the order of the catalog.
const ALL: &str = "SELECT r.name, t.name, m.digest, p.digest, p.state, p.findings, p.checked_at, p.last_seen_whole,
            t.moved_at
     FROM repositories r
     CROSS JOIN tags t ON t.repository_id = r.id
     CROSS JOIN manifests m ON m.id = t.manifest_id
     LEFT JOIN probe_tags p ON p.repository = r.name AND p.tag = t.name
     WHERE r.name >= ?1 AND (r.name > ?1 OR t.name > ?2) AND (?3 IS NULL OR r.name = ?3) AND r.deleted_at IS NULL
     ORDER BY r.name, t.name";

/// Broken tags, without a look at the others.
const BROKEN: &str = "SELECT r.name, t.name, m.digest, p.digest, p.state, p.findings, p.checked_at, p.last_seen_whole,
            t.moved_at
     FROM probe_tags p INDEXED BY probe_tags_broken
     CROSS JOIN repositories r ON r.name = p.repository
     CROSS JOIN tags t ON t.repository_id = r.id AND t.name = p.tag
     CROSS JOIN manifests m ON m.id = t.manifest_id
     WHERE p.state = 'broken' AND (p.repository, p.tag) > (?1, ?2) AND (?3 IS NULL OR p.repository = ?3)
       AND r.deleted_at IS NULL
     ORDER BY p.repository, p.tag";

fn page(connection: &Connection, query: &TagQuery) -> Result<TagPage, Error> {
    // A page for one repository begins there, not at the first of the catalog.
    let start = query.repository.clone().map_or_else(Default::default, |repository| (repository, String::new()));
    let (repository, tag) = query.last.clone().filter(|last| *last > start).unwrap_or(start);
    let sql = if query.state == Some(TagState::Broken) { BROKEN } else { ALL };
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![repository, tag, query.repository])?;
    let examine = query.limit.saturating_mul(10).max(EXAMINED_MIN);
    let mut page = TagPage::default();
    let mut passed = None;
    let mut examined = 0;
    while let Some(row) = rows.next()? {
        if examined == examine || page.tags.len() == query.limit {
            page.next = passed;
            break;
        }
        examined += 1;
        let report = report(row)?;
        passed = Some((report.repository.clone(), report.tag.clone()));
        if query.state.is_none_or(|state| state == report.state) {
            page.tags.push(report);
        }
    }
    Ok(page)
}

fn report(row: &Row<'_>) -> Result<TagReport, Error> {
    let digest = sql::digest(row, 2)?;
    let seen = sql::optional_digest(row, 3)?;
    let state: Option<String> = row.get(4)?;
    let mut report = TagReport {
        repository: row.get(0)?,
        tag: row.get(1)?,
        state: TagState::Undetermined,
        findings: 0,
        checked_at_ms: None,
        last_seen_whole_ms: row.get(7)?,
        moved_at_ms: row.get(8)?,
        digest,
    };
    // What was seen of another manifest says nothing of this one.
    let moved = seen.is_some_and(|seen| seen != report.digest);
    if let (Some(state), false) = (state, moved) {
        report.state = TagState::parse(&state).ok_or_else(|| Error::invalid("a tag's state", &state))?;
        report.findings = sql::unsigned(row, 5)?;
        report.checked_at_ms = row.get(6)?;
    }
    Ok(report)
}

#[cfg(test)]
mod tests;
