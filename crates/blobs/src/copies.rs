//! The same blobs at another place: a directory of the same form that is filled from this one, or this one from it.
//! Which blobs, and what follows from one that is not whole, is the caller's.

#![expect(clippy::disallowed_methods, reason = "the lock of another place is made here, where its files are")]

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use mcr_oci::{Digest, FindingKind, Hasher};

use crate::adopt::StageError;
use crate::directories::Shards;
use crate::disk::DiskFile;
use crate::layout::Layout;
use crate::{Adopted, Committed, Disk, Error, Options, PutError, ReadOnly, Store};

/// The file that is locked while a place is filled.
const LOCK: &str = "mcr.lock";

/// Where bytes lie that are on their way into a place.
const INCOMING: &str = "incoming";

/// Bytes read at a time: after so many it is asked whether to go on.
const READ_SIZE: usize = 1024 * 1024;

/// Learns how many more bytes were read, and says whether to go on with the blob. One that was broken off answers an
/// error, or that it is unreadable: whoever broke it off knows better.
pub type Tell<'a> = &'a (dyn Fn(u64) -> ControlFlow<()> + 'a);

/// What became of a blob that was to be brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Brought {
    /// A file of the right length was there already; it was not read.
    Present,
    /// It was brought, hashed and synced.
    Copied {
        /// How.
        how: Adopted,
        /// Its file now.
        committed: Committed,
    },
    /// It is not whole where it was to come from; nothing was changed.
    Unsound {
        /// A kind that begins with `blob-`.
        kind: FindingKind,
        /// In words.
        detail: String,
    },
    /// The disk it was to come from would not let it be read; nothing was changed. It may be whole.
    Unreadable(String),
}

/// A directory that holds copies of blobs, open to be filled by this process alone.
#[derive(Debug)]
pub struct Copies {
    store: Store,
    _lock: File,
}

impl Copies {
    /// Opens `directory`, makes what is missing and clears away what a killed process left.
    ///
    /// # Errors
    /// [`Error::is_busy`] where another process fills it; else when the disk fails.
    pub fn open(directory: &Path, disk: Disk) -> Result<Self, Error> {
        let options = Options { layers: directory.to_owned(), uploads: directory.join(INCOMING) };
        let store = Store::open(options, disk)?;
        let path = directory.join(LOCK);
        let failed = |source: io::Error| Error::new("lock", &path, source);
        let mut open = OpenOptions::new();
        let lock = open.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let busy = io::Error::new(io::ErrorKind::ResourceBusy, "another process uses this directory");
                return Err(failed(busy));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        store.sweep()?;
        Ok(Self { store, _lock: lock })
    }

    /// Its blobs.
    #[must_use]
    pub const fn store(&self) -> &Store {
        &self.store
    }
}

impl Store {
    /// Opens a store to look at what there is: no directory is made, and nothing is cleared away.
    #[must_use]
    pub fn to_look_at(options: Options, disk: Disk) -> Self {
        Self { disk, layout: Layout::new(options), shards: Shards::new(), sessions: std::sync::Arc::default() }
    }

    /// Brings a blob of `size` bytes from another place, unless a file of that length is here: shares its bytes where
    /// the file system can, else copies them; hashes them on the way.
    ///
    /// # Errors
    /// When the disk of this store fails.
    pub fn bring(&self, from: &ReadOnly, digest: &Digest, size: u64, tell: Tell<'_>) -> Result<Brought, Error> {
        if self.stat(digest)?.is_some_and(|stat| stat.size == size) {
            return Ok(Brought::Present);
        }
        self.bring_anew(from, digest, size, tell)
    }

