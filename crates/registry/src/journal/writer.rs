//! The end of a generation of the journal: lines appended, counted, synced, and spread over segments; never what they say.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use mcr_blobs::{JournalSegment, JournalWriter, Store};
use mcr_metadata::{AuditPosition, JournalManifest, JournalTag};

use super::Trouble;
use super::line::{self, Begin, Bytes, Dumped, FORMAT, Op};

/// A segment ends at this length, in bytes, at the next flush.
const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;
/// Bytes of lines collected before they are written.
const BUFFER_BYTES: usize = 256 * 1024;
/// Manifests remembered as told, so that a push of what is there is not told again. 8 bytes each.
const REMEMBERED: usize = 256 * 1024;

/// What stands in the first line of each segment of a generation.
#[derive(Clone, Debug)]
pub(crate) struct Generation {
    pub(crate) registry: String,
    pub(crate) number: u64,
    /// Whether those before it tell the whole registry up to where it begins.
    pub(crate) continues: bool,
}

/// Where a generation is continued.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) segment: u64,
    /// Bytes of the segment that are good.
    pub(crate) length: u64,
    /// Bytes of the segments before.
    pub(crate) before: u64,
    /// The number of the last line.
    pub(crate) lines: u64,
    pub(crate) complete: bool,
    pub(crate) continues: bool,
    /// How far the telling of everything is, where that was noted.
    pub(crate) dumped: Option<Dumped>,
    pub(crate) position: AuditPosition,
}

/// A generation being written.
pub(crate) struct Writer {
    generation: Generation,
    segment: u64,
    file: JournalWriter,
    buffer: Vec<u8>,
    lines: u64,
    /// Bytes of the segments before this one.
    before: u64,
    complete: bool,
    dumped: Option<Dumped>,
    position: AuditPosition,
    told: HashSet<u64>,
    hasher: RandomState,
}

impl Writer {
    /// Begins a generation.
    pub(crate) fn begin(
        store: &Store,
        generation: Generation,
        position: AuditPosition,
        now_ms: i64,
    ) -> Result<Self, Trouble> {
        let file = store.journal_create(JournalSegment { generation: generation.number, segment: 1 })?;
        let mut writer = Self::with(generation, file, 1, position);
        writer.head(0, now_ms)?;
        writer.flush()?;
        Ok(writer)
    }

    /// Goes on where a generation ends; what lies behind its last good line is cut off.
    pub(crate) fn resume(store: &Store, generation: Generation, end: End) -> Result<Self, Trouble> {
        let segment = JournalSegment { generation: generation.number, segment: end.segment };
        let file = store.journal_continue(segment, end.length)?;
        let mut writer = Self::with(generation, file, end.segment, end.position);
        (writer.lines, writer.before) = (end.lines, end.before);
        (writer.complete, writer.dumped) = (end.complete, end.dumped);
        Ok(writer)
    }

    fn with(generation: Generation, file: JournalWriter, segment: u64, position: AuditPosition) -> Self {
        Self {
            generation,
            segment,
            file,
            buffer: Vec::new(),
            lines: 0,
            before: 0,
            complete: false,
            dumped: None,
            position,
            told: HashSet::new(),
            hasher: RandomState::new(),
        }
    }

    /// Up to where the audit trail is said, what is only in memory included.
    pub(crate) fn position(&self) -> &AuditPosition {
        &self.position
    }

