//! Removal of content for good; every condition is looked at inside the transaction, never a plan's word for it.
//!
//! What a snapshot refers to is not known here: who asks for a removal has left that out.

use mcr_oci::{Digest, RepositoryName};
use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::json;

use crate::Metadata;
use crate::audit::{self, About, Audit};
use crate::collect_requests::{
    BlobStep, Due, FilesStay, ManifestStep, Removal, RemoveBlobs, RemoveManifests, RemovedManifests,
};
use crate::error::Error;
use crate::findings;
use crate::job::{Done, Write, job};
use crate::plan_rows::{PlanProgress, Settled, StepAction};
use crate::plans;
use crate::reconcile_rows;
use crate::references;
use crate::rows::Actor;
use crate::sql;

/// Referrers that one write makes tombstones of, and links that it removes beyond the first of each blob: pushes wait
/// for it. Steps that need more are asked for again.
const MAX_BESIDE: usize = 64;

impl Metadata {
    /// Removes manifests. `done` learns what became of each.
    pub fn remove_manifests(&self, request: RemoveManifests, done: Done<RemovedManifests>) {
        self.submit(job(request, done));
    }

    /// Removes blobs' rows. `done` learns what became of each, in order: the files of those that are gone must go.
    pub fn remove_blobs(&self, request: RemoveBlobs, done: Done<Vec<Removal>>) {
        self.submit(job(request, done));
    }

    /// Notes that files of removed blobs did not go.
    pub fn files_stay(&self, request: FilesStay, done: Done<()>) {
        self.submit(job(request, done));
    }
}

impl Write for RemoveManifests {
    type Answer = RemovedManifests;

    fn apply(&self, tx: &Connection) -> Result<RemovedManifests, Error> {
        let mut run = Run::new(tx, &self.plan, self.due, &self.actor);
        let mut removals = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            // What follows in the order may wait for it: a child for its index, a referrer for its subject.
            let waits = removals.last() == Some(&Removal::Again);
            removals.push(if waits { Removal::Again } else { run.manifest(step)? });
        }
        let gone = |(step, removal): (&ManifestStep, &Removal)| match removal {
            Removal::Gone { .. } => Some(format!("{}@{}", step.repository, step.digest)),
            Removal::Buried | Removal::Kept(_) | Removal::Again => None,
        };
        let names: Vec<String> = self.steps.iter().zip(&removals).filter_map(gone).collect();
        let more = PlanProgress {
            manifests_removed: names.len() as u64,
            manifests_buried: run.buried,
            ..PlanProgress::default()
        };
        run.tell("manifests", &names)?;
        let settled = self.steps.iter().zip(&removals).filter_map(|(step, removal)| settled(step.position, removal));
        plans::settle(tx, &self.plan, &settled.collect::<Vec<_>>(), more)?;
        Ok(RemovedManifests { removals, buried: run.buried })
    }

    fn is_frugal(&self, _answer: &RemovedManifests) -> bool {
        true
    }
}

impl Write for RemoveBlobs {
    type Answer = Vec<Removal>;

    fn apply(&self, tx: &Connection) -> Result<Vec<Removal>, Error> {
        let mut run = Run::new(tx, &self.plan, self.due, &self.actor);
        let (mut removals, mut names, mut more) = (Vec::new(), Vec::new(), PlanProgress::default());
        for step in &self.steps {
            let removal = run.blob(step)?;
            if let Removal::Gone { bytes } = removal {
                let of = step.link_of.as_ref().map_or_else(String::new, |name| format!("{name}@"));
                names.push(format!("{of}{}", step.digest));
                if step.link_of.is_none() {
                    more.blobs_removed += 1;
                    more.bytes_freed += bytes;
                }
            }
            removals.push(removal);
        }
        run.tell("blobs", &names)?;
        let settled = self.steps.iter().zip(&removals).filter_map(|(step, removal)| settled(step.position, removal));
        plans::settle(tx, &self.plan, &settled.collect::<Vec<_>>(), more)?;
        Ok(removals)
    }

    fn is_frugal(&self, _answer: &Vec<Removal>) -> bool {
        true
    }
}

impl Write for FilesStay {
    type Answer = ();

    fn apply(&self, tx: &Connection) -> Result<(), Error> {
        if self.lie {
            reconcile_rows::want(tx, true)?;
        }
        let Some(plan) = plans::find(tx, &self.plan)? else { return Ok(()) };
        let bytes_freed = plan.progress.bytes_freed.saturating_sub(self.bytes);
        plans::write_progress(tx, &self.plan, PlanProgress { bytes_freed, ..plan.progress })
    }

