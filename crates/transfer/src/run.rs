//! One run from an origin to a sink: repositories side by side, blobs each once, images oldest first; never a file or
//! a request.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures_util::stream::{self, StreamExt as _};
use mcr_oci::{Digest, Finding, RepositoryName, glob};
use mcr_registry::DigestLocks;
use mcr_verifier::Problem;
use tokio::sync::Semaphore;

use crate::options::{Options, Watch};
use crate::origin::{Blob, Closure, Origin, Place, Trouble};
use crate::report::{MAX_LISTED_TAGS, Report, Verdict};
use crate::sink::{Brought, Sink};

/// Repositories under way at once.
const REPOSITORIES_AT_ONCE: usize = 8;

/// Closures that are walked at once, of all repositories together; fewer where there are fewer jobs.
const WALKS_AT_ONCE: usize = 16;

/// Where manifests that wait to land are so many bytes together, a repository begins with no image but its next one.
/// A closure is bounded by the verifier.
const MANIFEST_BYTES: u64 = 256 << 20;

/// What is told of tags whose repository is listed no more: another origin may have brought them.
const UNLISTED: &str =
    "this origin lists no such repository; if it came from there, it went: delete it here if it is to go";

/// Blobs whose bytes are known to be wrong are remembered, at most so many.
const REMEMBERED_BROKEN: usize = 100_000;

/// What the parts of a run share.
pub(crate) struct Run<'a, O, S> {
    pub(crate) origin: &'a O,
    pub(crate) sink: &'a S,
    pub(crate) options: &'a Options,
    pub(crate) watch: &'a dyn Watch,
    report: Mutex<Report>,
    locks: DigestLocks,
    places: Semaphore,
    walks: Semaphore,
    /// Bytes of manifests that wait to land.
    waiting: AtomicU64,
    /// What is wrong with blobs, by the registry of the origin that holds them and the size they are said to have.
    broken: Mutex<HashMap<Known, Problem>>,
}

type Known = (usize, Digest, u64);

/// Bytes of manifests that are counted until they landed.
pub(crate) struct Waiting<'a> {
    of: &'a AtomicU64,
    bytes: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.of.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Brings everything that an origin lists and that is whole to a sink.
///
/// What the report says happened did happen; where the origin or the sink went away, it says that it ended early.
pub async fn run<O: Origin, S: Sink>(origin: &O, sink: &S, options: &Options, watch: &dyn Watch) -> Report {
    let began = Instant::now();
    let report = Report { origin: origin.name().to_owned(), ..Report::default() };
    let run = Run {
        origin,
        sink,
        options,
        watch,
        report: Mutex::new(report),
        locks: DigestLocks::default(),
        places: Semaphore::new(options.jobs.clamp(1, Semaphore::MAX_PERMITS)),
        walks: Semaphore::new(options.jobs.clamp(1, WALKS_AT_ONCE)),
        waiting: AtomicU64::new(0),
        broken: Mutex::default(),
    };
    let ended = run.everything().await.err();
    let mut report = run.report.into_inner().unwrap_or_else(PoisonError::into_inner);
    report.ended = ended.map(|trouble| trouble.0);
    report.sort();
    report.duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    report.sound = report.verdict() == Verdict::Done && report.counts.partial == 0;
    report
}

