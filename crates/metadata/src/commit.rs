//! Committing a manifest: the manifest, its edges, its tags, their history and the audit rows, all or nothing; never the walk before it.

use mcr_oci::{Digest, Manifest, ManifestKind, Tag};
use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::json;

use crate::Metadata;
use crate::audit::{self, Audit};
use crate::damage;
use crate::edges::{self, Resolved};
use crate::error::Error;
use crate::findings;
use crate::job::{Done, Write, job};
use crate::references::{self, Target};
use crate::repositories;
use crate::requests::{CommitManifest, CommitOutcome};
use crate::sql;
use crate::tagging::{self, Point};

impl Metadata {
    /// Commits a manifest whose closure the caller has walked. What the walk saw is looked at again for the
    /// manifest's own edges, inside the transaction; deeper ones are held by the edges of its children.
    pub fn commit_manifest(&self, request: CommitManifest, done: Done<CommitOutcome>) {
        self.submit(job(request, done));
    }
}

impl Write for CommitManifest {
    type Answer = CommitOutcome;

    fn apply(&self, tx: &Connection) -> Result<CommitOutcome, Error> {
        let known = repositories::find(tx, &self.repository)?;
        let resolved = edges::resolve(tx, known, &self.manifest, self.allow_missing_children)?;
        let Some(resolved) = resolved else {
            return Ok(CommitOutcome::ClosureChanged);
        };
        if let Some(tag) = self.held_tag(tx, known)? {
            return Ok(CommitOutcome::Immutable { tag });
        }
        let repository = match known {
            Some(id) => id,
            None => repositories::find_or_make(tx, &self.repository, self.at_ms)?,
        };
        let before = Before::find(tx, repository, &self.reference_digest)?;
        if let Some(stored) = before.as_ref().and_then(|before| before.conflict(&self.manifest)) {
            return Ok(CommitOutcome::MediaTypeConflict { stored });
        }
        let created = before.as_ref().is_none_or(|before| !before.live);
        let id = self.write_manifest(tx, repository, before.as_ref())?;
        self.write_edges(tx, repository, id, before.as_ref(), &resolved)?;
        self.tell_push(tx)?;
        let point = Point {
            repository,
            name: &self.repository,
            manifest: id,
            digest: &self.reference_digest,
            run_id: None,
            actor: &self.actor,
            at_ms: self.at_ms,
        };
        let moved = tagging::point_all(tx, &point, &self.tags)?;
        if references::manifest_is_named(tx, repository, id)? {
            references::hold(tx, repository, Target::Manifest(id))?;
        }
        Ok(CommitOutcome::Committed { moved, created })
    }

    /// Pointing tags at what is held is; so is a refusal.
    fn is_frugal(&self, answer: &CommitOutcome) -> bool {
        !matches!(answer, CommitOutcome::Committed { created: true, .. })
    }

    /// A target went between the look and the key: the same as if the look had seen it.
    fn rescue(&self, error: &Error) -> Option<CommitOutcome> {
        matches!(error, Error::Constraint { foreign_key: true, .. }).then_some(CommitOutcome::ClosureChanged)
    }
}

impl CommitManifest {
    /// A tag asked for that is immutable and points elsewhere. One whose closure has a finding may move: that is how
    /// it is mended (contract section 2.9).
    fn held_tag(&self, tx: &Connection, repository: Option<i64>) -> Result<Option<Tag>, Error> {
        let (Some(repository), Some(guard)) = (repository, &self.immutable) else { return Ok(None) };
        for tag in self.tags.iter().filter(|tag| guard.holds(tag.as_str())) {
            let Some((manifest, digest)) = tagging::current(tx, repository, tag.as_str())? else { continue };
            let mended =
                || Ok::<bool, Error>(!damage::below(tx, manifest, self.repository.as_str())?.findings.is_empty());
            if digest != self.reference_digest && !mended()? {
                return Ok(Some(tag.clone()));
            }
        }
        Ok(None)
    }

    /// Makes the row live and sound. A row that is both already, and holds these bytes, is left alone but for its
    /// lease; bytes that rotted unseen are replaced.
    fn write_manifest(&self, tx: &Connection, repository: i64, before: Option<&Before>) -> Result<i64, Error> {
        let Some(before) = before else {
            let id = insert(tx, repository, self)?;
            write_contents(tx, id, &self.manifest, &self.bytes)?;
            return Ok(id);
        };
        if before.live && before.sound && holds_bytes(tx, before.id, &self.bytes)? {
            references::renew(tx, before.id, self.at_ms)?;
            return Ok(before.id);
        }
        revive(tx, before.id, self)?;
        write_contents(tx, before.id, &self.manifest, &self.bytes)?;
        if !before.sound {
            findings::close_manifest(tx, self.repository.as_str(), &self.reference_digest, self.at_ms)?;
        }
        Ok(before.id)
    }

