//! The one error of this crate: which file call failed, on which path, and why.
//! That a file is absent is never an error here, and an I/O error never means absent.

use std::io;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

/// A file call that failed, with what was being done and where.
///
/// The message names a path of this machine: it belongs in the log, not in an answer to a client.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {}: {source}", path.display())]
pub struct Error {
    operation: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl Error {
    pub(crate) fn new(operation: &'static str, path: &Path, source: impl Into<io::Error>) -> Error {
        Error { operation, path: path.to_owned(), source: source.into() }
    }

    /// The file call, as a verb for the log: "rename", "sync", "open".
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// The file or directory the call was about.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the system answered.
    #[must_use]
    pub fn io_error(&self) -> &io::Error {
        &self.source
    }

    /// No space or no quota is left: pushes fail, pulls go on, freed space is enough to recover.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        self.is(&[Errno::NOSPC, Errno::DQUOT])
    }

    /// The file system does not take writes (any more).
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.is(&[Errno::ROFS])
    }

    /// The disk, the mount or its permissions failed (EIO, EACCES, EPERM, ESTALE): never a statement about a blob.
    #[must_use]
    pub fn is_io(&self) -> bool {
        self.is(&[Errno::IO, Errno::ACCESS, Errno::PERM, Errno::STALE])
    }

    /// Another request holds this upload session open; the same call may succeed once that one has ended.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        self.source.kind() == io::ErrorKind::ResourceBusy
    }

    /// The upload session was cancelled while it was open: its file is gone and there is nothing to commit.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }

    fn is(&self, numbers: &[Errno]) -> bool {
        let raw = self.source.raw_os_error();
        numbers.iter().any(|errno| raw == Some(errno.raw_os_error()))
    }
}
