//! Plans of what shall be deleted: shown, confirmed, discarded, expired, and the brake; never what a job does.
//!
//! Contract section 9. Garbage collection and retention write their plans through here, and apply them where a person
//! confirms.

mod moves;
mod sentence;

use std::sync::Arc;
use std::time::Instant;

use mcr_access::{Administer, GlobalPermit};
use mcr_metadata::{
    Actor, PlanJob as Job, PlanQuery, PlanRecord, PlanState, PlanStep, PlanTotals, StartRetention, StartedRetention,
};

pub use sentence::of as plan_sentence;

use crate::error::Error;
use crate::record::SYSTEM;
use crate::registry::{Registry, actor};
use crate::runs::Run;

/// Ended plans that are kept; the oldest go, with their steps.
const MAX_PLANS: usize = 50;
/// Steps of ended plans that are kept together; the newest one's always.
const MAX_STEPS_KEPT: u64 = 500_000;
/// Plans and steps of one page.
const MAX_PLAN_PAGE: usize = 1000;
/// Digests above which the brake looks at the percentages.
const BRAKE_ABOVE: u64 = 100;
/// How long a plan waits for a person, in milliseconds: 7 days.
const PLAN_WAITS_MS: i64 = 7 * 24 * 3_600_000;

/// Which plans are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlanFilter {
    /// Only those of this job.
    pub job: Option<Job>,
    /// Only those in this state.
    pub state: Option<PlanState>,
    /// Only those older than the plan with this id.
    pub after: Option<String>,
}

/// A page of plans, the newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanPage {
    /// The plans.
    pub plans: Vec<PlanRecord>,
    /// What to give as `after` for the next page, if there is one.
    pub next: Option<String>,
}

/// Why a plan must wait for a person, if it must: it takes over 100 digests (tags count as such), and more than
/// `max_percent` of the bytes or tags.
#[must_use]
pub(crate) fn brake(totals: &PlanTotals, max_percent: u8) -> Option<String> {
    if totals.digests.saturating_add(totals.tags) <= BRAKE_ABOVE {
        return None;
    }
    let limit = f64::from(max_percent);
    let (percent, of) = if totals.percent_bytes >= totals.percent_tags {
        (totals.percent_bytes, "bytes")
    } else {
        (totals.percent_tags, "tags")
    };
    (percent > limit).then(|| {
        format!("it would take {percent:.1} % of the {of}, more than max_delete_percent ({max_percent}): look at it and confirm it")
    })
}

/// How much `part` is of `all`, in percent: whole where there is nothing it could be a part of, such as files that have
/// no row.
#[expect(clippy::cast_precision_loss, reason = "a percentage for people, and for a comparison with a whole number")]
pub(crate) fn percent(part: u64, all: u64) -> f64 {
    match (part, all) {
        (0, _) => 0.0,
        (_, 0) => 100.0,
        (part, all) => part as f64 * 100.0 / all as f64,
    }
}

impl Registry {
    /// A page of the plans there are, at most `n` (up to 1000).
    ///
    /// # Errors
    /// Inability only.
    pub async fn plans(
        &self,
        _permit: &GlobalPermit<Administer>,
        filter: PlanFilter,
        n: usize,
    ) -> Result<PlanPage, Error> {
        let limit = n.clamp(1, MAX_PLAN_PAGE);
        let query = PlanQuery { job: filter.job, state: filter.state, after: filter.after, limit: limit + 1 };
        let metadata = Arc::clone(&self.parts.metadata);
        let mut plans = self.parts.blocking.run(move || metadata.plans(&query)).await??;
        let more = plans.len() > limit;
        plans.truncate(limit);
        let next = plans.last().filter(|_| more).map(|plan| plan.id.clone());
        Ok(PlanPage { plans, next })
    }

    /// A plan.
    ///
    /// # Errors
    /// [`Error::NoSuch`]; inability.
    pub async fn plan(&self, _permit: &GlobalPermit<Administer>, id: &str) -> Result<PlanRecord, Error> {
        self.plan_row(id).await
    }

