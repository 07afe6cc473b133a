//! Undoing many deletes: page by page, closure by closure, with a report of what came back and what did not.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use mcr_metadata::{
    Actor, AuditEvent, Deletes, LostTag, MAX_REVIVED_LINKS, NoteRules, ReviveLinks, ReviveManifest, ReviveMode,
    ReviveOutcome, ReviveTag, Revived, Tombstone, Unrevivable, is_follower,
};
use mcr_oci::{Digest, RepositoryName};
use mcr_seams::random_hex;
use serde_json::{Value, json};

use super::{MAX_UNDONE_LISTED, RestoredRun, RestoredTag, Unrestored};
use crate::error::Error;
use crate::record::about_nothing;
use crate::registry::Registry;

/// Deletes looked at in one page.
const PAGE: usize = 256;
/// Closures that are walked and brought back at once; the writer puts their writes into one transaction.
const AT_ONCE: usize = 12;

/// An undo under way.
struct Undoing {
    of: Deletes,
    dry_run: bool,
    /// Stands in the history of tags that come back, which thereby keep their age.
    id: String,
    actor: Actor,
}

/// What one delete came to.
enum Outcome {
    Back(Box<Revived>),
    Would,
    Nothing,
    Refused(String),
}

impl Registry {
    /// Brings back what `of` names; with the number of links to blobs that came back by themselves.
    pub(super) async fn undo(&self, of: Deletes, dry_run: bool, actor: Actor) -> Result<(RestoredRun, u64), Error> {
        let id = random_hex(16).map_err(|error| Error::no_random(&error))?;
        let undoing = Undoing { of, dry_run, id, actor };
        let mut report = Report::default();
        if !dry_run {
            self.distrust(&undoing).await?;
        }
        let undone = self.undo_all(&undoing, &mut report).await;
        if !dry_run {
            // However it ended: what came back until then is back.
            self.tell_undo(&undoing, &report, undone.as_ref().err());
        }
        undone?;
        report.run.repositories = report.repositories.len() as u64;
        Ok((report.run, report.blobs))
    }

    async fn undo_all(&self, undoing: &Undoing, report: &mut Report) -> Result<(), Error> {
        self.undo_tags(undoing, report).await?;
        self.undo_manifests(undoing, report).await?;
        if !undoing.dry_run {
            self.undo_links(undoing, report).await?;
        }
        Ok(())
    }

    /// Whether one of many can come back. One that cannot be looked at now is refused, and the others go on.
    async fn may_return(&self, repository: &RepositoryName, digest: &Digest) -> Result<Result<(), String>, Error> {
        match self.can_return(repository, digest).await {
            Err(error) => {
                self.goes_on()?;
                Ok(Err(format!("{digest} cannot be looked at: {error}")))
            }
            looked => looked,
        }
    }

    /// A run that somebody undoes was wrong: the rules of retention it rested on, a run of the collector's too, only
    /// report until they are confirmed again.
    async fn distrust(&self, undoing: &Undoing) -> Result<(), Error> {
        let Deletes::Run(run) = &undoing.of else { return Ok(()) };
        let (metadata, asked) = (Arc::clone(&self.parts.metadata), run.clone());
        let Some(plan) = self.parts.blocking.run(move || metadata.plan(&asked)).await?? else { return Ok(()) };
        let rules: Vec<(String, Value)> = plan.totals.rules.into_iter().map(|rule| (rule, Value::Null)).collect();
        if rules.is_empty() {
            return Ok(());
        }
        let at_ms = self.parts.clock.now_ms();
        let note = NoteRules { rules, confirmed: Some(false), by: undoing.actor.name.clone(), at_ms };
        self.parts.writes.durable(|m, done| m.note_rules(note, done), |()| ()).await
    }

    async fn undo_tags(&self, undoing: &Undoing, report: &mut Report) -> Result<(), Error> {
        let mut after = 0;
        loop {
            self.goes_on()?;
            let (metadata, of) = (Arc::clone(&self.parts.metadata), undoing.of.clone());
            let page = self.parts.blocking.run(move || metadata.lost_tags(&of, after, PAGE)).await??;
            // Images before what follows them: with an image come its followers.
            let (followers, others): (Vec<LostTag>, Vec<LostTag>) =
                page.found.into_iter().partition(|lost| is_follower(lost.tag.as_str()));
            for some in [others, followers] {
                let work = some.into_iter().map(|lost| async {
                    let outcome = self.undo_tag(undoing, &lost).await;
                    (lost, outcome)
                });
                let (mut outcomes, mut ended) = (pin!(stream::iter(work).buffered(AT_ONCE)), Ok(()));
                while let Some((lost, outcome)) = outcomes.next().await {
                    ended = ended.and(outcome.map(|outcome| report.tag(lost, outcome)));
                }
                ended?;
            }
            match page.next {
                Some(next) => after = next,
                None => return Ok(()),
            }
        }
    }

