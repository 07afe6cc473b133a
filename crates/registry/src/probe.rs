//! What the probe saw: taken, and told to those who may list; never the probe itself, which asks over the wire like anybody.

use std::sync::Arc;

use mcr_access::{Catalog, GlobalPermit};
use mcr_metadata::{
    BrokenTag, OpenFinding, PROBE_BATCH, Page, ProbeFinding, ProbeRun, ProbeState, ProbedTag, RecordProbeRun,
    RecordProbedTags, TagPage, TagQuery,
};
use mcr_oci::Finding;

use crate::error::Error;
use crate::list::MAX_PAGE;
use crate::registry::Registry;

/// Findings of each source that one report lists at most.
pub const MAX_LISTED_FINDINGS: usize = 1000;

/// A run to be written down.
#[derive(Debug, Clone)]
pub struct ProbeRecord {
    /// The run.
    pub run: ProbeRun,
    /// What it found.
    pub findings: Vec<Finding>,
    /// Every tag it looked at.
    pub tags: Vec<ProbedTag>,
}

/// What is known about the integrity of the registry.
#[derive(Debug, Clone)]
pub struct IntegrityReport {
    /// The probe's runs.
    pub state: ProbeState,
    /// What was met while serving and not put right yet; at most [`MAX_LISTED_FINDINGS`].
    pub open: Vec<OpenFinding>,
    /// What the last complete run found; at most [`MAX_LISTED_FINDINGS`].
    pub probed: Vec<ProbeFinding>,
    /// A page of tags.
    pub tags: TagPage,
}

impl Registry {
    /// Writes a run down: its tags in batches, then the rest in one transaction. Says which tags and kinds are new.
    ///
    /// # Errors
    /// Inability only. Nothing of an earlier complete run is lost; tags may be of this one already.
    pub async fn record_probe(&self, record: ProbeRecord) -> Result<Vec<BrokenTag>, Error> {
        let ProbeRecord { run, findings, mut tags } = record;
        while tags.len() > PROBE_BATCH {
            let batch = tags.split_off(tags.len() - PROBE_BATCH);
            let request = RecordProbedTags { tags: batch, at_ms: run.ended_at_ms };
            self.parts.writes.durable(|m, done| m.record_probed_tags(request, done), |()| ()).await?;
        }
        let request = RecordProbeRun { run, findings, tags };
        let news = self.parts.writes.durable(|m, done| m.record_probe_run(request, done), |_| ()).await?;
        self.summary_changed().await;
        Ok(news)
    }

    /// The probe's last runs, at most `history`.
    ///
    /// # Errors
    /// Inability only.
    pub async fn probe_state(&self, history: usize) -> Result<ProbeState, Error> {
        let metadata = Arc::clone(&self.parts.metadata);
        Ok(self.parts.blocking.run(move || metadata.probe_state(history)).await??)
    }

    /// What the last complete run found, at most `limit`.
    ///
    /// # Errors
    /// Inability only.
    pub async fn probe_findings(&self, limit: usize) -> Result<Vec<ProbeFinding>, Error> {
        let metadata = Arc::clone(&self.parts.metadata);
        Ok(self.parts.blocking.run(move || metadata.probe_findings(limit)).await??)
    }

    /// The repositories that the database lists after `last`, a page at a time, also while the blob volume is away:
    /// what there is, whatever can be served of it.
    ///
    /// # Errors
    /// Inability only.
    pub async fn listed_repositories(
        &self,
        _permit: &GlobalPermit<Catalog>,
        last: Option<String>,
    ) -> Result<Page, Error> {
        let metadata = Arc::clone(&self.parts.metadata);
        Ok(self.parts.blocking.run(move || metadata.catalog(last.as_deref(), MAX_PAGE, &|_| true)).await??)
    }

    /// A page of every tag, with what the probe knows of it.
    ///
    /// # Errors
    /// Inability only.
    pub async fn tag_reports(&self, _permit: &GlobalPermit<Catalog>, query: TagQuery) -> Result<TagPage, Error> {
        let metadata = Arc::clone(&self.parts.metadata);
        Ok(self.parts.blocking.run(move || metadata.probed_tags(&query)).await??)
    }

    /// Runs, findings and a page of tags.
    ///
    /// # Errors
    /// Inability only.
    pub async fn integrity_report(
        &self,
        permit: &GlobalPermit<Catalog>,
        history: usize,
        query: TagQuery,
    ) -> Result<IntegrityReport, Error> {
        let tags = self.tag_reports(permit, query).await?;
        let metadata = Arc::clone(&self.parts.metadata);
        let read = move || -> Result<_, mcr_metadata::Error> {
            Ok((
                metadata.probe_state(history)?,
                metadata.integrity(MAX_LISTED_FINDINGS)?,
                metadata.probe_findings(MAX_LISTED_FINDINGS)?,
            ))
        };
        let (state, open, probed) = self.parts.blocking.run(read).await??;
        Ok(IntegrityReport { state, open, probed, tags })
    }
}
