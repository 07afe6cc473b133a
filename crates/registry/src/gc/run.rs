//! One run of the collector from its plan to its end; never what is collectable (the rows' to say).

use std::sync::atomic::Ordering;
use std::time::Instant;

use mcr_metadata::{Actor, MovePlan, PlanJob as Job, PlanRecord, PlanState, PlanTotals};

use crate::error::Error;
use crate::gc::GcOptions;
use crate::gc::asked::Asked;
use crate::gc::planning::Planning;
use crate::gc::removal::Applying;
use crate::plans::{self, PLAN_WAITS_MS, brake, plan_sentence};
use crate::registry::Registry;
use crate::runs::Run;

impl Registry {
    /// Plans, and applies the plan unless it is only to be looked at or must wait for a person. What goes wrong stands
    /// in the plan and in the log.
    pub(crate) async fn collect(&self, plan: &str, options: GcOptions, run: Run) {
        let asked = self.asked(options);
        match self.plan_gc(plan, asked, options.dry_run).await {
            Ok(true) => drop(self.apply_gc(plan).await),
            Ok(false) => {}
            Err(error) => self.give_up(plan, &error).await,
        }
        drop(run);
        self.tidy_quietly().await;
    }

    /// Makes the plan; true where it is to be applied now.
    async fn plan_gc(&self, plan: &str, asked: Asked, dry_run: bool) -> Result<bool, Error> {
        let mut planning = Planning::new(self, plan, asked);
        // Files first: they are those that no row names now, not those whose rows are about to go.
        if asked.reconcile {
            self.plan_files(&mut planning).await?;
        }
        if planning.cut.is_none() {
            self.plan_rows(&mut planning).await?;
        }
        self.weigh_plan(&mut planning).await?;
        let Planning { totals, cut, .. } = planning;
        let braked = brake(&totals, self.parts.settings.gc.max_delete_percent).filter(|_| !asked.confirmed);
        let cut = cut.map(str::to_owned);
        let (to, reason) = match (dry_run, braked) {
            (true, braked) => (PlanState::Done, braked.or(cut)),
            (false, Some(why)) => (PlanState::Waiting, Some(why)),
            (false, None) => (PlanState::Running, cut),
        };
        if to == PlanState::Waiting {
            self.replace_waiting().await?;
        }
        self.turn(plan, to, reason, Some(totals)).await?;
        Ok(to == PlanState::Running)
    }

    /// A plan of today stands for all that waited before.
    async fn replace_waiting(&self) -> Result<(), Error> {
        let metadata = std::sync::Arc::clone(&self.parts.metadata);
        for plan in self.parts.blocking.run(move || metadata.open_plans()).await?? {
            if plan.job == Job::Gc && plan.state == PlanState::Waiting {
                let reason = "a newer plan took its place".to_owned();
                self.discard(&plan.id, vec![PlanState::Waiting], reason, plans::system()).await?;
            }
        }
        Ok(())
    }

    /// Brings a plan that is being made or applied into another state.
    async fn turn(
        &self,
        plan: &str,
        to: PlanState,
        reason: Option<String>,
        totals: Option<PlanTotals>,
    ) -> Result<PlanRecord, Error> {
        let at_ms = self.parts.clock.now_ms();
        let change = MovePlan {
            id: plan.to_owned(),
            from: vec![PlanState::Planning, PlanState::Running],
            to,
            reason,
            totals,
            expires_at_ms: (to == PlanState::Waiting).then(|| at_ms.saturating_add(PLAN_WAITS_MS)),
            actor: Actor { name: self.plan_row(plan).await?.actor, address: None },
            at_ms,
        };
        self.move_plan(change).await?.ok_or_else(|| Error::Conflict("the plan has ended meanwhile".to_owned()))
    }

    /// Applies a plan in state running to its end.
    ///
    /// # Errors
    /// Inability; the plan is then given up, or goes on after the next start.
    pub(crate) async fn apply_gc(&self, plan: &str) -> Result<(), Error> {
        let began = Instant::now();
        match self.try_apply(plan).await {
            Ok(ended) => {
                self.count_run(&ended, began);
                tracing::info!(plan, outcome = %plan_sentence(&ended), "the collector is done");
                Ok(())
            }
            Err(error) => {
                self.give_up(plan, &error).await;
                Err(error)
            }
        }
    }

    async fn try_apply(&self, plan: &str) -> Result<PlanRecord, Error> {
        let record = self.plan_row(plan).await?;
        let asked = Asked::from_json(&record.settings, self.asked(GcOptions::default()));
        let actor = Actor { name: record.actor.clone(), address: None };
        let mut run = Applying::new(self, plan.to_owned(), asked, actor);
        self.apply_collection(&mut run).await?;
        if asked.reconcile {
            self.check_rows(&mut run).await?;
        }
        // A plan that was cut has not looked at every file.
        if run.left {
            self.note_reconcile(true).await?;
        } else if asked.reconcile && record.reason.is_none() {
            self.note_reconcile(false).await?;
        }
        self.turn(plan, PlanState::Done, record.reason, None).await
    }

    /// Writes down why a run ended early. One that the end of the process cut off goes on after the next start.
    async fn give_up(&self, plan: &str, error: &Error) {
        if self.parts.volume.is_stopped() {
            return;
        }
        self.parts.gc.failures.fetch_add(1, Ordering::Relaxed);
        tracing::error!(%error, plan, "the collector gave up");
        if let Err(error) = self.turn(plan, PlanState::Failed, Some(error.to_string()), None).await {
            tracing::error!(%error, plan, "that the collector gave up could not be written down: the plan goes on after the next start");
        }
    }

    fn count_run(&self, ended: &PlanRecord, began: Instant) {
        let counters = &self.parts.gc;
        let done = &ended.progress;
        for (counter, more) in [
            (&counters.runs, 1),
            (&counters.blobs, done.blobs_removed),
            (&counters.manifests, done.manifests_removed),
            (&counters.files, done.files_removed),
            (&counters.bytes, done.bytes_freed),
        ] {
            counter.fetch_add(more, Ordering::Relaxed);
        }
        let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        counters.last_ms.store(took, Ordering::Relaxed);
        counters.last_success_ms.store(self.parts.clock.now_ms(), Ordering::Relaxed);
    }
}