    async fn undo_tag(&self, undoing: &Undoing, lost: &LostTag) -> Result<Outcome, Error> {
        if let Some(to) = &lost.moved_to {
            return Ok(Outcome::Refused(format!(
                "it was moved to {to}; to move it back: mcrctl tag restore {}:{} --to {}",
                lost.repository, lost.tag, lost.digest
            )));
        }
        let is_last = self.is_last(lost).await?;
        // Of all deletes since a time only a tag's last one is undone; the others tell nothing.
        if !is_last && matches!(undoing.of, Deletes::Since { .. }) {
            return Ok(Outcome::Nothing);
        }
        if is_last && let Err(why) = self.may_return(&lost.repository, &lost.digest).await? {
            return Ok(Outcome::Refused(why));
        }
        if undoing.dry_run {
            return Ok(if is_last { Outcome::Would } else { Outcome::Refused(Unrevivable::Superseded.to_string()) });
        }
        let write = ReviveTag {
            repository: lost.repository.clone(),
            tag: lost.tag.clone(),
            digest: lost.digest.clone(),
            mode: ReviveMode::Undo { change: lost.change },
            immutable: None,
            run_id: Some(undoing.id.clone()),
            actor: undoing.actor.clone(),
            at_ms: self.parts.clock.now_ms(),
        };
        Ok(outcome(self.revive_tag(write).await?))
    }

    /// Whether the delete is the last that happened to the tag.
    async fn is_last(&self, lost: &LostTag) -> Result<bool, Error> {
        let (metadata, name, tag) = (Arc::clone(&self.parts.metadata), lost.repository.clone(), lost.tag.clone());
        let changes = self.parts.blocking.run(move || metadata.tag_history(&name, &tag, None, 1)).await??;
        Ok(changes.first().is_some_and(|change| change.id == lost.change))
    }

    async fn undo_manifests(&self, undoing: &Undoing, report: &mut Report) -> Result<(), Error> {
        let mut after = 0;
        loop {
            self.goes_on()?;
            let (metadata, of) = (Arc::clone(&self.parts.metadata), undoing.of.clone());
            let page = self.parts.blocking.run(move || metadata.tombstones(&of, after, PAGE)).await??;
            let work = page.found.into_iter().map(|tombstone| async {
                let outcome = self.undo_manifest(undoing, &tombstone).await;
                (tombstone, outcome)
            });
            let (mut outcomes, mut ended) = (pin!(stream::iter(work).buffered(AT_ONCE)), Ok(()));
            while let Some((tombstone, outcome)) = outcomes.next().await {
                ended = ended.and(outcome.map(|outcome| report.manifest(&tombstone, outcome)));
            }
            ended?;
            match page.next {
                Some(next) => after = next,
                None => return Ok(()),
            }
        }
    }

    async fn undo_manifest(&self, undoing: &Undoing, tombstone: &Tombstone) -> Result<Outcome, Error> {
        if let Err(why) = self.may_return(&tombstone.repository, &tombstone.digest).await? {
            return Ok(Outcome::Refused(why));
        }
        if undoing.dry_run {
            return Ok(Outcome::Would);
        }
        let write = ReviveManifest {
            repository: tombstone.repository.clone(),
            digest: tombstone.digest.clone(),
            buried_since_ms: None,
            run_id: Some(undoing.id.clone()),
            actor: undoing.actor.clone(),
            at_ms: self.parts.clock.now_ms(),
        };
        Ok(outcome(self.revive_manifest(write).await?))
    }

