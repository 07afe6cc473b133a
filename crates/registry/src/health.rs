//! How the registry is: what works, what does not, in words; never how that is answered.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mcr_metadata::{ProbeRun, Summary};

use crate::error::Error;
use crate::registry::Registry;

/// How long counts are kept.
const SUMMARY_FRESH: Duration = Duration::from_secs(5);

/// Counts as of a moment and a generation of the caches.
pub(crate) type Kept = Option<(Instant, u64, Summary)>;

/// The state of the parts.
#[derive(Debug, Clone)]
pub struct Health {
    /// Why pulls fail, if they do.
    pub failing: Vec<String>,
    /// What is not as it should be, though pulls go on.
    pub degraded: Vec<String>,
    /// Counts, where the database answers.
    pub summary: Option<Summary>,
    /// Free bytes on the blob volume.
    pub available: u64,
}

impl Registry {
    /// Looks at every part.
    pub async fn health(&self) -> Health {
        let mut health = Health {
            failing: Vec::new(),
            degraded: Vec::new(),
            summary: None,
            available: self.parts.volume.available(),
        };
        if let Err(error) = self.volume_present() {
            health.failing.push(format!("layers: {error}"));
        }
        match self.summary().await {
            Ok(summary) => {
                if summary.open_findings > 0 {
                    let kinds: Vec<String> =
                        summary.findings_by_kind.iter().map(|(kind, n)| format!("{} {n}", kind.as_str())).collect();
                    health.degraded.push(format!("integrity: open findings: {}", kinds.join(", ")));
                }
                let probe = summary.probe.as_ref().filter(|_| self.parts.settings.probed);
                health.degraded.extend(probe.and_then(probe_findings));
                health.summary = Some(summary);
            }
            Err(error) => health.failing.push(format!("database: {error}")),
        }
        if let Some(trouble) = self.parts.metadata.trouble() {
            health.degraded.push(format!("database: the last write failed: {trouble}"));
        }
        health.degraded.extend(self.parts.journal.trouble());
        if self.parts.volume.below_reserve() {
            health.degraded.push(format!("disk: {}", self.parts.volume.full()));
        }
        if let Some(reason) = self.parts.read_only.why() {
            health.degraded.push(format!("read-only: {reason}"));
        }
        health
    }

    /// Makes the next look at health count anew.
    pub(crate) async fn summary_changed(&self) {
        *self.parts.summary.lock().await = None;
    }

    /// Counts over everything, at most [`SUMMARY_FRESH`] old and never older than the last damage or
    /// healing: everybody may ask for health, and counting reads every blob's row.
    async fn summary(&self) -> Result<Summary, Error> {
        let mut kept = self.parts.summary.lock().await;
        let stamp = self.parts.caches.generation();
        if let Some((at, of, summary)) = kept.as_ref()
            && *of == stamp
            && at.elapsed() < SUMMARY_FRESH
        {
            return Ok(summary.clone());
        }
        let metadata = Arc::clone(&self.parts.metadata);
        let summary = self.parts.blocking.run(move || metadata.summary()).await??;
        *kept = Some((Instant::now(), stamp, summary.clone()));
        Ok(summary)
    }

    /// Whether the database answers; the part of [`Registry::health`] that readiness needs.
    ///
    /// # Errors
    /// The database's inability.
    pub async fn database_answers(&self) -> Result<(), Error> {
        let metadata = Arc::clone(&self.parts.metadata);
        self.parts.blocking.run(move || metadata.registry_id()).await??;
        Ok(())
    }
}

/// What health says of the last complete run of the probe, if it found something.
fn probe_findings(run: &ProbeRun) -> Option<String> {
    if run.findings == 0 {
        return None;
    }
    let plural = |n: u64, one: &str| if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") };
    Some(format!(
        "integrity: the probe found {} in {} at {}; `mcrctl integrity` names them",
        plural(run.findings, "finding"),
        plural(run.broken_tags, "tag"),
        mcr_seams::rfc3339(run.ended_at_ms)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_findings_degrade_and_the_reason_counts_them() {
        let mut run = ProbeRun {
            started_at_ms: 0,
            ended_at_ms: 1_795_267_496_000,
            duration_ms: 3,
            level: "tail".to_owned(),
            reason: None,
            catalog_accessible: Some(true),
            repositories: 3,
            tags: 4,
            indexes: 1,
            findings: 0,
            broken_tags: 0,
            undetermined: 2,
        };
        assert_eq!(probe_findings(&run), None);
        (run.findings, run.broken_tags) = (2, 1);
        let said = probe_findings(&run).unwrap();
        assert!(said.starts_with("integrity: the probe found 2 findings in 1 tag at 2026-"), "{said}");
    }
}