    /// A page of a plan's steps in the order of execution, behind position `after` (0: from the first), at most `n` (up
    /// to 1000); with what to give as `after` for the next page, if there is one.
    ///
    /// # Errors
    /// [`Error::NoSuch`]; inability.
    pub async fn plan_steps(
        &self,
        _permit: &GlobalPermit<Administer>,
        id: &str,
        after: u64,
        n: usize,
    ) -> Result<(Vec<PlanStep>, Option<u64>), Error> {
        let limit = n.clamp(1, MAX_PLAN_PAGE);
        self.plan_row(id).await?;
        let (metadata, id) = (Arc::clone(&self.parts.metadata), id.to_owned());
        let mut steps = self.parts.blocking.run(move || metadata.plan_steps(&id, after, None, limit + 1)).await??;
        let more = steps.len() > limit;
        steps.truncate(limit);
        let next = steps.last().filter(|_| more).map(|step| step.position);
        Ok((steps, next))
    }

    /// Applies a plan that waits, in the background, from now on. Each of its steps is looked at again before it is
    /// done. The rules of retention that it shows whole are confirmed with it.
    ///
    /// # Errors
    /// [`Error::NoSuch`]; [`Error::Conflict`] where it does not wait, or a run of the same job is under way;
    /// [`Error::ReadOnly`]; inability.
    pub async fn confirm_plan(&self, permit: &GlobalPermit<Administer>, id: &str) -> Result<PlanRecord, Error> {
        self.may_write()?;
        let plan = self.plan_row(id).await?;
        if plan.state != PlanState::Waiting {
            return Err(not_waiting(&plan));
        }
        if plan.expires_at_ms.is_some_and(|at| at <= self.parts.clock.now_ms()) {
            self.tidy_plans().await?;
            return Err(Error::Conflict(
                "nobody confirmed the plan in time: let a new one be made, and look at it".to_owned(),
            ));
        }
        let run = self.parts.runs.begin(plan.job)?;
        let (registry, who) = (self.clone(), actor(permit.identity()));
        // A plan in state running has somebody who works on it, though who confirmed it goes away meanwhile.
        self.finish(async move {
            let confirmed = registry.confirm(&plan, who).await?.ok_or_else(|| not_waiting(&plan))?;
            registry.go_on(confirmed.clone(), run);
            Ok(confirmed)
        })
        .await
    }

    async fn confirm(&self, plan: &PlanRecord, who: Actor) -> Result<Option<PlanRecord>, Error> {
        let change = self.change(&plan.id, &[PlanState::Waiting], PlanState::Running, who);
        match plan.job {
            Job::Gc => self.move_plan(change).await,
            Job::Retention => match self.begin_applying(StartRetention { change, yes: true }).await? {
                StartedRetention::Running(running) => Ok(Some(*running)),
                StartedRetention::Unconfirmed(_) | StartedRetention::Elsewhere => Ok(None),
            },
        }
    }

    /// Gives up a plan that waits.
    ///
    /// # Errors
    /// [`Error::NoSuch`]; [`Error::Conflict`] where it does not wait; inability.
    pub async fn discard_plan(&self, permit: &GlobalPermit<Administer>, id: &str) -> Result<PlanRecord, Error> {
        let plan = self.plan_row(id).await?;
        let who = actor(permit.identity());
        let reason = format!("discarded by {}", who.name);
        self.discard(id, &[PlanState::Waiting], reason, who).await?.ok_or_else(|| not_waiting(&plan))
    }

    /// How many plans wait for a person, by job, as of the last change; for metrics.
    #[must_use]
    pub fn plans_waiting(&self) -> [(Job, u64); 2] {
        [Job::Gc, Job::Retention].map(|job| (job, self.parts.runs.waiting(job)))
    }

    /// Discards plans that nobody confirmed in time, forgets old ones and counts those that wait. Called once in a
    /// while and after every run.
    ///
    /// # Errors
    /// Inability.
    pub(crate) async fn tidy_plans(&self) -> Result<(), Error> {
        let now = self.parts.clock.now_ms();
        for plan in &self.open_plans().await? {
            if plan.state == PlanState::Waiting && plan.expires_at_ms.is_some_and(|at| at <= now) {
                let reason = "nobody confirmed it in time".to_owned();
                self.discard(&plan.id, &[PlanState::Waiting], reason, system()).await?;
            }
        }
        self.forget_old_plans().await?;
        self.count_waiting().await
    }

