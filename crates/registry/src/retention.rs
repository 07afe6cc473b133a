//! Retention: which tags go by which rule, as a plan that is made, confirmed and applied; never a byte, nor a row of its own.
//!
//! Contract section 9. Tags are what rules count; a tag that goes takes the part of its closure that nothing else names,
//! all of it as tombstones of one run, which can be undone as a whole.

use std::sync::Arc;
use std::time::Duration;

use mcr_access::{Administer, GlobalPermit};
use mcr_metadata::{Actor, MovePlan, NoteRules, PlanJob as Job, PlanRecord, PlanState, PlanTotals};
use mcr_oci::glob;
use serde_json::json;

use crate::error::Error;
use crate::plans;
use crate::registry::{Registry, actor};
use crate::runs::Run;
use crate::words;

mod apply;
mod doom;
mod plan;
pub(crate) mod rules;
mod verdict;

pub(crate) use apply::fingerprints;
use rules::Prepared;

/// Globs that one run may be limited to.
const MAX_GLOBS: usize = 100;

/// What a run of retention shall do.
#[derive(Debug, Clone, Default)]
pub struct RetentionOptions {
    /// Only show what would go.
    pub dry_run: bool,
    /// A person said yes: neither the brake nor a rule that nobody confirmed yet makes it wait, and its rules count as
    /// confirmed from then on.
    pub confirmed: bool,
    /// Only repositories that one of these globs names; none: all of them.
    pub repositories: Vec<String>,
}

/// One run: what is asked for, by whom, and the rules it is about.
#[derive(Debug, Clone)]
struct Asked {
    options: RetentionOptions,
    actor: Actor,
    /// All rules, since the first that names a repository decides.
    rules: Arc<Vec<Prepared>>,
    /// Fingerprints of those that this run applies.
    about: Vec<String>,
    /// Fingerprints of those that no person confirmed yet.
    unconfirmed: Vec<String>,
}

impl Asked {
    /// The rule that decides for `repository`, if this run is about it.
    fn rule(&self, repository: &str) -> Option<&Prepared> {
        let globs = &self.options.repositories;
        if !globs.is_empty() && !globs.iter().any(|pattern| glob::matches(pattern, repository)) {
            return None;
        }
        rules::of(&self.rules, repository).filter(|rule| self.about.contains(&rule.fingerprint))
    }
}

impl Registry {
    /// Plans what the rules would take, and takes it in the background unless it must wait for a person. Gives the id
    /// of the plan.
    ///
    /// # Errors
    /// [`Error::Conflict`] while another run of retention is under way; [`Error::Invalid`]; [`Error::ReadOnly`];
    /// inability.
    pub async fn start_retention(
        &self,
        permit: &GlobalPermit<Administer>,
        options: RetentionOptions,
    ) -> Result<String, Error> {
        words::count("repositories", &options.repositories, MAX_GLOBS)?;
        options.repositories.iter().try_for_each(|pattern| words::pattern(pattern))?;
        self.may_write()?;
        let run = self.parts.runs.begin(Job::Retention)?;
        let asked = self.retention_asked(options, actor(permit.identity()), |_| true).await?;
        let id = self.begin_retention(&asked).await?;
        let (registry, plan) = (self.clone(), id.clone());
        self.parts.tasks.spawn(async move {
            registry.retain(&plan, asked).await;
            drop(run);
        });
        Ok(id)
    }

    /// One run as the schedule asks for it: waits until it is over. Nothing happens without a rule. Rules that a person
    /// confirmed are applied; what others would take becomes a plan of its own, which waits.
    ///
    /// # Errors
    /// As [`start_retention`](Self::start_retention).
    pub async fn run_scheduled_retention(&self) -> Result<(), Error> {
        if self.parts.settings.retention.is_empty() {
            return Ok(());
        }
        self.may_write()?;
        let run = self.parts.runs.begin(Job::Retention)?;
        let registry = self.clone();
        self.finish(async move { registry.scheduled(run).await }).await
    }

