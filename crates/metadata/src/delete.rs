//! Deletes: manifests and links become tombstones, tags go; nothing is removed, and never what something live names.

use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::{Value, json};

use crate::Metadata;
use crate::audit::About;
use crate::error::Error;
use crate::job::{Done, Write, job};
use crate::references::{self, Target};
use crate::repositories;
use crate::requests::{DeleteBlob, DeleteManifest, DeleteOutcome, DeleteTag, Holder};
use crate::sql;
use crate::tagging::{self, Point};

/// Holders that a refusal names, and tags of each.
pub const MAX_HOLDERS: usize = 20;

impl Metadata {
    /// Makes a manifest a tombstone and deletes its tags; refused while a live index of the repository names it.
    pub fn delete_manifest(&self, request: DeleteManifest, done: Done<DeleteOutcome>) {
        self.submit(job(request, done));
    }

    /// Deletes a tag and nothing else.
    pub fn delete_tag(&self, request: DeleteTag, done: Done<DeleteOutcome>) {
        self.submit(job(request, done));
    }

    /// Makes a repository's link to a blob a tombstone; refused while a live manifest of the repository names it.
    pub fn delete_blob(&self, request: DeleteBlob, done: Done<DeleteOutcome>) {
        self.submit(job(request, done));
    }
}

impl Write for DeleteManifest {
    type Answer = DeleteOutcome;

    fn apply(&self, tx: &Connection) -> Result<DeleteOutcome, Error> {
        let Some(repository) = repositories::find(tx, &self.repository)? else {
            return Ok(DeleteOutcome::NoRepository);
        };
        let found: Option<i64> = tx
            .prepare_cached("SELECT id FROM manifests WHERE repository_id = ?1 AND digest = ?2 AND deleted_at IS NULL")?
            .query_row((repository, self.digest.as_str()), |row| row.get(0))
            .optional()?;
        let Some(manifest) = found else {
            return Ok(DeleteOutcome::NotFound);
        };
        let holders = holders(tx, repository, Target::Manifest(manifest))?;
        if !holders.is_empty() {
            return Ok(DeleteOutcome::NamedBy(holders));
        }
        let tags = tags_of(tx, repository, manifest, i64::MAX)?;
        let held = tags.iter().find(|tag| self.immutable.as_ref().is_some_and(|guard| guard.holds(tag)));
        if let Some(tag) = held {
            return Ok(DeleteOutcome::Immutable { tag: tag.clone() });
        }
        let point = Point {
            repository,
            name: &self.repository,
            manifest,
            digest: &self.digest,
            run_id: None,
            actor: &self.actor,
            at_ms: self.at_ms,
        };
        for tag in &tags {
            tagging::drop_one(tx, &point, tag)?;
        }
        tx.prepare_cached(
            "UPDATE manifests SET deleted_at = ?2, unreferenced_since = max(coalesce(unreferenced_since, ?2), ?2)
             WHERE id = ?1",
        )?
        .execute([manifest, self.at_ms])?;
        references::release_targets(tx, repository, manifest, self.at_ms)?;
        let told = About { repository: &self.repository, digest: &self.digest, actor: &self.actor, at_ms: self.at_ms };
        told.tell(tx, "manifest_deleted", json!({ "tags": tags }))?;
        Ok(DeleteOutcome::Deleted { tags })
    }

    fn is_frugal(&self, _answer: &DeleteOutcome) -> bool {
        true
    }
}

impl Write for DeleteTag {
    type Answer = DeleteOutcome;

    fn apply(&self, tx: &Connection) -> Result<DeleteOutcome, Error> {
        let Some(repository) = repositories::find(tx, &self.repository)? else {
            return Ok(DeleteOutcome::NoRepository);
        };
        let Some((manifest, digest)) = tagging::current(tx, repository, self.tag.as_str())? else {
            return Ok(DeleteOutcome::NotFound);
        };
        if self.immutable.as_ref().is_some_and(|guard| guard.holds(self.tag.as_str())) {
            return Ok(DeleteOutcome::Immutable { tag: self.tag.to_string() });
        }
        let point = Point {
            repository,
            name: &self.repository,
            manifest,
            digest: &digest,
            run_id: None,
            actor: &self.actor,
            at_ms: self.at_ms,
        };
        tagging::drop_one(tx, &point, self.tag.as_str())?;
        references::release(tx, repository, Target::Manifest(manifest), self.at_ms)?;
        Ok(DeleteOutcome::Deleted { tags: vec![self.tag.as_str().to_owned()] })
    }

