//! Reading the journal from its first line to its last into what it tells; never whether that is whole.

use mcr_blobs::{JournalReader, JournalSegment};
use mcr_metadata::{JournalManifest, JournalTag, Rebuild};
use mcr_oci::Digest;

use super::{Making, RebuildError, RebuildNews, RebuildReport, Tell};
use crate::journal::line::{self, FORMAT, Op};

/// Lines that one batch of the new database holds.
const BATCH: u64 = 2000;
/// Bits of a line's place that count lines; those above count generations.
const LINE_BITS: u32 = 40;

impl Making {
    /// Tells the new database what the journal of registry `id` says, of whichever it finds first where that is none.
    /// `None` where there is no journal of it.
    pub(super) fn replay(
        &self,
        id: Option<&str>,
        report: &mut RebuildReport,
        tell: Tell<'_>,
    ) -> Result<Option<String>, RebuildError> {
        let database = self.database()?;
        let mut replay = Replay { database: &database, id: id.map(str::to_owned), whole: false, at: None, read: 0 };
        for (segment, _) in self.store.journal_segments()? {
            if let Some(mut reader) = self.store.journal_read(segment)? {
                let damaged = replay.segment(segment, &mut reader)?;
                if let Some(why) = damaged.why {
                    let (generation, segment) = (segment.generation, segment.segment);
                    tell(RebuildNews::Journal(format!("file {segment} of generation {generation}: {why}")));
                }
                report.damaged_lines += damaged.lines;
            }
        }
        database.batch()?;
        report.unfinished = !replay.whole;
        Ok(replay.at.and(replay.id))
    }
}

struct Replay<'a> {
    database: &'a Rebuild,
    id: Option<String>,
    /// Whether what was read so far tells everything: a generation that did, and those that follow it closely.
    whole: bool,
    /// The generation and number of the last line.
    at: Option<(u64, u64)>,
    read: u64,
}

/// What is wrong with a segment.
#[derive(Default)]
struct Damaged {
    lines: u64,
    why: Option<String>,
}

impl Replay<'_> {
    fn segment(&mut self, segment: JournalSegment, reader: &mut JournalReader) -> Result<Damaged, RebuildError> {
        let mut damaged = Damaged::default();
        // The last line may be torn: the process died over it, and nobody was told that it is there.
        let mut bad = 0;
        while let Some(line) = reader.next_line()? {
            let said = if line.whole { line::read(line.bytes) } else { None };
            let Some((n, op)) = said else {
                bad += u64::from(line.whole);
                continue;
            };
            if let Op::Begin(begin) = &op {
                if begin.format > FORMAT {
                    return Err(RebuildError::NewerJournal { found: begin.format, known: FORMAT });
                }
                if self.id.as_ref().is_some_and(|id| *id != begin.registry) {
                    let why = format!("it is of registry {} and was left out", begin.registry);
                    return Ok(Damaged { lines: 0, why: Some(why) });
                }
                self.id.get_or_insert_with(|| begin.registry.clone());
                self.whole &= segment.segment > 1 || begin.continues;
            }
            let expected = match self.at {
                Some((generation, last)) if generation == segment.generation => last + 1,
                _ => 1,
            };
            if n != expected || bad > 0 {
                damaged.lines += bad.max(n.saturating_sub(expected)).max(1);
                bad = 0;
            }
            self.at = Some((segment.generation, n));
            self.apply(segment.generation, n, op)?;
        }
        damaged.lines += bad;
        if damaged.lines > 0 {
            let lines = damaged.lines;
            damaged.why = Some(format!("{lines} damaged or missing lines; what they told is lost"));
        }
        Ok(damaged)
    }

    fn apply(&mut self, generation: u64, n: u64, op: Op) -> Result<(), RebuildError> {
        let line = place(generation, n);
        let database = self.database;
        match op {
            Op::Push { repository, digest, media_type, pushed_at, sparse, bytes } => {
                let Ok(digest) = Digest::parse(&digest) else { return Ok(()) };
                let manifest = JournalManifest { digest, media_type, pushed_at_ms: pushed_at, sparse, bytes: bytes.0 };
                database.tell_manifest(line, &repository, &manifest)?;
            }
            Op::Tag { repository, tag, digest, moved_at } => {
                let Ok(digest) = Digest::parse(&digest) else { return Ok(()) };
                database.tell_tag(line, &repository, &JournalTag { tag, digest, moved_at_ms: moved_at })?;
            }
            Op::Untag { repository, tag } => database.untell_tag(&repository, &tag)?,
            Op::Delete { repository, digest } => database.untell_manifest(&repository, &digest)?,
            Op::Forget { repository, before } => database.forget(&repository, place(generation, before))?,
            Op::Complete => {
                // Whatever generations before it said.
                database.forget_all(place(generation, 0))?;
                self.whole = true;
            }
            Op::Begin(_) | Op::At { .. } => {}
        }
        self.read += 1;
        if self.read.is_multiple_of(BATCH) {
            database.batch()?;
        }
        Ok(())
    }
}

/// The order of all lines of all generations.
fn place(generation: u64, n: u64) -> i64 {
    i64::try_from((generation << LINE_BITS) | n).unwrap_or(i64::MAX)
}