    async fn scheduled(&self, _run: Run) -> Result<(), Error> {
        for confirmed in [true, false] {
            let asked =
                self.retention_asked(RetentionOptions::default(), plans::system(), |is| is == confirmed).await?;
            if asked.about.is_empty() || self.waits_for(&asked).await? {
                continue;
            }
            let id = self.begin_retention(&asked).await?;
            self.retain(&id, asked).await;
        }
        Ok(())
    }

    /// Whether a plan of some of these rules waits for a person already: another one would tell nothing new.
    async fn waits_for(&self, asked: &Asked) -> Result<bool, Error> {
        let metadata = Arc::clone(&self.parts.metadata);
        let open = self.parts.blocking.run(move || metadata.open_plans()).await??;
        let waits = |plan: &PlanRecord| {
            plan.job == Job::Retention
                && plan.state == PlanState::Waiting
                && fingerprints(plan).iter().any(|fingerprint| asked.about.contains(fingerprint))
        };
        Ok(open.iter().any(waits))
    }

    async fn retention_asked(
        &self,
        options: RetentionOptions,
        actor: Actor,
        about: impl Fn(bool) -> bool,
    ) -> Result<Asked, Error> {
        let rules = Arc::new(rules::prepare(&self.parts.settings));
        self.note_rules(&rules, None, &actor.name).await?;
        let metadata = Arc::clone(&self.parts.metadata);
        let states = self.parts.blocking.run(move || metadata.retention_rules()).await??;
        let is_confirmed = |fingerprint: &str| {
            states.iter().any(|state| state.fingerprint == fingerprint && state.confirmed_at_ms.is_some())
        };
        let of = |wanted: &dyn Fn(bool) -> bool| -> Vec<String> {
            let fingerprints = rules.iter().map(|rule| &rule.fingerprint);
            fingerprints.filter(|fingerprint| wanted(is_confirmed(fingerprint))).cloned().collect()
        };
        let (about, unconfirmed) = (of(&about), of(&|confirmed| !confirmed));
        Ok(Asked { options, actor, rules, about, unconfirmed })
    }

    async fn begin_retention(&self, asked: &Asked) -> Result<String, Error> {
        let rules: Vec<_> = asked
            .rules
            .iter()
            .filter(|rule| asked.about.contains(&rule.fingerprint))
            .map(|rule| json!({ "fingerprint": rule.fingerprint, "rule": rule.words }))
            .collect();
        let settings = json!({
            "rules": rules,
            "repositories": asked.options.repositories,
            "confirmed": asked.options.confirmed,
        });
        self.begin_plan(Job::Retention, asked.options.dry_run, settings, asked.actor.clone()).await
    }

    /// Notes rules as met, and what a person thinks of them.
    async fn note_rules(&self, rules: &[Prepared], confirmed: Option<bool>, by: &str) -> Result<(), Error> {
        let rules = rules.iter().map(|rule| (rule.fingerprint.clone(), rule.words.clone())).collect();
        let note = NoteRules { rules, confirmed, by: by.to_owned(), at_ms: self.parts.clock.now_ms() };
        self.parts.writes.durable(|m, done| m.note_rules(note, done), |()| ()).await
    }

    /// Plans, and applies the plan unless it is only to be looked at or must wait for a person.
    async fn retain(&self, id: &str, asked: Asked) {
        if let Err(error) = self.plan_and_apply(id, &asked).await {
            tracing::error!(%error, plan = id, "retention was given up");
            // A plan that is being applied settles itself; while the process ends, the next start takes it up.
            let reason = error.to_string();
            let given_up = self.retention_move(id, PlanState::Planning, PlanState::Failed, Some(reason), None).await;
            if let Err(error) = given_up {
                tracing::warn!(%error, plan = id, "the plan could not be marked as failed");
            }
        }
        if let Err(error) = self.tidy_plans().await {
            tracing::warn!(%error, "plans could not be tidied up");
        }
    }

