//! Lifting what was planned: manifests, their links, what they lead to, and tags; in one write.

use mcr_oci::Digest;
use rusqlite::Connection;
use serde_json::json;

use super::plan::{Plan, moved_at};
use super::{Revived, Undo, bring_back};
use crate::audit::{self, Audit};
use crate::edges;
use crate::error::Error;
use crate::references::{self, Target};
use crate::sql;
use crate::tagging::{self, Point};

/// A tag that was asked for: its name, where it shall point, where it points, and how old it shall be.
pub(super) type Asked<'a> = (&'a str, &'a Digest, Option<(i64, Digest)>, i64);

impl Undo<'_> {
    /// Does what was planned, and points the tag that was asked for at its root.
    pub(super) fn lift(&self, tx: &Connection, plan: Plan, asked: Option<Asked<'_>>) -> Result<Revived, Error> {
        bring_back(tx, self.repository)?;
        let mut revived = Revived { left: plan.left, ..Revived::default() };
        for id in &plan.manifests {
            revived.blobs += self.lift_one(tx, *id, &mut revived.manifests)?;
        }
        if let Some((tag, digest, current, moved_at_ms)) = asked {
            tagging::restore_one(tx, &self.point(plan.root, digest), tag, current, moved_at_ms)?;
            references::hold(tx, self.repository, Target::Manifest(plan.root))?;
        }
        for tag in plan.tags {
            let moved = moved_at(tx, self.repository, &tag.name, &tag.digest)?;
            tagging::restore_one(tx, &self.point(tag.manifest, &tag.digest), &tag.name, None, moved)?;
            references::hold(tx, self.repository, Target::Manifest(tag.manifest))?;
            revived.tags.push((tag.tag, tag.digest));
        }
        Ok(revived)
    }

    fn point<'b>(&'b self, manifest: i64, digest: &'b Digest) -> Point<'b> {
        Point {
            repository: self.repository,
            name: self.name,
            manifest,
            digest,
            run_id: self.run_id,
            actor: self.actor,
            at_ms: self.at_ms,
        }
    }

    /// Lifts a manifest and its links; says how many of those.
    fn lift_one(&self, tx: &Connection, id: i64, lifted: &mut Vec<Digest>) -> Result<u64, Error> {
        let (digest, size) = tx
            .prepare_cached(
                "UPDATE manifests
                 SET deleted_at = NULL, run_id = NULL, unreferenced_since = max(coalesce(unreferenced_since, ?2), ?2)
                 WHERE id = ?1 RETURNING digest, size",
            )?
            .query_row([id, self.at_ms], |row| Ok((sql::digest(row, 0), sql::unsigned(row, 1))))?;
        let (digest, size) = (digest?, size?);
        let links = tx
            .prepare_cached(
                "UPDATE repository_blobs SET deleted_at = NULL, run_id = NULL
                 WHERE repository_id = ?1 AND deleted_at IS NOT NULL
                   AND blob_id IN (SELECT target_blob FROM edges WHERE manifest_id = ?2 AND target_blob IS NOT NULL)",
            )?
            .execute([self.repository, id])?;
        references::hold_all(tx, self.repository, id)?;
        edges::fill(tx, self.repository, &digest, Target::Manifest(id), size)?;
        if references::manifest_is_named(tx, self.repository, id)? {
            references::hold(tx, self.repository, Target::Manifest(id))?;
        }
        audit::append(
            tx,
            Audit {
                repository: Some(self.name.as_str()),
                digest: Some(digest.as_str()),
                details: json!({ "run_id": self.run_id }),
                ..Audit::by(self.actor, "manifest_restored", self.at_ms)
            },
        )?;
        lifted.push(digest);
        Ok(links as u64)
    }
}
