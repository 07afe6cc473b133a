//! Looking through the audit trail, a page at a time; never whether it holds.

use rusqlite::types::Value as SqlValue;
use rusqlite::{Connection, OptionalExtension as _, Row, params_from_iter};
use serde_json::Value;

use crate::Metadata;
use crate::error::Error;
use crate::sql;

/// Rows that one look passes over; a page makes at most [`LOOKS`] of them.
const STRIDE: i64 = 50_000;
/// See [`STRIDE`]: a page costs what it examines, and may be short.
const LOOKS: usize = 10;
/// Rows that are asked, at either end of a time, for where it lies in the trail: clocks are set back and forth.
const EDGE: i64 = 500;
/// How much older than the moment it was written a row's time may be, in milliseconds: rows that count pulls and
/// repeats come when their minute is over.
const LATE_MS: i64 = 180_000;

/// Which rows of the trail, in which order, and how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditQuery {
    /// Of this event.
    pub event: Option<String>,
    /// Of this account.
    pub actor: Option<String>,
    /// About this repository.
    pub repository: Option<String>,
    /// Of this time or later, in Unix milliseconds.
    pub since_ms: Option<i64>,
    /// Before this time, in Unix milliseconds.
    pub until_ms: Option<i64>,
    /// The row after which the page begins, in the order asked for.
    pub after: Option<i64>,
    /// Rows to pass over first.
    pub offset: usize,
    /// Rows of the page at most.
    pub limit: usize,
    /// The newest first, or the oldest.
    pub newest_first: bool,
}

impl Default for AuditQuery {
    fn default() -> Self {
        Self {
            event: None,
            actor: None,
            repository: None,
            since_ms: None,
            until_ms: None,
            after: None,
            offset: 0,
            limit: 100,
            newest_first: true,
        }
    }
}

/// A row of the trail.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditRow {
    /// Its place: 1, 2, 3, …
    pub seq: i64,
    /// When, in Unix milliseconds.
    pub at_ms: i64,
    /// What.
    pub event: String,
    /// Who.
    pub actor: String,
    /// From where.
    pub address: Option<String>,
    /// In which repository.
    pub repository: Option<String>,
    /// About which tag.
    pub tag: Option<String>,
    /// About which digest, as text.
    pub digest: Option<String>,
    /// What else is to be known; an object.
    pub details: Value,
    /// The hash of the row before it.
    pub previous: String,
    /// Its own hash.
    pub hash: String,
}

/// A page of the trail.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AuditPage {
    /// Its rows.
    pub events: Vec<AuditRow>,
    /// What to give as `after` for the next page; none at the end. A short page can have one.
    pub next: Option<i64>,
}

impl Metadata {
    /// A page of the trail. With filters it may be short, since it examines a bounded number of rows.
    ///
    /// # Errors
    /// `Corrupt` for details that are no JSON; else whatever the files answer.
    pub fn audit(&self, query: &AuditQuery) -> Result<AuditPage, Error> {
        self.readers.read(|connection| page(connection, query))
    }
}

fn page(connection: &Connection, query: &AuditQuery) -> Result<AuditPage, Error> {
    let mut page = AuditPage::default();
    let Some((low, high)) = bounds(connection, query)? else {
        return Ok(page);
    };
    let filters = query.filters();
    let (sql, mut offset) = (query.sql(&filters), query.offset);
    let (mut from, mut to) = (low, high);
    for _ in 0..LOOKS {
        let (first, last) = if query.newest_first {
            (from.max(to.saturating_sub(STRIDE - 1)), to)
        } else {
            (from, to.min(from.saturating_add(STRIDE - 1)))
        };
        let mut values: Vec<SqlValue> = vec![first.into(), last.into()];
        values.extend(filters.iter().map(|(_, value)| SqlValue::from((*value).to_owned())));
        values.extend(query.since_ms.map(SqlValue::from));
        values.extend(query.until_ms.map(SqlValue::from));
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        while let Some(row) = rows.next()? {
            if offset > 0 {
                offset -= 1;
                continue;
            }
            if page.events.len() == query.limit {
                page.next = page.events.last().map(|event| event.seq);
                return Ok(page);
            }
            page.events.push(from_row(row)?);
        }
        (from, to) = if query.newest_first { (from, first.saturating_sub(1)) } else { (last.saturating_add(1), to) };
        if from > to {
            return Ok(page);
        }
    }
    page.next = Some(if query.newest_first { to + 1 } else { from - 1 });
    Ok(page)
}