    /// Forgets the oldest ended plans: those beyond [`MAX_PLANS`], and those whose steps would make more than
    /// [`MAX_STEPS_KEPT`] together. In small writes, with as long a pause after each.
    async fn forget_old_plans(&self) -> Result<(), Error> {
        let query = PlanQuery { limit: MAX_PLANS * 2, ..PlanQuery::default() };
        let metadata = Arc::clone(&self.parts.metadata);
        let plans = self.parts.blocking.run(move || metadata.plans(&query)).await??;
        let mut steps = 0;
        let fits = |plan: &&PlanRecord| {
            steps += plan.totals.steps;
            steps <= MAX_STEPS_KEPT
        };
        let ended = plans.iter().filter(|plan| plan.state.has_ended()).count();
        let keep = plans.iter().filter(|plan| plan.state.has_ended()).take_while(fits).count().clamp(1, MAX_PLANS);
        // A start that has nothing to forget writes nothing.
        if ended <= keep {
            return Ok(());
        }
        loop {
            let began = Instant::now();
            if !self.parts.writes.durable(|m, done| m.forget_plans(keep, done), |_| ()).await? {
                return Ok(());
            }
            tokio::select! {
                () = self.parts.volume.stopped() => return Ok(()),
                () = tokio::time::sleep(began.elapsed()) => {}
            }
        }
    }

    /// The plan's row.
    ///
    /// # Errors
    /// [`Error::NoSuch`]; inability.
    pub(crate) async fn plan_row(&self, id: &str) -> Result<PlanRecord, Error> {
        let (metadata, asked) = (Arc::clone(&self.parts.metadata), id.to_owned());
        let found = self.parts.blocking.run(move || metadata.plan(&asked)).await??;
        found.ok_or_else(|| Error::NoSuch("there is no such plan; `mcrctl plan list` shows those there are".to_owned()))
    }

    /// Applies a plan in state running, in the background.
    fn go_on(&self, plan: PlanRecord, run: Run) {
        let registry = self.clone();
        self.parts.tasks.spawn(async move {
            let applied = match plan.job {
                Job::Gc => registry.apply_gc(&plan.id).await,
                Job::Retention => registry.apply_retention(&plan.id).await,
            };
            if let Err(error) = applied {
                tracing::error!(%error, plan = %plan.id, job = plan.job.as_str(), "a plan was not applied to its end");
            }
            drop(run);
            registry.tidy_quietly().await;
        });
    }

    /// As [`tidy_plans`](Self::tidy_plans), after a run: what it cannot do now is done within the hour.
    pub(crate) async fn tidy_quietly(&self) {
        if let Err(error) = self.tidy_plans().await {
            tracing::warn!(%error, "old plans could not be tidied");
        }
    }

    /// Goes on with what a former process left: plans that were being applied are applied to their end, those that
    /// were still being made are given up. Called once, at the start.
    ///
    /// # Errors
    /// Inability; nothing is lost by it but time.
    pub async fn resume_runs(&self) -> Result<(), Error> {
        for plan in self.open_plans().await? {
            match plan.state {
                PlanState::Planning => {
                    let reason = "the server stopped while it was being made".to_owned();
                    self.discard(&plan.id, &[PlanState::Planning], reason, system()).await?;
                }
                // A run that was begun first has given this plan up, and made its own.
                PlanState::Running => match self.parts.runs.begin(plan.job) {
                    Ok(run) => self.go_on(plan, run),
                    Err(error) => tracing::warn!(%error, plan = %plan.id, "a plan is not gone on with"),
                },
                PlanState::Waiting | PlanState::Done | PlanState::Failed | PlanState::Discarded => {}
            }
        }
        self.tidy_plans().await
    }
}

/// Goes on with what a former process left, once; a database that cannot be read says so.
pub(crate) async fn resume(registry: Registry) {
    if let Err(error) = registry.resume_runs().await {
        tracing::error!(%error, "plans of a former process are not gone on with; they are at the next start");
    }
}

/// The actor of what the registry does by itself.
pub(crate) fn system() -> Actor {
    Actor { name: SYSTEM.to_owned(), address: None }
}

/// The refusal of a second run.
pub(crate) fn under_way(job: Job) -> Error {
    Error::Conflict(format!(
        "a run of {} is under way; wait for it, or look at it with `mcrctl plan list`",
        job.as_str()
    ))
}

fn not_waiting(plan: &PlanRecord) -> Error {
    Error::Conflict(format!(
        "the plan is in state {}: only one that needs confirmation can be confirmed or discarded",
        plan.state.as_str()
    ))
}

#[cfg(test)]
mod tests;
