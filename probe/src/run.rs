//! One run over everything a catalog lists, and what it came to; never a schedule and never a metric.

use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::stream::{self, StreamExt as _};
use mcr_client::Client;
use mcr_oci::{Finding, FindingKind, glob};
use mcr_seams::Clock;

use crate::gauges::{BrokenTag, Gauges};
use crate::kinds::KindRules;
use crate::level::Level;
use crate::pace::Pace;
use crate::repository::{Look, Walked, walk_repository};
use crate::watch::Watch;

/// Most findings one run keeps; all are counted.
pub const MAX_FINDINGS: usize = 50_000;
/// Most repositories one run looks at.
pub const MAX_REPOSITORIES: usize = 1_000_000;

/// What to look at, and how closely.
#[derive(Clone, Debug)]
pub struct ProbeOptions {
    /// How closely blobs are looked at.
    pub level: Level,
    /// Requests under way at once.
    pub jobs: usize,
    /// Globs of the repositories that are looked at; empty is all.
    pub repositories: Vec<String>,
    /// Tags looked at in each repository, as listed; 0 is all.
    pub tags_per_repository: usize,
    /// A catalog of fewer has lost some, and is as good as none.
    pub min_repositories: usize,
    /// Which repositories are caches.
    pub kinds: KindRules,
    /// What to ask the catalog for beyond a page size, as a raw query.
    pub catalog_query: Option<String>,
    /// Where the time of a run comes from.
    pub clock: Clock,
}

impl Default for ProbeOptions {
    fn default() -> Self {
        Self {
            level: Level::default(),
            jobs: 8,
            repositories: Vec::new(),
            tags_per_repository: 0,
            min_repositories: 1,
            kinds: KindRules::default(),
            catalog_query: None,
            clock: Clock::system(),
        }
    }
}

/// A run that came to its end: everything listed was looked at, or is named among the findings.
#[derive(Clone, Debug)]
pub struct Run {
    /// When it began, Unix milliseconds.
    pub started_at_ms: i64,
    /// How long it took.
    pub duration: Duration,
    /// Repositories looked at.
    pub repositories: u64,
    /// Tags looked at.
    pub tags: u64,
    /// Distinct indexes looked at, by repository.
    pub indexes: u64,
    /// What is wrong or could not be looked at, at most [`MAX_FINDINGS`], with repository and tag.
    pub findings: Vec<Finding>,
    /// How many findings are wrong content: all kinds but `unreachable`.
    pub failures: u64,
    /// How many findings say only that something could not be looked at.
    pub undetermined: u64,
}

/// Why a run has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunFailure {
    /// The catalog cannot be had, or lists fewer repositories than there must be.
    #[error("the catalog cannot be relied on: {0}")]
    Catalog(String),
    /// The registry went away while the run was under way.
    #[error("the run was cut short: {0}")]
    Interrupted(String),
}

impl Run {
    /// Whether everything was looked at and nothing is wrong.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.failures == 0 && self.undetermined == 0
    }

    /// Each broken tag once for every kind of finding it has; sorted.
    #[must_use]
    pub fn broken_tags(&self) -> Vec<BrokenTag> {
        let wrong = self.findings.iter().filter(|finding| finding.kind != FindingKind::Unreachable);
        let mut tags: Vec<BrokenTag> = wrong
            .map(|finding| BrokenTag {
                repository: finding.repository.clone().unwrap_or_default(),
                tag: finding.tag.clone().unwrap_or_default(),
                kind: finding.kind,
            })
            .collect();
        tags.sort();
        tags.dedup();
        tags
    }

    /// The figures of this run.
    #[must_use]
    pub fn gauges(&self) -> Gauges {
        Gauges {
            failures: self.failures,
            undetermined: self.undetermined,
            repositories: self.repositories,
            tags: self.tags,
            indexes: self.indexes,
            ended_at_ms: self.started_at_ms.saturating_add(i64::try_from(self.duration.as_millis()).unwrap_or(0)),
            duration: self.duration,
            broken: self.broken_tags(),
        }
    }

    /// `2 findings in 1 tag; 14 repositories, 120 tags, 37 indexes in 3.1 s`.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut broken: Vec<(&Option<String>, &Option<String>)> =
            self.findings.iter().map(|finding| (&finding.repository, &finding.tag)).collect();
        broken.sort();
        broken.dedup();
        let found = match self.failures + self.undetermined {
            0 => "no findings".to_owned(),
            all => {
                let unlooked = match self.undetermined {
                    0 => String::new(),
                    _ => format!(" ({} could not be looked at)", self.undetermined),
                };
                format!("{}{unlooked} in {}", count(all, "finding"), count(broken.len() as u64, "tag"))
            }
        };
        format!(
            "{found}; {}, {}, {} in {:.1} s",
            many(self.repositories, "repository", "repositories"),
            count(self.tags, "tag"),
            many(self.indexes, "index", "indexes"),
            self.duration.as_secs_f64()
        )
    }
}

