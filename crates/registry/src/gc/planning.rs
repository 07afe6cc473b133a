//! Making the collector's plan: what may go, with a reason each, written down in small pieces; nothing is removed.

use std::collections::BTreeSet;
use std::sync::Arc;

use mcr_metadata::{
    Candidate, CollectSearch, Doomed, MAX_STEPS_A_WRITE, NewStep, PlanJob, PlanTotals, StepAction, UntaggedManifest,
    Why,
};
use mcr_seams::rfc3339;

use crate::error::Error;
use crate::gc::asked::Asked;
use crate::gc::pace::{FULL_CHUNK, Pace};
use crate::holds::HeldBy;
use crate::plans::percent;
use crate::registry::Registry;

/// Steps of one plan; the rest is for the next run.
pub(crate) const MAX_STEPS: u64 = 2_000_000;
/// Steps that are written at once for each that is removed at once: a row at the end of a table is cheap.
const STEPS_FOR_REMOVAL: usize = MAX_STEPS_A_WRITE / FULL_CHUNK;

/// A plan being made.
pub(crate) struct Planning {
    pub(crate) plan: String,
    pub(crate) asked: Asked,
    pub(crate) totals: PlanTotals,
    /// Why not everything stands in it, where that is so.
    pub(crate) cut: Option<&'static str>,
    /// Bytes of all blobs; none where the search did not come to its end.
    all_bytes: Option<u64>,
    /// Bytes that only manifests name which become tombstones: they go in a later run, but the brake looks at them now.
    buried_bytes: u64,
    pace: Pace,
}

impl Planning {
    pub(crate) fn new(registry: &Registry, plan: &str, asked: Asked) -> Self {
        let pace = Pace::new(&registry.parts.writes);
        let (totals, plan) = (PlanTotals::default(), plan.to_owned());
        Self { plan, asked, totals, cut: None, all_bytes: None, buried_bytes: 0, pace }
    }

    /// Counts steps into the totals.
    fn count(&mut self, steps: &[NewStep]) {
        for step in steps {
            self.totals.bytes = self.totals.bytes.saturating_add(step.bytes);
            if step.action != StepAction::Link {
                self.totals.digests += 1;
            }
        }
    }
}

impl Registry {
    /// Writes the steps of rows that may go.
    ///
    /// # Errors
    /// Inability; [`Error::Unavailable`] when the registry stops.
    pub(crate) async fn plan_rows(&self, planning: &mut Planning) -> Result<(), Error> {
        let mut search = CollectSearch::new(planning.asked.due(self.parts.clock.now_ms()));
        self.plan_untagged(planning, &mut search).await?;
        let held = self.look_at_snapshots().await?;
        let mut more = true;
        while more && planning.cut.is_none() {
            if self.parts.volume.is_stopped() {
                return Err(Error::stopping());
            }
            let (registry, everything) = (self.clone(), matches!(held, HeldBy::Everything(_)));
            let (back, steps, held_bytes, held_count, goes_on) = self
                .parts
                .blocking
                .run(move || -> Result<_, mcr_metadata::Error> {
                    let mut found = Vec::new();
                    let goes_on = registry.parts.metadata.search_collectable(&mut search, &mut found)?;
                    let before = found.len();
                    let (mut steps, mut bytes) = (Vec::with_capacity(before), 0_u64);
                    for candidate in found {
                        let is_blob = candidate.action == StepAction::Blob;
                        if is_blob && (everything || registry.parts.holds.holds(&candidate.digest)) {
                            bytes = bytes.saturating_add(candidate.bytes);
                        } else {
                            steps.push(step(candidate));
                        }
                    }
                    let count = before - steps.len();
                    Ok((search, steps, bytes, count as u64, goes_on))
                })
                .await??;
            (search, more) = (back, goes_on);
            planning.totals.held_bytes = planning.totals.held_bytes.saturating_add(held_bytes);
            planning.totals.waiting_digests += held_count;
            self.write_steps(planning, steps).await?;
        }
        let now_ms = self.parts.clock.now_ms();
        Self::add_up(planning, &search, now_ms, self.parts.holds.until_ms());
        Ok(())
    }

    fn add_up(planning: &mut Planning, search: &CollectSearch, now_ms: i64, held_until_ms: Option<i64>) {
        let (waiting, due) = (search.waiting(), planning.asked.due(now_ms));
        let totals = &mut planning.totals;
        totals.waiting_digests += waiting.digests;
        totals.waiting_bytes = waiting.bytes.saturating_add(totals.held_bytes).saturating_add(planning.buried_bytes);
        // What this plan buries begins to wait when it is applied.
        let buried = planning.buried_bytes > 0;
        let buried_until_ms = buried.then(|| due.now_ms.saturating_add(due.wait_ms.max(due.undo_ms)));
        let held_until_ms = held_until_ms.filter(|_| totals.held_bytes > 0);
        totals.waiting_until_ms = waiting.until_ms.max(buried_until_ms).max(held_until_ms);
        planning.all_bytes = planning.cut.is_none().then(|| search.blob_bytes());
    }