    fn is_frugal(&self, _answer: &()) -> bool {
        true
    }
}

fn settled(position: u64, removal: &Removal) -> Option<Settled> {
    match removal {
        Removal::Gone { .. } | Removal::Buried => Some(Settled { position, skipped: None }),
        Removal::Kept(why) => Some(Settled { position, skipped: Some(why.clone()) }),
        Removal::Again => None,
    }
}

fn kept(why: &str) -> Removal {
    Removal::Kept(why.to_owned())
}

/// One write of a run.
struct Run<'a> {
    tx: &'a Connection,
    plan: &'a str,
    due: Due,
    actor: &'a Actor,
    buried: u64,
    /// How many rows beside those of its steps the write may still touch.
    beside: usize,
}

/// What a manifest's row says of its time.
struct Found {
    id: i64,
    sound: bool,
    unreferenced_since: Option<i64>,
    deleted_at: Option<i64>,
    run_id: Option<String>,
    subject: Option<String>,
}

impl<'a> Run<'a> {
    const fn new(tx: &'a Connection, plan: &'a str, due: Due, actor: &'a Actor) -> Self {
        Self { tx, plan, due, actor, buried: 0, beside: MAX_BESIDE }
    }

    fn manifest(&mut self, step: &ManifestStep) -> Result<Removal, Error> {
        let Some(repository) = repository(self.tx, &step.repository)? else {
            return Ok(kept("its repository is gone already"));
        };
        let Some(found) = find(self.tx, repository, &step.digest)? else {
            return Ok(kept("it is gone already"));
        };
        match (step.action, found.deleted_at) {
            (StepAction::Manifest, Some(at)) => self.remove(step, repository, &found, at),
            (StepAction::Manifest, None) => Ok(kept("it was pushed again or restored")),
            (StepAction::Bury, Some(_)) if found.run_id.as_deref() == Some(self.plan) => Ok(Removal::Buried),
            (StepAction::Bury, Some(_)) => Ok(kept("it was deleted meanwhile")),
            (StepAction::Bury, None) => self.bury_untagged(step, repository, &found),
            (StepAction::Tag | StepAction::Link | StepAction::Blob | StepAction::File, _) => {
                Ok(kept("a step of another kind"))
            }
        }
    }

    /// Removes a tombstone.
    fn remove(&mut self, step: &ManifestStep, repository: i64, found: &Found, at: i64) -> Result<Removal, Error> {
        let from = self.due.from(found.unreferenced_since, found.deleted_at);
        if !from.is_some_and(|from| self.due.is_past(from)) {
            return Ok(kept("its time has not come: it was deleted or asked for later"));
        }
        if is_named(self.tx, "target_manifest", repository, found.id)? {
            return Ok(kept("an index still names it"));
        }
        match self.bury_referrers(step, repository, (found.id, at))? {
            Referrers::Buried => {}
            Referrers::Leased => return Ok(kept("a manifest whose subject it is was asked for lately")),
            Referrers::More => return Ok(Removal::Again),
        }
        // Its edges, its bytes and the time of its last pull go with it.
        self.tx.prepare_cached("DELETE FROM manifests WHERE id = ?1")?.execute([found.id])?;
        if !found.sound {
            findings::close_manifest(self.tx, step.repository.as_str(), &step.digest, self.due.now_ms)?;
        }
        Ok(Removal::Gone { bytes: 0 })
    }

    /// Makes tombstones, as old as that of their subject, of live manifests that nothing but their subject holds.
    fn bury_referrers(
        &mut self,
        step: &ManifestStep,
        repository: i64,
        (subject, deleted_at): (i64, i64),
    ) -> Result<Referrers, Error> {
        let referrers = referrers(self.tx, repository, &step.digest, subject)?;
        let leased = |since: &i64| !self.due.is_past(since.saturating_add(self.due.lease_ms));
        if referrers.iter().any(|(_, _, since)| leased(since)) {
            return Ok(Referrers::Leased);
        }
        for (id, digest, _) in &referrers {
            let Some(left) = self.beside.checked_sub(1) else { return Ok(Referrers::More) };
            self.beside = left;
            self.bury(&step.repository, repository, *id, digest, deleted_at)?;
        }
        Ok(Referrers::Buried)
    }

