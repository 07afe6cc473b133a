//! What has to come back with a manifest, and whether all of it can; reads alone, so that a refusal wrote nothing.

use std::collections::{BTreeSet, HashSet, VecDeque};

use mcr_oci::{Digest, Tag};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Undo, Unrevivable};
use crate::closure::MAX_CLOSURE_MANIFESTS;
use crate::error::Error;
use crate::followers;
use crate::sql;

/// What is lifted by one write.
#[derive(Default)]
pub(super) struct Plan {
    /// The manifest that was asked for.
    pub(super) root: i64,
    /// Tombstones of manifests.
    pub(super) manifests: Vec<i64>,
    /// Tags named after one of them, deleted by the same run.
    pub(super) tags: Vec<PlannedTag>,
    /// What belongs to it and cannot come back.
    pub(super) left: Vec<(Digest, Unrevivable)>,
    met: HashSet<i64>,
}

/// A tag that comes along.
pub(super) struct PlannedTag {
    pub(super) name: String,
    pub(super) tag: Tag,
    pub(super) manifest: i64,
    pub(super) digest: Digest,
}

/// A tombstone, as the walk needs it.
struct Node {
    digest: Digest,
    live: bool,
    sound: bool,
    run_id: Option<String>,
}

type Planned<T> = Result<T, Unrevivable>;

impl Undo<'_> {
    /// Everything that has to come back with the manifest `digest`: its closure, or a reason; and of the runs that
    /// deleted it, what followed it, each closure that can.
    pub(super) fn plan(&self, tx: &Connection, digest: &Digest) -> Result<Planned<Plan>, Error> {
        let root: Option<i64> = tx
            .prepare_cached("SELECT id FROM manifests WHERE repository_id = ?1 AND digest = ?2")?
            .query_row((self.repository, digest.as_str()), |row| row.get(0))
            .optional()?;
        let Some(root) = root else { return Ok(Err(Unrevivable::Collected(digest.clone()))) };
        let mut plan = Plan { root, ..Plan::default() };
        if let Err(why) = self.closure(tx, root, &mut plan)? {
            return Ok(Err(why));
        }
        // Grows while it is gone through: companions have companions.
        let mut at = 0;
        while let Some(id) = plan.manifests.get(at).copied() {
            at += 1;
            self.companions(tx, id, &mut plan)?;
        }
        Ok(Ok(plan))
    }

    /// Adds the tombstones of the closure of `root`, all of them or none.
    fn closure(&self, tx: &Connection, root: i64, plan: &mut Plan) -> Result<Planned<()>, Error> {
        let mut found = Vec::new();
        let mut met = HashSet::new();
        let mut queue = VecDeque::from([root]);
        while let Some(id) = queue.pop_front() {
            if plan.met.contains(&id) || !met.insert(id) {
                continue;
            }
            let node = node(tx, id)?;
            // Below what is live everything is.
            if node.live {
                continue;
            }
            if !node.sound {
                return Ok(Err(Unrevivable::Damaged(node.digest)));
            }
            if let Some(blob) = self.damaged_blob(tx, id)? {
                return Ok(Err(Unrevivable::Damaged(blob)));
            }
            found.push(id);
            if plan.manifests.len() + found.len() > MAX_CLOSURE_MANIFESTS {
                return Ok(Err(Unrevivable::TooLarge));
            }
            queue.extend(children(tx, id)?);
        }
        plan.met.extend(found.iter().copied());
        plan.manifests.extend(found);
        Ok(Ok(()))
    }

    /// A blob that the manifest needs and that cannot be served.
    fn damaged_blob(&self, tx: &Connection, manifest: i64) -> Result<Option<Digest>, Error> {
        let found = tx
            .prepare_cached(
                "SELECT b.digest FROM edges e CROSS JOIN blobs b ON b.id = e.target_blob
                 WHERE e.manifest_id = ?1 AND e.weak = 0 AND b.state <> 'sound' LIMIT 1",
            )?
            .query_row([manifest], |row| Ok(sql::digest(row, 0)))
            .optional()?;
        found.transpose()
    }

    /// Adds what the run that deleted the manifest took with it: referrers, and tags named after it.
    fn companions(&self, tx: &Connection, id: i64, plan: &mut Plan) -> Result<(), Error> {
        let node = node(tx, id)?;
        let Some(run_id) = node.run_id else { return Ok(()) };
        for (referrer, digest) in self.referrers(tx, &node.digest, &run_id)? {
            if let Err(why) = self.closure(tx, referrer, plan)? {
                plan.left.push((digest, why));
            }
        }
        for tag in self.followers(tx, &node.digest, &run_id)? {
            if plan.tags.iter().any(|planned| planned.name == tag.name) {
                continue;
            }
            match self.closure(tx, tag.manifest, plan)? {
                Ok(()) => plan.tags.push(tag),
                Err(why) => plan.left.push((tag.digest, why)),
            }
        }
        Ok(())
    }

    fn referrers(&self, tx: &Connection, subject: &Digest, run_id: &str) -> Result<Vec<(i64, Digest)>, Error> {
        let mut statement = tx.prepare_cached(
            "SELECT id, digest FROM manifests
             WHERE repository_id = ?1 AND subject = ?2 AND run_id = ?3 AND deleted_at IS NOT NULL",
        )?;
        let mut rows = statement.query(params![self.repository, subject.as_str(), run_id])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push((row.get(0)?, sql::digest(row, 1)?));
        }
        Ok(found)
    }

    /// Tags named after `digest` that the run deleted last and that are not there.
    fn followers(&self, tx: &Connection, digest: &Digest, run_id: &str) -> Result<Vec<PlannedTag>, Error> {
        let prefix = followers::prefix(digest);
        let mut statement = tx.prepare_cached(
            "SELECT h.tag, m.id, m.digest
             FROM tag_history h
             CROSS JOIN manifests m ON m.repository_id = h.repository_id AND m.digest = h.previous
             WHERE h.repository_id = ?1 AND h.tag >= ?2 AND h.tag < ?3 AND h.run_id = ?4 AND h.current IS NULL
               AND h.id = (SELECT max(id) FROM tag_history l WHERE l.repository_id = ?1 AND l.tag = h.tag)",
        )?;
        let mut rows = statement.query(params![self.repository, prefix, followers::behind(&prefix), run_id])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let name: String = row.get(0)?;
            let tag = Tag::parse(&name).map_err(|_| Error::invalid("a tag", &name))?;
            found.push(PlannedTag { name, tag, manifest: row.get(1)?, digest: sql::digest(row, 2)? });
        }
        Ok(found)
    }
}