    fn write_edges(
        &self,
        tx: &Connection,
        repository: i64,
        id: i64,
        before: Option<&Before>,
        resolved: &[Resolved<'_>],
    ) -> Result<(), Error> {
        // Another media type can mean another reading of the same bytes.
        if before.is_some_and(|before| before.media_type != self.manifest.media_type) {
            edges::forget(tx, id)?;
        }
        edges::write(tx, repository, id, resolved)?;
        edges::hold_targets(tx, repository, resolved)?;
        let size = u64::try_from(self.bytes.len()).unwrap_or(u64::MAX);
        edges::fill(tx, repository, &self.reference_digest, Target::Manifest(id), size)
    }

    fn tell_push(&self, tx: &Connection) -> Result<(), Error> {
        let tags: Vec<&str> = self.tags.iter().map(Tag::as_str).collect();
        let one = match tags.as_slice() {
            [tag] => Some(*tag),
            _ => None,
        };
        audit::append(
            tx,
            Audit {
                repository: Some(self.repository.as_str()),
                tag: one,
                digest: Some(self.reference_digest.as_str()),
                details: json!({
                    "media_type": self.manifest.media_type,
                    "size": self.bytes.len(),
                    "tags": tags,
                }),
                ..Audit::by(&self.actor, "manifest_pushed", self.at_ms)
            },
        )
    }
}

/// The row of that digest before this push.
struct Before {
    id: i64,
    media_type: String,
    live: bool,
    sound: bool,
}

impl Before {
    fn find(tx: &Connection, repository: i64, digest: &Digest) -> Result<Option<Self>, Error> {
        let found = tx
            .prepare_cached(
                "SELECT id, media_type, deleted_at IS NULL, state = 'sound' FROM manifests
                 WHERE repository_id = ?1 AND digest = ?2",
            )?
            .query_row((repository, digest.as_str()), |row| {
                Ok(Self { id: row.get(0)?, media_type: row.get(1)?, live: row.get(2)?, sound: row.get(3)? })
            })
            .optional()?;
        Ok(found)
    }

    /// The media type that stands in the way: tags and indexes rely on how the bytes were read when they came.
    fn conflict(&self, manifest: &Manifest) -> Option<String> {
        (self.live && self.media_type != manifest.media_type).then(|| self.media_type.clone())
    }
}

/// Makes the row of a manifest that is not there yet.
pub(crate) fn insert(tx: &Connection, repository: i64, commit: &CommitManifest) -> Result<i64, Error> {
    let id = tx
        .prepare_cached(
            "INSERT INTO manifests (repository_id, digest, media_type, kind, size, artifact_type, subject, state,
                                    hashed_at, pushed_at, unreferenced_since)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 'sound', ?8, ?8, ?8)
             RETURNING id",
        )?
        .query_row(
            params![
                repository,
                commit.reference_digest.as_str(),
                commit.manifest.media_type,
                kind(commit.manifest.kind),
                sql::size(u64::try_from(commit.bytes.len()).unwrap_or(u64::MAX)),
                commit.manifest.artifact_type,
                commit.manifest.subject.as_ref().map(|subject| subject.digest.as_str()),
                commit.at_ms
            ],
            |row| row.get(0),
        )?;
    Ok(id)
}

/// Lifts a tombstone and takes the bytes anew: they have just been hashed.
fn revive(tx: &Connection, id: i64, commit: &CommitManifest) -> Result<(), Error> {
    tx.prepare_cached(
        "UPDATE manifests
         SET media_type = ?2, kind = ?3, artifact_type = ?4, subject = ?5, state = 'sound', hashed_at = ?6,
             pushed_at = iif(deleted_at IS NULL, pushed_at, ?6), deleted_at = NULL, run_id = NULL,
             unreferenced_since = max(coalesce(unreferenced_since, ?6), ?6)
         WHERE id = ?1",
    )?
    .execute(params![
        id,
        commit.manifest.media_type,
        kind(commit.manifest.kind),
        commit.manifest.artifact_type,
        commit.manifest.subject.as_ref().map(|subject| subject.digest.as_str()),
        commit.at_ms
    ])?;
    Ok(())
}

/// Whether the stored bytes are the pushed ones, which have just been hashed.
fn holds_bytes(tx: &Connection, id: i64, bytes: &[u8]) -> Result<bool, Error> {
    let same = tx
        .prepare_cached("SELECT bytes = ?2 FROM manifest_contents WHERE manifest_id = ?1")?
        .query_row(params![id, bytes], |row| row.get(0))
        .optional()?;
    Ok(same.unwrap_or(false))
}

/// Writes a manifest's bytes in the place of what was there.
pub(crate) fn write_contents(tx: &Connection, id: i64, manifest: &Manifest, bytes: &[u8]) -> Result<(), Error> {
    // Only the referrers list shows annotations without reading the bytes.
    let annotations = manifest.subject.is_some().then(|| json!(manifest.annotations).to_string());
    tx.prepare_cached(
        "INSERT INTO manifest_contents (manifest_id, annotations, bytes) VALUES (?1, ?2, ?3)
         ON CONFLICT (manifest_id) DO UPDATE SET annotations = excluded.annotations, bytes = excluded.bytes",
    )?
    .execute(params![id, annotations, bytes])?;
    Ok(())
}

const fn kind(kind: ManifestKind) -> &'static str {
    match kind {
        ManifestKind::Image => "image",
        ManifestKind::Index => "index",
    }
}

#[cfg(test)]
mod tests;
