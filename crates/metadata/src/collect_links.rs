//! The search's second half: which links and blobs only manifests that go name; never the manifests themselves.

use mcr_oci::Digest;
use rusqlite::Connection;

use crate::collect::{self, Link};
use crate::collect_plan::{Candidate, CollectSearch, LONG_STRIDE, Phase, STRIDE, Why};
use crate::error::Error;
use crate::plan_rows::StepAction;
use crate::sql;

/// Judges links that nothing live names, each blob at the first of them.
pub(crate) fn links(
    connection: &Connection,
    search: &mut CollectSearch,
    found: &mut Vec<Candidate>,
) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(
        "SELECT repository_id, blob_id, unreferenced_since IS NOT NULL FROM repository_blobs
         WHERE (repository_id, blob_id) > (?1, ?2) ORDER BY repository_id, blob_id LIMIT ?3",
    )?;
    let mut rows = statement.query((search.after.0, search.after.1, sql::limit(LONG_STRIDE)))?;
    let (mut seen, mut judged) = (0, 0);
    while let Some(row) = rows.next()? {
        let (repository, blob, unnamed): (i64, i64, bool) = (row.get(0)?, row.get(1)?, row.get(2)?);
        search.after = (repository, blob);
        seen += 1;
        if !unnamed {
            continue;
        }
        let links = collect::links(connection, blob)?;
        let first = links.iter().find(|link| link.unreferenced_since.is_some());
        if first.is_some_and(|link| link.repository == repository) {
            judge(connection, search, blob, &links, found)?;
        }
        judged += 1;
        if judged == STRIDE {
            return Ok(());
        }
    }
    if seen < LONG_STRIDE {
        search.next_phase(Phase::Blobs);
    }
    Ok(())
}

/// How a link stands.
enum Verdict {
    /// Something live names it.
    Live,
    /// It may go from then on.
    Waits(i64),
    /// It may go.
    Free,
}

fn judge(
    connection: &Connection,
    search: &mut CollectSearch,
    blob: i64,
    links: &[Link],
    found: &mut Vec<Candidate>,
) -> Result<(), Error> {
    let (mut free, mut until, mut live) = (Vec::new(), None::<i64>, false);
    for link in links {
        match verdict(connection, search, blob, link)? {
            Verdict::Live => live = true,
            Verdict::Waits(at) => until = until.max(Some(at)),
            Verdict::Free => free.push(link),
        }
    }
    if free.is_empty() && (live || until.is_none()) {
        return Ok(());
    }
    let (digest, bytes) = blob_of(connection, blob)?;
    let since_ms = free.iter().filter_map(|link| link.unreferenced_since).max().unwrap_or(search.due.now_ms);
    let why = |repositories: usize| Why::Unnamed { since_ms, repositories: repositories as u64 };
    match until {
        Some(until) if !live => search.wait(1, bytes, until),
        None if !live => {
            let why = why(links.len());
            found.push(Candidate { action: StepAction::Blob, repository: None, digest, bytes, why });
            return Ok(());
        }
        Some(_) | None => {}
    }
    for link in free {
        let repository = Some(name_of(connection, link.repository)?);
        let digest = digest.clone();
        found.push(Candidate { action: StepAction::Link, repository, digest, bytes: 0, why: why(1) });
    }
    Ok(())
}

fn verdict(connection: &Connection, search: &CollectSearch, blob: i64, link: &Link) -> Result<Verdict, Error> {
    let Some(own) = link.unreferenced_since.and(search.due.from(link.unreferenced_since, link.deleted_at)) else {
        return Ok(Verdict::Live);
    };
    let mut statement = connection.prepare_cached(
        "SELECT e.manifest_id, m.unreferenced_since, m.deleted_at
         FROM edges e CROSS JOIN manifests m ON m.id = e.manifest_id
         WHERE e.repository_id = ?1 AND e.target_blob = ?2",
    )?;
    let mut rows = statement.query([link.repository, blob])?;
    let mut until = (!search.due.is_past(own)).then_some(own);
    while let Some(row) = rows.next()? {
        if search.gone.contains(row.get(0)?) {
            continue;
        }
        let Some(deleted_at) = row.get(2)? else {
            return Ok(Verdict::Live);
        };
        let from = search.due.from(row.get(1)?, Some(deleted_at)).unwrap_or(search.due.now_ms);
        until = until.max(Some(from.max(search.due.now_ms)));
    }
    Ok(until.map_or(Verdict::Free, Verdict::Waits))
}

fn blob_of(connection: &Connection, blob: i64) -> Result<(Digest, u64), Error> {
    let found = connection
        .prepare_cached("SELECT digest, size FROM blobs WHERE id = ?1")?
        .query_row([blob], |row| Ok((sql::digest(row, 0), sql::unsigned(row, 1))))?;
    Ok((found.0?, found.1?))
}

fn name_of(connection: &Connection, repository: i64) -> Result<String, Error> {
    let name = connection
        .prepare_cached("SELECT name FROM repositories WHERE id = ?1")?
        .query_row([repository], |row| row.get(0))?;
    Ok(name)
}

/// Finds blobs that no repository holds, and adds up the bytes of all.
pub(crate) fn blobs(
    connection: &Connection,
    search: &mut CollectSearch,
    found: &mut Vec<Candidate>,
) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(
        "SELECT b.id, b.digest, b.size, b.created_at,
                EXISTS (SELECT 1 FROM repository_blobs l WHERE l.blob_id = b.id)
         FROM blobs b WHERE b.id > ?1 ORDER BY b.id LIMIT ?2",
    )?;
    let mut rows = statement.query([search.after.0, sql::limit(LONG_STRIDE)])?;
    let mut seen = 0;
    while let Some(row) = rows.next()? {
        let (bytes, created_at, linked): (u64, i64, bool) = (sql::unsigned(row, 2)?, row.get(3)?, row.get(4)?);
        search.after.0 = row.get(0)?;
        search.blob_bytes = search.blob_bytes.saturating_add(bytes);
        seen += 1;
        let from = created_at.saturating_add(search.due.wait_ms);
        match (linked, search.due.is_past(from)) {
            (true, _) => {}
            (false, false) => search.wait(1, bytes, from),
            (false, true) => found.push(Candidate {
                action: StepAction::Blob,
                repository: None,
                digest: sql::digest(row, 1)?,
                bytes,
                why: Why::Unlinked,
            }),
        }
    }
    if seen < LONG_STRIDE {
        search.next_phase(Phase::Over);
    }
    Ok(())
}