    fn is_frugal(&self, _answer: &DeleteOutcome) -> bool {
        true
    }
}

impl Write for DeleteBlob {
    type Answer = DeleteOutcome;

    fn apply(&self, tx: &Connection) -> Result<DeleteOutcome, Error> {
        let Some(repository) = repositories::find(tx, &self.repository)? else {
            return Ok(DeleteOutcome::NoRepository);
        };
        let found: Option<i64> = tx
            .prepare_cached(
                "SELECT l.blob_id
                 FROM blobs b CROSS JOIN repository_blobs l ON l.repository_id = ?1 AND l.blob_id = b.id
                 WHERE b.digest = ?2 AND l.deleted_at IS NULL",
            )?
            .query_row((repository, self.digest.as_str()), |row| row.get(0))
            .optional()?;
        let Some(blob) = found else {
            return Ok(DeleteOutcome::NotFound);
        };
        let holders = holders(tx, repository, Target::Blob(blob))?;
        if !holders.is_empty() {
            return Ok(DeleteOutcome::NamedBy(holders));
        }
        tx.prepare_cached(
            "UPDATE repository_blobs
             SET deleted_at = ?3, unreferenced_since = max(coalesce(unreferenced_since, ?3), ?3)
             WHERE repository_id = ?1 AND blob_id = ?2",
        )?
        .execute([repository, blob, self.at_ms])?;
        let told = About { repository: &self.repository, digest: &self.digest, actor: &self.actor, at_ms: self.at_ms };
        told.tell(tx, "blob_deleted", Value::Null)?;
        Ok(DeleteOutcome::Deleted { tags: Vec::new() })
    }

    fn is_frugal(&self, _answer: &DeleteOutcome) -> bool {
        true
    }
}

/// The live manifests that name `target`, each once.
fn holders(tx: &Connection, repository: i64, target: Target) -> Result<Vec<Holder>, Error> {
    let (sql, id) = match target {
        Target::Manifest(id) => (
            "SELECT DISTINCT m.id, m.digest FROM edges e CROSS JOIN manifests m ON m.id = e.manifest_id
             WHERE e.repository_id = ?1 AND e.target_manifest = ?2 AND m.deleted_at IS NULL
             LIMIT ?3",
            id,
        ),
        Target::Blob(id) => (
            "SELECT DISTINCT m.id, m.digest FROM edges e CROSS JOIN manifests m ON m.id = e.manifest_id
             WHERE e.repository_id = ?1 AND e.target_blob = ?2 AND m.deleted_at IS NULL
             LIMIT ?3",
            id,
        ),
    };
    let limit = i64::try_from(MAX_HOLDERS).unwrap_or(i64::MAX);
    let mut statement = tx.prepare_cached(sql)?;
    let mut rows = statement.query(params![repository, id, limit])?;
    let mut holders = Vec::new();
    while let Some(row) = rows.next()? {
        holders.push(Holder { digest: sql::digest(row, 1)?, tags: tags_of(tx, repository, row.get(0)?, limit)? });
    }
    holders.sort_by(|one, other| one.digest.cmp(&other.digest));
    Ok(holders)
}

/// The tags of a manifest, sorted.
fn tags_of(tx: &Connection, repository: i64, manifest: i64, limit: i64) -> Result<Vec<String>, Error> {
    let mut statement = tx
        .prepare_cached("SELECT name FROM tags WHERE repository_id = ?1 AND manifest_id = ?2 ORDER BY name LIMIT ?3")?;
    let tags = statement.query_map([repository, manifest, limit], |row| row.get(0))?;
    tags.collect::<Result<_, _>>().map_err(Error::from)
}

#[cfg(test)]
mod tests;