    async fn plan_and_apply(&self, id: &str, asked: &Asked) -> Result<(), Error> {
        let planned = self.plan_retention(id, asked).await?;
        let from = PlanState::Planning;
        if asked.options.dry_run {
            return self.retention_move(id, from, PlanState::Done, None, Some(planned.totals)).await;
        }
        if !asked.options.confirmed {
            if let Some(reason) = self.must_wait(asked, &planned) {
                tracing::warn!(plan = id, reason, "a plan of retention waits for a person");
                self.replace_waiting_like(id).await?;
                return self.retention_move(id, from, PlanState::Waiting, Some(reason), Some(planned.totals)).await;
            }
        } else {
            let about: Vec<Prepared> =
                asked.rules.iter().filter(|rule| asked.about.contains(&rule.fingerprint)).cloned().collect();
            self.note_rules(&about, Some(true), &asked.actor.name).await?;
        }
        if planned.totals.steps == 0 {
            return self.retention_move(id, from, PlanState::Done, None, Some(planned.totals)).await;
        }
        self.retention_move(id, from, PlanState::Running, None, Some(planned.totals)).await?;
        self.apply_retention(id).await
    }

    /// A plan of today stands for those of the same rules and repositories that waited before.
    async fn replace_waiting_like(&self, id: &str) -> Result<(), Error> {
        let mine = self.plan_row(id).await?;
        let same = |plan: &PlanRecord, key: &str| plan.settings.get(key) == mine.settings.get(key);
        let metadata = Arc::clone(&self.parts.metadata);
        for plan in self.parts.blocking.run(move || metadata.open_plans()).await?? {
            let waits = plan.job == Job::Retention && plan.state == PlanState::Waiting;
            if waits && same(&plan, "rules") && same(&plan, "repositories") {
                let reason = "a newer plan took its place".to_owned();
                self.discard(&plan.id, vec![PlanState::Waiting], reason, plans::system()).await?;
            }
        }
        Ok(())
    }

    /// Why the plan must wait for a person, if it must.
    fn must_wait(&self, asked: &Asked, planned: &plan::Planned) -> Option<String> {
        let new = planned.rules.iter().find(|fingerprint| asked.unconfirmed.contains(fingerprint));
        if let Some(rule) = new.and_then(|new| asked.rules.iter().find(|rule| rule.fingerprint == *new)) {
            return Some(format!(
                "the rule of {} is new or changed and was never confirmed: look at the plan and confirm it",
                rule.rule.repositories.join(", ")
            ));
        }
        plans::brake(&planned.totals, self.parts.settings.gc.max_delete_percent)
    }

    /// Brings a plan from one state into another; nothing where it is in another one already.
    async fn retention_move(
        &self,
        id: &str,
        from: PlanState,
        to: PlanState,
        reason: Option<String>,
        totals: Option<PlanTotals>,
    ) -> Result<(), Error> {
        let at_ms = self.parts.clock.now_ms();
        let expires_at_ms = (to == PlanState::Waiting).then(|| at_ms.saturating_add(plans::PLAN_WAITS_MS));
        let actor = plans::system();
        let change = MovePlan { id: id.to_owned(), from: vec![from], to, reason, totals, expires_at_ms, actor, at_ms };
        self.move_plan(change).await.map(|_| ())
    }

    /// How long untagged manifests of a repository stay, if its rule says so and was confirmed by a person; at least a
    /// lease. Blocks for one short read; where that fails, nothing is to be taken.
    pub(crate) fn confirmed_untagged_after(&self, repository: &str) -> Option<Duration> {
        let rules = rules::prepare(&self.parts.settings);
        let rule = rules::of(&rules, repository)?;
        let after = rule.rule.delete_untagged_after?;
        let states = match self.parts.metadata.retention_rules() {
            Ok(states) => states,
            Err(error) => {
                tracing::warn!(%error, "which rules of retention were confirmed could not be read");
                return None;
            }
        };
        let confirmed =
            |state: &mcr_metadata::RuleState| state.fingerprint == rule.fingerprint && state.confirmed_at_ms.is_some();
        states.iter().any(confirmed).then(|| after.max(self.parts.settings.gc.lease))
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