    /// Makes a tombstone of a live manifest without a tag, if its repository's rule still says so.
    fn bury_untagged(&mut self, step: &ManifestStep, repository: i64, found: &Found) -> Result<Removal, Error> {
        let Some(after) = step.untagged_after_ms else {
            return Ok(kept("no confirmed rule says so any more"));
        };
        let since = match found.unreferenced_since {
            Some(since) if !references::manifest_is_named(self.tx, repository, found.id)? => since,
            _ => return Ok(kept("a tag or an index names it again")),
        };
        if !self.due.is_past(since.saturating_add(after.max(self.due.lease_ms))) {
            return Ok(kept("its time has not come: it was pushed or asked for later"));
        }
        if has_subject(self.tx, repository, found.subject.as_deref())? {
            return Ok(kept("it follows its subject, which is here"));
        }
        self.bury(&step.repository, repository, found.id, &step.digest, self.due.now_ms)?;
        Ok(Removal::Buried)
    }

    /// Since when nothing refers to it does not change by it: nothing did before.
    fn bury(
        &mut self,
        name: &RepositoryName,
        repository: i64,
        id: i64,
        digest: &Digest,
        deleted_at: i64,
    ) -> Result<(), Error> {
        self.tx
            .prepare_cached("UPDATE manifests SET deleted_at = ?2, run_id = ?3 WHERE id = ?1")?
            .execute(params![id, deleted_at, self.plan])?;
        references::release_targets(self.tx, repository, id, self.due.now_ms)?;
        let told = About { repository: name, digest, actor: self.actor, at_ms: self.due.now_ms };
        told.tell(self.tx, "manifest_deleted", json!({ "run_id": self.plan }))?;
        self.buried += 1;
        Ok(())
    }

    fn blob(&mut self, step: &BlobStep) -> Result<Removal, Error> {
        let found: Option<(i64, u64, bool, i64)> = self
            .tx
            .prepare_cached("SELECT id, size, state = 'sound', created_at FROM blobs WHERE digest = ?1")?
            .query_row([step.digest.as_str()], |row| {
                let size: i64 = row.get(1)?;
                Ok((row.get(0)?, u64::try_from(size).unwrap_or(0), row.get(2)?, row.get(3)?))
            })
            .optional()?;
        let Some((blob, bytes, sound, created_at)) = found else {
            return Ok(kept("it is gone already"));
        };
        if let Some(name) = &step.link_of {
            return self.link(name, blob);
        }
        let links = links(self.tx, blob)?;
        for link in &links {
            if let Some(why) = self.holds(link, blob)? {
                return Ok(why);
            }
        }
        if links.is_empty() && !self.due.is_past(created_at.saturating_add(self.due.wait_ms)) {
            return Ok(kept("its time has not come"));
        }
        let gone = self
            .tx
            .prepare_cached(
                "DELETE FROM repository_blobs WHERE blob_id = ?1 AND repository_id IN
                     (SELECT repository_id FROM repository_blobs WHERE blob_id = ?1 LIMIT ?2)",
            )?
            .execute([blob, sql::limit(self.beside + 1)])?;
        self.beside -= gone.saturating_sub(1);
        if gone < links.len() {
            return Ok(Removal::Again);
        }
        self.tx.prepare_cached("DELETE FROM blobs WHERE id = ?1")?.execute([blob])?;
        if !sound {
            findings::close_blob(self.tx, &step.digest, self.due.now_ms)?;
        }
        Ok(Removal::Gone { bytes })
    }

    /// Removes one repository's link.
    fn link(&self, name: &RepositoryName, blob: i64) -> Result<Removal, Error> {
        let repository = repository(self.tx, name)?;
        let link = links(self.tx, blob)?.into_iter().find(|link| Some(link.repository) == repository);
        let Some(link) = link else {
            return Ok(kept("it is gone already"));
        };
        if let Some(why) = self.holds(&link, blob)? {
            return Ok(why);
        }
        self.tx
            .prepare_cached("DELETE FROM repository_blobs WHERE repository_id = ?1 AND blob_id = ?2")?
            .execute([link.repository, blob])?;
        Ok(Removal::Gone { bytes: 0 })
    }

    /// Why a link must stay, if it must.
    fn holds(&self, link: &Link, blob: i64) -> Result<Option<Removal>, Error> {
        let Some(from) = link.unreferenced_since.and(self.due.from(link.unreferenced_since, link.deleted_at)) else {
            return Ok(Some(kept("a live manifest names it")));
        };
        if !self.due.is_past(from) {
            return Ok(Some(kept("its time has not come: it was pushed, mounted or asked for later")));
        }
        Ok(is_named(self.tx, "target_blob", link.repository, blob)?.then(|| kept("a manifest names it")))
    }

