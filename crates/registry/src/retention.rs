//! Retention: which tags go by which rule, as a plan that is made, confirmed and applied; never a byte, nor a row of its own.
//!
//! Contract section 9. Tags are what rules count; a tag that goes takes the part of its closure that nothing else names,
//! all of it as tombstones of one run, which can be undone as a whole.

use std::collections::HashSet;
use std::sync::Arc;

use mcr_access::{Administer, GlobalPermit};
use mcr_metadata::{Actor, NoteRules, PlanJob as Job, PlanRecord, PlanState, PlanTotals, StartedRetention};
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
mod untagged;
mod verdict;

use rules::Prepared;
pub(crate) use untagged::UntaggedRules;

/// Globs that one run may be limited to.
const MAX_GLOBS: usize = 100;

/// What a run of retention shall do.
#[derive(Debug, Clone, Default)]
pub struct RetentionOptions {
    /// Only show what would go.
    pub dry_run: bool,
    /// A person said yes: neither the brake nor a rule that nobody confirmed yet makes it wait, and the rules that its
    /// plan shows whole count as confirmed from then on.
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
}

impl Asked {
    /// The rule of this run that decides for `repository`, if one does.
    fn rule(&self, repository: &str) -> Option<&Prepared> {
        rules::of(&self.rules, repository).filter(|rule| self.about.contains(&rule.fingerprint))
    }

    /// Why a plan waits that rests on a rule of this fingerprint, which nobody confirmed.
    fn unconfirmed(&self, fingerprint: &str) -> String {
        let rule = self.rules.iter().find(|rule| rule.fingerprint == fingerprint);
        let of = rule.map_or_else(|| "another configuration".to_owned(), |rule| rule.rule.repositories.join(", "));
        format!("the rule of {of} is new or changed and was never confirmed: look at the plan and confirm it")
    }

