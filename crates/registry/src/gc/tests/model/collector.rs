//! The collector as steps: a plan, then manifests, then blobs chunk by chunk (`gc/chunk.rs`), each file by itself.

use std::collections::VecDeque;

use mcr_metadata::{
    AddPlanSteps, BlobStep, CollectSearch, CreatePlan, Due, ManifestStep, MovePlan, NewStep, PlanJob, PlanState,
    PlanStep, RemoveManifests, StepAction, StepState,
};
use mcr_oci::RepositoryName;
use serde_json::json;

use super::{Machine, Plant, Progress, World};
use crate::gc::chunk::{Chunk, Doomed};
use crate::gc::planning;
use crate::holds::HeldBy;
use crate::plans::system;

/// Steps of one write.
const CHUNK: usize = 2;

pub(super) struct Collect {
    plan: String,
    planned: bool,
    steps: VecDeque<PlanStep>,
    /// Locked, and about to lose their rows.
    chunk: Option<Chunk>,
    /// Without rows, and about to lose their files.
    doomed: VecDeque<Doomed>,
    /// Of a former life: perhaps without rows.
    redo: VecDeque<PlanStep>,
}

impl Collect {
    pub(super) fn new(plan: String) -> Self {
        let (steps, doomed, redo) = (VecDeque::new(), VecDeque::new(), VecDeque::new());
        Self { plan, planned: false, steps, chunk: None, doomed, redo }
    }

    /// As the next start goes on with a plan.
    pub(super) fn resume(world: &World, plan: String) -> Self {
        let planned = world.metadata().plan(&plan).unwrap().is_some_and(|plan| plan.state == PlanState::Running);
        let steps = world.metadata().plan_steps(&plan, 0, Some(StepState::Planned), 1000).unwrap().into();
        let redo = world.metadata().last_steps_done(&plan, StepAction::Blob, CHUNK).unwrap().into();
        if !planned {
            turn(world, &plan, PlanState::Discarded);
        }
        Self { planned: true, steps, redo, ..Self::new(plan) }
    }

    fn make_plan(&mut self, world: &World) {
        let create = CreatePlan {
            id: self.plan.clone(),
            job: PlanJob::Gc,
            dry_run: false,
            settings: json!({}),
            actor: system(),
            at_ms: world.now(),
        };
        assert!(world.write(|m, done| m.create_plan(create, done)));
        let (mut search, mut found) = (CollectSearch::new(world.due()), Vec::new());
        while world.metadata().search_collectable(&mut search, &mut found).unwrap() {}
        let steps: Vec<NewStep> = found.into_iter().map(planning::step).collect();
        let add = AddPlanSteps { plan: self.plan.clone(), first: 1, steps };
        world.write(|m, done| m.add_plan_steps(add, done));
        turn(world, &self.plan, PlanState::Running);
        self.steps = world.metadata().plan_steps(&self.plan, 0, None, 1000).unwrap().into();
        self.planned = true;
    }

    fn due(&self, world: &World) -> Due {
        match world.plant {
            Plant::TrustThePlan => Due { wait_ms: 0, lease_ms: 0, undo_ms: 0, ..world.due() },
            _ => world.due(),
        }
    }

    /// False where somebody else holds the lock.
    fn unlink(world: &World, doomed: &Doomed) -> bool {
        let parts = &world.bed.registry.parts;
        let holds = if world.plant == Plant::NoHolds { &world.no_holds } else { &parts.holds };
        let locks = if world.plant == Plant::NoLocks { &world.no_locks } else { &parts.locks };
        let Some(lock) = locks.try_lock(&doomed.digest) else { return false };
        if world.plant == Plant::TrustTheRows {
            if !holds.keeps(&doomed.digest).unwrap() {
                parts.blobs.remove(&doomed.digest).unwrap();
            }
        } else {
            doomed.unlink(lock, &parts.metadata, &parts.blobs, holds).unwrap();
        }
        true
    }

    fn remove_rows(&mut self, world: &World, chunk: Chunk) {
        let request = chunk.request(&self.plan, self.due(world), &system());
        if world.plant == Plant::FileFirst {
            for step in request.steps.iter().filter(|step| step.link_of.is_none()) {
                world.bed.registry.parts.blobs.remove(&step.digest).unwrap();
            }
        }
        let removals = world.write(|m, done| m.remove_blobs(request, done));
        let (doomed, again) = chunk.removed(&removals);
        assert!(again.is_empty(), "few links");
        self.doomed = doomed.into();
    }

    /// Looks at snapshots and takes locks; false where a snapshot is being taken.
    fn lock_some(&mut self, world: &World) -> bool {
        let parts = &world.bed.registry.parts;
        let holds = if world.plant == Plant::NoHolds { &world.no_holds } else { &parts.holds };
        let everything = matches!(holds.look().unwrap(), HeldBy::Everything(_));
        if holds.in_progress().unwrap() {
            return false;
        }
        let some = self.steps.len().min(CHUNK);
        let stays = |step: &PlanStep| step.action == StepAction::Blob && (everything || holds.holds(&step.digest));
        let steps = self.steps.drain(..some).filter(|step| !stays(step)).map(|step| BlobStep {
            position: step.position,
            link_of: step.repository.as_deref().map(|name| RepositoryName::parse(name).unwrap()),
            digest: step.digest,
        });
        let locks = if world.plant == Plant::NoLocks { &world.no_locks } else { &parts.locks };
        let (chunk, _busy) = Chunk::lock(locks, steps.collect());
        self.chunk = Some(chunk);
        true
    }

    fn remove_manifest(&mut self, world: &World, step: PlanStep) {
        let step = ManifestStep {
            position: step.position,
            action: step.action,
            repository: RepositoryName::parse(step.repository.as_deref().unwrap()).unwrap(),
            digest: step.digest,
            untagged_after_ms: None,
        };
        let (plan, due) = (self.plan.clone(), self.due(world));
        let request = RemoveManifests { plan, steps: vec![step], due, actor: system() };
        world.write(|m, done| m.remove_manifests(request, done));
    }
}

impl Machine for Collect {
    fn step(&mut self, world: &mut World) -> Result<Progress, String> {
        if !self.planned {
            self.make_plan(world);
        } else if let Some(step) = self.redo.pop_front() {
            self.doomed.push_back(Doomed { digest: step.digest, bytes: 0 });
        } else if let Some(doomed) = self.doomed.pop_front() {
            if !Self::unlink(world, &doomed) {
                self.doomed.push_back(doomed);
                return Ok(Progress::Blocked);
            }
        } else if let Some(chunk) = self.chunk.take() {
            self.remove_rows(world, chunk);
        } else if let Some(step) = self.steps.pop_front() {
            if matches!(step.action, StepAction::Manifest | StepAction::Bury) {
                self.remove_manifest(world, step);
            } else {
                self.steps.push_front(step);
                if !self.lock_some(world) {
                    return Ok(Progress::Blocked);
                }
            }
        } else {
            turn(world, &self.plan, PlanState::Done);
            return Ok(Progress::Over);
        }
        Ok(Progress::Going)
    }

    fn plan(&self) -> Option<String> {
        Some(self.plan.clone())
    }
}

/// Ends a plan, or lets it run.
pub(super) fn turn(world: &World, plan: &str, to: PlanState) {
    let change = MovePlan {
        id: plan.to_owned(),
        from: vec![PlanState::Planning, PlanState::Running],
        to,
        reason: None,
        totals: None,
        expires_at_ms: None,
        actor: system(),
        at_ms: world.now(),
    };
    world.write(|m, done| m.move_plan(change, done));
}
