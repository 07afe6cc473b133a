//! One walk over everything that was hashed before a moment, in the order of age; never a look at any of it.

use std::collections::VecDeque;
use std::time::Duration;

use mcr_metadata::{
    Error, Metadata, RecordHash, RecordScrub, ScrubAsk, ScrubBlob, ScrubCursor, ScrubManifest, ScrubPass, Scrubbed,
    UnfitBlob,
};
use tokio::time::Instant;

/// Candidates that one walk over the rows gives: some two megabytes. A walk over a million rows takes 0.2 s.
const PAGE: usize = 8192;

/// Hash times in one write, so that a push does not wait behind many.
const BATCH: usize = 256;

/// How long hash times may wait to be written: what a `kill -9` makes the scrub do again.
const BATCH_AGE: Duration = Duration::from_secs(1);

/// Something to be looked at.
#[derive(Debug, Clone)]
pub(super) enum Candidate {
    Manifest(ScrubManifest),
    Blob(ScrubBlob),
    /// A row of the database that does not say what to hash.
    Unfit(UnfitBlob),
}

/// A walk under way.
#[derive(Debug)]
pub(super) struct Sweep {
    /// The pass it is part of.
    pub(super) pass: i64,
    /// Whether that pass has ended before, and this looks again at what could not be read.
    pub(super) again: bool,
    /// What could not be read so far.
    pub(super) unreadable: u64,
    before_ms: i64,
    blobs: bool,
    cursor: ScrubCursor,
    page: VecDeque<Candidate>,
}

impl Sweep {
    /// A walk over what `pass` has still to look at.
    pub(super) fn new(pass: &ScrubPass) -> Self {
        Self {
            pass: pass.id,
            again: pass.ended_at_ms.is_some(),
            unreadable: 0,
            before_ms: pass.started_at_ms,
            blobs: false,
            cursor: ScrubCursor::START,
            page: VecDeque::new(),
        }
    }

    /// What comes next, if that is known.
    pub(super) fn take(&mut self) -> Option<Candidate> {
        let next = self.page.pop_front()?;
        self.cursor = match &next {
            Candidate::Manifest(row) => ScrubCursor { hashed_at_ms: row.hashed_at_ms, id: row.id },
            Candidate::Blob(row) => ScrubCursor { hashed_at_ms: row.hashed_at_ms, id: row.id },
            Candidate::Unfit(row) => ScrubCursor { hashed_at_ms: row.hashed_at_ms, id: row.id },
        };
        Some(next)
    }

    /// Puts back what could not be looked at now.
    pub(super) fn put_back(&mut self, candidate: Candidate) {
        self.page.push_front(candidate);
    }

    /// Whether it would cover what is hashed from now on: the clock was ahead when the pass began.
    pub(super) const fn reaches_beyond(&self, now_ms: i64) -> bool {
        self.before_ms > now_ms
    }

    /// Covers nothing that is hashed from now on.
    pub(super) fn end_at(&mut self, now_ms: i64) {
        self.before_ms = self.before_ms.min(now_ms);
    }

    /// What to ask the database for.
    pub(super) const fn asks(&self, now_ms: i64) -> Asks {
        let ask = ScrubAsk { before_ms: self.before_ms, now_ms, after: self.cursor, limit: PAGE };
        Asks { blobs: self.blobs, ask }
    }

    /// Takes what the database gave; false where there is nothing more.
    pub(super) fn fill(&mut self, page: Vec<Candidate>) -> bool {
        if !page.is_empty() {
            self.page = page.into();
            return true;
        }
        if self.blobs {
            return false;
        }
        (self.blobs, self.cursor) = (true, ScrubCursor::START);
        true
    }
}

/// Which rows come next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asks {
    blobs: bool,
    ask: ScrubAsk,
}

impl Asks {
    /// A page of them; blocks.
    pub(super) fn read(self, metadata: &Metadata) -> Result<Vec<Candidate>, Error> {
        if self.blobs {
            let page = metadata.scrub_blobs(&self.ask)?;
            return Ok(page.into_iter().map(|row| row.map_or_else(Candidate::Unfit, Candidate::Blob)).collect());
        }
        let page = metadata.scrub_manifests(&self.ask)?;
        Ok(page.into_iter().map(Candidate::Manifest).collect())
    }
}

/// What hashed right and is not written down yet.
#[derive(Debug)]
pub(super) struct Batch {
    began: Instant,
    record: RecordScrub,
}

impl Batch {
    /// An empty one, for the figures of `pass`.
    pub(super) fn new(pass: Option<i64>) -> Self {
        Self { began: Instant::now(), record: RecordScrub { pass, ..RecordScrub::default() } }
    }

    pub(super) fn blob(&mut self, hash: RecordHash, bytes: u64) {
        self.record.blobs.push(hash);
        self.record.done.blobs += 1;
        self.record.done.bytes += bytes;
    }

    pub(super) fn manifest(&mut self, id: i64, hashed_at_ms: i64, bytes: u64) {
        self.record.manifests.push((id, hashed_at_ms));
        self.record.done.manifests += 1;
        self.record.done.bytes += bytes;
    }

    pub(super) fn found(&mut self) {
        self.record.done.findings += 1;
    }

    pub(super) fn is_full(&self) -> bool {
        self.record.blobs.len() + self.record.manifests.len() >= BATCH || self.began.elapsed() >= BATCH_AGE
    }

    /// What to write, if there is anything.
    pub(super) fn end(self, now_ms: i64) -> Option<RecordScrub> {
        let mut record = self.record;
        let empty = record.blobs.is_empty() && record.manifests.is_empty() && record.done == Scrubbed::default();
        record.now_ms = now_ms;
        record.blobs.iter_mut().for_each(|hash| hash.now_ms = now_ms);
        (!empty).then_some(record)
    }
}