impl AuditQuery {
    fn filters(&self) -> Vec<(&'static str, &str)> {
        let columns = [("repository", &self.repository), ("actor", &self.actor), ("event", &self.event)];
        columns.into_iter().filter_map(|(name, value)| value.as_deref().map(|value| (name, value))).collect()
    }

    fn sql(&self, filters: &[(&'static str, &str)]) -> String {
        // In the order of the trail, whatever a planner thinks of times.
        let mut sql = String::from(
            "SELECT seq, at, event, actor, address, repository, tag, digest, details, previous, hash
             FROM audit NOT INDEXED WHERE seq BETWEEN ?1 AND ?2",
        );
        let times = [("at >=", self.since_ms), ("at <", self.until_ms)];
        let conditions = filters.iter().map(|(column, _)| format!("{column} ="));
        let conditions =
            conditions.chain(times.iter().filter(|(_, at)| at.is_some()).map(|(text, _)| (*text).to_owned()));
        for (at, condition) in conditions.enumerate() {
            sql.push_str(&format!(" AND {condition} ?{}", at + 3));
        }
        sql.push_str(if self.newest_first { " ORDER BY seq DESC" } else { " ORDER BY seq" });
        sql
    }
}

/// The first and last row that may be asked for; none where there is none.
fn bounds(connection: &Connection, query: &AuditQuery) -> Result<Option<(i64, i64)>, Error> {
    let ends: Option<(Option<i64>, Option<i64>)> = connection
        .prepare_cached("SELECT (SELECT min(seq) FROM audit), (SELECT max(seq) FROM audit)")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((Some(mut low), Some(mut high))) = ends else {
        return Ok(None);
    };
    match query.after {
        Some(after) if query.newest_first => high = high.min(after.saturating_sub(1)),
        Some(after) => low = low.max(after.saturating_add(1)),
        None => {}
    }
    if let Some(since) = query.since_ms {
        // Nothing before a row of long before that time was written after it.
        let sql = "SELECT min(seq) FROM (SELECT * FROM (SELECT seq FROM audit WHERE at >= ?1 ORDER BY at LIMIT ?2)
                   UNION ALL SELECT * FROM (SELECT seq FROM audit WHERE at >= ?1 ORDER BY at DESC LIMIT ?2))";
        let Some(first) = edge(connection, sql, since)? else { return Ok(None) };
        let sql = "SELECT min(seq) FROM (SELECT seq FROM audit WHERE at < ?1 ORDER BY at DESC LIMIT ?2)";
        let before = edge(connection, sql, since.saturating_sub(LATE_MS))?;
        low = low.max(first.min(before.unwrap_or(i64::MIN)));
    }
    if let Some(until) = query.until_ms {
        let sql = "SELECT max(seq) FROM (SELECT * FROM (SELECT seq FROM audit WHERE at < ?1 ORDER BY at LIMIT ?2)
                   UNION ALL SELECT * FROM (SELECT seq FROM audit WHERE at < ?1 ORDER BY at DESC LIMIT ?2))";
        let Some(last) = edge(connection, sql, until)? else { return Ok(None) };
        let sql = "SELECT max(seq) FROM (SELECT seq FROM audit WHERE at >= ?1 ORDER BY at LIMIT ?2)";
        let behind = edge(connection, sql, until.saturating_add(LATE_MS))?;
        high = high.min(last.max(behind.unwrap_or(i64::MAX)));
    }
    Ok((low <= high).then_some((low, high)))
}

/// Where in the trail the rows nearest to a time are.
fn edge(connection: &Connection, sql: &str, at_ms: i64) -> Result<Option<i64>, Error> {
    Ok(connection.prepare_cached(sql)?.query_row([at_ms, EDGE], |row| row.get(0))?)
}

fn from_row(row: &Row<'_>) -> Result<AuditRow, Error> {
    let details = row.get_ref(8)?.as_str().map_err(rusqlite::Error::from)?;
    Ok(AuditRow {
        seq: row.get(0)?,
        at_ms: row.get(1)?,
        event: row.get(2)?,
        actor: row.get(3)?,
        address: row.get(4)?,
        repository: row.get(5)?,
        tag: row.get(6)?,
        digest: row.get(7)?,
        details: serde_json::from_str(details).map_err(|_| sql::not_json("details of an audit row", details))?,
        previous: row.get(9)?,
        hash: row.get(10)?,
    })
}

#[cfg(test)]
mod tests;
