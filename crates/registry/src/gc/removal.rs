//! Applying the collector's plan, step by step in its order, each looked at again; never what stands in the plan.

use std::sync::Arc;
use std::time::Duration;

use mcr_metadata::{
    Actor, BlobStep, FilesStay, ManifestStep, PlanProgress, PlanStep, Removal, RemoveManifests, SettleSteps, Settled,
    StepAction, StepState,
};
use mcr_oci::RepositoryName;
use tokio::sync::OwnedMutexGuard;

use crate::error::Error;
use crate::gc::asked::Asked;
use crate::gc::chunk::{Chunk, Doomed, Unlinked};
use crate::gc::pace::{FULL_CHUNK, Pace};
use crate::gc::reconcile::Stays;
use crate::holds::HeldBy;
use crate::registry::Registry;
use crate::retention::UntaggedRules;

/// Steps read at once.
const PAGE: usize = 512;
/// How often it is looked whether a run that stands still may go on.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a snapshot that is being taken is waited for, between two looks.
const SNAPSHOT_WAIT: Duration = Duration::from_millis(200);

/// A run that is being applied.
pub(crate) struct Applying {
    pub(crate) plan: String,
    pub(crate) asked: Asked,
    pub(crate) actor: Actor,
    pub(crate) pace: Pace,
    /// Whether anything was left lying without a row.
    pub(crate) left: bool,
    /// Whether it was said already that the run stands still.
    told: bool,
}

/// What became of files whose rows are gone.
#[derive(Debug, Default)]
pub(crate) struct Files {
    /// Whether any lies there without a row.
    left: bool,
    /// Bytes of those that this run did not remove.
    kept_bytes: u64,
    /// Why no more were removed.
    trouble: Option<Error>,
}

impl Files {
    /// Whether not all of them went.
    const fn stay(&self) -> bool {
        self.left || self.kept_bytes > 0
    }
}

/// What kind of write a step needs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Manifests,
    Blobs,
    Files,
    Other,
}

const fn kind(action: StepAction) -> Kind {
    match action {
        StepAction::Manifest | StepAction::Bury => Kind::Manifests,
        StepAction::Blob | StepAction::Link => Kind::Blobs,
        StepAction::File => Kind::Files,
        StepAction::Tag => Kind::Other,
    }
}

impl Applying {
    pub(crate) fn new(registry: &Registry, plan: String, asked: Asked, actor: Actor) -> Self {
        Self { plan, asked, actor, pace: Pace::new(&registry.parts.writes), left: false, told: false }
    }
}

impl Registry {
    /// Applies every step that is planned still.
    ///
    /// # Errors
    /// Inability; [`Error::Unavailable`] when the registry stops, and the plan goes on after the next start.
    pub(crate) async fn apply_collection(&self, run: &mut Applying) -> Result<(), Error> {
        self.unlink_again(run).await?;
        let mut after = 0;
        loop {
            let (metadata, plan) = (Arc::clone(&self.parts.metadata), run.plan.clone());
            let read = move || metadata.plan_steps(&plan, after, Some(StepState::Planned), PAGE);
            let page = self.parts.blocking.run(read).await??;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.position;
            let mut rest = page.as_slice();
            while let Some(first) = rest.first() {
                self.may_go_on(run).await?;
                let of = kind(first.action);
                let alike = rest.iter().take_while(|step| kind(step.action) == of).count();
                let (now, later) = rest.split_at(alike.min(run.pace.chunk()));
                match of {
                    Kind::Manifests => self.remove_manifests(run, now).await?,
                    Kind::Blobs => self.remove_blobs(run, now).await?,
                    Kind::Files => self.remove_files(run, now).await?,
                    Kind::Other => self.skip(run, now.iter().map(|step| step.position), Stays::Foreign).await?,
                }
                rest = later;
                self.rest(run).await?;
            }
        }
    }

    /// Pauses if others write.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the registry stops.
    pub(crate) async fn rest(&self, run: &Applying) -> Result<(), Error> {
        match run.pace.pause() {
            Some(pause) => self.sleep(pause).await,
            None => Ok(()),
        }
    }

    /// Stands still while the volume is away or writes are switched off.
    async fn may_go_on(&self, run: &mut Applying) -> Result<(), Error> {
        loop {
            if self.parts.volume.is_stopped() {
                return Err(Error::stopping());
            }
            match self.may_write() {
                Ok(()) => {
                    run.told = false;
                    return Ok(());
                }
                Err(error) if !run.told => {
                    tracing::warn!(%error, plan = %run.plan, "the collector stands still until it may write");
                    run.told = true;
                }
                Err(_) => {}
            }
            self.sleep(LOOK_EVERY).await?;
        }
    }

    /// Sleeps.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the registry stops.
    pub(crate) async fn sleep(&self, time: Duration) -> Result<(), Error> {
        tokio::select! {
            () = self.parts.volume.stopped() => Err(Error::stopping()),
            () = tokio::time::sleep(time) => Ok(()),
        }
    }

