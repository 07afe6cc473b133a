//! One run from an origin to a sink: repositories side by side, blobs each once, images oldest first; never a file or
//! a request.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use futures_util::stream::{self, StreamExt as _};
use mcr_oci::{Digest, Finding};
use mcr_verifier::Problem;
use tokio::sync::Semaphore;

use crate::locks::Locks;
use crate::options::{Options, Watch};
use crate::origin::{Blob, Origin, Place, Trouble};
use crate::report::{MAX_LISTED_TAGS, Report, Verdict};
use crate::sink::{Brought, Sink};

/// Repositories under way at once.
const REPOSITORIES_AT_ONCE: usize = 8;

/// Blobs whose bytes are known to be wrong are remembered, at most so many.
const REMEMBERED_BROKEN: usize = 100_000;

/// What the parts of a run share.
pub(crate) struct Run<'a, O, S> {
    pub(crate) origin: &'a O,
    pub(crate) sink: &'a S,
    pub(crate) options: &'a Options,
    pub(crate) watch: &'a dyn Watch,
    report: Mutex<Report>,
    locks: Locks,
    places: Semaphore,
    /// What is wrong with blobs, by the registry of the origin that holds them.
    broken: Mutex<HashMap<(usize, Digest), Problem>>,
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
        locks: Locks::default(),
        places: Semaphore::new(options.jobs.clamp(1, Semaphore::MAX_PERMITS)),
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
        self.report().findings.extend(places.findings);
        let wanted: Vec<Place> =
            places.repositories.into_iter().filter(|place| self.options.takes(place.here.as_str())).collect();
        self.watch.repositories(wanted.len() as u64);
        let mut under_way =
            stream::iter(&wanted).map(|place| self.repository(place)).buffer_unordered(REPOSITORIES_AT_ONCE);
        while let Some(done) = under_way.next().await {
            done?;
        }
        Ok(())
    }

    pub(crate) fn report(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings a blob, unless it is known to be broken; `None` where it is here.
    pub(crate) async fn bring(&self, place: &Place, blob: &Blob) -> Result<Option<Problem>, Trouble> {
        let _one_at_a_time = self.locks.lock(&blob.digest).await;
        let key = (place.registry, blob.digest.clone());
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

    fn remembered(&self) -> MutexGuard<'_, HashMap<(usize, Digest), Problem>> {
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
        let place = |finding: &Finding| (finding.repository.clone(), finding.digest.clone());
        self.findings.sort_by_key(place);
        self.findings.truncate(MAX_LISTED_TAGS);
        self.broken.truncate(MAX_LISTED_TAGS);
        self.moved.truncate(MAX_LISTED_TAGS);
    }
}
