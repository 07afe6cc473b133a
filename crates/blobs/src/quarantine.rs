//! Setting damaged bytes aside: out of every reader's way, kept for whoever looks into the damage.
//! Whether bytes are damaged, and how long they are kept, is decided elsewhere.

use std::path::PathBuf;

use mcr_oci::Digest;

use crate::{Disk, Error, Store};

/// How many names in a row are tried when one digest is quarantined repeatedly within a millisecond.
const NAMES_TRIED: i64 = 16;

impl Store {
    /// Moves a blob's file into `quarantine/`, durably, and says where; `None` when nothing stands at its path.
    ///
    /// The caller holds the lock on the digest, so that it sets aside the file it judged and not a healed one.
    ///
    /// # Errors
    /// When the move failed or may not survive a power loss.
    pub fn quarantine(&self, digest: &Digest, now_ms: i64) -> Result<Option<PathBuf>, Error> {
        let from = self.layout.blob(digest);
        if self.disk.metadata(&from)?.is_none() {
            return Ok(None);
        }
        let to = self.free_name(digest, now_ms)?;
        self.disk.rename(&from, &to)?;
        Disk::point("quarantine.renamed", &to)?;
        // The new name first: at no moment is there neither.
        self.disk.sync_directory(&self.layout.quarantine())?;
        self.disk.sync_directory(&self.layout.shard(digest))?;
        Ok(Some(to))
    }

    fn free_name(&self, digest: &Digest, now_ms: i64) -> Result<PathBuf, Error> {
        for later in 0..NAMES_TRIED {
            let path = self.layout.quarantined(digest, now_ms.saturating_add(later));
            if self.disk.metadata(&path)?.is_none() {
                return Ok(path);
            }
        }
        let taken = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
        Err(Error::new("name in", &self.layout.quarantine(), taken))
    }
}
