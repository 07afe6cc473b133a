//! Bytes that are not sent but found: a file of another registry, or a stream, made a blob without a session.
//! Where they come from, and whether they are wanted, is the caller's; the order of syncs is the commit's.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use mcr_oci::{Algorithm, Digest, Hasher};

use crate::disk::DiskFile;
use crate::hash::hash_up_to;
use crate::{Committed, Disk, Error, FileStat, PutError, Store};

/// Bytes copied at a time.
const COPY_SIZE: usize = 1024 * 1024;

/// After this many new bytes the disk is asked to begin writing them.
const WRITE_BACK_EVERY: u64 = 8 * 1024 * 1024;

/// Up to so many blobs are synced one by one: a sync of the file system waits for what others wrote as well.
const SYNC_EACH: usize = 2;

/// How a file's bytes came to be ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adopted {
    /// Shared by the file system until one side changes them.
    Reflinked,
    /// A second name of the same file.
    Hardlinked,
    /// Copied.
    Copied,
}

/// Why a file could not be brought.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// It could not be read: nothing is wrong with this store.
    #[error("it cannot be read: {0}")]
    Source(io::Error),
    /// It lies on another file system, or the system forbids it: no second name can be given to it.
    #[error("no hard link can be made of it: {0}")]
    NoLink(io::Error),
    /// This store's disk failed.
    #[error(transparent)]
    Ours(#[from] Error),
}

/// Bytes in a temporary file of the store, hashed. Dropped, they are forgotten.
#[derive(Debug)]
pub struct Staged {
    pending: Pending,
    digest: Digest,
    size: u64,
}

impl Staged {
    /// What they hash to.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// How many there are.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }
}

/// Bytes on their way into a temporary file of the store. Dropped, they are forgotten.
#[derive(Debug)]
pub struct Staging {
    pending: Pending,
    hasher: Hasher,
    size: u64,
    written_back: u64,
}

/// A temporary file that goes unless it becomes a blob.
#[derive(Debug)]
struct Pending {
    disk: Disk,
    file: DiskFile,
}

impl Drop for Pending {
    fn drop(&mut self) {
        // A blob has another name by now; what stays behind is left for the sweep.
        let _ = self.disk.unlink(self.file.path());
    }
}

impl Staging {
    /// Adds bytes at the end.
    ///
    /// # Errors
    /// When the disk fails; then it is to be dropped.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        Disk::point("blob.write", self.pending.file.path())?;
        self.pending.file.write_at(bytes, self.size)?;
        self.hasher.update(bytes);
        self.size = self.size.saturating_add(bytes.len() as u64);
        if self.size - self.written_back >= WRITE_BACK_EVERY {
            self.pending.file.start_write_back(self.written_back, self.size - self.written_back);
            self.written_back = self.size;
        }
        Ok(())
    }

    /// Ends it.
    #[must_use]
    pub fn finish(self) -> Staged {
        Staged { digest: self.hasher.finish(), size: self.size, pending: self.pending }
    }
}