    /// How much of everything the plan takes, for the brake.
    ///
    /// # Errors
    /// Inability.
    pub(crate) async fn weigh_plan(&self, planning: &mut Planning) -> Result<(), Error> {
        let (metadata, seen) = (Arc::clone(&self.parts.metadata), planning.all_bytes);
        let read = move || -> Result<_, mcr_metadata::Error> {
            // A search that was cut has not seen every blob.
            let bytes = seen.map_or_else(|| metadata.summary().map(|all| all.blob_bytes), Ok)?;
            Ok((bytes, metadata.count_tags()?))
        };
        let (bytes, tags) = self.parts.blocking.run(read).await??;
        let totals = &mut planning.totals;
        totals.percent_bytes = percent(totals.bytes.saturating_add(planning.buried_bytes), bytes);
        totals.percent_tags = percent(totals.tags, tags);
        Ok(())
    }

    /// Writes the steps of untagged manifests that a confirmed rule of retention lets go. None while a plan of retention
    /// waits for a person: it may wait because of these very manifests.
    async fn plan_untagged(&self, planning: &mut Planning, search: &mut CollectSearch) -> Result<(), Error> {
        let none = self.parts.settings.retention.iter().all(|rule| rule.delete_untagged_after.is_none());
        if none || !self.waiting_plans(PlanJob::Retention).await?.is_empty() {
            return Ok(());
        }
        let registry = self.clone();
        let rules = Arc::new(self.parts.blocking.run(move || registry.untagged_rules()).await?);
        let due = planning.asked.due(self.parts.clock.now_ms());
        let (mut next, mut doomed, mut used) = (Some(0), Doomed::default(), BTreeSet::new());
        while let (Some(after), None) = (next, planning.cut) {
            let (metadata, known) = (Arc::clone(&self.parts.metadata), Arc::clone(&rules));
            let (page, goes_on, bytes, back) = self
                .parts
                .blocking
                .run(move || -> Result<_, mcr_metadata::Error> {
                    let (mut page, goes_on) = metadata.untagged_manifests(after)?;
                    page.retain(|manifest| {
                        let stays_ms = known.of(&manifest.repository).map(|(after_ms, _)| after_ms.max(due.lease_ms));
                        stays_ms.is_some_and(|stays_ms| manifest.since_ms.saturating_add(stays_ms) <= due.now_ms)
                    });
                    let ids: Vec<i64> = page.iter().map(|manifest| manifest.id).collect();
                    let (bytes, _) = metadata.doom(&mut doomed, &ids)?;
                    Ok((page, goes_on, bytes.into_values().fold(0, u64::saturating_add), doomed))
                })
                .await??;
            (next, doomed) = (goes_on, back);
            planning.buried_bytes = planning.buried_bytes.saturating_add(bytes);
            for manifest in &page {
                used.extend(rules.of(&manifest.repository).map(|(_, rule)| rule.to_owned()));
                // It is a tombstone whose time is past at once.
                if due.undo_ms == 0 && manifest.since_ms.saturating_add(due.wait_ms) <= due.now_ms {
                    search.take(manifest);
                }
            }
            self.write_steps(planning, page.into_iter().map(bury).collect()).await?;
        }
        // Who undoes the run says that these were wrong.
        planning.totals.rules = used.into_iter().collect();
        Ok(())
    }

    /// Writes steps behind those there are. A plan that grows too long, or finds no room in the database, is cut there:
    /// what stands in it can be applied, and frees room.
    ///
    /// # Errors
    /// Inability.
    pub(crate) async fn write_steps(&self, planning: &mut Planning, steps: Vec<NewStep>) -> Result<(), Error> {
        if planning.totals.steps + steps.len() as u64 > MAX_STEPS {
            planning.cut = Some("there is more than one plan can hold: run it again");
            return Ok(());
        }
        let mut rest = steps.as_slice();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(planning.pace.chunk() * STEPS_FOR_REMOVAL));
            planning.pace.wrote();
            match self.add_steps(&planning.plan, &mut planning.totals.steps, now.to_vec()).await {
                Ok(()) => planning.count(now),
                Err(Error::DiskFull(_)) => {
                    planning.cut = Some("the database's disk is full: run it again");
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
            rest = later;
            if let Some(pause) = planning.pace.pause() {
                self.sleep(pause).await?;
            }
        }
        Ok(())
    }

    /// What snapshots hold at this moment.
    ///
    /// # Errors
    /// Where their folder cannot be read: then nothing may go.
    pub(crate) async fn look_at_snapshots(&self) -> Result<HeldBy, Error> {
        let registry = self.clone();
        Ok(self.parts.blocking.run(move || registry.parts.holds.look()).await??)
    }
}

fn bury(manifest: UntaggedManifest) -> NewStep {
    NewStep {
        action: StepAction::Bury,
        reason: format!("no tag, and nothing names it since {}", rfc3339(manifest.since_ms)),
        repository: Some(manifest.repository),
        tag: None,
        digest: manifest.digest,
        bytes: 0,
    }
}

pub(crate) fn step(candidate: Candidate) -> NewStep {
    let reason = match candidate.why {
        Why::Deleted(at) => format!("deleted at {}", rfc3339(at)),
        Why::SubjectGone => "the manifest it is about goes".to_owned(),
        Why::Untagged(since) => format!("no tag, and nothing names it since {}", rfc3339(since)),
        Why::Unnamed { since_ms, repositories: 1 } => format!("no manifest names it since {}", rfc3339(since_ms)),
        Why::Unnamed { since_ms, repositories } => {
            format!("no manifest in any of {repositories} repositories names it since {}", rfc3339(since_ms))
        }
        Why::Unlinked => "no repository holds it".to_owned(),
    };
    NewStep {
        action: candidate.action,
        repository: candidate.repository,
        tag: None,
        digest: candidate.digest,
        bytes: candidate.bytes,
        reason,
    }
}
