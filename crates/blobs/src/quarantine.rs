//! Setting damaged bytes aside: out of every reader's way, kept for whoever looks into the damage, removed one day.
//! Whether bytes are damaged, and how long they are kept, is decided elsewhere.

use std::ops::ControlFlow;
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

    /// Removes files that were quarantined before `before_ms`, at most `limit`; says how many. The time is the one in
    /// the name. What has another name is not ours, and a directory that a hand put in a blob's place is left as well.
    ///
    /// A file that comes back after a power loss goes the next time.
    ///
    /// # Errors
    /// When the directory cannot be read, or a file in it not removed.
    pub fn expire_quarantine(&self, before_ms: i64, limit: usize) -> Result<usize, Error> {
        let directory = self.layout.quarantine();
        let mut old = Vec::new();
        let _more_there_are: Option<()> = self.disk.names(&directory, |name| {
            if old.len() >= limit {
                return ControlFlow::Break(());
            }
            if quarantined_at(name).is_some_and(|at| at < before_ms) {
                old.push(directory.join(name));
            }
            ControlFlow::Continue(())
        })?;
        let mut removed = 0;
        for path in old {
            if self.disk.metadata(&path)?.is_some_and(|found| !found.is_dir()) && self.disk.unlink(&path)? {
                removed += 1;
            }
        }
        Ok(removed)
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
