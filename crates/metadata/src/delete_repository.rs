//! Deleting a repository: everything in it a tombstone, in one transaction, so that it can be undone; nothing is removed.

use mcr_oci::RepositoryName;
use rusqlite::{Connection, params};
use serde_json::json;

use crate::Metadata;
use crate::audit::{self, Audit};
use crate::error::Error;
use crate::job::{Done, Write, job};
use crate::repositories;
use crate::requests::TagGuard;
use crate::rows::Actor;

/// Delete a repository with everything in it.
#[derive(Clone, Debug)]
pub struct DeleteRepository {
    /// Which.
    pub repository: RepositoryName,
    /// Tags that may not be deleted; one of them saves the whole repository.
    pub immutable: Option<TagGuard>,
    /// Stands on every tombstone and every line of tag history, so that just this can be undone.
    pub run_id: String,
    /// Who asks.
    pub actor: Actor,
    /// Now, in Unix milliseconds.
    pub at_ms: i64,
}

/// What became of a [`DeleteRepository`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RepositoryOutcome {
    /// It is gone.
    Deleted {
        /// Tags that went.
        tags: u64,
        /// Manifests that became tombstones.
        manifests: u64,
        /// Links to blobs that became tombstones.
        blobs: u64,
    },
    /// No such repository, or nothing live in it.
    NotFound,
    /// This tag is immutable, and would go. Nothing was written.
    Immutable {
        /// The tag.
        tag: String,
    },
}

impl Metadata {
    /// Deletes a repository. Its cost grows with what is in it, and other writes wait for it.
    pub fn delete_repository(&self, request: DeleteRepository, done: Done<RepositoryOutcome>) {
        self.submit(job(request, done));
    }
}

impl Write for DeleteRepository {
    type Answer = RepositoryOutcome;

    fn apply(&self, tx: &Connection) -> Result<RepositoryOutcome, Error> {
        let Some(repository) = repositories::find(tx, &self.repository)? else {
            return Ok(RepositoryOutcome::NotFound);
        };
        if let Some(tag) = self.held(tx, repository)? {
            return Ok(RepositoryOutcome::Immutable { tag });
        }
        let (tags, manifests, blobs) = (
            self.drop_tags(tx, repository)?,
            self.bury(tx, "manifests", repository)?,
            self.bury(tx, "repository_blobs", repository)?,
        );
        if (tags, manifests, blobs) == (0, 0, 0) {
            return Ok(RepositoryOutcome::NotFound);
        }
        tx.prepare_cached("UPDATE repositories SET deleted_at = ?2 WHERE id = ?1")?
            .execute([repository, self.at_ms])?;
        let details = json!({ "tags": tags, "manifests": manifests, "blobs": blobs, "run_id": self.run_id });
        let repository = Some(self.repository.as_str());
        audit::append(tx, Audit { repository, details, ..Audit::by(&self.actor, "repo_deleted", self.at_ms) })?;
        Ok(RepositoryOutcome::Deleted { tags, manifests, blobs })
    }

    fn is_frugal(&self, _answer: &RepositoryOutcome) -> bool {
        true
    }
}

impl DeleteRepository {
    /// The first tag that may not go.
    fn held(&self, tx: &Connection, repository: i64) -> Result<Option<String>, Error> {
        let Some(guard) = &self.immutable else {
            return Ok(None);
        };
        let mut statement = tx.prepare_cached("SELECT name FROM tags WHERE repository_id = ?1 ORDER BY name")?;
        let mut rows = statement.query([repository])?;
        while let Some(row) = rows.next()? {
            let tag: String = row.get(0)?;
            if guard.holds(&tag) {
                return Ok(Some(tag));
            }
        }
        Ok(None)
    }

    /// Deletes the tags, each with its line of history; the one audit row tells how many.
    fn drop_tags(&self, tx: &Connection, repository: i64) -> Result<u64, Error> {
        tx.prepare_cached(
            "INSERT INTO tag_history (repository_id, tag, at, actor, previous, current, run_id)
             SELECT t.repository_id, t.name, ?2, ?3, m.digest, NULL, ?4
             FROM tags t CROSS JOIN manifests m ON m.id = t.manifest_id
             WHERE t.repository_id = ?1 ORDER BY t.name",
        )?
        .execute(params![repository, self.at_ms, self.actor.name, self.run_id])?;
        let gone = tx.prepare_cached("DELETE FROM tags WHERE repository_id = ?1")?.execute([repository])?;
        Ok(gone as u64)
    }

    /// Makes tombstones of what is live in `table`: whatever referred to it goes with it.
    fn bury(&self, tx: &Connection, table: &'static str, repository: i64) -> Result<u64, Error> {
        let buried = tx
            .prepare_cached(&format!(
                "UPDATE {table}
                 SET deleted_at = ?2, run_id = ?3, unreferenced_since = max(coalesce(unreferenced_since, ?2), ?2)
                 WHERE repository_id = ?1 AND deleted_at IS NULL"
            ))?
            .execute(params![repository, self.at_ms, self.run_id])?;
        Ok(buried as u64)
    }
}

#[cfg(test)]
mod tests;
