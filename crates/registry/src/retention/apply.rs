//! Applying a plan of retention, each step looked at again; it may be cut off anywhere, and goes on where it stands.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use mcr_metadata::{
    Actor, Buried, BuryManifest, BuryOutcome, BuryTag, Done, MAX_STEPS_A_WRITE, Metadata, PlanProgress, PlanState,
    PlanStep, SettleSteps, Settled, StepState, is_follower,
};
use mcr_oci::{Digest, Tag};

use super::plan::Ground;
use super::rules::{self, Prepared};
use super::verdict::verdicts;
use crate::error::Error;
use crate::registry::Registry;

/// Closures buried at once, so that the writer can put them into one transaction.
const AT_ONCE: usize = 16;

/// What was found again of one repository, and what was done to it by this process.
struct Place {
    ground: Ground,
    /// Tags with when they moved, and whether the rule lets them go, as of now.
    tags: HashMap<String, (i64, bool)>,
    gone_tags: HashSet<String>,
    gone_manifests: HashSet<Digest>,
}

/// What is the same for all steps.
struct Run<'a> {
    id: &'a str,
    actor: Actor,
    rules: Vec<Prepared>,
}

impl Registry {
    /// Applies a plan in state running to its end. A person said yes to it, or had confirmed all rules it rests on when it
    /// began.
    ///
    /// # Errors
    /// Inability; the plan is then given up, or goes on after the next start where the process is ending.
    pub(crate) async fn apply_retention(&self, id: &str) -> Result<(), Error> {
        let applied = self.apply_steps(id).await;
        let (state, reason) = match &applied {
            Ok(()) => (PlanState::Done, None),
            Err(_) if self.parts.volume.is_stopping() => return applied,
            Err(error) => (PlanState::Failed, Some(error.to_string())),
        };
        self.turn(id, &[PlanState::Running], state, reason, None).await?;
        applied
    }

    async fn apply_steps(&self, id: &str) -> Result<(), Error> {
        let plan = self.plan_row(id).await?;
        let about = plan.totals.rules;
        let rules = rules::prepare(&self.parts.settings);
        let run = Run { id, actor: Actor { name: plan.actor, address: None }, rules };
        let mut place: Option<(String, Option<Place>)> = None;
        let mut after = 0;
        loop {
            let (metadata, asked) = (Arc::clone(&self.parts.metadata), id.to_owned());
            let page = self
                .parts
                .blocking
                .run(move || metadata.plan_steps(&asked, after, Some(StepState::Planned), MAX_STEPS_A_WRITE))
                .await??;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.position;
            for steps in page.chunk_by(|one, other| one.repository == other.repository) {
                self.may_write()?;
                if self.parts.volume.is_stopping() {
                    return Err(Error::stopping());
                }
                let name = steps.first().and_then(|step| step.repository.clone()).unwrap_or_default();
                if place.as_ref().is_none_or(|(at, _)| *at != name) {
                    place = Some((name.clone(), self.place(&name, &run, &about).await?));
                }
                let here = place.as_mut().and_then(|(_, place)| place.as_mut());
                self.apply_here(&run, here, steps).await?;
            }
        }
    }

    /// A repository as it is now; none where the rule that the plan rests on no longer decides for it.
    async fn place(&self, name: &str, run: &Run<'_>, about: &[String]) -> Result<Option<Place>, Error> {
        let rule = rules::of(&run.rules, name).filter(|rule| about.contains(&rule.fingerprint));
        let Some(ground) = rule.and_then(|rule| self.ground(name, rule)) else { return Ok(None) };
        self.parts
            .blocking
            .run(move || -> Result<Option<Place>, Error> {
                let facts = ground.metadata.retention_facts(&ground.name)?.unwrap_or_default();
                let verdicts = verdicts(&ground.rule, &facts, ground.immutable.as_ref(), ground.times);
                let judged = facts.tags.into_iter().zip(verdicts);
                let tags = judged.map(|(tag, verdict)| (tag.name, (tag.moved_at_ms, verdict.is_some()))).collect();
                let (gone_tags, gone_manifests) = (HashSet::new(), HashSet::new());
                Ok(Some(Place { ground, tags, gone_tags, gone_manifests }))
            })
            .await?
    }

    /// Applies steps of one repository and writes down what became of them.
    async fn apply_here(&self, run: &Run<'_>, place: Option<&mut Place>, steps: &[PlanStep]) -> Result<(), Error> {
        let mut settled: Vec<Settled> = Vec::with_capacity(steps.len());
        let mut more = PlanProgress::default();
        match place {
            None => {
                let why = "no rule of the plan decides for this repository any more";
                settled.extend(steps.iter().map(|step| skipped(step, why)));
            }
            Some(place) => {
                // Tags first, many at once; what goes with them is then known.
                let tags: Vec<(&PlanStep, (Tag, i64))> =
                    steps.iter().filter_map(|step| Some((step, place.own_tag(step)?))).collect();
                let (ground, writes) = (&place.ground, tags.into_iter());
                let bury = |(step, judged): (&PlanStep, (Tag, i64))| {
                    let bury = self.bury_tag(run, ground, judged, step.digest.clone());
                    let position = step.position;
                    async move { bury.await.map(|outcome| (position, outcome)) }
                };
                let outcomes: HashMap<u64, BuryOutcome> =
                    stream::iter(writes.map(bury)).buffer_unordered(AT_ONCE).try_collect().await?;
                for outcome in outcomes.values() {
                    place.note(outcome, &mut more);
                }
                for step in steps {
                    let skip = match outcomes.get(&step.position) {
                        Some(BuryOutcome::Buried(_)) => None,
                        Some(BuryOutcome::Skipped(skip)) => Some(skip.to_string()),
                        None => self.companion(run, place, step, &mut more).await?,
                    };
                    settled.push(Settled { position: step.position, skipped: skip });
                }
            }
        }
        mcr_seams::fault::point("retention.applied").map_err(|error| Error::unavailable(error.to_string()))?;
        let settle = SettleSteps { plan: run.id.to_owned(), settled, more };
        self.parts.writes.durable(|m, done| m.settle_steps(settle, done), |()| ()).await
    }

