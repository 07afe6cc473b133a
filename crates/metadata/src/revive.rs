//! Undo: tombstones lifted, tags pointed where they were; a whole closure in one write or nothing of it; never a file.
//!
//! With a manifest come back everything its edges reach and, of the same run, its referrers and the tags named after it.
//! What a caller saw of the files beforehand is not seen here: rows that say "collected" or "damaged" are the last word.

use mcr_oci::{Digest, RepositoryName, Tag};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::Metadata;
use crate::error::Error;
use crate::job::{Done, Write, job};
use crate::requests::TagGuard;
use crate::rows::Actor;
use crate::tagging;

mod lift;
mod plan;

/// Links to blobs that one write brings back at most.
pub const MAX_REVIVED_LINKS: usize = 500;

/// Point a tag where it pointed before, and bring back what that needs.
#[derive(Clone, Debug)]
pub struct ReviveTag {
    /// The repository, live or deleted.
    pub repository: RepositoryName,
    /// The tag.
    pub tag: Tag,
    /// Where it shall point.
    pub digest: Digest,
    /// What must hold of the tag, and what becomes of its age.
    pub mode: ReviveMode,
    /// Tags that may not move.
    pub immutable: Option<TagGuard>,
    /// The run that undoes, if it is one.
    pub run_id: Option<String>,
    /// Who asks.
    pub actor: Actor,
    /// Now, in Unix milliseconds.
    pub at_ms: i64,
}

/// How a tag comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReviveMode {
    /// A person names the tag: it may move, and has moved now; only while nobody else has moved it since it was looked
    /// at.
    Explicit {
        /// The last line of its history, as whoever asks saw it.
        last: i64,
    },
    /// A delete is undone: only while this line of its history is its last one; it is as old as it was.
    Undo {
        /// The line that tells of the delete.
        change: i64,
    },
}

/// Bring back a manifest without tags.
#[derive(Clone, Debug)]
pub struct ReviveManifest {
    /// The repository, live or deleted.
    pub repository: RepositoryName,
    /// The manifest.
    pub digest: Digest,
    /// Only if retention or the collector made it a tombstone at or after this time, in Unix milliseconds: somebody may
    /// have been told just before that it is here. Not if a person deleted it, or its repository.
    pub buried_since_ms: Option<i64>,
    /// The run that undoes, if it is one; stands in the history of tags that come along.
    pub run_id: Option<String>,
    /// Who asks.
    pub actor: Actor,
    /// Now, in Unix milliseconds.
    pub at_ms: i64,
}

/// Bring back links to blobs that a run (of a deleted repository) made tombstones of, at most [`MAX_REVIVED_LINKS`].
#[derive(Clone, Debug)]
pub struct ReviveLinks {
    /// The repository.
    pub repository: RepositoryName,
    /// The run that deleted.
    pub run_id: String,
    /// Now, in Unix milliseconds.
    pub at_ms: i64,
}

/// What became of an undo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReviveOutcome {
    /// It is back.
    Revived(Revived),
    /// It was there already. Nothing was written.
    There,
    /// It cannot come back. Nothing was written.
    Refused(Unrevivable),
}

/// What one write brought back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revived {
    /// Where the tag pointed until now; none where it was gone.
    pub previous: Option<Digest>,
    /// Tags that came along, with where they point.
    pub tags: Vec<(Tag, Digest)>,
    /// Manifests whose tombstones were lifted.
    pub manifests: Vec<Digest>,
    /// Links to blobs whose tombstones were lifted.
    pub blobs: u64,
    /// What of the same run belongs to it and cannot come back.
    pub left: Vec<(Digest, Unrevivable)>,
}

/// Why something cannot come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unrevivable {
    /// No such repository was ever here.
    NoRepository,
    /// The manifest was never here, or is collected.
    Collected(Digest),
    /// This piece of its closure is damaged.
    Damaged(Digest),
    /// The tag points elsewhere.
    Elsewhere(Digest),
    /// The tag has a history since then: it came and went again.
    Superseded,
    /// The tag was pushed, moved or deleted while it was looked at.
    Meanwhile,
    /// The tag is immutable and points elsewhere.
    Immutable,
    /// More would come back than one write may bring.
    TooLarge,
}

