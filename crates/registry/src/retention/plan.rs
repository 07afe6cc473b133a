//! Making a plan of retention: repository by repository, what the rules let go and what goes with it; writes nothing but the plan.

use std::collections::BTreeSet;
use std::sync::Arc;

use mcr_metadata::{Doomed, Metadata, NewStep, PlanTotals, RepositoryFacts, StepAction, TagGuard};
use mcr_oci::RepositoryName;

use super::Asked;
use super::doom::{Gone, Graph};
use super::rules::Prepared;
use super::verdict::{Times, verdicts, words};
use crate::error::Error;
use crate::plans::percent;
use crate::registry::Registry;
use crate::settings::millis;

/// Repositories of one page.
const PAGE: usize = 100;

/// What one repository loses.
#[derive(Debug, Default)]
struct Share {
    steps: Vec<NewStep>,
    digests: u64,
    tags: u64,
    bytes: u64,
}

/// What one repository's plan is made from.
pub(super) struct Ground {
    pub(super) metadata: Arc<Metadata>,
    pub(super) name: RepositoryName,
    pub(super) rule: Prepared,
    pub(super) immutable: Option<TagGuard>,
    pub(super) times: Times,
    /// How long a promise holds at least, in milliseconds.
    pub(super) lease_ms: i64,
}

impl Registry {
    /// Writes the steps of a plan, and sums them up.
    pub(super) async fn plan_retention(&self, id: &str, asked: &Asked) -> Result<PlanTotals, Error> {
        let mut totals = PlanTotals::default();
        let mut doomed = Doomed::default();
        // Fingerprints of the rules that take something, and of those of which a repository was left out.
        let (mut rules, mut left_out) = (BTreeSet::new(), BTreeSet::new());
        let mut last: Option<String> = None;
        loop {
            if self.parts.volume.is_stopping() {
                return Err(Error::stopping());
            }
            let (metadata, after) = (Arc::clone(&self.parts.metadata), last.clone());
            let page = self.parts.blocking.run(move || metadata.catalog(after.as_deref(), PAGE, &|_| true)).await??;
            for name in &page.names {
                let Some(rule) = asked.rule(name) else { continue };
                if asked.leaves_out(name) {
                    left_out.insert(rule.fingerprint.clone());
                    continue;
                }
                let share;
                (share, doomed) = self.plan_repository(name, rule, doomed).await?;
                if share.steps.is_empty() {
                    continue;
                }
                rules.insert(rule.fingerprint.clone());
                totals.digests += share.digests;
                totals.tags += share.tags;
                totals.bytes += share.bytes;
                self.add_steps(id, &mut totals.steps, share.steps).await?;
            }
            match page.cursor.filter(|_| page.more) {
                Some(cursor) => last = Some(cursor),
                None => break,
            }
        }
        totals.confirms = rules.difference(&left_out).cloned().collect();
        totals.rules = rules.into_iter().collect();
        if totals.steps > 0 {
            self.weigh(&mut totals).await?;
        }
        Ok(totals)
    }

    /// What a repository loses, after those before it lost what is doomed already.
    async fn plan_repository(&self, name: &str, rule: &Prepared, mut doomed: Doomed) -> Result<(Share, Doomed), Error> {
        let Some(ground) = self.ground(name, rule) else { return Ok((Share::default(), doomed)) };
        self.parts.blocking.run(move || Ok((ground.share(&mut doomed)?, doomed))).await?
    }

    /// What a repository's part is made from; none where its name is no name.
    pub(super) fn ground(&self, name: &str, rule: &Prepared) -> Option<Ground> {
        let settings = &self.parts.settings;
        Some(Ground {
            metadata: Arc::clone(&self.parts.metadata),
            name: RepositoryName::parse(name).ok()?,
            rule: rule.clone(),
            immutable: settings.immutable_tags(name),
            times: Times { now_ms: self.parts.clock.now_ms(), undo_ms: millis(settings.gc.undo) },
            lease_ms: millis(settings.gc.lease),
        })
    }

