//! One step of the journal: take up where it ends, write what the trail says since, tell everything anew where that is due.
//! Never the loop around it, nor what a line looks like.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use mcr_blobs::JournalSegment;
use mcr_metadata::{AuditPosition, JournalEvent, TrailPlace};

use super::dump::{self, Dump};
use super::effect::{self, Effect};
use super::find::{self, Found};
use super::line::Op;
use super::writer::{End, Generation, Writer};
use super::{JournalState, Trouble};
use crate::registry::Parts;

/// Rows of the trail that are read at once.
const BATCH: usize = 1000;
/// Batches of one step.
const BATCHES: usize = 8;
/// Rows without a meaning for the journal after which its position is noted all the same.
const SKIPPED_MAX: usize = 10_000;
/// How long its position may stay behind for want of something to say.
const SKIPPED_FOR: Duration = Duration::from_secs(3600);
/// How much a generation grows before it is weighed against what is live.
const GROWTH: u64 = 16 * 1024 * 1024;
/// Bytes of a line beside a manifest's or tag's own.
const LINE_OVERHEAD: u64 = 320;
/// At most so often everything is told anew because of an event that this program does not know.
const UNKNOWN_EVERY: Duration = Duration::from_secs(3600);

/// What a step remembers for the next.
#[derive(Default)]
pub(crate) struct Keeper {
    writer: Option<Writer>,
    dump: Option<Dump>,
    /// Of the segment that a failed step wrote to: its durable length.
    believed: Option<(JournalSegment, u64)>,
    /// Rows passed since the position was last noted, and when that was.
    skipped: usize,
    noted: Option<Instant>,
    /// The generation's length when it was last weighed.
    weighed: u64,
    /// Whether an event was met that this program does not know, so that everything has to be told anew, and when that
    /// was done last.
    owes_all: bool,
    unknown: Option<Instant>,
}

impl Keeper {
    /// Writes what the trail says beyond the journal. True where more is to be done at once. With `last` it is the
    /// end of the process: only what the trail says, and where that ends.
    pub(crate) fn step(&mut self, parts: &Parts, last: Option<Instant>) -> Result<bool, Trouble> {
        let outcome = self.try_step(parts, last.is_some());
        if outcome.is_err() {
            // What was written and not synced may be lost whatever a later look says.
            self.believed = self.writer.as_ref().map(Writer::durable).or(self.believed);
            (self.writer, self.dump) = (None, None);
        }
        outcome
    }

    /// How the journal stands, but for the time since.
    pub(crate) fn standing(&self, parts: &Parts) -> JournalState {
        let Some(writer) = &self.writer else {
            return JournalState { lag_rows: 1, ..JournalState::default() };
        };
        let head = parts.metadata.audit_position().map_or(0, |head| head.seq);
        JournalState {
            generation: writer.generation(),
            complete: writer.is_complete(),
            bytes: writer.bytes(),
            lag_rows: u64::try_from(head.saturating_sub(writer.position().seq)).unwrap_or(0),
            ..JournalState::default()
        }
    }

    /// As after a step that failed.
    #[cfg(test)]
    pub(crate) fn drop_writer(&mut self) {
        self.believed = self.writer.as_ref().map(Writer::durable);
        (self.writer, self.dump) = (None, None);
    }

    /// As if the generation had never been weighed.
    #[cfg(test)]
    pub(crate) fn forget_weight(&mut self) {
        self.weighed = 0;
    }

