//! One run of the collector from its plan to its end; never what is collectable (the rows' to say).

use std::sync::atomic::Ordering;
use std::time::Instant;

use mcr_metadata::{Actor, PlanJob as Job, PlanProgress, PlanRecord, PlanState};

use crate::error::Error;
use crate::gc::GcOptions;
use crate::gc::asked::Asked;
use crate::gc::planning::Planning;
use crate::gc::removal::Applying;
use crate::plans::{brake, plan_sentence};
use crate::registry::Registry;
use crate::runs::Run;

impl Registry {
    /// Plans, and applies the plan unless it is only to be looked at or must wait for a person. What goes wrong stands
    /// in the plan and in the log.
    pub(crate) async fn collect(&self, plan: &str, options: GcOptions, run: Run) {
        let asked = self.asked(options);
        if !options.dry_run {
            self.expire_quietly().await;
        }
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
        self.turn_made(planning, dry_run).await
    }

    /// A plan that was made is applied now (true), waits, or was only to be looked at.
    pub(crate) async fn turn_made(&self, planning: Planning, dry_run: bool) -> Result<bool, Error> {
        let Planning { plan, asked, mut totals, cut, .. } = planning;
        totals.cut = cut.map(str::to_owned);
        let braked = brake(&totals, self.parts.settings.gc.max_delete_percent).filter(|_| !asked.confirmed);
        let to = match (dry_run, &braked) {
            (true, _) => PlanState::Done,
            (false, Some(_)) => PlanState::Waiting,
            (false, None) => PlanState::Running,
        };
        if to == PlanState::Waiting {
            // A plan of today stands for all that waited before.
            self.replace_waiting(Job::Gc, |_| true).await?;
        }
        self.turn(&plan, &[PlanState::Planning], to, braked, Some(totals)).await?.ok_or_else(ended)?;
        Ok(to == PlanState::Running)
    }

    /// Applies a plan in state running to its end.
    ///
    /// # Errors
    /// Inability; the plan is then given up, or goes on after the next start.
    pub(crate) async fn apply_gc(&self, plan: &str) -> Result<(), Error> {
        let began = Instant::now();
        // What a former process did is counted there.
        let before = self.plan_row(plan).await.map(|row| row.progress).unwrap_or_default();
        match self.try_apply(plan).await {
            Ok(ended) => {
                self.count_removed(before, ended.progress);
                self.count_run(began);
                tracing::info!(plan, outcome = %plan_sentence(&ended), "the collector is done");
                Ok(())
            }
            Err(error) => {
                self.give_up(plan, &error).await;
                if let Ok(row) = self.plan_row(plan).await {
                    self.count_removed(before, row.progress);
                }
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
        // Noted at once: whatever goes wrong with the rows below, these files were seen to.
        if run.left || record.totals.files_unseen {
            self.note_reconcile(true).await?;
        } else if asked.reconcile {
            self.note_reconcile(false).await?;
        }
        if asked.reconcile {
            self.check_rows(&mut run).await?;
        }
        self.turn(plan, &[PlanState::Running], PlanState::Done, None, None).await?.ok_or_else(ended)
    }

    /// Writes down why a run ended early. One that the end of the process cut off goes on after the next start.
    async fn give_up(&self, plan: &str, error: &Error) {
        if self.parts.volume.is_stopped() {
            return;
        }
        self.parts.gc.failures.fetch_add(1, Ordering::Relaxed);
        tracing::error!(%error, plan, "the collector gave up");
        let (from, why) = ([PlanState::Planning, PlanState::Running], Some(error.to_string()));
        if let Err(error) = self.turn(plan, &from, PlanState::Failed, why, None).await {
            tracing::error!(%error, plan, "that the collector gave up could not be written down: the plan goes on after the next start");
        }
    }

    /// Counts what this process removed in a run, however that ended.
    fn count_removed(&self, before: PlanProgress, after: PlanProgress) {
        let counters = &self.parts.gc;
        for (counter, before, after) in [
            (&counters.blobs, before.blobs_removed, after.blobs_removed),
            (&counters.manifests, before.manifests_removed, after.manifests_removed),
            (&counters.files, before.files_removed, after.files_removed),
            (&counters.bytes, before.bytes_freed, after.bytes_freed),
        ] {
            counter.fetch_add(after.saturating_sub(before), Ordering::Relaxed);
        }
    }

    fn count_run(&self, began: Instant) {
        let counters = &self.parts.gc;
        counters.runs.fetch_add(1, Ordering::Relaxed);
        let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        counters.last_ms.store(took, Ordering::Relaxed);
        counters.last_success_ms.store(self.parts.clock.now_ms(), Ordering::Relaxed);
    }
}

fn ended() -> Error {
    Error::Conflict("the plan has ended meanwhile".to_owned())
}
