//! Retention's deletes: a tag, or an untagged manifest, with what nothing else live names; tombstones of one run, never a removal.
//!
//! What goes with a manifest: its children, the manifests whose subject it is, and the tags named after it with what they
//! point at; each only where neither a tag nor a live index names it and no live subject holds it; and so on below.
//! So a tombstone inside a live closure can never come to be.

use std::collections::{HashSet, VecDeque};

use mcr_oci::{Digest, RepositoryName, Tag};
use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::json;

use crate::Metadata;
use crate::audit::{self, Audit};
use crate::error::Error;
use crate::followers;
use crate::job::{Done, Write, job};
use crate::references::{self, Target};
use crate::repositories;
use crate::requests::TagGuard;
use crate::rows::Actor;
use crate::sql;
use crate::tagging::{self, Point};

/// Manifests that one write makes tombstones of at most: other writes wait for it. What is left is told as `more`.
pub const MAX_BURIED: usize = 500;

/// Delete a tag with what only it keeps.
#[derive(Clone, Debug)]
pub struct BuryTag {
    /// The repository.
    pub repository: RepositoryName,
    /// The tag.
    pub tag: Tag,
    /// Where it must point still.
    pub expected: Digest,
    /// When it came to point there, in Unix milliseconds, as whoever judged it saw: one that went away and came back
    /// since then is young. None: whenever.
    pub moved_at_ms: Option<i64>,
    /// Tags that may not be deleted.
    pub immutable: Option<TagGuard>,
    /// Stands on everything that goes, so that just this can be undone.
    pub run_id: String,
    /// Who does it.
    pub actor: Actor,
    /// Now, in Unix milliseconds.
    pub at_ms: i64,
}

/// Make an untagged manifest a tombstone, with what only it keeps.
#[derive(Clone, Debug)]
pub struct BuryManifest {
    /// The repository.
    pub repository: RepositoryName,
    /// The manifest.
    pub digest: Digest,
    /// The last reference to it, and the last promise about it, must lie at or before this time, in Unix milliseconds.
    pub unreferenced_before_ms: i64,
    /// Tags that may not be deleted.
    pub immutable: Option<TagGuard>,
    /// Stands on everything that goes, so that just this can be undone.
    pub run_id: String,
    /// Who does it.
    pub actor: Actor,
    /// Now, in Unix milliseconds.
    pub at_ms: i64,
}

/// What became of a [`BuryTag`] or a [`BuryManifest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuryOutcome {
    /// It is gone. Asked again by the same run, the write goes on where it stopped.
    Buried(Buried),
    /// Things are not as they were planned. Nothing was written.
    Skipped(Skip),
}

/// What one write took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Buried {
    /// Tags.
    pub tags: Vec<String>,
    /// Manifests, at most [`MAX_BURIED`].
    pub manifests: Vec<Digest>,
    /// Whether there is more: ask again.
    pub more: bool,
}

/// Why nothing was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Skip {
    /// It is gone already, by another's hand.
    Gone,
    /// The tag points elsewhere.
    Moved {
        /// Where.
        to: Digest,
    },
    /// The tag is immutable.
    Immutable,
    /// A tag, a live index or a live subject holds the manifest.
    Held,
    /// Somebody was promised it lately, or named it until lately.
    Promised,
}

impl std::fmt::Display for Skip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Gone => f.write_str("it was deleted meanwhile"),
            Self::Moved { to } => write!(f, "the tag moved meanwhile: it points at {to}"),
            Self::Immutable => f.write_str("the tag is immutable"),
            Self::Held => f.write_str("a tag, an index or a subject holds it meanwhile"),
            Self::Promised => f.write_str("somebody asked for it meanwhile: its time begins anew"),
        }
    }
}

impl Metadata {
    /// Deletes a tag and makes tombstones of what nothing else live names.
    pub fn bury_tag(&self, request: BuryTag, done: Done<BuryOutcome>) {
        self.submit(job(request, done));
    }

    /// Makes tombstones of an untagged manifest and what nothing else live names.
    pub fn bury_manifest(&self, request: BuryManifest, done: Done<BuryOutcome>) {
        self.submit(job(request, done));
    }
}