    async fn remove_manifests(&self, run: &mut Applying, steps: &[PlanStep]) -> Result<(), Error> {
        let (registry, asked) = (self.clone(), steps.to_vec());
        let mut todo: Vec<ManifestStep> = self
            .parts
            .blocking
            .run(move || {
                // What the rules of retention say is in the database.
                let buries = asked.iter().any(|step| step.action == StepAction::Bury);
                let rules = buries.then(|| registry.untagged_rules());
                asked.iter().filter_map(|step| manifest_step(step, rules.as_ref())).collect()
            })
            .await?;
        while !todo.is_empty() {
            let due = run.asked.due(self.parts.clock.now_ms());
            let request =
                RemoveManifests { plan: run.plan.clone(), steps: todo.clone(), due, actor: run.actor.clone() };
            let caches = Arc::clone(&self.parts.caches);
            let after = move |removed: &mcr_metadata::RemovedManifests| {
                if removed.buried > 0 {
                    caches.everything_changed();
                }
            };
            run.pace.wrote();
            let removed = self.parts.writes.durable(|m, done| m.remove_manifests(request, done), after).await?;
            todo = todo
                .into_iter()
                .zip(removed.removals)
                .filter_map(|(step, removal)| (removal == Removal::Again).then_some(step))
                .collect();
        }
        Ok(())
    }

    async fn remove_blobs(&self, run: &mut Applying, steps: &[PlanStep]) -> Result<(), Error> {
        let (mut todo, held) = self.without_held(run, steps).await?;
        self.skip(run, held.into_iter(), Stays::Held).await?;
        while !todo.is_empty() {
            let (chunk, busy) = Chunk::lock(&self.parts.locks, todo);
            let busy: Vec<u64> = busy.iter().map(|step| step.position).collect();
            self.skip(run, busy.into_iter(), Stays::Busy).await?;
            if chunk.is_empty() {
                return Ok(());
            }
            // From here on it goes on to the end of the chunk, whoever waits.
            let registry = self.clone();
            let request = chunk.request(&run.plan, run.asked.due(self.parts.clock.now_ms()), &run.actor);
            run.pace.wrote();
            let (again, files) = self.finish(async move { registry.remove_chunk(chunk, request).await }).await?;
            if files.stay() {
                run.pace.wrote();
            }
            run.left |= files.left;
            todo = again;
        }
        Ok(())
    }

    /// Rows, then files. Says which steps must be asked for again, and what became of the files.
    async fn remove_chunk(
        &self,
        chunk: Chunk,
        request: mcr_metadata::RemoveBlobs,
    ) -> Result<(Vec<BlobStep>, Files), Error> {
        let plan = request.plan.clone();
        let caches = Arc::clone(&self.parts.caches);
        let digests: Vec<_> = request.steps.iter().map(|step| step.digest.clone()).collect();
        let after = move |_: &Vec<Removal>| digests.iter().for_each(|digest| caches.blob_changed(digest));
        let removals = self.parts.writes.durable(|m, done| m.remove_blobs(request, done), after).await?;
        let (doomed, again) = chunk.removed(&removals);
        let mut files = self.unlink_all(doomed).await?;
        if files.stay() {
            let stay = FilesStay { plan, bytes: files.kept_bytes, lie: files.left };
            self.parts.writes.durable(|m, done| m.files_stay(stay, done), |()| ()).await?;
        }
        files.trouble.take().map_or(Ok((again, files)), Err)
    }

    /// Removes files whose rows are gone, each under the lock of its digest and no other.
    ///
    /// # Errors
    /// When the registry stops.
    pub(crate) async fn unlink_all(&self, doomed: Vec<Doomed>) -> Result<Files, Error> {
        let registry = self.clone();
        let unlink_free = move || {
            let (mut files, mut busy) = (Files::default(), Vec::new());
            for doomed in doomed {
                match registry.parts.locks.try_lock(&doomed.digest) {
                    Some(lock) => registry.unlink(&doomed, lock, &mut files),
                    None => busy.push(doomed),
                }
            }
            (files, busy)
        };
        let (mut files, busy) = self.parts.blocking.run(unlink_free).await?;
        // A push has these in hand, mostly: it ends with a row, or it has failed and the file must go as it had to.
        for doomed in busy {
            let lock = self.parts.locks.lock(&doomed.digest).await;
            let registry = self.clone();
            let unlink = move || {
                registry.unlink(&doomed, lock, &mut files);
                files
            };
            files = self.parts.blocking.run(unlink).await?;
        }
        Ok(files)
    }

