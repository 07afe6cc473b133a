//! Setting damaged bytes aside: out of every reader's way, kept for whoever looks into the damage, removed one day.
//! Whether bytes are damaged, and how long they are kept, is decided elsewhere.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use mcr_oci::Digest;

use crate::{Disk, Error, Store};

/// How many names in a row are tried when one digest is quarantined repeatedly within a millisecond.
const NAMES_TRIED: i64 = 16;

/// What came of removing old quarantined files.
#[derive(Debug, Default)]
pub struct ExpiredQuarantine {
    /// Files that went.
    pub removed: usize,
    /// Files that did not, though they are old enough.
    pub kept: usize,
    /// Why the first of those did not.
    pub error: Option<Error>,
}

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

    /// Removes files that were quarantined before `before_ms`, at most `limit`; says how many. The time is the one in
    /// the name. What has another name is not ours, and a directory that a hand put in a blob's place is left as well.
    /// One that cannot be removed keeps no other.
    ///
    /// A file that comes back after a power loss goes the next time.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn expire_quarantine(&self, before_ms: i64, limit: usize) -> Result<ExpiredQuarantine, Error> {
        let directory = self.layout.quarantine();
        let mut expired = ExpiredQuarantine::default();
        let _more_there_are: Option<()> = self.disk.names(&directory, |name| {
            if expired.removed >= limit {
                return ControlFlow::Break(());
            }
            if quarantined_at(name).is_some_and(|at| at < before_ms) {
                match self.expire(&directory.join(name)) {
                    Ok(gone) => expired.removed += usize::from(gone),
                    Err(error) => {
                        expired.kept += 1;
                        expired.error.get_or_insert(error);
                    }
                }
            }
            ControlFlow::Continue(())
        })?;
        Ok(expired)
    }

    /// Removes a file; says whether it did.
    fn expire(&self, path: &Path) -> Result<bool, Error> {
        if self.disk.metadata(path)?.is_none_or(|found| found.is_dir()) {
            return Ok(false);
        }
        self.disk.unlink(path)
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

/// When a file was quarantined, by its name; none for a name that this store does not give.
fn quarantined_at(name: &str) -> Option<i64> {
    let (digest, at_ms) = name.rsplit_once('.')?;
    Digest::parse(&digest.replacen('-', ":", 1)).ok()?;
    at_ms.parse().ok()
}
