//! Undo: what was deleted and not yet collected comes back as it was, closure by closure; never a byte that is gone.
//!
//! Contract section 9. Each closure (a tag with everything its manifest reaches, its signatures and referrers) comes
//! back in one transaction, after its rows and files were looked at as for a push.

use std::sync::Arc;

use mcr_access::{Administer, GlobalPermit, Permit, Push};
use mcr_metadata::{Deletes, PlanState, ReviveManifest, ReviveMode, ReviveOutcome, ReviveTag, Unrevivable};
use mcr_oci::{Digest, RepositoryName, Tag};

use crate::error::Error;
use crate::registry::{Registry, actor};

mod check;
mod promised;
mod run;

/// Lines of a tag's history that are looked through for where it shall point.
const MAX_HISTORY: usize = 10_000;

/// Tags, and refusals, that the report of an undo names; more are counted.
pub const MAX_UNDONE_LISTED: usize = 1000;

/// A tag that points again where it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoredTag {
    /// The repository.
    pub repository: RepositoryName,
    /// The tag.
    pub tag: Tag,
    /// Where it points now.
    pub digest: Digest,
    /// Where it pointed before; none where it was deleted.
    pub previous: Option<Digest>,
}

/// Which deletes shall be undone: those of a run, or all since a time.
#[derive(Debug, Clone, Default)]
pub struct RestoreRun {
    /// A run: a plan's id, or that of a deleted repository.
    pub run: Option<String>,
    /// Everything deleted since then, in Unix milliseconds.
    pub since_ms: Option<i64>,
    /// With `since_ms`: only what this account deleted.
    pub by: Option<String>,
    /// Only say what would come back.
    pub dry_run: bool,
}

/// Something that was not brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unrestored {
    /// `repository:tag` or `repository@digest`.
    pub what: String,
    /// Why, and what to do.
    pub why: String,
}

/// What an undo brought back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RestoredRun {
    /// Tags; at most [`MAX_UNDONE_LISTED`].
    pub tags: Vec<RestoredTag>,
    /// How many tags came back.
    pub tags_restored: u64,
    /// How many manifests came back.
    pub manifests_restored: u64,
    /// Repositories in which something came back.
    pub repositories: u64,
    /// What did not come back; at most [`MAX_UNDONE_LISTED`].
    pub refused: Vec<Unrestored>,
    /// How many did not come back.
    pub refused_total: u64,
}

/// What came back with a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RestoredRepository {
    /// Tags.
    pub tags: u64,
    /// Manifests.
    pub manifests: u64,
    /// Links to blobs.
    pub blobs: u64,
    /// What did not come back; at most [`MAX_UNDONE_LISTED`].
    pub refused: Vec<Unrestored>,
}

impl Registry {
    /// Points a tag again where it pointed before its last move, or at `to`, a digest of its history, and brings back
    /// what that needs. The tag counts as moved now.
    ///
    /// # Errors
    /// [`Error::NoSuch`] where it has no such past; [`Error::Denied`] where it is immutable and points elsewhere;
    /// [`Error::Conflict`] where content was collected or is damaged, or where somebody else moved the tag meanwhile;
    /// [`Error::ReadOnly`]; inability.
    pub async fn restore_tag(
        &self,
        permit: &Permit<Push>,
        tag: &Tag,
        to: Option<&Digest>,
    ) -> Result<RestoredTag, Error> {
        self.may_write()?;
        let repository = permit.repository().clone();
        let (digest, last) = self.past(&repository, tag, to).await?;
        let what = format!("{repository}:{tag}");
        if let Err(why) = self.can_return(&repository, &digest).await? {
            return Err(Error::Conflict(format!("{what} cannot be restored: {why}")));
        }
        let write = ReviveTag {
            repository: repository.clone(),
            tag: tag.clone(),
            digest: digest.clone(),
            mode: ReviveMode::Explicit { last },
            immutable: self.parts.settings.immutable_tags(repository.as_str()),
            run_id: None,
            actor: actor(permit.identity()),
            at_ms: self.parts.clock.now_ms(),
        };
        let (registry, tag) = (self.clone(), tag.clone());
        match self.finish(async move { registry.revive_tag(write).await }).await? {
            ReviveOutcome::Revived(revived) => Ok(RestoredTag { repository, tag, digest, previous: revived.previous }),
            ReviveOutcome::There => Ok(RestoredTag { repository, tag, previous: Some(digest.clone()), digest }),
            ReviveOutcome::Refused(why) => Err(refused(&what, &why)),
        }
    }

    /// Brings back a manifest that was deleted, with its closure and its referrers, without tags. Says how many
    /// manifests came back; none where it was there.
    ///
    /// # Errors
    /// As [`restore_tag`](Self::restore_tag).
    pub async fn restore_manifest(&self, permit: &Permit<Push>, digest: &Digest) -> Result<u64, Error> {
        self.may_write()?;
        let repository = permit.repository().clone();
        let what = format!("{repository}@{digest}");
        if let Err(why) = self.can_return(&repository, digest).await? {
            return Err(Error::Conflict(format!("{what} cannot be restored: {why}")));
        }
        let write = ReviveManifest {
            repository,
            digest: digest.clone(),
            buried_since_ms: None,
            run_id: None,
            actor: actor(permit.identity()),
            at_ms: self.parts.clock.now_ms(),
        };
        match self.revive_manifest(write).await? {
            ReviveOutcome::Revived(revived) => Ok(revived.manifests.len() as u64),
            ReviveOutcome::There => Ok(0),
            ReviveOutcome::Refused(why) => Err(refused(&what, &why)),
        }
    }