fn count(number: u64, word: &str) -> String {
    many(number, word, &format!("{word}s"))
}

fn many(number: u64, one: &str, more: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { more })
}

/// Walks the catalog, every tag, every closure. One failing tag never ends a run.
///
/// It takes as long as the registry needs; who wants a limit puts a time-out around it.
///
/// # Errors
/// [`RunFailure`]: nothing can be said of the registry, not that nothing is wrong.
pub async fn run(client: &Client, options: &ProbeOptions, watch: &dyn Watch) -> Result<Run, RunFailure> {
    let (started_at_ms, started) = (options.clock.now_ms(), Instant::now());
    let names = catalog(client, options).await?;
    watch.repositories(names.len() as u64);
    let pace = Pace::new(options.jobs);
    // Owned names and boxed looks: else the compiler cannot tell that the run may move between threads.
    let looks = stream::iter(names).map(|name| {
        let look = Look {
            client,
            level: options.level,
            kind: options.kinds.of(&name),
            jobs: options.jobs,
            pace: pace.clone(),
            watch,
            most_tags: options.tags_per_repository,
        };
        async move { walk_repository(&look, &name).await }.boxed()
    });
    let mut looks = looks.buffer_unordered(options.jobs.max(1));
    let mut run = Run {
        started_at_ms,
        duration: Duration::ZERO,
        repositories: 0,
        tags: 0,
        indexes: 0,
        findings: Vec::new(),
        failures: 0,
        undetermined: 0,
    };
    while let Some(walked) = looks.next().await {
        run.add(walked.map_err(|gone| RunFailure::Interrupted(gone.to_string()))?);
    }
    run.findings.sort_by(|a, b| (&a.repository, &a.tag).cmp(&(&b.repository, &b.tag)));
    run.duration = started.elapsed();
    Ok(run)
}

impl Run {
    fn add(&mut self, walked: Walked) {
        self.repositories += 1;
        self.tags += walked.tags;
        self.indexes += walked.indexes;
        for finding in walked.findings {
            self.push(finding);
        }
    }

    /// Adds what was found beside the walk.
    pub fn push(&mut self, finding: Finding) {
        if finding.kind == FindingKind::Unreachable {
            self.undetermined += 1;
        } else {
            self.failures += 1;
        }
        if self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding);
        }
    }
}

/// Every repository's name that is to be looked at, sorted, each once.
async fn catalog(client: &Client, options: &ProbeOptions) -> Result<Vec<String>, RunFailure> {
    let mut names: Vec<String> = Vec::new();
    let mut pages = client.catalog(options.catalog_query.as_deref());
    loop {
        match pages.next().await {
            Ok(Some(page)) => names.extend(page),
            Ok(None) => break,
            Err(error) => return Err(RunFailure::Catalog(error.to_string())),
        }
        if names.len() > MAX_REPOSITORIES {
            return Err(RunFailure::Catalog(format!("it lists more than {MAX_REPOSITORIES} repositories")));
        }
    }
    names.sort();
    names.dedup();
    if names.len() < options.min_repositories {
        let (listed, least) = (count_repositories(names.len()), options.min_repositories);
        return Err(RunFailure::Catalog(format!("it lists {listed}, and there must be at least {least}")));
    }
    let globs = &options.repositories;
    if !globs.is_empty() {
        names.retain(|name| globs.iter().any(|pattern| glob::matches(pattern, name)));
        if names.is_empty() {
            tracing::warn!(?globs, "no repository of the catalog matches");
        }
    }
    Ok(names)
}

fn count_repositories(number: usize) -> String {
    many(number as u64, "repository", "repositories")
}