impl Write for BuryTag {
    type Answer = BuryOutcome;

    fn apply(&self, tx: &Connection) -> Result<BuryOutcome, Error> {
        let Some(repository) = repositories::find(tx, &self.repository)? else {
            return Ok(BuryOutcome::Skipped(Skip::Gone));
        };
        let run = Run {
            repository,
            name: &self.repository,
            immutable: self.immutable.as_ref(),
            id: &self.run_id,
            actor: &self.actor,
            at_ms: self.at_ms,
        };
        let mut buried = Buried::default();
        let start = match tagging::current(tx, repository, self.tag.as_str())? {
            None => {
                let Some(start) = run.dropped(tx, self.tag.as_str(), &self.expected)? else {
                    return Ok(BuryOutcome::Skipped(Skip::Gone));
                };
                // What is live stayed then, or was pushed again since: there is nothing to go on with.
                if !run.node(tx, start)?.is_some_and(|node| node.of_run) {
                    return Ok(BuryOutcome::Buried(buried));
                }
                start
            }
            Some((_, to)) if to != self.expected => return Ok(BuryOutcome::Skipped(Skip::Moved { to })),
            Some((_, to)) if self.moved_since(tx, repository)? => return Ok(BuryOutcome::Skipped(Skip::Moved { to })),
            Some((manifest, digest)) => {
                if run.holds(self.tag.as_str()) {
                    return Ok(BuryOutcome::Skipped(Skip::Immutable));
                }
                run.drop_tag(tx, self.tag.as_str(), manifest, &digest)?;
                buried.tags.push(self.tag.to_string());
                manifest
            }
        };
        run.bury_from(tx, start, &mut buried)?;
        Ok(BuryOutcome::Buried(buried))
    }

    fn is_frugal(&self, _answer: &BuryOutcome) -> bool {
        true
    }
}

impl BuryTag {
    fn moved_since(&self, tx: &Connection, repository: i64) -> Result<bool, Error> {
        let Some(judged) = self.moved_at_ms else { return Ok(false) };
        let moved: i64 = tx
            .prepare_cached("SELECT moved_at FROM tags WHERE repository_id = ?1 AND name = ?2")?
            .query_row((repository, self.tag.as_str()), |row| row.get(0))?;
        Ok(moved != judged)
    }
}

impl Write for BuryManifest {
    type Answer = BuryOutcome;

    fn apply(&self, tx: &Connection) -> Result<BuryOutcome, Error> {
        let Some(repository) = repositories::find(tx, &self.repository)? else {
            return Ok(BuryOutcome::Skipped(Skip::Gone));
        };
        let run = Run {
            repository,
            name: &self.repository,
            immutable: self.immutable.as_ref(),
            id: &self.run_id,
            actor: &self.actor,
            at_ms: self.at_ms,
        };
        let found = run.manifest(tx, &self.digest)?;
        let Some((id, unreferenced_since)) = found else {
            return Ok(BuryOutcome::Skipped(Skip::Gone));
        };
        let node = run.node(tx, id)?;
        match node {
            Some(node) if node.deleted_at.is_none() => {
                if run.is_held(tx, id, &node)? {
                    return Ok(BuryOutcome::Skipped(Skip::Held));
                }
                if unreferenced_since.is_none_or(|since| since > self.unreferenced_before_ms) {
                    return Ok(BuryOutcome::Skipped(Skip::Promised));
                }
            }
            Some(node) if node.of_run => {}
            _ => return Ok(BuryOutcome::Skipped(Skip::Gone)),
        }
        let mut buried = Buried::default();
        run.bury_from(tx, id, &mut buried)?;
        Ok(BuryOutcome::Buried(buried))
    }

    fn is_frugal(&self, _answer: &BuryOutcome) -> bool {
        true
    }
}

/// Manifests to look at, and when this run let go of each, in Unix milliseconds. One that was pushed or promised after
/// that is somebody else's.
type Queue = VecDeque<(i64, i64)>;

/// Let go of in this very write: nobody can have asked for it since.
const NOW: i64 = i64::MAX;

