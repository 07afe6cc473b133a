//! How a plan is begun, filled and brought from state to state, for every job alike; never what a job does.

use std::sync::Arc;

use mcr_metadata::{
    Actor, AddPlanSteps, CreatePlan, MAX_STEPS_A_WRITE, MovePlan, NewStep, PlanJob as Job, PlanRecord, PlanState,
    PlanTotals, StartRetention, StartedRetention,
};
use mcr_seams::random_hex;

use super::{PLAN_WAITS_MS, system, under_way};
use crate::error::Error;
use crate::registry::Registry;

impl Registry {
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
        let id = random_hex(16).map_err(|error| Error::no_random(&error))?;
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
        for plan in self.open_plans().await?.into_iter().filter(|plan| plan.is_under_way(job)) {
            // Rows may be gone whose files are not.
            if job == Job::Gc && plan.state == PlanState::Running {
                self.note_reconcile(true).await?;
            }
            let from = [PlanState::Planning, PlanState::Running];
            let reason = Some("it was cut off, and its end could not be written down".to_owned());
            let change = MovePlan { reason, ..self.change(&plan.id, &from, PlanState::Failed, system()) };
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

    /// A move into state `to`, now, without a reason and with the totals there are. What waits does so for
    /// [`PLAN_WAITS_MS`].
    pub(super) fn change(&self, plan: &str, from: &[PlanState], to: PlanState, actor: Actor) -> MovePlan {
        let at_ms = self.parts.clock.now_ms();
        MovePlan {
            id: plan.to_owned(),
            from: from.to_vec(),
            to,
            reason: None,
            totals: None,
            expires_at_ms: (to == PlanState::Waiting).then(|| at_ms.saturating_add(PLAN_WAITS_MS)),
            actor,
            at_ms,
        }
    }

    /// Brings a plan into another state; none where it is in none of the states it may come from.
    ///
    /// # Errors
    /// Inability.
    pub(crate) async fn move_plan(&self, change: MovePlan) -> Result<Option<PlanRecord>, Error> {
        let moved = self.parts.writes.durable(|m, done| m.move_plan(change, done), |_| ()).await?;
        self.count_again().await;
        Ok(moved)
    }

    /// Brings a plan into state running with the rules it rests on.
    ///
    /// # Errors
    /// Inability.
    pub(super) async fn begin_applying(&self, start: StartRetention) -> Result<StartedRetention, Error> {
        let started = self.parts.writes.durable(|m, done| m.start_retention(start, done), |_| ()).await?;
        self.count_again().await;
        Ok(started)
    }

    /// As [`begin_applying`](Self::begin_applying), for a plan that was just made; by who began it, who says `yes` to it
    /// where that is a person who does.
    ///
    /// # Errors
    /// Inability.
    pub(crate) async fn begin_made(
        &self,
        plan: &str,
        totals: PlanTotals,
        yes: bool,
    ) -> Result<StartedRetention, Error> {
        let actor = Actor { name: self.plan_row(plan).await?.actor, address: None };
        let change = self.change(plan, &[PlanState::Planning], PlanState::Running, actor);
        self.begin_applying(StartRetention { change: MovePlan { totals: Some(totals), ..change }, yes }).await
    }

    /// Brings a plan that is being made or applied into another state, in the name of who began it; none where it is in
    /// none of the states it may come from.
    ///
    /// # Errors
    /// Inability.
    pub(crate) async fn turn(
        &self,
        plan: &str,
        from: &[PlanState],
        to: PlanState,
        reason: Option<String>,
        totals: Option<PlanTotals>,
    ) -> Result<Option<PlanRecord>, Error> {
        let actor = Actor { name: self.plan_row(plan).await?.actor, address: None };
        self.move_plan(MovePlan { reason, totals, ..self.change(plan, from, to, actor) }).await
    }

    /// Discards a plan that is in one of `from`.
    ///
    /// # Errors
    /// Inability.
    pub(crate) async fn discard(
        &self,
        plan: &str,
        from: &[PlanState],
        reason: String,
        actor: Actor,
    ) -> Result<Option<PlanRecord>, Error> {
        let change = self.change(plan, from, PlanState::Discarded, actor);
        self.move_plan(MovePlan { reason: Some(reason), ..change }).await
    }

    /// Discards plans of `job` that wait and are `like` the one that takes their place.
    ///
    /// # Errors
    /// Inability.
    pub(crate) async fn replace_waiting(&self, job: Job, like: impl Fn(&PlanRecord) -> bool) -> Result<(), Error> {
        for plan in self.waiting_plans(job).await?.iter().filter(|plan| like(plan)) {
            let reason = "a newer plan took its place".to_owned();
            self.discard(&plan.id, &[PlanState::Waiting], reason, system()).await?;
        }
        Ok(())
    }

    /// The plans that are being planned, wait or are being applied, the oldest first.
    ///
    /// # Errors
    /// Inability.
    pub(crate) async fn open_plans(&self) -> Result<Vec<PlanRecord>, Error> {
        let metadata = Arc::clone(&self.parts.metadata);
        Ok(self.parts.blocking.run(move || metadata.open_plans()).await??)
    }

    /// The plans of `job` that wait for a person, the oldest first.
    ///
    /// # Errors
    /// Inability.
    pub(crate) async fn waiting_plans(&self, job: Job) -> Result<Vec<PlanRecord>, Error> {
        Ok(self.open_plans().await?.into_iter().filter(|plan| plan.waits(job)).collect())
    }

    /// As [`count_waiting`](Self::count_waiting), after a move that stands whatever becomes of the figure.
    async fn count_again(&self) {
        if let Err(error) = self.count_waiting().await {
            tracing::warn!(%error, "plans that wait could not be counted");
        }
    }

    /// Counts the plans that wait, for metrics.
    ///
    /// # Errors
    /// Inability.
    pub(super) async fn count_waiting(&self) -> Result<(), Error> {
        let open = self.open_plans().await?;
        for job in [Job::Gc, Job::Retention] {
            self.parts.runs.set_waiting(job, open.iter().filter(|plan| plan.waits(job)).count() as u64);
        }
        Ok(())
    }
}
