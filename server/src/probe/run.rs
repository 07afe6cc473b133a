//! One run: the walk through the listener, and the comparison with the database; never when, and never what is kept of it.

use std::pin::Pin;
use std::time::Instant;

use mcr_access::{Catalog, GlobalPermit};
use mcr_client::Client;
use mcr_metadata::ProbedTag;
use mcr_probe::{Level, ProbeOptions, Run, RunFailure};
use mcr_registry::Registry;
use mcr_seams::Clock;

use super::compare;
use super::listener::Wire;
use super::rows::Rows;
use super::seen::Collector;
use super::settle::{in_question, settle};

/// What the catalog is asked for beyond a page size: repositories of pull-through caches too.
pub(super) const CATALOG_QUERY: &str = "proxy=true";

/// Requests of the probe under way at once: few, beside those of clients.
const JOBS: usize = 4;

/// A run that looked at everything.
#[derive(Debug)]
pub(super) struct Completed {
    pub(super) run: Run,
    pub(super) tags: Vec<ProbedTag>,
}

/// Why a run did not.
#[derive(Debug)]
pub(super) struct Incomplete {
    pub(super) reason: String,
    /// Whether the catalog could be relied on; none where nobody knows.
    pub(super) catalog_accessible: Option<bool>,
    /// Whether the database changed in a way that explains it: the same again may succeed.
    pub(super) overtaken: bool,
}

/// What a run is made with.
pub(super) struct Walk<'a> {
    pub(super) client: &'a Client,
    pub(super) registry: &'a Registry,
    pub(super) permit: &'a GlobalPermit<Catalog>,
    pub(super) level: Level,
    pub(super) clock: &'a Clock,
}

impl Walk<'_> {
    /// Walks everything and compares it with the database.
    ///
    /// # Errors
    /// [`Incomplete`]: nothing can be said.
    pub(super) async fn run(&self) -> Result<Completed, Incomplete> {
        let (began, before_ms) = (Instant::now(), self.clock.now_ms());
        let rows = Rows { registry: self.registry, permit: self.permit, before_ms };
        let listed = rows.repositories().await.map_err(|reason| of_database(&reason))?;
        let collector = Collector::default();
        let options = self.options(listed);
        let mut run = match boxed(mcr_probe::run(self.client, &options, &collector)).await {
            Ok(run) => run,
            Err(failure) => return Err(failed(&rows, listed, &failure).await),
        };
        let mut seen = collector.into_seen();
        if !run.findings.is_empty() {
            let standing = rows.standing(in_question(&run)).await.map_err(|reason| of_database(&reason))?;
            settle(&mut run, &mut seen, &standing, before_ms);
        }
        let hidden = compare::unseen(&rows, &Wire(self.client), &mut seen).await;
        let hidden = hidden.map_err(|reason| Incomplete {
            reason: format!("what was shown could not be compared with the database: {reason}"),
            catalog_accessible: Some(true),
            overtaken: false,
        })?;
        hidden.into_iter().for_each(|finding| run.push(finding));
        run.findings.sort_by(|a, b| (&a.repository, &a.tag).cmp(&(&b.repository, &b.tag)));
        run.duration = began.elapsed();
        Ok(Completed { run, tags: seen.into_rows() })
    }

    fn options(&self, listed: usize) -> ProbeOptions {
        ProbeOptions {
            level: self.level,
            jobs: JOBS,
            min_repositories: listed,
            catalog_query: Some(CATALOG_QUERY.to_owned()),
            clock: self.clock.clone(),
            ..ProbeOptions::default()
        }
    }
}

/// The compiler cannot prove of a deep future as a whole that it may move between threads; of its parts it can.
pub(super) fn boxed<'a, T>(
    future: impl Future<Output = T> + Send + 'a,
) -> Pin<Box<dyn Future<Output = T> + Send + 'a>> {
    Box::pin(future)
}

fn of_database(reason: &str) -> Incomplete {
    let reason = format!("the database could not be read: {reason}");
    Incomplete { reason, catalog_accessible: None, overtaken: false }
}

/// A catalog with too few repositories is no failure where some were deleted since they were counted.
async fn failed(rows: &Rows<'_>, listed: usize, failure: &RunFailure) -> Incomplete {
    let catalog = matches!(failure, RunFailure::Catalog(_));
    let overtaken = catalog && rows.repositories().await.is_ok_and(|now| now < listed);
    Incomplete { reason: failure.to_string(), catalog_accessible: Some(!catalog), overtaken }
}