    fn try_step(&mut self, parts: &Parts, last: bool) -> Result<bool, Trouble> {
        if !parts.volume.present() {
            return Err(Trouble::Away);
        }
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            // Nothing is begun at the end.
            None if last => return Ok(false),
            None => self.open(parts)?,
        };
        let more = self.advance(parts, &mut writer, last);
        self.writer = Some(writer);
        more
    }

    /// Takes up the journal where it ends, or begins a generation.
    fn open(&mut self, parts: &Parts) -> Result<Writer, Trouble> {
        // A look at the volume first: nothing may be made in the directory that it is mounted over.
        if !parts.volume.look_now() {
            return Err(if parts.volume.present() { Trouble::Marker } else { Trouble::Away });
        }
        let registry = parts.volume.registry_id();
        let (mut found, mut newest) = find::find(&parts.blobs, registry, self.believed)?;
        // Each time one file goes.
        while let Found::Unbegun(segment) = found {
            parts.blobs.journal_remove(segment)?;
            let (again, number) = find::find(&parts.blobs, registry, self.believed)?;
            (found, newest) = (again, newest.max(number));
        }
        let why = match found {
            Found::Usable { generation, end } => match parts.metadata.place_of(&end.position)? {
                TrailPlace::Held => return self.resume(parts, generation, end),
                TrailPlace::AgedOut => "the audit trail no longer tells all it lacks".to_owned(),
                TrailPlace::Foreign => "the database was replaced".to_owned(),
            },
            Found::Unbegun(_) => "its files have not a line in them".to_owned(),
            Found::Unusable(why) => why,
        };
        tracing::info!(generation = newest + 1, why, "the journal beside the blobs is begun anew");
        self.begin(parts, newest + 1)
    }

    /// Goes on with a generation, also with telling everything: what it told of that, it has followed since.
    fn resume(&mut self, parts: &Parts, number: u64, end: End) -> Result<Writer, Trouble> {
        let registry = parts.volume.registry_id().to_owned();
        let generation = Generation { registry, number, continues: end.continues };
        self.weighed = end.before + end.length;
        self.dump = (!end.complete).then(|| Dump::behind(end.dumped.clone()));
        let writer = Writer::resume(&parts.blobs, generation, end)?;
        if writer.is_complete() {
            remove_before(parts, number)?;
        }
        Ok(writer)
    }

    /// Begins a generation at the end of the trail: nothing is relied on of those before it.
    fn begin(&mut self, parts: &Parts, number: u64) -> Result<Writer, Trouble> {
        // The position first: what is read of the rows after it is as new or newer, and what the trail says after it
        // is written as well, so both meet.
        self.begin_at(parts, number, parts.metadata.audit_position()?, false)
    }

    /// Begins a generation where the one before it ends, so that together they tell everything from the first line on.
    fn begin_behind(&mut self, parts: &Parts, writer: &mut Writer) -> Result<Writer, Trouble> {
        if self.skipped > 0 {
            self.note(parts, writer, writer.position().clone())?;
        }
        let continues = writer.is_complete() && !self.owes_all;
        self.begin_at(parts, writer.generation() + 1, writer.position().clone(), continues)
    }

    fn begin_at(
        &mut self,
        parts: &Parts,
        number: u64,
        position: AuditPosition,
        continues: bool,
    ) -> Result<Writer, Trouble> {
        let generation = Generation { registry: parts.volume.registry_id().to_owned(), number, continues };
        let writer = Writer::begin(&parts.blobs, generation, position, parts.clock.now_ms())?;
        (self.dump, self.skipped, self.noted) = (Some(Dump::default()), 0, None);
        Ok(writer)
    }

    fn advance(&mut self, parts: &Parts, writer: &mut Writer, last: bool) -> Result<bool, Trouble> {
        let tailed = self.tail(parts, writer)?;
        if tailed == Tailed::Lost {
            *writer = self.begin(parts, writer.generation() + 1)?;
            return Ok(true);
        }
        let is_due = self.skipped >= SKIPPED_MAX || self.noted.is_none_or(|noted| noted.elapsed() >= SKIPPED_FOR);
        if self.skipped > 0 && (last || is_due) {
            self.note(parts, writer, writer.position().clone())?;
        }
        if last {
            return Ok(tailed == Tailed::More);
        }
        // What is left of the disk is for deletes and logins; what they do is told all the same.
        if parts.volume.below_reserve() {
            return Ok(tailed == Tailed::More);
        }
        if let Some(dump) = &mut self.dump {
            if dump.page(parts, writer)? == dump::Page::Last {
                self.finish(parts, writer)?;
            }
            return Ok(true);
        }
        let is_unknown = self.owes_all && self.unknown.is_none_or(|at| at.elapsed() >= UNKNOWN_EVERY);
        if is_unknown || self.is_mostly_dead(parts, writer)? {
            *writer = self.begin_behind(parts, writer)?;
            (self.owes_all, self.unknown) = (false, if is_unknown { Some(Instant::now()) } else { self.unknown });
            return Ok(true);
        }
        Ok(tailed == Tailed::More)
    }

    /// The new generation tells everything: those before it go.
    fn finish(&mut self, parts: &Parts, writer: &mut Writer) -> Result<(), Trouble> {
        writer.complete()?;
        self.dump = None;
        self.weighed = writer.bytes();
        remove_before(parts, writer.generation())?;
        tracing::debug!(generation = writer.generation(), bytes = writer.bytes(), "the journal tells everything");
        Ok(())
    }

    fn tail(&mut self, parts: &Parts, writer: &mut Writer) -> Result<Tailed, Trouble> {
        for _ in 0..BATCHES {
            let after = writer.position().seq;
            let events = parts.metadata.journal_events(after, BATCH)?;
            let (Some(first), Some(last)) = (events.first(), events.last()) else { return Ok(Tailed::All) };
            if first.position.seq != after + 1 {
                return Ok(Tailed::Lost);
            }
            let (before, position) = (writer.next_line(), last.position.clone());
            self.owes_all |= !write_events(parts, writer, &events)?;
            if writer.next_line() == before {
                self.skipped += events.len();
                writer.skip_to(position);
            } else {
                self.note(parts, writer, position)?;
            }
            if events.len() < BATCH {
                return Ok(Tailed::All);
            }
        }
        Ok(Tailed::More)
    }

    fn note(&mut self, parts: &Parts, writer: &mut Writer, position: AuditPosition) -> Result<(), Trouble> {
        writer.reach(&parts.blobs, position, parts.clock.now_ms())?;
        (self.skipped, self.noted) = (0, Some(Instant::now()));
        Ok(())
    }

    /// Whether more than half of the generation tells of what is gone. Looked at only after it grew.
    fn is_mostly_dead(&mut self, parts: &Parts, writer: &Writer) -> Result<bool, Trouble> {
        let bytes = writer.bytes();
        if bytes < self.weighed.saturating_add(GROWTH) {
            return Ok(false);
        }
        self.weighed = bytes;
        let (manifests, sizes, tags) = parts.metadata.journal_weight()?;
        let live = (sizes / 3 * 4).saturating_add(manifests.saturating_add(tags).saturating_mul(LINE_OVERHEAD));
        Ok(bytes > live.saturating_mul(2))
    }
}