impl<O: Origin, S: Sink> Run<'_, O, S> {
    async fn everything(&self) -> Result<(), Trouble> {
        let places = self.origin.repositories().await?;
        let all_told = places.findings.is_empty();
        self.report().findings.extend(places.findings);
        self.unmatched(&places.repositories);
        let listed: HashSet<RepositoryName> = places.repositories.iter().map(|place| place.here.clone()).collect();
        let wanted: Vec<Place> =
            places.repositories.into_iter().filter(|place| self.options.takes(place.here.as_str())).collect();
        let mut under_way =
            stream::iter(&wanted).map(|place| self.repository(place)).buffer_unordered(REPOSITORIES_AT_ONCE);
        while let Some(done) = under_way.next().await {
            done?;
        }
        // Where something could not be looked at, what it holds did not go.
        if all_told { self.unlisted(&listed, places.below.as_deref()).await } else { Ok(()) }
    }

    /// Patterns that nothing is taken by: most often a name that is written wrong.
    fn unmatched(&self, places: &[Place]) {
        let matches = |wanted: &&String| places.iter().any(|place| glob::matches(wanted, place.here.as_str()));
        let unmatched = self.options.repositories.iter().filter(|wanted| !matches(wanted)).cloned();
        self.report().unmatched.extend(unmatched);
    }

    /// Tags that an import brought into repositories that the origin does not list any more.
    async fn unlisted(&self, listed: &HashSet<RepositoryName>, below: Option<&str>) -> Result<(), Trouble> {
        let is_below = |name: &RepositoryName| {
            below.is_none_or(|below| name.as_str().strip_prefix(below).is_some_and(|rest| rest.starts_with('/')))
        };
        for name in self.sink.repositories().await? {
            if !listed.contains(&name) && is_below(&name) && self.options.takes(name.as_str()) {
                let tags = self.sink.tags(&name).await?;
                self.gone(&name, &tags, &HashSet::new(), UNLISTED);
            }
        }
        Ok(())
    }

    /// Walks what a manifest is made of, when it is its turn.
    pub(crate) async fn closure(&self, place: &Place, root: &Digest) -> Result<(Closure, Waiting<'_>), Trouble> {
        let _turn = self.walks.acquire().await.map_err(Trouble::of)?;
        let closure = self.origin.closure(place, root).await?;
        let bytes = closure.manifests.iter().map(|piece| piece.bytes.len() as u64).sum();
        self.waiting.fetch_add(bytes, Ordering::Relaxed);
        Ok((closure, Waiting { of: &self.waiting, bytes }))
    }

    /// Whether as much as may waits to land.
    pub(crate) fn is_full(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) >= MANIFEST_BYTES
    }

    pub(crate) fn report(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings a blob, unless it is known to be broken; `None` where it is here.
    pub(crate) async fn bring(&self, place: &Place, blob: &Blob) -> Result<Option<Problem>, Trouble> {
        let _one_at_a_time = self.locks.lock(&blob.digest).await;
        let key = (place.registry, blob.digest.clone(), blob.size);
        if let Some(problem) = self.remembered().get(&key) {
            return Ok(Some(problem.clone()));
        }
        let _place = self.places.acquire().await.map_err(Trouble::of)?;
        match self.sink.bring(self.origin, place, blob).await? {
            Brought::Already => {
                let mut report = self.report();
                report.counts.blobs_already += 1;
                report.bytes.already = report.bytes.already.saturating_add(blob.size);
                Ok(None)
            }
            Brought::Known => Ok(None),
            Brought::Now(means, bytes) => {
                self.report().brought(means, bytes);
                Ok(None)
            }
            Brought::Broken(problem) => {
                let mut broken = self.remembered();
                // What is only not of this repository may be of another one.
                if is_about_bytes(&problem) && broken.len() < REMEMBERED_BROKEN {
                    broken.insert(key, problem.clone());
                }
                Ok(Some(problem))
            }
        }
    }

    fn remembered(&self) -> MutexGuard<'_, HashMap<Known, Problem>> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_about_bytes(problem: &Problem) -> bool {
    use mcr_oci::FindingKind::{BlobCorrupt, BlobSizeMismatch, BlobTruncated};
    matches!(problem.kind, BlobCorrupt | BlobSizeMismatch | BlobTruncated)
}

impl Report {
    /// Repositories are looked at side by side; what is told of them is told in order, and not without end.
    fn sort(&mut self) {
        self.broken.sort_by(|a, b| (&a.repository, &a.tag).cmp(&(&b.repository, &b.tag)));
        self.moved.sort_by(|a, b| (&a.repository, &a.tag).cmp(&(&b.repository, &b.tag)));
        for left in [&mut self.kept, &mut self.gone, &mut self.partial, &mut self.refused] {
            left.sort_by(|a, b| (&a.repository, &a.tag).cmp(&(&b.repository, &b.tag)));
            left.truncate(MAX_LISTED_TAGS);
        }
        let place = |finding: &Finding| (finding.repository.clone(), finding.digest.clone(), finding.detail.clone());
        self.findings.sort_by_key(place);
        // What cannot be looked at is met at every look.
        self.findings.dedup();
        self.findings.truncate(MAX_LISTED_TAGS);
        self.broken.truncate(MAX_LISTED_TAGS);
        self.moved.truncate(MAX_LISTED_TAGS);
    }
}

#[cfg(test)]
mod tests;
