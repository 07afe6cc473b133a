//! Findings that were met while serving and writing: opened, closed, listed; never the judgement itself.

use mcr_oci::{Digest, Finding, FindingKind};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::Metadata;
use crate::error::Error;
use crate::rows::OpenFinding;
use crate::sql;

impl Metadata {
    /// The findings that nothing has put right yet, oldest first, at most `limit`.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn integrity(&self, limit: usize) -> Result<Vec<OpenFinding>, Error> {
        self.readers.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, kind, digest, media_type, size, repository, tag, path, platform, status, detail,
                        opened_at, seen_at
                 FROM findings INDEXED BY findings_open WHERE closed_at IS NULL ORDER BY id LIMIT ?1",
            )?;
            let rows = statement.query_and_then([i64::try_from(limit).unwrap_or(i64::MAX)], open_finding)?;
            rows.collect()
        })
    }
}

/// Opens a finding, or notes that it was seen again; says whether it is new.
pub(crate) fn open(tx: &Connection, finding: &Finding, at_ms: i64) -> Result<bool, Error> {
    let path = path_text(&finding.path);
    let digest = finding.digest.as_ref().map(Digest::as_str);
    let again = tx
        .prepare_cached(
            "UPDATE findings SET seen_at = ?6, detail = ?7
             WHERE closed_at IS NULL AND digest IS ?1 AND kind = ?2 AND repository IS ?3 AND tag IS ?4 AND path = ?5",
        )?
        .execute(params![
            digest,
            finding.kind.as_str(),
            finding.repository,
            finding.tag,
            path,
            at_ms,
            finding.detail
        ])?;
    if again > 0 {
        return Ok(false);
    }
    tx.prepare_cached(
        "INSERT INTO findings (kind, digest, media_type, size, repository, tag, path, platform, status, detail,
                               opened_at, seen_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?11)",
    )?
    .execute(params![
        finding.kind.as_str(),
        digest,
        finding.media_type,
        finding.size.map(sql::size),
        finding.repository,
        finding.tag,
        path,
        finding.platform,
        finding.status,
        finding.detail,
        at_ms
    ])?;
    Ok(true)
}

/// Closes what was found about a blob, in whichever repository.
pub(crate) fn close_blob(tx: &Connection, digest: &Digest, at_ms: i64) -> Result<(), Error> {
    tx.prepare_cached(
        "UPDATE findings SET closed_at = ?2 WHERE closed_at IS NULL AND digest = ?1 AND kind GLOB 'blob-*'",
    )?
    .execute((digest.as_str(), at_ms))?;
    Ok(())
}

/// Closes what was found about the bytes of a repository's manifest.
pub(crate) fn close_manifest(tx: &Connection, repository: &str, digest: &Digest, at_ms: i64) -> Result<(), Error> {
    tx.prepare_cached(
        "UPDATE findings SET closed_at = ?3
         WHERE closed_at IS NULL AND digest = ?1 AND repository = ?2 AND kind GLOB 'manifest-*'",
    )?
    .execute((digest.as_str(), repository, at_ms))?;
    Ok(())
}

/// How many open findings there are of each kind.
pub(crate) fn open_by_kind(connection: &Connection) -> Result<Vec<(FindingKind, u64)>, Error> {
    let mut statement = connection
        .prepare_cached("SELECT kind, count(*) FROM findings WHERE closed_at IS NULL GROUP BY kind ORDER BY kind")?;
    let mut rows = statement.query([])?;
    let mut counts = Vec::new();
    while let Some(row) = rows.next()? {
        let kind = row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)?;
        let kind = FindingKind::parse(kind).ok_or_else(|| Error::invalid("a finding's kind", kind))?;
        counts.push((kind, sql::unsigned(row, 1)?));
    }
    Ok(counts)
}

/// The newest open finding about a blob.
pub(crate) fn about_blob(connection: &Connection, digest: &Digest) -> Result<Option<Finding>, Error> {
    newest(connection, digest, "blob-*", None)
}

/// The newest open finding about the bytes of a repository's manifest.
pub(crate) fn about_manifest(
    connection: &Connection,
    repository: &str,
    digest: &Digest,
) -> Result<Option<Finding>, Error> {
    newest(connection, digest, "manifest-*", Some(repository))
}

fn newest(
    connection: &Connection,
    digest: &Digest,
    kinds: &str,
    repository: Option<&str>,
) -> Result<Option<Finding>, Error> {
    let found = connection
        .prepare_cached(
            "SELECT id, kind, digest, media_type, size, repository, tag, path, platform, status, detail,
                    opened_at, seen_at
             FROM findings
             WHERE closed_at IS NULL AND digest = ?1 AND kind GLOB ?2 AND (?3 IS NULL OR repository = ?3)
             ORDER BY id DESC LIMIT 1",
        )?
        .query_row(params![digest.as_str(), kinds, repository], |row| Ok(open_finding(row)))
        .optional()?;
    found.transpose().map(|found| found.map(|found| found.finding))
}

fn open_finding(row: &Row<'_>) -> Result<OpenFinding, Error> {
    let kind: String = row.get(1)?;
    let size: Option<i64> = row.get(4)?;
    let path: String = row.get(7)?;
    Ok(OpenFinding {
        id: row.get(0)?,
        finding: Finding {
            kind: FindingKind::parse(&kind).ok_or_else(|| Error::invalid("a kind of finding", &kind))?,
            digest: sql::optional_digest(row, 2)?,
            media_type: row.get(3)?,
            size: size.and_then(|size| u64::try_from(size).ok()),
            repository: row.get(5)?,
            tag: row.get(6)?,
            path: serde_json::from_str(&path).map_err(|_| Error::invalid("a path", &path))?,
            platform: row.get(8)?,
            status: row.get(9)?,
            detail: row.get(10)?,
        },
        opened_at_ms: row.get(11)?,
        seen_at_ms: row.get(12)?,
    })
}

fn path_text(path: &[Digest]) -> String {
    serde_json::Value::from_iter(path.iter().map(Digest::as_str)).to_string()
}

#[cfg(test)]
mod tests;