    /// The same, whatever is here: a file in its place is replaced, once what was brought has hashed right.
    ///
    /// # Errors
    /// When the disk of this store fails.
    pub fn bring_anew(&self, from: &ReadOnly, digest: &Digest, size: u64, tell: Tell<'_>) -> Result<Brought, Error> {
        let opened = Disk::point("copy.read", &from.path(digest)).and_then(|()| from.open(digest));
        let (file, length) = match opened {
            Ok(Some(opened)) => opened,
            Ok(None) => return Ok(unsound(FindingKind::BlobMissing, "there is no file".to_owned())),
            Err(error) => return Ok(Brought::Unreadable(error.to_string())),
        };
        if let Some(differs) = wrong_length(length, size) {
            return Ok(differs);
        }
        let (staged, how) = match self.stage_file_while(&file, digest.algorithm(), tell) {
            Ok(staged) => staged,
            Err(StageError::Ours(error)) => return Err(error),
            Err(StageError::Source(error) | StageError::NoLink(error)) => {
                return Ok(Brought::Unreadable(Error::new("read", &from.path(digest), error).to_string()));
            }
        };
        Disk::point("copy.staged", &self.layout.blob(digest))?;
        match self.commit_staged(&staged, digest) {
            Ok(committed) => {
                Disk::point("copy.committed", &self.layout.blob(digest))?;
                Ok(Brought::Copied { how, committed })
            }
            Err(PutError::DigestMismatch { computed, .. }) => {
                Ok(unsound(FindingKind::BlobCorrupt, format!("its bytes hash to {computed}")))
            }
            Err(PutError::Io(error)) => Err(error),
        }
    }
}

impl ReadOnly {
    /// Reads a blob of `size` bytes from the disk itself, not from the page cache, and says what is wrong with it; `None`
    /// for one that is whole.
    ///
    /// # Errors
    /// When the disk fails, which says nothing about the blob.
    pub fn examine(&self, digest: &Digest, size: u64, tell: Tell<'_>) -> Result<Option<(FindingKind, String)>, Error> {
        let Some((file, length)) = self.open(digest)? else {
            return Ok(Some((FindingKind::BlobMissing, "there is no file".to_owned())));
        };
        if let Some(Brought::Unsound { kind, detail }) = wrong_length(length, size) {
            return Ok(Some((kind, detail)));
        }
        let mut hasher = Hasher::new(digest.algorithm());
        let file = DiskFile::of(file, &self.path(digest));
        file.expect_scattered_reads();
        hash_while(&file, &mut hasher, tell, DiskFile::read_from_medium)?;
        let computed = hasher.finish();
        Ok((computed != *digest).then(|| (FindingKind::BlobCorrupt, format!("its bytes hash to {computed}"))))
    }

    /// Whether a file of that length is there; it is not read.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn has(&self, digest: &Digest, size: u64) -> Result<bool, Error> {
        Ok(self.open(digest)?.is_some_and(|(_, length)| length == size))
    }
}

/// Feeds a whole file to `hasher` as `read` reads it; answers how many bytes there were.
///
/// # Errors
/// When the disk fails; `Interrupted` where `tell` broke it off.
pub(crate) fn hash_while(
    file: &DiskFile,
    hasher: &mut Hasher,
    tell: Tell<'_>,
    read: impl Fn(&DiskFile, &mut [u8], u64) -> Result<usize, Error>,
) -> Result<u64, Error> {
    let mut buffer = vec![0; READ_SIZE];
    let mut offset = 0;
    loop {
        let filled = read(file, &mut buffer, offset)?;
        if filled == 0 {
            return Ok(offset);
        }
        hasher.update(buffer.get(..filled).unwrap_or_default());
        offset += filled as u64;
        if tell(filled as u64).is_break() {
            return Err(Error::new("read", file.path(), io::Error::from(io::ErrorKind::Interrupted)));
        }
    }
}

fn unsound(kind: FindingKind, detail: String) -> Brought {
    Brought::Unsound { kind, detail }
}

fn wrong_length(length: u64, size: u64) -> Option<Brought> {
    let kind = match length.cmp(&size) {
        std::cmp::Ordering::Equal => return None,
        std::cmp::Ordering::Less => FindingKind::BlobTruncated,
        std::cmp::Ordering::Greater => FindingKind::BlobSizeMismatch,
    };
    Some(unsound(kind, format!("its file has {length} bytes, {size} are right")))
}

#[cfg(test)]
mod tests;