/// Removes the generations before one that tells everything.
fn remove_before(parts: &Parts, generation: u64) -> Result<(), Trouble> {
    for (segment, _) in parts.blobs.journal_segments()? {
        if segment.generation < generation {
            parts.blobs.journal_remove(segment)?;
        }
    }
    Ok(())
}

/// What came of a look at the trail.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tailed {
    /// Everything there was is written.
    All,
    /// There is more.
    More,
    /// Rows have aged out that were not written.
    Lost,
}

/// Adds what `events` did; says whether all of them are known.
fn write_events(parts: &Parts, writer: &mut Writer, events: &[JournalEvent]) -> Result<bool, Trouble> {
    let mut again = BTreeSet::new();
    let mut is_known = true;
    for event in events {
        match effect::of(event) {
            Effect::None => {}
            Effect::Push { repository, digest } => {
                if !writer.has_told(repository, digest)
                    && let Some(manifest) = parts.metadata.journal_manifest(repository, digest)?
                {
                    writer.add_manifest(repository, manifest)?;
                }
            }
            Effect::Tag { repository, tag, digest } => {
                // An import's tags are older than their coming here.
                let age = parts.metadata.journal_tag_age(repository, tag, digest)?;
                writer.add(&Op::Tag {
                    repository: repository.to_owned(),
                    tag: tag.to_owned(),
                    digest: digest.to_owned(),
                    moved_at: age.unwrap_or(event.at_ms),
                })?;
            }
            Effect::Untag { repository, tag } => {
                writer.add(&Op::Untag { repository: repository.to_owned(), tag: tag.to_owned() })?;
            }
            Effect::Delete { repository, digest } => {
                writer.unlearn(repository, digest);
                writer.add(&Op::Delete { repository: repository.to_owned(), digest: digest.to_owned() })?;
            }
            Effect::Gone { repository } => {
                writer.unlearn_all();
                let before = writer.next_line();
                writer.add(&Op::Forget { repository: repository.to_owned(), before })?;
            }
            Effect::Repository { repository } => {
                again.insert(repository);
            }
            Effect::Everything => {
                tracing::debug!(event = event.event, "an event that the journal does not know");
                is_known = false;
            }
        }
    }
    for repository in again {
        dump::repository(parts, writer, repository)?;
    }
    Ok(is_known)
}
