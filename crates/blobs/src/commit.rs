//! Making a blob of a session: compare the digest, sync the bytes, rename, sync the directory, in this order.
//! The row that makes the blob part of a repository comes after that, and from elsewhere.

use std::io;
use std::path::Path;

use mcr_oci::Digest;

use crate::disk::DiskFile;
use crate::{Disk, Error, FileStat, Store, Upload};

/// A blob that a power loss cannot take any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The digest its bytes were hashed to.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// The stat of its file at its final path, to be recorded and compared before each use.
    pub stat: FileStat,
}

/// Why a session did not become a blob.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The bytes are not those of the digest. The session is given back as it was.
    #[error("the bytes hash to {computed}, not to {expected}")]
    DigestMismatch {
        /// What the bytes were announced as.
        expected: Digest,
        /// What they are.
        computed: Digest,
        /// The session, to go on with or to drop.
        upload: Box<Upload>,
    },
    /// A file call failed. When it was the sync of the bytes they count as lost and the session is removed.
    #[error(transparent)]
    Io(#[from] Error),
}

impl Store {
    /// Makes a session's bytes the blob `expected`, durably, replacing a file that is there already (which heals it).
    ///
    /// The caller holds the lock on the digest until it has recorded the stat: a second commit makes a new file.
    ///
    /// # Errors
    /// [`CommitError::DigestMismatch`] keeps the session. After [`CommitError::Io`] the blob's path holds what it held
    /// before or the whole new bytes, and [`Store::upload`] tells whether the session is still there.
    pub fn commit_upload(&self, mut upload: Upload, expected: &Digest) -> Result<Committed, CommitError> {
        let computed = upload.hashed(expected.algorithm())?.finish();
        if computed != *expected {
            let (expected, upload) = (expected.clone(), Box::new(upload));
            return Err(CommitError::DigestMismatch { expected, computed, upload });
        }
        if let Err(error) = upload.sync() {
            // After a failed sync the kernel may have dropped the pages and say "synced" the next time.
            upload.forget_hash();
            let _the_first_error_counts = self.remove_session(upload.id());
            return Err(error.into());
        }
        let stat = self.publish(&upload.file, expected, upload.size())?;
        upload.forget_hash();
        // Nobody needs the sidecar, and without bytes it is no session: that it may stay behind is no failure.
        let _left_for_the_sweep = self.disk.unlink(&self.layout.session(upload.id()));
        Ok(Committed { digest: expected.clone(), size: upload.size(), stat })
    }

    /// Brings a synced file to its final path, durably, and answers its stat there.
    pub(crate) fn publish(&self, file: &DiskFile, digest: &Digest, size: u64) -> Result<FileStat, Error> {
        let stat = self.publish_unsynced(file, digest, size)?;
        self.disk.sync_directory(&self.layout.shard(digest))?;
        Disk::point("blob.dir_synced", &self.layout.blob(digest))?;
        Ok(stat)
    }

    /// The same, but for the sync of the directory: the blob is durable only after that.
    pub(crate) fn publish_unsynced(&self, file: &DiskFile, digest: &Digest, size: u64) -> Result<FileStat, Error> {
        let target = self.layout.blob(digest);
        self.shards.ensure(&self.disk, &self.layout, digest)?;
        if let Err(error) = self.disk.rename(file.path(), &target) {
            self.rename_again(error, file.path(), &target, digest)?;
        }
        Disk::point("blob.renamed", &target)?;
        // After the rename, which moves the ctime.
        let stat = FileStat::of(&file.metadata()?);
        if stat.size == size {
            return Ok(stat);
        }
        let reason = format!("{size} bytes were committed, the file has {}", stat.size);
        Err(Error::new("commit", &target, io::Error::other(reason)))
    }

    /// "Not found" has two reasons: the session was cancelled meanwhile, or the shard's directory went away. A directory
    /// that a hand put in the blob's place is set aside.
    fn rename_again(&self, error: Error, from: &Path, to: &Path, digest: &Digest) -> Result<(), Error> {
        if error.io_error().kind() == io::ErrorKind::IsADirectory {
            let since = self.disk.metadata(to)?.map_or(0, |found| FileStat::of(&found).ctime_ns);
            self.quarantine(digest, since / 1_000_000)?;
            return self.disk.rename(from, to);
        }
        if error.io_error().kind() != io::ErrorKind::NotFound {
            return Err(error);
        }
        if self.disk.metadata(from)?.is_none() {
            let cancelled = io::Error::new(io::ErrorKind::NotFound, "the session was cancelled");
            return Err(Error::new("commit", from, cancelled));
        }
        self.shards.forget(digest);
        self.shards.ensure(&self.disk, &self.layout, digest)?;
        self.disk.rename(from, to)
    }
}