fn node(tx: &Connection, id: i64) -> Result<Node, Error> {
    let (digest, live, sound, run_id) = tx
        .prepare_cached("SELECT digest, deleted_at IS NULL, state = 'sound', run_id FROM manifests WHERE id = ?1")?
        .query_row([id], |row| Ok((sql::digest(row, 0), row.get(1)?, row.get(2)?, row.get(3)?)))?;
    Ok(Node { digest: digest?, live, sound, run_id })
}

/// The digest of a manifest's row.
pub(super) fn digest(tx: &Connection, id: i64) -> Result<Digest, Error> {
    Ok(node(tx, id)?.digest)
}

fn children(tx: &Connection, id: i64) -> Result<BTreeSet<i64>, Error> {
    let mut statement =
        tx.prepare_cached("SELECT target_manifest FROM edges WHERE manifest_id = ?1 AND target_manifest IS NOT NULL")?;
    let ids = statement.query_map([id], |row| row.get(0))?;
    Ok(ids.collect::<Result<_, _>>()?)
}

/// When the tag came to point at `digest` last, not counting that it was brought back there by a run.
pub(super) fn moved_at(tx: &Connection, repository: i64, tag: &str, digest: &Digest) -> Result<i64, Error> {
    let at: Option<i64> = tx
        .prepare_cached(
            "SELECT at FROM tag_history
             WHERE repository_id = ?1 AND tag = ?2 AND current = ?3 AND run_id IS NULL ORDER BY id DESC LIMIT 1",
        )?
        .query_row(params![repository, tag, digest.as_str()], |row| row.get(0))
        .optional()?;
    // Cut off, or never written: as old as can be.
    Ok(at.unwrap_or(0))
}
