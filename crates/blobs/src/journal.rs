//! The files of the journal beside the blobs: segments that are only appended to, listed, read by line, removed.
//! What a line says, and when a segment begins or goes, is the registry's to decide.

use std::io;
use std::ops::ControlFlow;
use std::path::PathBuf;

use crate::directories::make_durably;
use crate::disk::DiskFile;
use crate::{Disk, Error, Store};

/// The most bytes of one line: a manifest of the largest size in base64, its names, and what frames them.
pub const JOURNAL_LINE_MAX: usize = 6 * 1024 * 1024;
/// Bytes read at a time.
const READ_SIZE: usize = 256 * 1024;
/// Ends the name of a segment.
const SUFFIX: &str = ".jsonl";

/// One file of the journal, by its name `<generation>-<segment>.jsonl`, both ten digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct JournalSegment {
    /// Which telling of the whole registry it belongs to; a later one replaces those before.
    pub generation: u64,
    /// Its place in that telling, from 1.
    pub segment: u64,
}

impl JournalSegment {
    fn name(self) -> String {
        format!("{:010}-{:010}{SUFFIX}", self.generation, self.segment)
    }

    /// The segment of that file name.
    fn parse(name: &str) -> Option<Self> {
        let (generation, segment) = name.strip_suffix(SUFFIX)?.split_once('-')?;
        let number = |digits: &str| {
            let plain = digits.len() == 10 && digits.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| digits.parse::<u64>().ok()).flatten()
        };
        Some(Self { generation: number(generation)?, segment: number(segment)? })
    }
}

/// The end of a segment that is being written. Nothing is durable before [`JournalWriter::sync`].
#[derive(Debug)]
pub struct JournalWriter {
    file: DiskFile,
    written: u64,
    synced: u64,
}

impl JournalWriter {
    /// Appends whole lines.
    ///
    /// # Errors
    /// When the disk fails or is full; then only what [`JournalWriter::synced`] counts may be believed, and the
    /// segment is opened again by [`Store::journal_continue`].
    pub fn append(&mut self, lines: &[u8]) -> Result<(), Error> {
        Disk::point("journal.write", self.file.path())?;
        self.file.write_at(lines, self.written)?;
        self.written = self.written.saturating_add(lines.len() as u64);
        Ok(())
    }

    /// Makes what was appended durable.
    ///
    /// # Errors
    /// As [`JournalWriter::append`].
    pub fn sync(&mut self) -> Result<(), Error> {
        if self.synced < self.written {
            self.file.sync()?;
            self.synced = self.written;
            Disk::point("journal.synced", self.file.path())?;
        }
        Ok(())
    }

    /// Bytes that were appended.
    #[must_use]
    pub const fn written(&self) -> u64 {
        self.written
    }

    /// Bytes that are durable.
    #[must_use]
    pub const fn synced(&self) -> u64 {
        self.synced
    }
}

/// A segment being read, line by line, in memory that the longest line bounds.
#[derive(Debug)]
pub struct JournalReader {
    file: DiskFile,
    buffer: Vec<u8>,
    /// Where in the buffer the next line begins.
    start: usize,
    /// Where in the file the buffer ends.
    offset: u64,
    ended: bool,
}

/// One line of a segment, and where it lies.
#[derive(Debug, PartialEq, Eq)]
pub struct JournalLine<'a> {
    /// Its bytes, without the line feed.
    pub bytes: &'a [u8],
    /// Where it ends, with the line feed.
    pub end: u64,
    /// False where the file ends without a line feed, or the line is longer than [`JOURNAL_LINE_MAX`].
    pub whole: bool,
}