impl std::fmt::Display for Unrevivable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoRepository => f.write_str("this registry never had that repository"),
            Self::Collected(digest) => {
                write!(f, "{digest} was collected: its time for undo is past; push it again")
            }
            Self::Damaged(digest) => write!(f, "{digest} is damaged; push it again to heal it, then restore"),
            Self::Elsewhere(to) => {
                write!(f, "the tag points at {to} meanwhile; to move it back: mcrctl tag restore REPO:TAG --to DIGEST")
            }
            Self::Superseded => f.write_str(
                "the tag was pushed again and deleted again since; mcrctl tag history shows its past, tag restore \
                 --to DIGEST picks one",
            ),
            Self::Meanwhile => {
                f.write_str("somebody else moved the tag meanwhile; mcrctl tag history shows where: ask again")
            }
            Self::Immutable => f.write_str("the tag is immutable and points elsewhere"),
            Self::TooLarge => f.write_str("its closure is larger than one write may bring back"),
        }
    }
}

impl Metadata {
    /// Points a tag where it pointed before, with what that needs.
    pub fn revive_tag(&self, request: ReviveTag, done: Done<ReviveOutcome>) {
        self.submit(job(request, done));
    }

    /// Brings back a manifest, with what it needs.
    pub fn revive_manifest(&self, request: ReviveManifest, done: Done<ReviveOutcome>) {
        self.submit(job(request, done));
    }

    /// Brings back links to blobs. `done` learns how many; fewer than [`MAX_REVIVED_LINKS`]: there are no more.
    pub fn revive_links(&self, request: ReviveLinks, done: Done<u64>) {
        self.submit(job(request, done));
    }
}

impl Metadata {
    /// The manifests whose tombstones would be lifted with `digest`, that one's closure before what followed it; or why
    /// none would. What rows say; the files are the caller's to look at.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn would_return(
        &self,
        name: &RepositoryName,
        digest: &Digest,
    ) -> Result<Result<Vec<Digest>, Unrevivable>, Error> {
        self.readers.read(|connection| {
            let Some(repository) = any_repository(connection, name)? else {
                return Ok(Err(Unrevivable::NoRepository));
            };
            let actor = Actor { name: String::new(), address: None };
            let undo = Undo { repository, name, run_id: None, actor: &actor, at_ms: 0 };
            let plan = match undo.plan(connection, digest)? {
                Ok(plan) => plan,
                Err(why) => return Ok(Err(why)),
            };
            let digests = plan.manifests.iter().map(|id| plan::digest(connection, *id));
            Ok(Ok(digests.collect::<Result<_, _>>()?))
        })
    }
}

/// Where something comes back, and in whose name.
struct Undo<'a> {
    repository: i64,
    name: &'a RepositoryName,
    run_id: Option<&'a str>,
    actor: &'a Actor,
    at_ms: i64,
}

impl Write for ReviveTag {
    type Answer = ReviveOutcome;

    fn apply(&self, tx: &Connection) -> Result<ReviveOutcome, Error> {
        let Some(repository) = any_repository(tx, &self.repository)? else {
            return Ok(ReviveOutcome::Refused(Unrevivable::NoRepository));
        };
        let undo = Undo {
            repository,
            name: &self.repository,
            run_id: self.run_id.as_deref(),
            actor: &self.actor,
            at_ms: self.at_ms,
        };
        let current = tagging::current(tx, repository, self.tag.as_str())?;
        if current.as_ref().is_some_and(|(_, at)| *at == self.digest) {
            return Ok(ReviveOutcome::There);
        }
        if let Some(why) = self.hindrance(tx, repository, current.as_ref())? {
            return Ok(ReviveOutcome::Refused(why));
        }
        let mut plan = match undo.plan(tx, &self.digest)? {
            Ok(plan) => plan,
            Err(why) => return Ok(ReviveOutcome::Refused(why)),
        };
        plan.tags.retain(|tag| tag.name != self.tag.as_str());
        let moved_at_ms = match self.mode {
            ReviveMode::Explicit { .. } => self.at_ms,
            ReviveMode::Undo { .. } => plan::moved_at(tx, repository, self.tag.as_str(), &self.digest)?,
        };
        let previous = current.as_ref().map(|(_, digest)| digest.clone());
        let mut revived = undo.lift(tx, plan, Some((self.tag.as_str(), &self.digest, current, moved_at_ms)))?;
        revived.previous = previous;
        Ok(ReviveOutcome::Revived(revived))
    }

    fn is_frugal(&self, _answer: &ReviveOutcome) -> bool {
        true
    }
}

