//! When runs are made, one after the other, and what is kept of each: rows, figures, lines of the log; never the walk.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mcr_access::{Catalog, GlobalPermit, Identity};
use mcr_client::{Client, Login, Settings, Trust, Url};
use mcr_metadata::ProbeRun;
use mcr_probe::{Run, Schedule, Ticks};
use mcr_registry::{ProbeRecord, Registry};
use tokio_util::sync::CancellationToken;

use super::credential::Credential;
use super::run::{Completed, Incomplete, Walk, boxed};
use super::{FIRST_RUN_AFTER, Probe};
use crate::tls::Reloader;

/// How often a run is begun anew because certificate or database changed under it.
const ATTEMPTS: usize = 3;

/// A run that takes longer is given up: at level `full` it reads every byte of the store.
const RUN_MAX: Duration = Duration::from_secs(24 * 3600);

/// Broken tags that one run logs by name.
const LOGGED_TAGS: usize = 1000;

/// Where the listener is, and how it is known for ours.
#[derive(Clone, Debug)]
pub struct Target {
    /// The address that was bound.
    pub address: SocketAddr,
    /// The certificate that is served; none for plain HTTP.
    pub certificate: Option<Arc<Reloader>>,
}

/// Makes the runs.
#[derive(Debug)]
pub struct Runner {
    /// What it shows.
    pub probe: Arc<Probe>,
    /// Where it keeps what it saw.
    pub registry: Registry,
    /// Whom it asks.
    pub target: Target,
    /// As whom.
    pub credential: Arc<Credential>,
}

impl Runner {
    /// Makes runs until the server stops: the first a moment after the start, then by the schedule.
    pub async fn watch(self, stopping: CancellationToken) {
        let Some(schedule) = self.probe.schedule.clone() else { return };
        if let Err(error) = self.run_by(&schedule, &stopping).await {
            tracing::error!(error, "the probe does not run");
        }
    }

    async fn run_by(&self, schedule: &Schedule, stopping: &CancellationToken) -> Result<(), String> {
        let permit =
            self.registry.permit_global::<Catalog>(&Identity::probe(None)).map_err(|refusal| refusal.to_string())?;
        let mut ticks = boxed(Ticks::start(schedule)).await.map_err(|error| error.to_string())?;
        tokio::select! {
            () = stopping.cancelled() => {}
            () = tokio::time::sleep(FIRST_RUN_AFTER) => {}
            () = ticks.next() => {}
        }
        // One after the other: ticks that come during a run are dropped.
        while !stopping.is_cancelled() {
            boxed(self.run_once(&permit, stopping)).await;
            stopping.run_until_cancelled(ticks.next()).await;
        }
        boxed(ticks.stop()).await;
        Ok(())
    }