impl Store {
    /// Begins to take bytes that are expected to hash to a digest of `algorithm`.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn begin_staging(&self, algorithm: Algorithm) -> Result<Staging, Error> {
        let path = self.layout.temporary(&self.random(&self.layout.uploads)?);
        let pending = Pending { file: self.disk.create(&path)?, disk: self.disk.clone() };
        Ok(Staging { pending, hasher: Hasher::new(algorithm), size: 0, written_back: 0 })
    }

    /// Brings a file of the same machine: shares its bytes where the file system can, else copies them; `tell` learns
    /// how many more were hashed. The file itself is only read.
    ///
    /// What is hashed is what this store then holds: no change of the source after this call reaches it.
    ///
    /// # Errors
    /// [`StageError`].
    pub fn stage_file(
        &self,
        source: &File,
        algorithm: Algorithm,
        tell: &dyn Fn(u64),
    ) -> Result<(Staged, Adopted), StageError> {
        let mut staging = self.begin_staging(algorithm)?;
        if self.disk.share_bytes(source, &staging.pending.file)? {
            staging.pending.file.expect_sequential_reads();
            staging.size = hash_up_to(&staging.pending.file, &mut staging.hasher, u64::MAX)?;
            tell(staging.size);
            return Ok((staging.finish(), Adopted::Reflinked));
        }
        let _hint = rustix::fs::fadvise(source, 0, None, rustix::fs::Advice::Sequential);
        let mut buffer = vec![0; COPY_SIZE];
        loop {
            let read = match source.read_at(&mut buffer, staging.size) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(StageError::Source(error)),
            };
            if read == 0 {
                return Ok((staging.finish(), Adopted::Copied));
            }
            staging.append(buffer.get(..read).unwrap_or_default())?;
            tell(read as u64);
        }
    }

    /// Gives a file of the same file system a second name in this store, and hashes it. Who changes the file by its
    /// first name changes ours: only for files that nobody writes to any more.
    ///
    /// # Errors
    /// [`StageError::NoLink`] where the two are on different file systems, or the system forbids it.
    pub fn stage_link(&self, source: &File, algorithm: Algorithm, tell: &dyn Fn(u64)) -> Result<Staged, StageError> {
        let path = self.layout.temporary(&self.random(&self.layout.uploads)?);
        self.disk.link(source, &path).map_err(StageError::NoLink)?;
        let Some(file) = self.disk.open(&path)? else {
            let gone = io::Error::new(io::ErrorKind::NotFound, "the link that was made is gone");
            return Err(StageError::Ours(Error::new("open", &path, gone)));
        };
        let pending = Pending { file, disk: self.disk.clone() };
        pending.file.expect_sequential_reads();
        let mut hasher = Hasher::new(algorithm);
        let size = hash_up_to(&pending.file, &mut hasher, u64::MAX)?;
        tell(size);
        Ok(Staged { pending, digest: hasher.finish(), size })
    }

    /// Makes staged bytes the blob `expected`, durably, replacing a file that is there already (which heals it).
    ///
    /// The caller holds the lock on the digest until it has recorded the stat.
    ///
    /// # Errors
    /// [`PutError::DigestMismatch`] before anything is changed; [`PutError::Io`] when a file call fails.
    pub fn commit_staged(&self, staged: &Staged, expected: &Digest) -> Result<Committed, PutError> {
        if staged.digest != *expected {
            let (expected, computed) = (expected.clone(), staged.digest.clone());
            return Err(PutError::DigestMismatch { expected, computed });
        }
        let file = &staged.pending.file;
        Disk::point("blob.sync", file.path())?;
        file.sync()?;
        Disk::point("blob.synced", file.path())?;
        let stat = self.publish(file, expected, staged.size)?;
        Ok(Committed { digest: expected.clone(), size: staged.size, stat })
    }

    /// Makes many staged bytes blobs, each as [`commit_staged`](Self::commit_staged) does, with two syncs for all of
    /// them: one before their renames and one after. One answer each, in their order.
    ///
    /// The caller holds the locks on their digests until it has recorded the stats.
    ///
    /// # Errors
    /// Where a sync fails: then none of them is to be believed, though some may be in their places, whole.
    pub fn commit_all(&self, all: &[(Staged, Digest)]) -> Result<Vec<Result<Committed, PutError>>, Error> {
        if all.len() <= SYNC_EACH || !self.disk.can_sync_all() {
            return Ok(all.iter().map(|(staged, expected)| self.commit_staged(staged, expected)).collect());
        }
        self.disk.sync_all(&self.layout.uploads)?;
        let placed: Vec<Result<FileStat, PutError>> =
            all.iter().map(|(staged, expected)| self.place(staged, expected)).collect();
        self.disk.sync_all(&self.layout.layers)?;
        let committed = |(placed, (staged, expected)): (Result<FileStat, PutError>, &(Staged, Digest))| {
            placed.map(|stat| Committed { digest: expected.clone(), size: staged.size, stat })
        };
        Ok(placed.into_iter().zip(all).map(committed).collect())
    }

    fn place(&self, staged: &Staged, expected: &Digest) -> Result<FileStat, PutError> {
        if staged.digest != *expected {
            let (expected, computed) = (expected.clone(), staged.digest.clone());
            return Err(PutError::DigestMismatch { expected, computed });
        }
        let file = &staged.pending.file;
        Disk::point("blob.synced", file.path())?;
        Ok(self.publish_unsynced(file, expected, staged.size)?)
    }
}

#[cfg(test)]
mod tests;
