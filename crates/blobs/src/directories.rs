//! Directories that are certain to survive a power loss: made, and synced in their parents.
//! Which directories there are is the layout's to say.

use std::array;
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use mcr_oci::{Algorithm, Digest};

use crate::layout::{Layout, shard_name};
use crate::{Disk, Error};

/// Makes a directory and those above it, each durable in its parent.
pub(crate) fn make_durably(disk: &Disk, path: &Path) -> Result<(), Error> {
    let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) else {
        return disk.make_directory(path).map(drop);
    };
    if disk.metadata(path)?.is_some() {
        // Whoever made it may have been killed before the sync. A parent we may not even read is not ours to sync.
        return match disk.sync_directory(parent) {
            Err(error) if error.io_error().kind() == ErrorKind::PermissionDenied => Ok(()),
            synced => synced,
        };
    }
    make_durably(disk, parent)?;
    disk.make_directory(path)?;
    disk.sync_directory(parent)
}

/// Which shard directories are known to exist durably, so that most commits need not ask: at most 256 per algorithm.
#[derive(Debug)]
pub(crate) struct Shards {
    sha256: [AtomicBool; 256],
    sha512: [AtomicBool; 256],
}

impl Shards {
    pub(crate) fn new() -> Shards {
        Shards {
            sha256: array::from_fn(|_| AtomicBool::new(false)),
            sha512: array::from_fn(|_| AtomicBool::new(false)),
        }
    }

    /// Takes note of the shards that an earlier run left behind, and makes them durable in one sync.
    pub(crate) fn learn(&self, disk: &Disk, layout: &Layout, algorithm: Algorithm) -> Result<(), Error> {
        let directory = layout.algorithm(algorithm);
        let mut found = Vec::new();
        disk.names(&directory, |name| {
            found.extend(self.flag(algorithm, name));
            ControlFlow::<()>::Continue(())
        })?;
        disk.sync_directory(&directory)?;
        for shard in found {
            shard.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Makes sure that the directory of this blob exists and would survive a power loss.
    pub(crate) fn ensure(&self, disk: &Disk, layout: &Layout, digest: &Digest) -> Result<(), Error> {
        let flag = self.flag(digest.algorithm(), shard_name(digest));
        if flag.is_some_and(|known| known.load(Ordering::Acquire)) {
            return Ok(());
        }
        disk.make_directory(&layout.shard(digest))?;
        // Also when it was there: the one who made it may not have synced it yet.
        disk.sync_directory(&layout.algorithm(digest.algorithm()))?;
        if let Some(known) = flag {
            known.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Unlearns a shard that turned out to be missing.
    pub(crate) fn forget(&self, digest: &Digest) {
        if let Some(known) = self.flag(digest.algorithm(), shard_name(digest)) {
            known.store(false, Ordering::Release);
        }
    }

    /// The flag of a shard; `None` for a name that is none.
    fn flag(&self, algorithm: Algorithm, name: &str) -> Option<&AtomicBool> {
        if name.len() != 2 || name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return None;
        }
        let index = usize::from(u8::from_str_radix(name, 16).ok()?);
        match algorithm {
            Algorithm::Sha256 => self.sha256.get(index),
            Algorithm::Sha512 => self.sha512.get(index),
        }
    }
}