impl ReviveTag {
    /// What stands in the way at the tag itself.
    fn hindrance(
        &self,
        tx: &Connection,
        repository: i64,
        current: Option<&(i64, Digest)>,
    ) -> Result<Option<Unrevivable>, Error> {
        let last: Option<i64> = tx
            .prepare_cached("SELECT max(id) FROM tag_history WHERE repository_id = ?1 AND tag = ?2")?
            .query_row(params![repository, self.tag.as_str()], |row| row.get(0))?;
        match (self.mode, current) {
            (ReviveMode::Undo { .. }, Some((_, at))) => return Ok(Some(Unrevivable::Elsewhere(at.clone()))),
            (ReviveMode::Undo { change }, None) => {
                return Ok((last != Some(change)).then_some(Unrevivable::Superseded));
            }
            (ReviveMode::Explicit { last: seen }, _) if last != Some(seen) => {
                return Ok(Some(Unrevivable::Meanwhile));
            }
            (ReviveMode::Explicit { .. }, _) => {}
        }
        let Some((manifest, _)) = current else { return Ok(None) };
        if !self.immutable.as_ref().is_some_and(|guard| guard.holds(self.tag.as_str())) {
            return Ok(None);
        }
        // One whose closure has a finding may move: that is how it is mended (contract section 2.9).
        let damaged = !crate::damage::below(tx, *manifest, self.repository.as_str())?.findings.is_empty();
        Ok((!damaged).then_some(Unrevivable::Immutable))
    }
}

impl Write for ReviveManifest {
    type Answer = ReviveOutcome;

    fn apply(&self, tx: &Connection) -> Result<ReviveOutcome, Error> {
        let Some(repository) = any_repository(tx, &self.repository)? else {
            return Ok(ReviveOutcome::Refused(Unrevivable::NoRepository));
        };
        let undo = Undo {
            repository,
            name: &self.repository,
            run_id: self.run_id.as_deref(),
            actor: &self.actor,
            at_ms: self.at_ms,
        };
        if !self.was_buried_lately(tx, repository)? {
            return Ok(ReviveOutcome::There);
        }
        Ok(match undo.plan(tx, &self.digest)? {
            Err(why) => ReviveOutcome::Refused(why),
            Ok(plan) if plan.manifests.is_empty() => ReviveOutcome::There,
            Ok(plan) => ReviveOutcome::Revived(undo.lift(tx, plan, None)?),
        })
    }

    fn is_frugal(&self, _answer: &ReviveOutcome) -> bool {
        true
    }
}

impl ReviveManifest {
    fn was_buried_lately(&self, tx: &Connection, repository: i64) -> Result<bool, Error> {
        let Some(since_ms) = self.buried_since_ms else { return Ok(true) };
        // Deleting a repository buries links in the same run, nothing else does.
        let lately = tx
            .prepare_cached(
                "SELECT 1 FROM manifests m
                 WHERE m.repository_id = ?1 AND m.digest = ?2 AND m.run_id IS NOT NULL AND m.deleted_at >= ?3
                   AND NOT EXISTS (SELECT 1 FROM repository_blobs l
                                   WHERE l.run_id = m.run_id AND l.repository_id = m.repository_id)",
            )?
            .exists(params![repository, self.digest.as_str(), since_ms])?;
        Ok(lately)
    }
}

impl Write for ReviveLinks {
    type Answer = u64;

    fn apply(&self, tx: &Connection) -> Result<u64, Error> {
        let Some(repository) = any_repository(tx, &self.repository)? else { return Ok(0) };
        let lifted = tx
            .prepare_cached(
                "UPDATE repository_blobs
                 SET deleted_at = NULL, run_id = NULL, unreferenced_since = max(coalesce(unreferenced_since, ?3), ?3)
                 WHERE repository_id = ?1 AND blob_id IN
                     (SELECT blob_id FROM repository_blobs
                      WHERE run_id = ?2 AND repository_id = ?1 AND deleted_at IS NOT NULL LIMIT ?4)",
            )?
            .execute(params![repository, self.run_id, self.at_ms, crate::sql::limit(MAX_REVIVED_LINKS)])?;
        if lifted > 0 {
            bring_back(tx, repository)?;
        }
        Ok(lifted as u64)
    }

    fn is_frugal(&self, _answer: &u64) -> bool {
        true
    }
}

/// The repository of that name, live or deleted.
pub(crate) fn any_repository(connection: &Connection, name: &RepositoryName) -> Result<Option<i64>, Error> {
    let id = connection
        .prepare_cached("SELECT id FROM repositories WHERE name = ?1")?
        .query_row([name.as_str()], |row| row.get(0))
        .optional()?;
    Ok(id)
}

/// Makes a repository live.
fn bring_back(tx: &Connection, repository: i64) -> Result<(), Error> {
    tx.prepare_cached("UPDATE repositories SET deleted_at = NULL WHERE id = ?1 AND deleted_at IS NOT NULL")?
        .execute([repository])?;
    Ok(())
}

#[cfg(test)]
mod tests;
