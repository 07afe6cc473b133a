//! Blob files beside a running server, or without one: opened for reading alone; never judged, moved or made.

use std::fs::File;
use std::path::{Path, PathBuf};

use mcr_oci::Digest;

use crate::layout::Layout;
use crate::marker::read_marker;
use crate::{Disk, Error, Options};

/// The directory of the blobs, for reading only. Nothing is locked: a file may go while it is looked for, and one that
/// is open stays readable.
#[derive(Debug)]
pub struct ReadOnly {
    disk: Disk,
    layout: Layout,
}

impl ReadOnly {
    /// The blobs below `layers`. Nothing is looked at yet.
    #[must_use]
    pub fn new(layers: &Path) -> Self {
        let options = Options { layers: layers.to_owned(), uploads: layers.to_owned() };
        Self { disk: Disk::real(), layout: Layout::new(options) }
    }

    /// The registry's id from the marker; `None` when there is no marker, as on an unmounted volume.
    ///
    /// # Errors
    /// When it cannot be read, or holds no id.
    pub fn marker(&self) -> Result<Option<String>, Error> {
        read_marker(&self.disk, &self.layout)
    }

    /// Where the file of a blob is, or would be.
    pub(crate) fn path(&self, digest: &Digest) -> PathBuf {
        self.layout.blob(digest)
    }

    /// Opens the file of a blob, with its length; `None` where there is none. Its bytes are not hashed.
    ///
    /// # Errors
    /// When it cannot be opened or looked at, which does not mean that it is not there.
    pub fn open(&self, digest: &Digest) -> Result<Option<(File, u64)>, Error> {
        let Some(file) = self.disk.open(&self.layout.blob(digest))? else { return Ok(None) };
        let size = file.metadata()?.len();
        file.expect_sequential_reads();
        Ok(Some((file.into_file(), size)))
    }
}