    /// Links that nothing names, of a repository that was deleted whole.
    async fn undo_links(&self, undoing: &Undoing, report: &mut Report) -> Result<(), Error> {
        let Deletes::Run(run) = &undoing.of else { return Ok(()) };
        let (metadata, asked) = (Arc::clone(&self.parts.metadata), run.clone());
        for repository in self.parts.blocking.run(move || metadata.repositories_of_links(&asked)).await?? {
            loop {
                self.goes_on()?;
                let at_ms = self.parts.clock.now_ms();
                let write = ReviveLinks { repository: repository.clone(), run_id: run.clone(), at_ms };
                let caches = Arc::clone(&self.parts.caches);
                let lifted = self
                    .parts
                    .writes
                    .durable(|m, done| m.revive_links(write, done), move |_| caches.everything_changed())
                    .await?;
                report.blobs += lifted;
                if lifted < MAX_REVIVED_LINKS as u64 {
                    break;
                }
            }
        }
        Ok(())
    }

    fn tell_undo(&self, undoing: &Undoing, report: &Report, ended: Option<&Error>) {
        let of = match &undoing.of {
            Deletes::Run(run) => json!({ "run_id": run }),
            Deletes::Since { since_ms, by } => json!({ "since": since_ms, "by": by }),
        };
        let details = json!({
            "of": of,
            "run_id": undoing.id,
            "tags": report.run.tags_restored,
            "manifests": report.run.manifests_restored,
            "refused": report.run.refused_total,
            "ended": ended.map(ToString::to_string),
        });
        let now = self.parts.clock.now_ms();
        self.record(AuditEvent { details, ..about_nothing("run_restored", undoing.actor.clone(), now) });
    }
}

fn outcome(revived: ReviveOutcome) -> Outcome {
    match revived {
        ReviveOutcome::Revived(revived) => Outcome::Back(Box::new(revived)),
        ReviveOutcome::There => Outcome::Nothing,
        ReviveOutcome::Refused(why) => Outcome::Refused(why.to_string()),
    }
}

/// What came back so far.
#[derive(Default)]
struct Report {
    run: RestoredRun,
    blobs: u64,
    repositories: BTreeSet<RepositoryName>,
}

impl Report {
    fn tag(&mut self, lost: LostTag, outcome: Outcome) {
        let what = format!("{}:{}", lost.repository, lost.tag);
        match outcome {
            Outcome::Back(revived) => {
                let also: Vec<_> = revived.tags.clone();
                self.came_back(&lost.repository, &revived);
                self.list(RestoredTag {
                    repository: lost.repository.clone(),
                    tag: lost.tag,
                    digest: lost.digest,
                    previous: None,
                });
                for (tag, digest) in also {
                    self.list(RestoredTag { repository: lost.repository.clone(), tag, digest, previous: None });
                }
            }
            Outcome::Would => {
                self.repositories.insert(lost.repository.clone());
                self.list(RestoredTag {
                    repository: lost.repository,
                    tag: lost.tag,
                    digest: lost.digest,
                    previous: None,
                });
            }
            Outcome::Nothing => {}
            Outcome::Refused(why) => self.refuse(what, why),
        }
    }

    fn manifest(&mut self, tombstone: &Tombstone, outcome: Outcome) {
        match outcome {
            Outcome::Back(revived) => {
                let tags = revived.tags.clone();
                self.came_back(&tombstone.repository, &revived);
                for (tag, digest) in tags {
                    self.list(RestoredTag { repository: tombstone.repository.clone(), tag, digest, previous: None });
                }
            }
            Outcome::Would => {
                self.repositories.insert(tombstone.repository.clone());
                self.run.manifests_restored += 1;
            }
            Outcome::Nothing => {}
            Outcome::Refused(why) => self.refuse(format!("{}@{}", tombstone.repository, tombstone.digest), why),
        }
    }

    fn came_back(&mut self, repository: &RepositoryName, revived: &Revived) {
        self.repositories.insert(repository.clone());
        self.run.manifests_restored += revived.manifests.len() as u64;
        self.blobs += revived.blobs;
        for (digest, why) in &revived.left {
            self.refuse(format!("{repository}@{digest}"), why.to_string());
        }
    }

    fn list(&mut self, tag: RestoredTag) {
        self.run.tags_restored += 1;
        if self.run.tags.len() < MAX_UNDONE_LISTED {
            self.run.tags.push(tag);
        }
    }

    fn refuse(&mut self, what: String, why: String) {
        if self.run.refused.iter().any(|refused| refused.what == what) {
            return;
        }
        self.run.refused_total += 1;
        if self.run.refused.len() < MAX_UNDONE_LISTED {
            self.run.refused.push(Unrestored { what, why });
        }
    }
}