    /// How much of everything it is.
    async fn weigh(&self, totals: &mut PlanTotals) -> Result<(), Error> {
        let metadata = Arc::clone(&self.parts.metadata);
        let all = self.parts.blocking.run(move || metadata.summary()).await??;
        totals.percent_bytes = percent(totals.bytes, all.blob_bytes);
        totals.percent_tags = percent(totals.tags, all.tags);
        Ok(())
    }
}

impl Ground {
    /// The time before which an untagged manifest was named or promised last, so that it goes.
    pub(super) fn untagged_before_ms(&self) -> Option<i64> {
        let after = millis(self.rule.rule.delete_untagged_after?).max(self.lease_ms);
        Some(self.times.now_ms.saturating_sub(after))
    }

    fn share(&self, doomed: &mut Doomed) -> Result<Share, Error> {
        let Some(facts) = self.metadata.retention_facts(&self.name)? else { return Ok(Share::default()) };
        let verdicts = verdicts(&self.rule, &facts, self.immutable.as_ref(), self.times);
        let mut graph = Graph::new(&facts, self.immutable.as_ref());
        let untagged = self.untagged(&facts, &graph);
        let mut gone: Vec<(Gone, String)> = Vec::new();
        for (at, verdict) in verdicts.into_iter().enumerate() {
            let (Some(reason), Some(tag)) = (verdict, facts.tags.get(at)) else { continue };
            let with = format!("goes with {}", tag.name);
            let mut reason = Some(reason);
            for one in graph.drop_tag(at) {
                let why = reason.take().unwrap_or_else(|| match one {
                    Gone::Manifest(id) if id == tag.manifest => format!("only {} kept it", tag.name),
                    _ => with.clone(),
                });
                gone.push((one, why));
            }
        }
        for (manifest, since_ms) in untagged {
            let age = words(self.times.now_ms.saturating_sub(since_ms));
            let mut reason = Some(format!("no tag names it, and nothing else did for {age}"));
            for one in graph.drop_untagged(manifest) {
                gone.push((one, reason.take().unwrap_or_else(|| "goes with an untagged manifest".to_owned())));
            }
        }
        self.steps(&facts, gone, doomed)
    }

    /// Manifests that no tag, no index and no subject, deleted or not, holds and whose time is past, with since when.
    fn untagged(&self, facts: &RepositoryFacts, graph: &Graph<'_>) -> Vec<(i64, i64)> {
        let Some(before) = self.untagged_before_ms() else { return Vec::new() };
        let manifests = facts.manifests.iter().filter(|manifest| !manifest.of_tombstone && !graph.is_held(manifest.id));
        manifests
            .filter_map(|manifest| manifest.unreferenced_since_ms.map(|since| (manifest.id, since)))
            .filter(|(_, since)| *since <= before)
            .collect()
    }

    fn steps(&self, facts: &RepositoryFacts, gone: Vec<(Gone, String)>, doomed: &mut Doomed) -> Result<Share, Error> {
        let mut ids: Vec<i64> = Vec::new();
        let mut buried: Vec<i64> = Vec::new();
        for (one, _) in &gone {
            match one {
                Gone::Manifest(id) => {
                    ids.push(*id);
                    buried.push(*id);
                }
                Gone::Tag(at) => ids.extend(facts.tags.get(*at).map(|tag| tag.manifest)),
            }
        }
        let digests = self.metadata.manifest_digests(&ids)?;
        let (bytes, blobs) = self.metadata.doom(doomed, &buried)?;
        let mut share = Share { digests: buried.len() as u64 + blobs, ..Share::default() };
        for (one, reason) in gone {
            let (action, tag, id) = match one {
                Gone::Manifest(id) => (StepAction::Bury, None, id),
                Gone::Tag(at) => {
                    let Some(tag) = facts.tags.get(at) else { continue };
                    (StepAction::Tag, Some(tag.name.clone()), tag.manifest)
                }
            };
            // What went since the facts were read needs no step.
            let Some(digest) = digests.get(&id).cloned() else { continue };
            let bytes = if action == StepAction::Bury { bytes.get(&id).copied().unwrap_or(0) } else { 0 };
            share.tags += u64::from(action == StepAction::Tag);
            share.bytes += bytes;
            share.steps.push(NewStep { action, repository: Some(self.name.to_string()), tag, digest, bytes, reason });
        }
        Ok(share)
    }
}
