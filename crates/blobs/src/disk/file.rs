//! One open file: positioned reads and writes, its stat, its sync.
//! Which bytes go where, and what they hash to, is the caller's.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::Advice;
use rustix::io::Errno;

use super::forgetful::Forgetful;
use crate::Error;

/// An open regular file and the path it was opened by.
#[derive(Debug)]
pub(crate) struct DiskFile {
    file: File,
    path: PathBuf,
    forgetful: Option<Arc<Forgetful>>,
}

impl DiskFile {
    pub(super) fn new(file: File, path: &Path, forgetful: Option<Arc<Forgetful>>) -> DiskFile {
        DiskFile { file, path: path.to_owned(), forgetful }
    }

    /// A file of a disk that is as it is, opened elsewhere.
    pub(crate) fn of(file: File, path: &Path) -> DiskFile {
        DiskFile::new(file, path, None)
    }

    /// The path the file was opened by; a later rename does not change it.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn into_file(self) -> File {
        self.file
    }

    /// What the file says about itself, whatever name it has by now.
    pub(crate) fn metadata(&self) -> Result<Metadata, Error> {
        self.call(|| self.file.metadata()).map_err(|source| self.failed("stat", source))
    }

    /// Reads what is in the page cache; `None` where that is not known or not there.
    pub(crate) fn read_at_if_cached(&self, buffer: &mut [u8], offset: u64) -> Result<Option<usize>, Error> {
        let mut into = [io::IoSliceMut::new(buffer)];
        match rustix::io::preadv2(&self.file, &mut into, offset, rustix::io::ReadWriteFlags::NOWAIT) {
            Ok(read) => Ok(Some(read)),
            Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::INTR) => Ok(None),
            Err(error) => Err(self.failed("read", error.into())),
        }
    }

    /// Reads up to `buffer.len()` bytes at `offset`; 0 only at the end of the file.
    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, Error> {
        loop {
            match self.call(|| self.file.read_at(buffer, offset)) {
                Err(source) if source.kind() == ErrorKind::Interrupted => {}
                read => return read.map_err(|source| self.failed("read", source)),
            }
        }
    }

    /// Writes all of `bytes` at `offset`, or fails with any part of it written.
    pub(crate) fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), Error> {
        let written = match &self.forgetful {
            None => self.file.write_all_at(bytes, offset),
            Some(disk) => disk.write_at(&self.file, bytes, offset),
        };
        written.map_err(|source| self.failed("write", source))
    }

    /// Shares the bytes of another file of the same file system, in place of its own.
    pub(super) fn share(&self, source: &File) -> Result<(), Errno> {
        rustix::fs::ioctl_ficlone(&self.file, source)
    }

    pub(crate) fn truncate(&self, size: u64) -> Result<(), Error> {
        let truncated = match &self.forgetful {
            None => self.file.set_len(size),
            Some(disk) => disk.truncate(&self.file, size),
        };
        truncated.map_err(|source| self.failed("truncate", source))
    }

    /// Makes the bytes and the length durable. After an error nothing written through this handle may be believed.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        let synced = match &self.forgetful {
            None => self.file.sync_data(),
            Some(disk) => disk.sync(&self.file),
        };
        synced.map_err(|source| self.failed("sync", source))
    }

    /// Asks the kernel to begin writing a range to the disk, without waiting for it, so that the final sync is short.
    ///
    /// This is what `sync_file_range(SYNC_FILE_RANGE_WRITE)` is for, which no safe wrapper offers. Linux starts the
    /// same write-back for `POSIX_FADV_DONTNEED` on dirty pages; those under write-back stay in the cache.
    /// It is a hint: an error is no reason to fail, and a write error it provokes is reported by the final sync.
    pub(crate) fn start_write_back(&self, offset: u64, length: u64) {
        if let Some(length) = NonZeroU64::new(length) {
            let _hint = rustix::fs::fadvise(&self.file, offset, Some(length), Advice::DontNeed);
        }
    }

    /// Tells the kernel that the whole file is about to be read once, front to back.
    pub(crate) fn expect_sequential_reads(&self) {
        let _hint = rustix::fs::fadvise(&self.file, 0, None, Advice::Sequential);
    }

    /// Tells the kernel that reads come one by one, so that it reads nothing ahead of them.
    pub(crate) fn expect_scattered_reads(&self) {
        let _hint = rustix::fs::fadvise(&self.file, 0, None, Advice::Random);
    }

    /// Asks the kernel to drop what its cache holds of a range, where that is on the disk.
    pub(crate) fn forget_cached(&self, offset: u64, length: u64) {
        if let Some(length) = NonZeroU64::new(length) {
            let _hint = rustix::fs::fadvise(&self.file, offset, Some(length), Advice::DontNeed);
        }
    }

    fn call<T>(&self, action: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        match &self.forgetful {
            None => action(),
            Some(disk) => disk.call(action),
        }
    }

    fn failed(&self, operation: &'static str, source: io::Error) -> Error {
        Error::new(operation, &self.path, source)
    }
}