    /// Removes one file and adds up what became of it. After an error nothing more goes. Blocks.
    fn unlink(&self, doomed: &Doomed, lock: OwnedMutexGuard<()>, files: &mut Files) {
        let digest = &doomed.digest;
        let unlinked = match files.trouble {
            None => doomed.unlink(lock, &self.parts.metadata, &self.parts.blobs, &self.parts.holds),
            Some(_) => Ok(Unlinked::Stuck),
        };
        let left = match unlinked {
            Ok(Unlinked::Gone) => return,
            Ok(Unlinked::Back) => false,
            // Not there, or behind a volume that went: then it is back with it.
            Ok(Unlinked::Absent) => !self.parts.volume.look_now(),
            Ok(Unlinked::Stuck) => true,
            Ok(Unlinked::Held) => {
                tracing::info!(%digest, "a snapshot came meanwhile: the file stays, without a row, for the next run");
                true
            }
            Err(error) => {
                files.trouble = Some(error);
                true
            }
        };
        files.left |= left;
        files.kept_bytes = files.kept_bytes.saturating_add(doomed.bytes);
    }

    /// The steps without those of blobs that a snapshot holds, and the positions of these. Waits while a snapshot is
    /// being taken: whatever its view has must stay.
    async fn without_held(&self, run: &mut Applying, steps: &[PlanStep]) -> Result<(Vec<BlobStep>, Vec<u64>), Error> {
        let mut told = false;
        loop {
            let (registry, looked) = (self.clone(), steps.to_vec());
            let (seen, in_progress, todo, held) = self
                .parts
                .blocking
                .run(move || -> Result<_, mcr_metadata::Error> {
                    let holds = &registry.parts.holds;
                    let seen = holds.look()?;
                    let everything = matches!(seen, HeldBy::Everything(_));
                    let stays =
                        |step: &PlanStep| step.action == StepAction::Blob && (everything || holds.holds(&step.digest));
                    let (held, todo): (Vec<PlanStep>, Vec<PlanStep>) = looked.into_iter().partition(stays);
                    Ok((seen, holds.in_progress()?, todo, held))
                })
                .await??;
            if !in_progress {
                let held = held.into_iter().map(|step| step.position).collect();
                return Ok((todo.into_iter().filter_map(blob_step).collect(), held));
            }
            if !told {
                tracing::info!(plan = %run.plan, ?seen, "the collector waits for the snapshot that is being taken");
                told = true;
            }
            self.sleep(SNAPSHOT_WAIT).await?;
        }
    }

    /// What a former process had removed the rows of when it was killed, perhaps without the files: they go now. Their
    /// bytes were counted with the rows.
    async fn unlink_again(&self, run: &mut Applying) -> Result<(), Error> {
        let (metadata, plan) = (Arc::clone(&self.parts.metadata), run.plan.clone());
        let read = move || metadata.last_steps_done(&plan, StepAction::Blob, FULL_CHUNK);
        let steps = self.parts.blocking.run(read).await??;
        let doomed = steps.into_iter().map(|step| Doomed { digest: step.digest, bytes: 0 }).collect();
        let files = self.unlink_all(doomed).await?;
        run.left |= files.left;
        files.trouble.map_or(Ok(()), Err)
    }

    /// Settles steps as not done.
    ///
    /// # Errors
    /// Inability.
    pub(crate) async fn skip(
        &self,
        run: &mut Applying,
        positions: impl Iterator<Item = u64>,
        why: Stays,
    ) -> Result<(), Error> {
        let settled = positions.map(|position| Settled { position, skipped: Some(why.to_string()) }).collect();
        self.settle_steps(run, settled, PlanProgress::default()).await
    }

    /// Writes down what became of steps that are no removal of rows.
    ///
    /// # Errors
    /// Inability.
    pub(crate) async fn settle_steps(
        &self,
        run: &mut Applying,
        settled: Vec<Settled>,
        more: PlanProgress,
    ) -> Result<(), Error> {
        if settled.is_empty() && more == PlanProgress::default() {
            return Ok(());
        }
        run.pace.wrote();
        let request = SettleSteps { plan: run.plan.clone(), settled, more };
        self.parts.writes.durable(|m, done| m.settle_steps(request, done), |()| ()).await
    }
}

fn manifest_step(step: &PlanStep, rules: Option<&UntaggedRules>) -> Option<ManifestStep> {
    let name = step.repository.as_deref()?;
    let rule = rules.filter(|_| step.action == StepAction::Bury).and_then(|rules| rules.of(name));
    Some(ManifestStep {
        position: step.position,
        action: step.action,
        repository: RepositoryName::parse(name).ok()?,
        digest: step.digest.clone(),
        untagged_after_ms: rule.map(|(after_ms, _)| after_ms),
    })
}

fn blob_step(step: PlanStep) -> Option<BlobStep> {
    let link_of = match step.action {
        StepAction::Link => Some(RepositoryName::parse(step.repository.as_deref()?).ok()?),
        _ => None,
    };
    Some(BlobStep { position: step.position, digest: step.digest, link_of })
}