    /// A step that goes with another one, or an untagged manifest; why it was skipped, if it was.
    async fn companion(
        &self,
        run: &Run<'_>,
        place: &mut Place,
        step: &PlanStep,
        more: &mut PlanProgress,
    ) -> Result<Option<String>, Error> {
        if let Some(tag) = &step.tag {
            let stays = place.tags.contains_key(tag) && !place.gone_tags.contains(tag);
            let why = if is_follower(tag) { "what it follows stays" } else { "a rule keeps it as of now" };
            return Ok(stays.then(|| why.to_owned()));
        }
        if place.gone_manifests.contains(&step.digest) {
            return Ok(None);
        }
        let outcome = self.bury_manifest(run, &place.ground, step.digest.clone()).await?;
        place.note(&outcome, more);
        Ok(match outcome {
            BuryOutcome::Buried(_) => None,
            BuryOutcome::Skipped(skip) => Some(skip.to_string()),
        })
    }

    async fn bury_tag(
        &self,
        run: &Run<'_>,
        ground: &Ground,
        (tag, moved_at_ms): (Tag, i64),
        expected: Digest,
    ) -> Result<BuryOutcome, Error> {
        let bury = BuryTag {
            repository: ground.name.clone(),
            tag,
            expected,
            moved_at_ms: Some(moved_at_ms),
            immutable: ground.immutable.clone(),
            run_id: run.id.to_owned(),
            actor: run.actor.clone(),
            at_ms: self.parts.clock.now_ms(),
        };
        self.bury(|metadata, done| metadata.bury_tag(bury.clone(), done)).await
    }

    async fn bury_manifest(&self, run: &Run<'_>, ground: &Ground, digest: Digest) -> Result<BuryOutcome, Error> {
        let bury = BuryManifest {
            repository: ground.name.clone(),
            digest,
            unreferenced_before_ms: ground.untagged_before_ms().unwrap_or(i64::MIN),
            immutable: ground.immutable.clone(),
            run_id: run.id.to_owned(),
            actor: run.actor.clone(),
            at_ms: self.parts.clock.now_ms(),
        };
        self.bury(|metadata, done| metadata.bury_manifest(bury.clone(), done)).await
    }

    /// Queues a write again and again until there is no more for it to bury; gives what all of them came to.
    async fn bury(&self, queue: impl Fn(&Metadata, Done<BuryOutcome>)) -> Result<BuryOutcome, Error> {
        let mut all = Buried::default();
        loop {
            let caches = Arc::clone(&self.parts.caches);
            let after = move |_: &BuryOutcome| caches.everything_changed();
            let outcome = self.parts.writes.durable(&queue, after).await?;
            if let Some(outcome) = add(&mut all, outcome) {
                return Ok(outcome);
            }
        }
    }
}

impl Place {
    /// The tag of a step that stands for itself, and when it moved: one that the rule lets go, as of now.
    fn own_tag(&self, step: &PlanStep) -> Option<(Tag, i64)> {
        let name = step.tag.as_ref()?;
        // One that was gone when this looked may have been begun by this run; one that came since then did not move when
        // nobody saw it.
        let (moved_at_ms, goes) = self.tags.get(name).copied().unwrap_or((i64::MIN, !is_follower(name)));
        let tag = Tag::parse(name).ok().filter(|_| goes)?;
        Some((tag, moved_at_ms))
    }

    fn note(&mut self, outcome: &BuryOutcome, more: &mut PlanProgress) {
        let BuryOutcome::Buried(buried) = outcome else { return };
        more.tags_removed += buried.tags.len() as u64;
        more.manifests_buried += buried.manifests.len() as u64;
        self.gone_tags.extend(buried.tags.iter().cloned());
        self.gone_manifests.extend(buried.manifests.iter().cloned());
    }
}

/// Adds what one write took; gives the outcome of them all once there is no more.
fn add(all: &mut Buried, outcome: BuryOutcome) -> Option<BuryOutcome> {
    match outcome {
        BuryOutcome::Buried(buried) => {
            all.tags.extend(buried.tags);
            all.manifests.extend(buried.manifests);
            (!buried.more).then(|| BuryOutcome::Buried(std::mem::take(all)))
        }
        // Things changed between two writes: what went before went.
        BuryOutcome::Skipped(_) if !all.manifests.is_empty() => Some(BuryOutcome::Buried(std::mem::take(all))),
        skipped @ BuryOutcome::Skipped(_) => Some(skipped),
    }
}

fn skipped(step: &PlanStep, why: &str) -> Settled {
    Settled { position: step.position, skipped: Some(why.to_owned()) }
}