impl JournalReader {
    /// The next line; `None` at the end.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn next_line(&mut self) -> Result<Option<JournalLine<'_>>, Error> {
        let mut looked = self.start;
        loop {
            let found = self.buffer.get(looked..).and_then(|rest| rest.iter().position(|byte| *byte == b'\n'));
            if let Some(at) = found {
                let (from, to) = (self.start, looked + at);
                self.start = to + 1;
                return Ok(Some(self.line(from, to, true)));
            }
            let too_long = self.buffer.len().saturating_sub(self.start) > JOURNAL_LINE_MAX;
            if self.ended || too_long {
                let (from, to) = (self.start, self.buffer.len());
                self.start = to;
                return Ok((from < to).then(|| self.line(from, to, false)));
            }
            self.buffer.drain(..self.start);
            self.start = 0;
            looked = self.buffer.len();
            self.fill()?;
        }
    }

    fn fill(&mut self) -> Result<(), Error> {
        let old = self.buffer.len();
        self.buffer.resize(old + READ_SIZE, 0);
        let read = self.file.read_at(self.buffer.get_mut(old..).unwrap_or_default(), self.offset)?;
        self.buffer.truncate(old + read);
        self.offset = self.offset.saturating_add(read as u64);
        self.ended = read == 0;
        Ok(())
    }

    fn line(&self, from: usize, to: usize, whole: bool) -> JournalLine<'_> {
        let behind = self.buffer.len().saturating_sub(self.start) as u64;
        JournalLine { bytes: self.buffer.get(from..to).unwrap_or_default(), end: self.offset - behind, whole }
    }
}

impl Store {
    /// The segments there are, in order, each with its length in bytes. Other files in the directory are none of ours.
    ///
    /// # Errors
    /// When the disk does not say.
    pub fn journal_segments(&self) -> Result<Vec<(JournalSegment, u64)>, Error> {
        let directory = self.layout.journal();
        let mut found = Vec::new();
        self.disk.names(&directory, |name| {
            found.extend(JournalSegment::parse(name));
            ControlFlow::<()>::Continue(())
        })?;
        found.sort_unstable();
        let mut segments = Vec::with_capacity(found.len());
        for segment in found {
            let metadata = self.disk.metadata(&self.journal_path(segment))?;
            segments.extend(metadata.filter(std::fs::Metadata::is_file).map(|metadata| (segment, metadata.len())));
        }
        Ok(segments)
    }

    /// Makes a segment that is not there yet, durably.
    ///
    /// # Errors
    /// When a step fails; the file may be there then, empty.
    pub fn journal_create(&self, segment: JournalSegment) -> Result<JournalWriter, Error> {
        make_durably(&self.disk, &self.layout.journal())?;
        let file = self.disk.create(&self.journal_path(segment))?;
        self.disk.sync_directory(&self.layout.journal())?;
        Ok(JournalWriter { file, written: 0, synced: 0 })
    }

    /// Opens a segment to append at `length`; what lies behind is cut off, durably.
    ///
    /// # Errors
    /// When it is not there, is shorter, or the disk fails.
    pub fn journal_continue(&self, segment: JournalSegment, length: u64) -> Result<JournalWriter, Error> {
        let path = self.journal_path(segment);
        let failed = |reason: &str| Error::new("continue the journal", &path, io::Error::other(reason));
        let file = self.disk.open_to_write(&path)?.ok_or_else(|| failed("it is gone"))?;
        let found = file.metadata()?.len();
        if found < length {
            return Err(failed("it is shorter than it was"));
        }
        if found > length {
            file.truncate(length)?;
        }
        // Also what an earlier process wrote and did not live to sync.
        file.sync()?;
        Ok(JournalWriter { file, written: length, synced: length })
    }

    /// Opens a segment to read; `None` when there is none of that name.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn journal_read(&self, segment: JournalSegment) -> Result<Option<JournalReader>, Error> {
        let file = self.disk.open(&self.journal_path(segment))?;
        Ok(file.map(|file| {
            file.expect_sequential_reads();
            JournalReader { file, buffer: Vec::new(), start: 0, offset: 0, ended: false }
        }))
    }

    /// Removes a segment; `false` when none was there. A power loss may bring it back.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn journal_remove(&self, segment: JournalSegment) -> Result<bool, Error> {
        self.disk.unlink(&self.journal_path(segment))
    }

    fn journal_path(&self, segment: JournalSegment) -> PathBuf {
        self.layout.journal().join(segment.name())
    }
}

#[cfg(test)]
mod tests;