    /// Undoes a whole run, or every delete since a time. A tag that meanwhile points elsewhere is reported, not moved.
    /// Undoing a run of retention makes its rules wait for a confirmation again.
    ///
    /// # Errors
    /// [`Error::Invalid`] unless exactly one of run and time is given; [`Error::NoSuch`] where nothing of such a run is
    /// known; [`Error::ReadOnly`]; inability.
    pub async fn restore_run(&self, permit: &GlobalPermit<Administer>, what: RestoreRun) -> Result<RestoredRun, Error> {
        if !what.dry_run {
            self.may_write()?;
        }
        let of = deletes(&what)?;
        if let Deletes::Run(run) = &of {
            let (metadata, asked) = (Arc::clone(&self.parts.metadata), run.clone());
            if !self.parts.blocking.run(move || metadata.knows_run(&asked)).await?? {
                return Err(Error::NoSuch(
                    "nothing is known of such a run; `mcrctl plan list` shows those there are".to_owned(),
                ));
            }
            if !what.dry_run {
                self.has_ended(run).await?;
            }
        }
        let (registry, who) = (self.clone(), actor(permit.identity()));
        self.finish(async move { registry.undo(of, what.dry_run, who).await.map(|(report, _)| report) }).await
    }

    /// A run that goes on would take again what its undo brings back.
    async fn has_ended(&self, run: &str) -> Result<(), Error> {
        let (metadata, asked) = (Arc::clone(&self.parts.metadata), run.to_owned());
        match self.parts.blocking.run(move || metadata.plan(&asked)).await?? {
            Some(plan) if plan.state == PlanState::Running => Err(Error::Conflict(format!(
                "the run is under way: wait for its end (`mcrctl plan show {run}`), or stop it (`mcrctl read-only on`, then \
                 off), and undo it then"
            ))),
            _ => Ok(()),
        }
    }

    /// Undoes the delete of a repository. What was pushed there since then stays as it is.
    ///
    /// # Errors
    /// [`Error::NoSuch`] where nothing deleted is known of it; [`Error::ReadOnly`]; inability.
    pub async fn restore_repository(
        &self,
        permit: &GlobalPermit<Administer>,
        name: &RepositoryName,
    ) -> Result<RestoredRepository, Error> {
        self.may_write()?;
        let (metadata, asked) = (Arc::clone(&self.parts.metadata), name.clone());
        let run = self.parts.blocking.run(move || metadata.run_of_deleted(&asked)).await??;
        let nothing = || Error::NoSuch(format!("nothing of {name} was deleted that could be restored"));
        let run = run.ok_or_else(nothing)?;
        let (registry, who) = (self.clone(), actor(permit.identity()));
        let (report, blobs) = self.finish(async move { registry.undo(Deletes::Run(run), false, who).await }).await?;
        Ok(RestoredRepository {
            tags: report.tags_restored,
            manifests: report.manifests_restored,
            blobs,
            refused: report.refused,
        })
    }

    /// Where a tag pointed before: before its last move, or at `to` at some time. With the last line of its history.
    async fn past(&self, repository: &RepositoryName, tag: &Tag, to: Option<&Digest>) -> Result<(Digest, i64), Error> {
        let (metadata, name, asked) = (Arc::clone(&self.parts.metadata), repository.clone(), tag.clone());
        let changes = self.parts.blocking.run(move || metadata.tag_history(&name, &asked, None, MAX_HISTORY)).await??;
        let Some(last) = changes.first() else {
            return Err(Error::NoSuch(format!("there never was a tag {repository}:{tag} here")));
        };
        let to = match to {
            None => last.previous.clone().ok_or_else(|| {
                Error::NoSuch(format!("{repository}:{tag} points where it always did: it has nothing to go back to"))
            })?,
            Some(to)
                if changes.iter().any(|change| [&change.previous, &change.current].contains(&&Some(to.clone()))) =>
            {
                to.clone()
            }
            Some(to) => {
                return Err(Error::NoSuch(format!(
                    "{repository}:{tag} never pointed at {to}; `mcrctl tag history {repository}:{tag}` shows where it \
                     did"
                )));
            }
        };
        Ok((to, last.id))
    }
}

fn deletes(what: &RestoreRun) -> Result<Deletes, Error> {
    match (&what.run, what.since_ms, &what.by) {
        (Some(run), None, None) => Ok(Deletes::Run(run.clone())),
        (None, Some(since_ms), by) => Ok(Deletes::Since { since_ms, by: by.clone() }),
        (Some(_), _, _) => {
            Err(Error::Invalid("run: goes with neither since nor by: a run is undone as a whole".to_owned()))
        }
        (None, None, _) => Err(Error::Invalid("run, since: one of them must say what to undo".to_owned())),
    }
}

/// A refusal of one thing as the answer to a request about it.
fn refused(what: &str, why: &Unrevivable) -> Error {
    match why {
        Unrevivable::NoRepository => Error::NameUnknown(what.to_owned()),
        Unrevivable::Immutable => Error::Denied(format!("{what} is immutable and points elsewhere: it stays")),
        why => Error::Conflict(format!("{what} cannot be restored: {why}")),
    }
}

#[cfg(test)]
mod tests;