/// Who buries where, for which run.
struct Run<'a> {
    repository: i64,
    name: &'a RepositoryName,
    immutable: Option<&'a TagGuard>,
    id: &'a str,
    actor: &'a Actor,
    at_ms: i64,
}

/// A manifest as the walk meets it.
struct Node {
    digest: Digest,
    subject: Option<Digest>,
    /// Of a tombstone.
    deleted_at: Option<i64>,
    /// A tombstone that this very run made.
    of_run: bool,
    unreferenced_since: Option<i64>,
}

impl Run<'_> {
    fn holds(&self, tag: &str) -> bool {
        self.immutable.is_some_and(|guard| guard.holds(tag))
    }

    /// The manifest that `tag` pointed at, if this run deleted the tag.
    fn dropped(&self, tx: &Connection, tag: &str, expected: &Digest) -> Result<Option<i64>, Error> {
        let ours = tx
            .prepare_cached(
                "SELECT run_id IS ?3 AND previous = ?4 AND current IS NULL FROM tag_history
                 WHERE repository_id = ?1 AND tag = ?2 ORDER BY id DESC LIMIT 1",
            )?
            .query_row(params![self.repository, tag, self.id, expected.as_str()], |row| row.get(0))
            .optional()?;
        if ours != Some(true) {
            return Ok(None);
        }
        Ok(self.manifest(tx, expected)?.map(|(id, _)| id))
    }

    fn manifest(&self, tx: &Connection, digest: &Digest) -> Result<Option<(i64, Option<i64>)>, Error> {
        let found = tx
            .prepare_cached("SELECT id, unreferenced_since FROM manifests WHERE repository_id = ?1 AND digest = ?2")?
            .query_row((self.repository, digest.as_str()), |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        Ok(found)
    }

    fn node(&self, tx: &Connection, id: i64) -> Result<Option<Node>, Error> {
        let found = tx
            .prepare_cached(
                "SELECT digest, subject, deleted_at, deleted_at IS NOT NULL AND run_id IS ?2, unreferenced_since
                 FROM manifests WHERE id = ?1",
            )?
            .query_row((id, self.id), |row| {
                Ok((sql::digest(row, 0), sql::optional_digest(row, 1), row.get(2)?, row.get(3)?, row.get(4)?))
            })
            .optional()?;
        let Some((digest, subject, deleted_at, of_run, unreferenced_since)) = found else {
            return Ok(None);
        };
        Ok(Some(Node { digest: digest?, subject: subject?, deleted_at, of_run, unreferenced_since }))
    }

    /// Whether a tag, a live index or a live subject keeps a live manifest.
    fn is_held(&self, tx: &Connection, id: i64, node: &Node) -> Result<bool, Error> {
        if references::manifest_is_named(tx, self.repository, id)? {
            return Ok(true);
        }
        let Some(subject) = &node.subject else { return Ok(false) };
        let followed = tx
            .prepare_cached(
                "SELECT 1 FROM manifests WHERE repository_id = ?1 AND digest = ?2 AND id <> ?3 AND deleted_at IS NULL",
            )?
            .exists(params![self.repository, subject.as_str(), id])?;
        Ok(followed)
    }

    /// Buries `start` and what goes with it. What this run buried before is walked through again, so that a walk that
    /// stopped at its bound, or was killed, goes on; but what was pushed or promised since then stays.
    fn bury_from(&self, tx: &Connection, start: i64, buried: &mut Buried) -> Result<(), Error> {
        let mut queue = Queue::from([(start, NOW)]);
        let mut passed = HashSet::new();
        while let Some((id, let_go)) = queue.pop_front() {
            let Some(node) = self.node(tx, id)? else { continue };
            let let_go = match node.deleted_at {
                None => {
                    let asked_for = node.unreferenced_since.is_some_and(|since| since > let_go);
                    if asked_for || self.is_held(tx, id, &node)? {
                        continue;
                    }
                    if buried.manifests.len() >= MAX_BURIED {
                        buried.more = true;
                        return Ok(());
                    }
                    self.bury(tx, id, &node)?;
                    buried.manifests.push(node.digest.clone());
                    NOW
                }
                Some(earlier) if node.of_run => earlier,
                Some(_) => continue,
            };
            if passed.insert(id) {
                self.companions(tx, (id, let_go), &node.digest, buried, &mut queue)?;
            }
        }
        Ok(())
    }

    fn bury(&self, tx: &Connection, id: i64, node: &Node) -> Result<(), Error> {
        tx.prepare_cached(
            "UPDATE manifests
             SET deleted_at = ?2, run_id = ?3, unreferenced_since = max(coalesce(unreferenced_since, ?2), ?2)
             WHERE id = ?1",
        )?
        .execute(params![id, self.at_ms, self.id])?;
        references::release_targets(tx, self.repository, id, self.at_ms)?;
        audit::append(
            tx,
            Audit {
                repository: Some(self.name.as_str()),
                digest: Some(node.digest.as_str()),
                details: json!({ "run_id": self.id }),
                ..Audit::by(self.actor, "manifest_deleted", self.at_ms)
            },
        )
    }

    /// What may go with a manifest that went at `let_go`: tags named after it do, its children and referrers are looked at.
    fn companions(
        &self,
        tx: &Connection,
        (id, let_go): (i64, i64),
        digest: &Digest,
        buried: &mut Buried,
        queue: &mut Queue,
    ) -> Result<(), Error> {
        for (tag, manifest, target) in self.followers(tx, digest)? {
            if !self.holds(&tag) {
                self.drop_tag(tx, &tag, manifest, &target)?;
                buried.tags.push(tag);
                queue.push_back((manifest, NOW));
            }
        }
        let mut children = tx.prepare_cached(
            "SELECT DISTINCT target_manifest FROM edges WHERE manifest_id = ?1 AND target_manifest IS NOT NULL",
        )?;
        for child in children.query_map([id], |row| row.get(0))? {
            queue.push_back((child?, let_go));
        }
        let mut referrers =
            tx.prepare_cached("SELECT id FROM manifests WHERE repository_id = ?1 AND subject = ?2 AND id <> ?3")?;
        for referrer in referrers.query_map(params![self.repository, digest.as_str(), id], |row| row.get(0))? {
            queue.push_back((referrer?, let_go));
        }
        // Tags named after it that an earlier write of this run deleted lead on as well.
        queue.extend(self.dropped_followers(tx, digest)?);
        Ok(())
    }

    fn followers(&self, tx: &Connection, digest: &Digest) -> Result<Vec<(String, i64, Digest)>, Error> {
        let prefix = followers::prefix(digest);
        let mut statement = tx.prepare_cached(
            "SELECT t.name, m.id, m.digest FROM tags t CROSS JOIN manifests m ON m.id = t.manifest_id
             WHERE t.repository_id = ?1 AND t.name >= ?2 AND t.name < ?3",
        )?;
        let mut rows = statement.query(params![self.repository, prefix, followers::behind(&prefix)])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let tag: String = row.get(0)?;
            if followers::followed(&tag).is_some() {
                found.push((tag, row.get(1)?, sql::digest(row, 2)?));
            }
        }
        Ok(found)
    }

    fn dropped_followers(&self, tx: &Connection, digest: &Digest) -> Result<Vec<(i64, i64)>, Error> {
        let prefix = followers::prefix(digest);
        let mut statement = tx.prepare_cached(
            "SELECT m.id, h.at FROM tag_history h CROSS JOIN manifests m ON m.repository_id = h.repository_id AND m.digest = h.previous
             WHERE h.repository_id = ?1 AND h.tag >= ?2 AND h.tag < ?3 AND h.run_id = ?4 AND h.current IS NULL",
        )?;
        let of = params![self.repository, prefix, followers::behind(&prefix), self.id];
        let found = statement.query_map(of, |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(found.collect::<Result<_, _>>()?)
    }

    fn drop_tag(&self, tx: &Connection, tag: &str, manifest: i64, digest: &Digest) -> Result<(), Error> {
        let point = Point {
            repository: self.repository,
            name: self.name,
            manifest,
            digest,
            run_id: Some(self.id),
            actor: self.actor,
            at_ms: self.at_ms,
        };
        tagging::drop_one(tx, &point, tag)?;
        references::release(tx, self.repository, Target::Manifest(manifest), self.at_ms)
    }
}

#[cfg(test)]
mod tests;