    /// Tells the audit trail what went, if anything did.
    fn tell(&self, what: &str, names: &[String]) -> Result<(), Error> {
        if names.is_empty() {
            return Ok(());
        }
        let details = json!({ "run_id": self.plan, what: names });
        audit::append(self.tx, Audit { details, ..Audit::by(self.actor, "gc_removed", self.due.now_ms) })
    }
}

/// What was done about the referrers of a manifest.
enum Referrers {
    Buried,
    /// One is leased.
    Leased,
    /// Some are done; there are more.
    More,
}

/// A repository's link to a blob.
pub(crate) struct Link {
    pub(crate) repository: i64,
    pub(crate) unreferenced_since: Option<i64>,
    pub(crate) deleted_at: Option<i64>,
}

/// The links to a blob, tombstones among them, by repository.
pub(crate) fn links(connection: &Connection, blob: i64) -> Result<Vec<Link>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT repository_id, unreferenced_since, deleted_at FROM repository_blobs
         WHERE blob_id = ?1 ORDER BY repository_id",
    )?;
    let rows = statement.query_map([blob], |row| {
        Ok(Link { repository: row.get(0)?, unreferenced_since: row.get(1)?, deleted_at: row.get(2)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Live manifests whose subject is `digest` (row `subject`) and that neither a tag nor a live index names: row, digest,
/// since when. Not those that were pushed after the subject was deleted: whoever pushed them knew it to be absent. What
/// the collector itself made a tombstone is as old as its own subject, and says nothing of when it was there.
pub(crate) fn referrers(
    connection: &Connection,
    repository: i64,
    digest: &Digest,
    subject: i64,
) -> Result<Vec<(i64, Digest, i64)>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT m.id, m.digest, m.unreferenced_since FROM manifests m
         WHERE m.repository_id = ?1 AND m.subject = ?2 AND m.deleted_at IS NULL AND m.unreferenced_since IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM manifests s WHERE s.id = ?3 AND s.deleted_at < m.pushed_at
                             AND NOT EXISTS (SELECT 1 FROM plans p WHERE p.id = s.run_id AND p.job = 'gc'))",
    )?;
    let mut rows = statement.query((repository, digest.as_str(), subject))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let id = row.get(0)?;
        if !references::manifest_is_named(connection, repository, id)? {
            found.push((id, sql::digest(row, 1)?, row.get(2)?));
        }
    }
    Ok(found)
}

/// Whether the repository has a manifest, live or not, of that digest.
pub(crate) fn has_subject(connection: &Connection, repository: i64, subject: Option<&str>) -> Result<bool, Error> {
    let Some(subject) = subject else { return Ok(false) };
    let found = connection
        .prepare_cached("SELECT 1 FROM manifests WHERE repository_id = ?1 AND digest = ?2")?
        .exists((repository, subject))?;
    Ok(found)
}

/// Whether any edge, of a live manifest or not, leads to the row.
fn is_named(tx: &Connection, column: &'static str, repository: i64, id: i64) -> Result<bool, Error> {
    let named = tx
        .prepare_cached(&format!("SELECT 1 FROM edges WHERE repository_id = ?1 AND {column} = ?2"))?
        .exists([repository, id])?;
    Ok(named)
}

/// The repository of that name, deleted or not.
fn repository(tx: &Connection, name: &RepositoryName) -> Result<Option<i64>, Error> {
    let found = tx
        .prepare_cached("SELECT id FROM repositories WHERE name = ?1")?
        .query_row([name.as_str()], |row| row.get(0))
        .optional()?;
    Ok(found)
}

fn find(tx: &Connection, repository: i64, digest: &Digest) -> Result<Option<Found>, Error> {
    let found = tx
        .prepare_cached(
            "SELECT id, state = 'sound', unreferenced_since, deleted_at, run_id, subject FROM manifests
             WHERE repository_id = ?1 AND digest = ?2",
        )?
        .query_row((repository, digest.as_str()), |row| {
            Ok(Found {
                id: row.get(0)?,
                sound: row.get(1)?,
                unreferenced_since: row.get(2)?,
                deleted_at: row.get(3)?,
                run_id: row.get(4)?,
                subject: row.get(5)?,
            })
        })
        .optional()?;
    Ok(found)
}

#[cfg(test)]
mod tests;
