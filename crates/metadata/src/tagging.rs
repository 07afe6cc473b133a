//! Moving and dropping tags, each with its line of history and its audit row; never whether one may be moved.

use mcr_oci::{Digest, RepositoryName, Tag};
use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::{Value, json};

use crate::audit::{self, Audit};
use crate::error::Error;
use crate::references::{self, Target};
use crate::requests::TagMove;
use crate::rows::Actor;
use crate::sql;

/// Where tags shall point, and who says so.
pub(crate) struct Point<'a> {
    pub(crate) repository: i64,
    pub(crate) name: &'a RepositoryName,
    pub(crate) manifest: i64,
    pub(crate) digest: &'a Digest,
    /// The run that does it, if it is one.
    pub(crate) run_id: Option<&'a str>,
    pub(crate) actor: &'a Actor,
    pub(crate) at_ms: i64,
}

/// Points every tag there; those that pointed there already are left alone and not among the answer.
pub(crate) fn point_all(tx: &Connection, point: &Point<'_>, tags: &[Tag]) -> Result<Vec<TagMove>, Error> {
    let mut moved = Vec::new();
    for tag in tags {
        moved.extend(point_one(tx, point, tag)?);
    }
    Ok(moved)
}

fn point_one(tx: &Connection, point: &Point<'_>, tag: &Tag) -> Result<Option<TagMove>, Error> {
    let before = current(tx, point.repository, tag.as_str())?;
    if before.as_ref().is_some_and(|(manifest, _)| *manifest == point.manifest) {
        return Ok(None);
    }
    tx.prepare_cached(
        "INSERT INTO tags (repository_id, name, manifest_id, moved_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (repository_id, name) DO UPDATE SET manifest_id = excluded.manifest_id, moved_at = excluded.moved_at",
    )?
    .execute(params![point.repository, tag.as_str(), point.manifest, point.at_ms])?;
    let (old, previous) = before.unzip();
    if let Some(old) = old {
        references::release(tx, point.repository, Target::Manifest(old), point.at_ms)?;
    }
    remember(tx, point, tag.as_str(), previous.as_ref(), Some(point.digest))?;
    audit::append(
        tx,
        Audit {
            repository: Some(point.name.as_str()),
            tag: Some(tag.as_str()),
            digest: Some(point.digest.as_str()),
            details: json!({ "previous": previous.as_ref().map(Digest::as_str) }),
            ..Audit::by(point.actor, "tag_moved", point.at_ms)
        },
    )?;
    Ok(Some(TagMove { tag: tag.clone(), previous }))
}

/// Points a tag there again, as if it had moved at `moved_at_ms`; `previous` is where it points until now.
pub(crate) fn restore_one(
    tx: &Connection,
    point: &Point<'_>,
    tag: &str,
    previous: Option<(i64, Digest)>,
    moved_at_ms: i64,
) -> Result<(), Error> {
    tx.prepare_cached(
        "INSERT INTO tags (repository_id, name, manifest_id, moved_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (repository_id, name) DO UPDATE SET manifest_id = excluded.manifest_id, moved_at = excluded.moved_at",
    )?
    .execute(params![point.repository, tag, point.manifest, moved_at_ms])?;
    let (old, previous) = previous.unzip();
    if let Some(old) = old {
        references::release(tx, point.repository, Target::Manifest(old), point.at_ms)?;
    }
    remember(tx, point, tag, previous.as_ref(), Some(point.digest))?;
    audit::append(
        tx,
        Audit {
            repository: Some(point.name.as_str()),
            tag: Some(tag),
            digest: Some(point.digest.as_str()),
            details: json!({ "previous": previous.as_ref().map(Digest::as_str), "run_id": point.run_id }),
            ..Audit::by(point.actor, "tag_restored", point.at_ms)
        },
    )
}

/// Deletes a tag that points at `point`'s manifest.
pub(crate) fn drop_one(tx: &Connection, point: &Point<'_>, tag: &str) -> Result<(), Error> {
    tx.prepare_cached("DELETE FROM tags WHERE repository_id = ?1 AND name = ?2")?.execute((point.repository, tag))?;
    remember(tx, point, tag, Some(point.digest), None)?;
    audit::append(
        tx,
        Audit {
            repository: Some(point.name.as_str()),
            tag: Some(tag),
            digest: Some(point.digest.as_str()),
            details: point.run_id.map_or(Value::Null, |run| json!({ "run_id": run })),
            ..Audit::by(point.actor, "tag_deleted", point.at_ms)
        },
    )
}

/// Where a tag points: the manifest's row and digest.
pub(crate) fn current(tx: &Connection, repository: i64, tag: &str) -> Result<Option<(i64, Digest)>, Error> {
    let found = tx
        .prepare_cached(
            "SELECT m.id, m.digest FROM tags t CROSS JOIN manifests m ON m.id = t.manifest_id
             WHERE t.repository_id = ?1 AND t.name = ?2",
        )?
        .query_row((repository, tag), |row| Ok((row.get(0)?, sql::digest(row, 1))))
        .optional()?;
    match found {
        None => Ok(None),
        Some((id, digest)) => Ok(Some((id, digest?))),
    }
}

fn remember(
    tx: &Connection,
    point: &Point<'_>,
    tag: &str,
    previous: Option<&Digest>,
    current: Option<&Digest>,
) -> Result<(), Error> {
    tx.prepare_cached(
        "INSERT INTO tag_history (repository_id, tag, at, actor, previous, current, run_id)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        point.repository,
        tag,
        point.at_ms,
        point.actor.name,
        previous.map(Digest::as_str),
        current.map(Digest::as_str),
        point.run_id
    ])?;
    Ok(())
}
