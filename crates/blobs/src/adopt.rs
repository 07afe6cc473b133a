//! Bytes that are not sent but found: a file of another registry, or a stream, made a blob without a session.
//! Where they come from, and whether they are wanted, is the caller's; the order of syncs is the commit's.

use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use mcr_oci::{Algorithm, Digest, Hasher};

use crate::copies::{Tell, hash_while};
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

/// Temporary files are counted, so that those begun before a sync failed are known.
static BORN: AtomicU64 = AtomicU64::new(0);

/// The directories whose file systems are synced, open from before the first byte to the last.
///
/// A sync of a file system tells of a write that failed to each handle once, and to none that was opened after another
/// one was told. So these stay open, and what was being written when a sync failed is believed by no later one: its
/// bytes may be those that were lost.
#[derive(Debug)]
pub struct Syncs {
    uploads: File,
    layers: File,
    /// Temporary files with a lower number are not believed.
    failed: AtomicU64,
}

impl Syncs {
    fn fail(&self) {
        self.failed.store(BORN.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    fn believes(&self, staged: &Staged) -> Result<(), Error> {
        if staged.pending.born >= self.failed.load(Ordering::SeqCst) {
            return Ok(());
        }
        let path = staged.pending.file.path();
        Err(Error::new("sync", path, io::Error::other("a sync failed while it was being written; bring it again")))
    }
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
    born: u64,
}

impl Pending {
    /// Counted before it is made: no byte of it is older than its number.
    fn new(disk: &Disk, make: impl FnOnce() -> Result<DiskFile, Error>) -> Result<Self, Error> {
        let born = BORN.fetch_add(1, Ordering::SeqCst);
        Ok(Self { file: make()?, disk: disk.clone(), born })
    }
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
        let pending = Pending::new(&self.disk, || self.disk.create(&path))?;
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
        match self.stage_shared(source, algorithm, tell)? {
            Some(staged) => Ok((staged, Adopted::Reflinked)),
            None => self.stage_copied(source, algorithm, tell).map(|staged| (staged, Adopted::Copied)),
        }
    }

    /// The first half of [`stage_file`](Self::stage_file): takes no room; `None` where the file system cannot share.
    ///
    /// # Errors
    /// [`StageError`].
    pub fn stage_shared(
        &self,
        source: &File,
        algorithm: Algorithm,
        tell: &dyn Fn(u64),
    ) -> Result<Option<Staged>, StageError> {
        self.stage_shared_while(source, algorithm, &always(tell))
    }

    /// The second half of [`stage_file`](Self::stage_file): takes as much room as the file is long.
    ///
    /// # Errors
    /// [`StageError`].
    pub fn stage_copied(&self, source: &File, algorithm: Algorithm, tell: &dyn Fn(u64)) -> Result<Staged, StageError> {
        self.stage_copied_while(source, algorithm, &always(tell))
    }

    /// [`stage_file`](Self::stage_file) as long as `tell` says to go on; then [`StageError::Source`].
    ///
    /// # Errors
    /// [`StageError`].
    pub(crate) fn stage_file_while(
        &self,
        source: &File,
        algorithm: Algorithm,
        tell: Tell<'_>,
    ) -> Result<(Staged, Adopted), StageError> {
        match self.stage_shared_while(source, algorithm, tell)? {
            Some(staged) => Ok((staged, Adopted::Reflinked)),
            None => self.stage_copied_while(source, algorithm, tell).map(|staged| (staged, Adopted::Copied)),
        }
    }

    fn stage_shared_while(
        &self,
        source: &File,
        algorithm: Algorithm,
        tell: Tell<'_>,
    ) -> Result<Option<Staged>, StageError> {
        let mut staging = self.begin_staging(algorithm)?;
        if !self.disk.share_bytes(source, &staging.pending.file)? {
            return Ok(None);
        }
        let Staging { pending, hasher, size, .. } = &mut staging;
        pending.file.expect_sequential_reads();
        // The bytes are the source's: where they cannot be read, nothing is wrong with this store.
        let shared = |error: Error| StageError::Source(io::Error::new(error.io_error().kind(), error.to_string()));
        *size = hash_while(&pending.file, hasher, tell, DiskFile::read_at).map_err(shared)?;
        Ok(Some(staging.finish()))
    }

    fn stage_copied_while(&self, source: &File, algorithm: Algorithm, tell: Tell<'_>) -> Result<Staged, StageError> {
        let mut staging = self.begin_staging(algorithm)?;
        let _hint = rustix::fs::fadvise(source, 0, None, rustix::fs::Advice::Sequential);
        let mut buffer = vec![0; COPY_SIZE];
        loop {
            let read = match source.read_at(&mut buffer, staging.size) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(StageError::Source(error)),
            };
            if read == 0 {
                return Ok(staging.finish());
            }
            staging.append(buffer.get(..read).unwrap_or_default())?;
            if tell(read as u64).is_break() {
                return Err(StageError::Source(io::ErrorKind::Interrupted.into()));
            }
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
        let gone = || io::Error::new(io::ErrorKind::NotFound, "the link that was made is gone");
        let open = || self.disk.open(&path)?.ok_or_else(|| Error::new("open", &path, gone()));
        let pending = Pending::new(&self.disk, open)?;
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
    /// Where a sync fails: then none of them is to be believed, though some may be in their places, whole; nor is
    /// anything else that was being written by then.
    pub fn commit_all(
        &self,
        all: &[(Staged, Digest)],
        syncs: &Syncs,
    ) -> Result<Vec<Result<Committed, PutError>>, Error> {
        if all.len() <= SYNC_EACH || !self.disk.can_sync_all() {
            return Ok(all.iter().map(|(staged, expected)| self.commit_staged(staged, expected)).collect());
        }
        self.sync(&syncs.uploads, &self.layout.uploads, syncs)?;
        let placed: Vec<Result<FileStat, PutError>> =
            all.iter().map(|(staged, expected)| self.place(staged, expected, syncs)).collect();
        self.sync(&syncs.layers, &self.layout.layers, syncs)?;
        let committed = |(placed, (staged, expected)): (Result<FileStat, PutError>, &(Staged, Digest))| {
            placed.map(|stat| Committed { digest: expected.clone(), size: staged.size, stat })
        };
        Ok(placed.into_iter().zip(all).map(committed).collect())
    }

    /// Opens what [`commit_all`](Self::commit_all) syncs; before the first byte is staged.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn open_syncs(&self) -> Result<Syncs, Error> {
        let open = |path| self.disk.open_directory(path);
        let (uploads, layers) = (open(&self.layout.uploads)?, open(&self.layout.layers)?);
        Ok(Syncs { uploads, layers, failed: AtomicU64::new(0) })
    }

    fn sync(&self, directory: &File, path: &Path, syncs: &Syncs) -> Result<(), Error> {
        let synced = Disk::point("blob.sync_all", path).and_then(|()| self.disk.sync_all(directory, path));
        synced.inspect_err(|_| syncs.fail())
    }

    fn place(&self, staged: &Staged, expected: &Digest, syncs: &Syncs) -> Result<FileStat, PutError> {
        syncs.believes(staged)?;
        if staged.digest != *expected {
            let (expected, computed) = (expected.clone(), staged.digest.clone());
            return Err(PutError::DigestMismatch { expected, computed });
        }
        let file = &staged.pending.file;
        Disk::point("blob.synced", file.path())?;
        Ok(self.publish_unsynced(file, expected, staged.size)?)
    }
}

/// Goes on whatever it is told.
fn always(tell: &dyn Fn(u64)) -> impl Fn(u64) -> ControlFlow<()> {
    |bytes| {
        tell(bytes);
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests;