    /// Whether the run is limited to other repositories.
    fn leaves_out(&self, repository: &str) -> bool {
        let globs = &self.options.repositories;
        !globs.is_empty() && !globs.iter().any(|pattern| glob::matches(pattern, repository))
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
        let (registry, who) = (self.clone(), actor(permit.identity()));
        // A plan that was begun has somebody who works on it, though who asked for it goes away meanwhile.
        self.finish(async move {
            let asked = registry.retention_asked(options, who, |_| true).await?;
            let id = registry.begin_retention(&asked).await?;
            let (plan, tasks) = (id.clone(), registry.parts.tasks.clone());
            tasks.spawn(async move {
                registry.retain(&plan, asked).await;
                drop(run);
            });
            Ok(id)
        })
        .await
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
            let mut asked =
                self.retention_asked(RetentionOptions::default(), plans::system(), |is| is == confirmed).await?;
            self.leave_waiting(&mut asked).await?;
            if asked.about.is_empty() {
                continue;
            }
            let id = self.begin_retention(&asked).await?;
            self.retain(&id, asked).await;
        }
        Ok(())
    }

    /// Leaves out of a run what a plan shows whole that waits already: another one would tell nothing new. Unless that
    /// plan waits only because of other rules, which nobody confirmed yet.
    async fn leave_waiting(&self, asked: &mut Asked) -> Result<(), Error> {
        let waiting = self.waiting_plans(Job::Retention).await?;
        let confirmed = self.confirmed_rules().await?;
        asked.about.retain(|rule| {
            let itself = |plan: &PlanRecord| {
                let braked = plan.totals.rules.iter().all(|rule| confirmed.contains(rule));
                plan.totals.confirms.contains(rule) && (braked || !confirmed.contains(rule))
            };
            !waiting.iter().any(itself)
        });
        Ok(())
    }

    /// A run about the rules of which `about` says so, given whether a person confirmed them.
    async fn retention_asked(
        &self,
        options: RetentionOptions,
        actor: Actor,
        about: impl Fn(bool) -> bool,
    ) -> Result<Asked, Error> {
        let rules = Arc::new(rules::prepare(&self.parts.settings));
        self.note_rules(&rules, &actor.name).await?;
        let confirmed = self.confirmed_rules().await?;
        let fingerprints = rules.iter().map(|rule| &rule.fingerprint);
        let about = fingerprints.filter(|rule| about(confirmed.contains(*rule))).cloned().collect();
        Ok(Asked { options, actor, rules, about })
    }

    /// The fingerprints of the rules that a person confirmed.
    async fn confirmed_rules(&self) -> Result<HashSet<String>, Error> {
        let metadata = Arc::clone(&self.parts.metadata);
        let states = self.parts.blocking.run(move || metadata.retention_rules()).await??;
        let confirmed = states.into_iter().filter(|state| state.confirmed_at_ms.is_some());
        Ok(confirmed.map(|state| state.fingerprint).collect())
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

    /// Notes rules as met.
    async fn note_rules(&self, rules: &[Prepared], by: &str) -> Result<(), Error> {
        let rules = rules.iter().map(|rule| (rule.fingerprint.clone(), rule.words.clone())).collect();
        let note = NoteRules { rules, confirmed: None, by: by.to_owned(), at_ms: self.parts.clock.now_ms() };
        self.parts.writes.durable(|m, done| m.note_rules(note, done), |()| ()).await
    }

    /// Plans, and applies the plan unless it is only to be looked at or must wait for a person.
    async fn retain(&self, id: &str, asked: Asked) {
        if let Err(error) = self.plan_and_apply(id, &asked).await {
            tracing::error!(%error, plan = id, "retention was given up");
            // A plan that is being applied settles itself; while the process ends, the next start takes it up.
            let (from, reason) = ([PlanState::Planning], Some(error.to_string()));
            if let Err(error) = self.turn(id, &from, PlanState::Failed, reason, None).await {
                tracing::warn!(%error, plan = id, "the plan could not be marked as failed");
            }
        }
        self.tidy_quietly().await;
    }

    async fn plan_and_apply(&self, id: &str, asked: &Asked) -> Result<(), Error> {
        let (from, yes) = ([PlanState::Planning], asked.options.confirmed);
        let totals = self.plan_retention(id, asked).await?;
        if asked.options.dry_run || totals.steps == 0 {
            return self.turn(id, &from, PlanState::Done, None, Some(totals)).await.map(drop);
        }
        let waits = if yes { None } else { self.must_wait(asked, &totals).await? };
        let reason = match waits {
            Some(reason) => reason,
            // A confirmation that was taken back a moment ago is none.
            None => match self.begin_made(id, totals.clone(), yes).await? {
                StartedRetention::Running(_) => return self.apply_retention(id).await,
                StartedRetention::Unconfirmed(rule) => asked.unconfirmed(&rule),
                StartedRetention::Elsewhere => return Ok(()),
            },
        };
        tracing::warn!(plan = id, reason, "a plan of retention waits for a person");
        let mine = self.plan_row(id).await?.settings;
        // A plan of today stands for those of the same rules and repositories that waited before.
        let same =
            |plan: &PlanRecord| ["rules", "repositories"].iter().all(|key| plan.settings.get(key) == mine.get(key));
        self.replace_waiting(Job::Retention, same).await?;
        self.turn(id, &from, PlanState::Waiting, Some(reason), Some(totals)).await.map(drop)
    }

    /// Why the plan must wait for a person, if it must.
    async fn must_wait(&self, asked: &Asked, totals: &PlanTotals) -> Result<Option<String>, Error> {
        let confirmed = self.confirmed_rules().await?;
        let new = totals.rules.iter().find(|rule| !confirmed.contains(*rule));
        let brake = || plans::brake(totals, self.parts.settings.gc.max_delete_percent);
        Ok(new.map_or_else(brake, |rule| Some(asked.unconfirmed(rule))))
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
