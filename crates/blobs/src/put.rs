//! Small bodies that arrive in one piece: straight to a blob, without a session.
//! The order of syncs is the commit's.

use mcr_oci::Digest;

use crate::{Committed, Disk, Error, Store};

/// Why bytes did not become a blob.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// The bytes are not those of the digest. Nothing was written.
    #[error("the bytes hash to {computed}, not to {expected}")]
    DigestMismatch {
        /// What the bytes were announced as.
        expected: Digest,
        /// What they are.
        computed: Digest,
    },
    /// A file call failed. The blob's path holds what it held before, or the whole new bytes.
    #[error(transparent)]
    Io(#[from] Error),
}

impl Store {
    /// Makes `bytes` the blob `expected`, durably, replacing a file that is there already (which heals it).
    ///
    /// The caller holds the lock on the digest until it has recorded the stat.
    ///
    /// # Errors
    /// [`PutError::DigestMismatch`] before anything is written; [`PutError::Io`] when a file call fails.
    pub fn put_bytes(&self, bytes: &[u8], expected: &Digest) -> Result<Committed, PutError> {
        let computed = Digest::of(expected.algorithm(), bytes);
        if computed != *expected {
            let expected = expected.clone();
            return Err(PutError::DigestMismatch { expected, computed });
        }
        let name = self.random(&self.layout.uploads)?;
        let temporary = self.layout.temporary(&name);
        let committed = self.put_through(&temporary, bytes, expected);
        if committed.is_err() {
            let _left_for_the_sweep = self.disk.unlink(&temporary);
        }
        Ok(committed?)
    }

    fn put_through(&self, temporary: &std::path::Path, bytes: &[u8], digest: &Digest) -> Result<Committed, Error> {
        let file = self.disk.create(temporary)?;
        Disk::point("blob.write", temporary)?;
        file.write_at(bytes, 0)?;
        Disk::point("blob.sync", temporary)?;
        file.sync()?;
        Disk::point("blob.synced", temporary)?;
        let size = bytes.len() as u64;
        let stat = self.publish(&file, digest, size)?;
        Ok(Committed { digest: digest.clone(), size, stat })
    }
}
