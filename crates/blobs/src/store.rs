//! The store itself: opening it, and what is true of it as a whole.
//! Single blobs, sessions and commits have their own files.

use std::path::PathBuf;
use std::sync::Arc;

use crate::directories::{Shards, make_durably};
use crate::layout::{ALGORITHMS, Layout};
use crate::session::Sessions;
use crate::{Disk, Error};

/// Where the store keeps its files. Both must lie on one file system: see [`Store::same_filesystem`].
#[derive(Clone, Debug)]
pub struct Options {
    /// `[storage] layers_path`: blobs, quarantine, marker.
    pub layers: PathBuf,
    /// `[storage] uploads_path`: what is still being received.
    pub uploads: PathBuf,
}

/// Bytes of the file system that holds the blobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// What an unprivileged process may still write.
    pub available: u64,
    /// The size of the file system.
    pub total: u64,
}

/// Bytes by digest in two directories. Every method blocks on the disk.
#[derive(Debug)]
pub struct Store {
    pub(crate) disk: Disk,
    pub(crate) layout: Layout,
    pub(crate) shards: Shards,
    pub(crate) sessions: Arc<Sessions>,
}

impl Store {
    /// Makes the directories that are missing, durably, and opens the store. Deletes nothing: see [`Store::sweep`].
    ///
    /// # Errors
    /// When a directory can neither be found nor made.
    pub fn open(options: Options, disk: Disk) -> Result<Store, Error> {
        let store = Store { disk, layout: Layout::new(options), shards: Shards::new(), sessions: Arc::default() };
        make_durably(&store.disk, &store.layout.uploads)?;
        make_durably(&store.disk, &store.layout.quarantine())?;
        for algorithm in ALGORITHMS {
            make_durably(&store.disk, &store.layout.algorithm(algorithm))?;
            store.shards.learn(&store.disk, &store.layout, algorithm)?;
        }
        Ok(store)
    }

    /// Whether a rename leads from `uploads_path` into `layers_path`, found out by trying one.
    ///
    /// # Errors
    /// When the try itself fails, as on a full or read-only disk.
    pub fn same_filesystem(&self) -> Result<bool, Error> {
        let name = self.random(&self.layout.uploads)?;
        let from = self.layout.temporary(&name);
        let to = self.layout.layers.join(format!("{name}.tmp"));
        self.disk.create(&from)?;
        let renamed = self.disk.rename(&from, &to);
        self.disk.unlink(&from)?;
        self.disk.unlink(&to)?;
        match renamed {
            Ok(()) => Ok(true),
            Err(error) if error.io_error().kind() == std::io::ErrorKind::CrossesDevices => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Space on the file system of `layers_path`.
    ///
    /// # Errors
    /// When the file system does not answer.
    pub fn free_space(&self) -> Result<Space, Error> {
        let (available, total) = self.disk.space(&self.layout.layers)?;
        Ok(Space { available, total })
    }

    /// 32 random hex digits for a new name below `directory`.
    pub(crate) fn random(&self, directory: &std::path::Path) -> Result<String, Error> {
        mcr_seams::random_hex(16).map_err(|source| Error::new("draw a random name below", directory, source))
    }
}
