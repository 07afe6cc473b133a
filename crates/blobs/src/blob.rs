//! Committed blobs: their stat, opening them, removing them.
//! Whether a stat is the recorded one, and what to do when it is not, is the registry's to decide.

mod medium;

use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt;

use mcr_oci::Digest;

use crate::disk::DiskFile;
use crate::{Disk, Error, Store};

/// What identifies a file's content without reading it: any write, truncation or replacement changes one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStat {
    /// Inode number.
    pub inode: u64,
    /// Length in bytes.
    pub size: u64,
    /// Last change of the content, in nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Last change of content, name or mode, in nanoseconds since 1970; a rename moves it.
    pub ctime_ns: i64,
}

impl FileStat {
    pub(crate) fn of(metadata: &Metadata) -> FileStat {
        FileStat {
            inode: metadata.ino(),
            size: metadata.len(),
            mtime_ns: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            ctime_ns: nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

fn nanoseconds(seconds: i64, rest: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}

/// A blob opened for reading. It keeps its bytes even when the blob is replaced, quarantined or removed meanwhile.
#[derive(Debug)]
pub struct BlobFile {
    file: DiskFile,
    stat: FileStat,
}

impl BlobFile {
    /// The stat of this very file, taken when it was opened.
    #[must_use]
    pub fn stat(&self) -> FileStat {
        self.stat
    }

    /// Reads up to `buffer.len()` bytes at `offset`; 0 only at the end.
    ///
    /// # Errors
    /// When the disk fails; never for an offset past the end.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, Error> {
        Disk::point("blob.read", self.file.path())?;
        self.file.read_at(buffer, offset)
    }

    /// Reads as [`BlobFile::read_at`], but only bytes that are in memory already; `None` when the disk would have to be
    /// waited for, or the file system cannot say. For callers that must not block.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn read_at_if_cached(&self, buffer: &mut [u8], offset: u64) -> Result<Option<usize>, Error> {
        Disk::point("blob.read", self.file.path())?;
        self.file.read_at_if_cached(buffer, offset)
    }

    /// The plain file, for a read path that hands it to the kernel. Open for reading only, at offset 0.
    #[must_use]
    pub fn into_file(self) -> File {
        self.file.into_file()
    }
}

impl Store {
    /// The stat of a blob's file, links not followed; `None` when no regular file stands at its path.
    ///
    /// An unmounted volume looks the same: ask [`Store::marker`] before taking `None` for a loss.
    ///
    /// # Errors
    /// When the disk does not say (EIO, EACCES, ESTALE): then nothing is known about the blob.
    pub fn stat(&self, digest: &Digest) -> Result<Option<FileStat>, Error> {
        let path = self.layout.blob(digest);
        Disk::point("blob.stat", &path)?;
        let metadata = self.disk.metadata(&path)?;
        Ok(metadata.filter(Metadata::is_file).map(|metadata| FileStat::of(&metadata)))
    }

    /// Opens a blob; `None` as for [`Store::stat`].
    ///
    /// # Errors
    /// When the disk fails: then nothing is known about the blob.
    pub fn open_blob(&self, digest: &Digest) -> Result<Option<BlobFile>, Error> {
        let path = self.layout.blob(digest);
        Disk::point("blob.open", &path)?;
        let Some(file) = self.disk.open(&path)? else {
            return Ok(None);
        };
        let metadata = file.metadata()?;
        let stat = FileStat::of(&metadata);
        Ok(metadata.is_file().then_some(BlobFile { file, stat }))
    }

    /// Removes a blob's file; `false` when none was there. The only place that unlinks a blob.
    ///
    /// The caller holds the lock on the digest and has removed the row, durably, in this order. The directory is not
    /// synced: a file that a power loss brings back has no row, is never served, and is replaced by a push of the same
    /// digest or removed by the next reconcile; a sync for each removal would make pushes wait for the disk instead.
    ///
    /// # Errors
    /// When the file is still there.
    pub fn remove(&self, digest: &Digest) -> Result<bool, Error> {
        let path = self.layout.blob(digest);
        Disk::point("blob.remove", &path)?;
        let removed = self.disk.unlink(&path)?;
        if removed {
            Disk::point("blob.removed", &path)?;
        }
        Ok(removed)
    }
}
