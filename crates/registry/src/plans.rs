//! Plans of what shall be deleted: shown, confirmed, discarded, expired, and the brake; never what a job does.
//!
//! Contract section 9. Garbage collection and retention write their plans through here, and apply them where a person
//! confirms.

mod sentence;

use std::sync::Arc;
use std::time::Instant;

use mcr_access::{Administer, GlobalPermit};
use mcr_metadata::{
    Actor, AddPlanSteps, CreatePlan, MAX_STEPS_A_WRITE, MovePlan, NewStep, PlanJob as Job, PlanQuery, PlanRecord,
    PlanState, PlanStep, PlanTotals,
};
use mcr_seams::random_hex;

pub use sentence::of as plan_sentence;

use crate::error::Error;
use crate::record::SYSTEM;
use crate::registry::{Registry, actor};

/// Ended plans that are kept; the oldest go, with their steps.
pub const MAX_PLANS: usize = 50;
/// Steps of ended plans that are kept together; the newest one's always.
const MAX_STEPS_KEPT: u64 = 500_000;
/// Plans and steps of one page.
pub const MAX_PLAN_PAGE: usize = 1000;
/// Digests above which the brake looks at the percentages.
pub const BRAKE_ABOVE: u64 = 100;
/// How long a plan waits for a person, in milliseconds: 7 days.
pub const PLAN_WAITS_MS: i64 = 7 * 24 * 3_600_000;

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
    /// A page of the plans there are, at most `n` (up to [`MAX_PLAN_PAGE`]).
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
    /// to [`MAX_PLAN_PAGE`]); with what to give as `after` for the next page, if there is one.
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
    /// done.
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
        let confirmed = self
            .move_plan(MovePlan {
                id: id.to_owned(),
                from: vec![PlanState::Waiting],
                to: PlanState::Running,
                reason: None,
                totals: None,
                expires_at_ms: None,
                actor: actor(permit.identity()),
                at_ms: self.parts.clock.now_ms(),
            })
            .await?
            .ok_or_else(|| not_waiting(&plan))?;
        self.go_on(confirmed.clone(), run);
        Ok(confirmed)
    }

    /// Gives up a plan that waits.
    ///
    /// # Errors
    /// [`Error::NoSuch`]; [`Error::Conflict`] where it does not wait; inability.
    pub async fn discard_plan(&self, permit: &GlobalPermit<Administer>, id: &str) -> Result<PlanRecord, Error> {
        let plan = self.plan_row(id).await?;
        let who = actor(permit.identity());
        let reason = format!("discarded by {}", who.name);
        self.discard(id, vec![PlanState::Waiting], reason, who).await?.ok_or_else(|| not_waiting(&plan))
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
        let metadata = Arc::clone(&self.parts.metadata);
        let open = self.parts.blocking.run(move || metadata.open_plans()).await??;
        for plan in &open {
            if plan.state == PlanState::Waiting && plan.expires_at_ms.is_some_and(|at| at <= now) {
                let reason = "nobody confirmed it in time".to_owned();
                self.discard(&plan.id, vec![PlanState::Waiting], reason, system()).await?;
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

    /// Counts the plans that wait, for metrics.
    async fn count_waiting(&self) -> Result<(), Error> {
        let metadata = Arc::clone(&self.parts.metadata);
        let open = self.parts.blocking.run(move || metadata.open_plans()).await??;
        for job in [Job::Gc, Job::Retention] {
            let waiting = open.iter().filter(|plan| plan.job == job && plan.state == PlanState::Waiting).count();
            self.parts.runs.set_waiting(job, waiting as u64);
        }
        Ok(())
    }

    /// Begins a plan of a new id, in state planning. The caller has begun the run: what the rows still call under way
    /// is a run whose end could not be written down, and is given up.
    ///
    /// # Errors
    /// [`Error::Conflict`]; inability.
    pub(crate) async fn begin_plan(
        &self,
        job: Job,
        dry_run: bool,
        settings: serde_json::Value,
        actor: Actor,
    ) -> Result<String, Error> {
        let id = random_hex(16).map_err(|error| {
            tracing::error!(%error, "no random bytes to be had");
            Error::unavailable("the system has no random bytes to give")
        })?;
        let at_ms = self.parts.clock.now_ms();
        let create = CreatePlan { id: id.clone(), job, dry_run, settings, actor, at_ms };
        let again = create.clone();
        if self.parts.writes.durable(|m, done| m.create_plan(create, done), |_| ()).await? {
            return Ok(id);
        }
        self.end_lost(job).await?;
        if self.parts.writes.durable(|m, done| m.create_plan(again, done), |_| ()).await? {
            return Ok(id);
        }
        Err(under_way(job))
    }

    /// Ends what the rows call under way and nobody works on.
    async fn end_lost(&self, job: Job) -> Result<(), Error> {
        let metadata = Arc::clone(&self.parts.metadata);
        let open = self.parts.blocking.run(move || metadata.open_plans()).await??;
        for plan in open.into_iter().filter(|plan| plan.job == job && plan.state != PlanState::Waiting) {
            let at_ms = self.parts.clock.now_ms();
            let (from, to) = (vec![PlanState::Planning, PlanState::Running], PlanState::Failed);
            let reason = Some("it was cut off, and its end could not be written down".to_owned());
            // Rows may be gone whose files are not.
            if job == Job::Gc && plan.state == PlanState::Running {
                self.note_reconcile(true).await?;
            }
            let (id, actor) = (plan.id, system());
            let change = MovePlan { id, from, to, reason, totals: None, expires_at_ms: None, actor, at_ms };
            self.move_plan(change).await?;
        }
        Ok(())
    }

    /// Adds steps behind those the plan has, which are `written` so far; in small writes.
    ///
    /// # Errors
    /// Inability; [`Error::DiskFull`].
    pub(crate) async fn add_steps(&self, plan: &str, written: &mut u64, steps: Vec<NewStep>) -> Result<(), Error> {
        let mut steps = steps.into_iter().peekable();
        while steps.peek().is_some() {
            let some: Vec<NewStep> = steps.by_ref().take(MAX_STEPS_A_WRITE).collect();
            let count = some.len() as u64;
            let add = AddPlanSteps { plan: plan.to_owned(), first: *written + 1, steps: some };
            self.parts.writes.durable(|m, done| m.add_plan_steps(add, done), |()| ()).await?;
            *written += count;
        }
        Ok(())
    }

    /// Brings a plan into another state; none where it is in none of the states it may come from.
    ///
    /// # Errors
    /// Inability.
    pub(crate) async fn move_plan(&self, change: MovePlan) -> Result<Option<PlanRecord>, Error> {
        let moved = self.parts.writes.durable(|m, done| m.move_plan(change, done), |_| ()).await?;
        self.count_waiting().await?;
        Ok(moved)
    }

    /// Discards a plan that is in one of `from`.
    ///
    /// # Errors
    /// Inability.
    pub(crate) async fn discard(
        &self,
        id: &str,
        from: Vec<PlanState>,
        reason: String,
        actor: Actor,
    ) -> Result<Option<PlanRecord>, Error> {
        let at_ms = self.parts.clock.now_ms();
        let to = PlanState::Discarded;
        let id = id.to_owned();
        self.move_plan(MovePlan { id, from, to, reason: Some(reason), totals: None, expires_at_ms: None, actor, at_ms })
            .await
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
    fn go_on(&self, plan: PlanRecord, run: crate::runs::Run) {
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
        let metadata = Arc::clone(&self.parts.metadata);
        for plan in self.parts.blocking.run(move || metadata.open_plans()).await?? {
            match plan.state {
                PlanState::Planning => {
                    let reason = "the server stopped while it was being made".to_owned();
                    self.discard(&plan.id, vec![PlanState::Planning], reason, system()).await?;
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