    /// The generation's number.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.number
    }

    /// Whether it tells the whole registry.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }

    /// Bytes of the whole generation.
    pub(crate) fn bytes(&self) -> u64 {
        self.before + self.file.written() + self.buffer.len() as u64
    }

    /// The segment and its durable length, where it is taken up again after a failure.
    pub(crate) fn durable(&self) -> (JournalSegment, u64) {
        (JournalSegment { generation: self.generation.number, segment: self.segment }, self.file.synced())
    }

    /// The number that the next line gets.
    pub(crate) fn next_line(&self) -> u64 {
        self.lines + 1
    }

    /// Adds a line.
    pub(crate) fn add(&mut self, op: &Op) -> Result<(), Trouble> {
        self.lines += 1;
        let line = line::write(self.lines, op)?;
        if self.buffer.len() + line.len() > BUFFER_BYTES {
            self.write()?;
        }
        if line.len() > BUFFER_BYTES {
            // A large manifest is not copied once more.
            self.file.append(&line)?;
        } else {
            self.buffer.extend_from_slice(&line);
        }
        Ok(())
    }

    /// Adds a manifest.
    pub(crate) fn add_manifest(&mut self, repository: &str, manifest: JournalManifest) -> Result<(), Trouble> {
        self.remember(repository, manifest.digest.as_str());
        self.add(&Op::Push {
            repository: repository.to_owned(),
            digest: manifest.digest.as_str().to_owned(),
            media_type: manifest.media_type,
            pushed_at: manifest.pushed_at_ms,
            sparse: manifest.sparse,
            bytes: Bytes(manifest.bytes),
        })
    }

    /// Adds a tag.
    pub(crate) fn add_tag(&mut self, repository: &str, tag: &JournalTag) -> Result<(), Trouble> {
        self.add(&Op::Tag {
            repository: repository.to_owned(),
            tag: tag.tag.clone(),
            digest: tag.digest.as_str().to_owned(),
            moved_at: tag.moved_at_ms,
        })
    }

    /// Notes that everything up to `position` is said, and makes it durable.
    pub(crate) fn reach(&mut self, store: &Store, position: AuditPosition, now_ms: i64) -> Result<(), Trouble> {
        self.add(&Op::At { seq: position.seq, hash: position.hash.clone(), dumped: None })?;
        self.position = position;
        self.end_page(store, now_ms)
    }

    /// Notes how far the telling of everything is, and makes it durable.
    pub(crate) fn reach_dumped(&mut self, store: &Store, dumped: Dumped, now_ms: i64) -> Result<(), Trouble> {
        let AuditPosition { seq, hash } = self.position.clone();
        self.dumped = Some(dumped.clone());
        self.add(&Op::At { seq, hash, dumped: Some(dumped) })?;
        self.end_page(store, now_ms)
    }

    fn end_page(&mut self, store: &Store, now_ms: i64) -> Result<(), Trouble> {
        self.flush()?;
        if self.file.written() >= SEGMENT_BYTES {
            self.rotate(store, now_ms)?;
        }
        Ok(())
    }

    /// Notes that rows were looked at which say nothing for the journal: a start may look at them again.
    pub(crate) fn skip_to(&mut self, position: AuditPosition) {
        self.position = position;
    }

    /// Notes that the generation tells the whole registry.
    pub(crate) fn complete(&mut self) -> Result<(), Trouble> {
        self.add(&Op::Complete)?;
        (self.complete, self.dumped) = (true, None);
        self.flush()
    }

    /// Whether the manifest was told and has not gone since; false where that is not known.
    pub(crate) fn has_told(&self, repository: &str, digest: &str) -> bool {
        self.told.contains(&self.hash(repository, digest))
    }

    fn remember(&mut self, repository: &str, digest: &str) {
        if self.told.len() < REMEMBERED {
            self.told.insert(self.hash(repository, digest));
        }
    }

    /// Unlearns that a manifest was told.
    pub(crate) fn unlearn(&mut self, repository: &str, digest: &str) {
        self.told.remove(&self.hash(repository, digest));
    }

    /// Unlearns all of them: a repository went, and nothing tells which are its.
    pub(crate) fn unlearn_all(&mut self) {
        self.told.clear();
    }

    fn hash(&self, repository: &str, digest: &str) -> u64 {
        self.hasher.hash_one((repository, digest))
    }

    /// Makes what was added durable.
    pub(crate) fn flush(&mut self) -> Result<(), Trouble> {
        self.write()?;
        self.file.sync()?;
        Ok(())
    }

    fn write(&mut self) -> Result<(), Trouble> {
        self.file.append(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }

    fn rotate(&mut self, store: &Store, now_ms: i64) -> Result<(), Trouble> {
        let old = self.file.written();
        let next = JournalSegment { generation: self.generation.number, segment: self.segment + 1 };
        self.file = store.journal_create(next)?;
        self.segment = next.segment;
        self.before += old;
        self.head(old, now_ms)?;
        self.flush()
    }

    fn head(&mut self, before: u64, now_ms: i64) -> Result<(), Trouble> {
        let begin = Begin {
            format: FORMAT,
            registry: self.generation.registry.clone(),
            generation: self.generation.number,
            segment: self.segment,
            complete: self.complete,
            continues: self.generation.continues,
            dumped: self.dumped.clone(),
            before,
            seq: self.position.seq,
            hash: self.position.hash.clone(),
            at: mcr_seams::rfc3339(now_ms),
        };
        self.add(&Op::Begin(begin))
    }
}