    async fn run_once(&self, permit: &GlobalPermit<Catalog>, stopping: &CancellationToken) {
        let (began, started_at_ms) = (Instant::now(), self.probe.clock.now_ms());
        let attempts = tokio::time::timeout(RUN_MAX, self.attempts(permit));
        let outcome = match stopping.run_until_cancelled(attempts).await {
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) => Err(of_itself(format!("it took longer than {} hours", RUN_MAX.as_secs() / 3600))),
            None => Err(of_itself("the server was stopped while it ran".to_owned())),
        };
        match outcome {
            Ok(completed) => self.keep(completed).await,
            Err(incomplete) => self.keep_incomplete(incomplete, started_at_ms, began.elapsed()).await,
        }
    }

    /// A run, begun anew where certificate or database changed while it was under way.
    async fn attempts(&self, permit: &GlobalPermit<Catalog>) -> Result<Completed, Incomplete> {
        let mut attempt = 1;
        loop {
            let leaf = self.leaf();
            let client = self.client(leaf.clone()).map_err(of_itself)?;
            let (registry, level, clock) = (&self.registry, self.probe.level, &self.probe.clock);
            let outcome = Walk { client: &client, registry, permit, level, clock }.run().await;
            let again = match &outcome {
                Ok(completed) => completed.run.undetermined > 0 && self.leaf() != leaf,
                Err(incomplete) => incomplete.overtaken || self.leaf() != leaf,
            };
            if !again || attempt == ATTEMPTS {
                return outcome;
            }
            attempt += 1;
        }
    }

    fn leaf(&self) -> Option<Vec<u8>> {
        self.target.certificate.as_ref().and_then(|certificate| certificate.leaf())
    }

    fn client(&self, leaf: Option<Vec<u8>>) -> Result<Client, String> {
        let scheme = if self.target.certificate.is_some() { "https" } else { "http" };
        let base = Url::parse(&format!("{scheme}://{}/", reachable(self.target.address)));
        let mut settings = Settings::new(base.map_err(|error| error.to_string())?);
        settings.trust = leaf.map_or(Trust::System, Trust::Pinned);
        // It is this machine, whatever address it has: a proxy for what is outside would be in between.
        settings.direct = true;
        settings.login = Login::Token(self.credential.token());
        settings.user_agent = concat!("mcr-probe/", env!("CARGO_PKG_VERSION")).to_owned();
        Client::new(settings).map_err(|error| error.to_string())
    }

    /// Keeps and shows a run that looked at everything.
    async fn keep(&self, Completed { run, tags }: Completed) {
        let gauges = run.gauges();
        let row = ProbeRun {
            started_at_ms: run.started_at_ms,
            ended_at_ms: gauges.ended_at_ms,
            duration_ms: u64::try_from(run.duration.as_millis()).unwrap_or(u64::MAX),
            level: self.probe.level.as_str().to_owned(),
            reason: None,
            catalog_accessible: Some(true),
            repositories: run.repositories,
            tags: run.tags,
            indexes: run.indexes,
            findings: run.failures,
            broken_tags: broken_tags(&run).len() as u64,
            undetermined: run.undetermined,
        };
        self.probe.figures.show(&gauges);
        log_broken(&run);
        tracing::info!("probe: {}", run.summary());
        self.record(ProbeRecord { run: row, findings: run.findings, tags }).await;
    }

    /// Keeps a run that did not: figures, findings and tags stay those of the last complete one.
    async fn keep_incomplete(&self, incomplete: Incomplete, started_at_ms: i64, took: Duration) {
        let Incomplete { reason, catalog_accessible, .. } = incomplete;
        tracing::warn!("probe: the run could not complete: {reason}");
        catalog_accessible.into_iter().for_each(|accessible| self.probe.figures.catalog_accessible(accessible));
        let run = ProbeRun {
            started_at_ms,
            ended_at_ms: self.probe.clock.now_ms(),
            duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            level: self.probe.level.as_str().to_owned(),
            reason: Some(reason),
            catalog_accessible,
            repositories: 0,
            tags: 0,
            indexes: 0,
            findings: 0,
            broken_tags: 0,
            undetermined: 0,
        };
        self.record(ProbeRecord { run, findings: Vec::new(), tags: Vec::new() }).await;
    }

    async fn record(&self, record: ProbeRecord) {
        match self.registry.record_probe(record).await {
            Ok(news) if news.is_empty() => {}
            Ok(news) => tracing::info!(new = news.len(), "probe: new findings are in the audit"),
            // The figures show it all the same, until a restart.
            Err(error) => tracing::error!(%error, "what the probe saw could not be written to the database"),
        }
    }
}

fn of_itself(reason: String) -> Incomplete {
    Incomplete { reason, catalog_accessible: None, overtaken: false }
}

/// An address that this machine can ask: a listener on all addresses is asked on loopback.
fn reachable(bound: SocketAddr) -> SocketAddr {
    match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), bound.port()),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::new(Ipv6Addr::LOCALHOST.into(), bound.port()),
        _ => bound,
    }
}

/// Every tag with a finding, once.
fn broken_tags(run: &Run) -> BTreeSet<(String, String)> {
    run.broken_tags().into_iter().map(|broken| (broken.repository, broken.tag)).collect()
}

/// One line for every broken tag.
fn log_broken(run: &Run) {
    let tags = broken_tags(run);
    for (repository, tag) in tags.iter().take(LOGGED_TAGS) {
        let kinds: BTreeSet<&str> = run
            .findings
            .iter()
            .filter(|found| found.repository.as_ref() == Some(repository) && found.tag.as_ref() == Some(tag))
            .map(|found| found.kind.as_str())
            .collect();
        let kinds = kinds.into_iter().collect::<Vec<_>>().join(", ");
        tracing::error!(repository, tag, kinds, "probe: this tag cannot be pulled whole");
    }
    if tags.len() > LOGGED_TAGS {
        tracing::error!(more = tags.len() - LOGGED_TAGS, "probe: further tags cannot be pulled whole");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_asked_on_loopback() {
        for (bound, asked) in [
            ("0.0.0.0:8443", "127.0.0.1:8443"),
            ("[::]:8443", "[::1]:8443"),
            ("10.1.2.3:1", "10.1.2.3:1"),
            ("[fd00::1]:1", "[fd00::1]:1"),
        ] {
            assert_eq!(reachable(bound.parse().unwrap()), asked.parse().unwrap());
        }
    }
}
