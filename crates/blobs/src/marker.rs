//! The marker in `layers_path` that tells which registry the blobs belong to, and whether there are any.
//! What follows from a missing or foreign marker is the registry's to decide.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use mcr_oci::{Algorithm, Digest};

use crate::layout::{ALGORITHMS, Layout};
use crate::{Disk, Error, Store};

/// The most bytes a marker may have; an id is far shorter.
const MARKER_MAX: u64 = 256;

impl Store {
    /// The registry's id from the marker; `None` when there is no marker, as on an unmounted volume.
    ///
    /// # Errors
    /// When it cannot be read, or holds no id: it is written whole or not at all, so that is damage.
    pub fn marker(&self) -> Result<Option<String>, Error> {
        read_marker(&self.disk, &self.layout)
    }

    /// Writes the marker durably, replacing an older one. The next start finds this id or the former marker, never half.
    ///
    /// # Errors
    /// When any step fails; then it is not certain which marker a power loss would leave.
    pub fn write_marker(&self, id: &str) -> Result<(), Error> {
        let path = self.layout.marker();
        let temporary = path.with_extension("tmp");
        self.disk.unlink(&temporary)?;
        let file = self.disk.create(&temporary)?;
        file.write_at(format!("{id}\n").as_bytes(), 0)?;
        file.sync()?;
        self.disk.rename(&temporary, &path)?;
        self.disk.sync_directory(&self.layout.layers)
    }

    /// Whether any blob lies in the store. Quarantined bytes and sessions are none.
    ///
    /// # Errors
    /// When a directory cannot be listed.
    pub fn holds_blobs(&self) -> Result<bool, Error> {
        for algorithm in ALGORITHMS {
            if self.holds(algorithm)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn holds(&self, algorithm: Algorithm) -> Result<bool, Error> {
        let directory = self.layout.algorithm(algorithm);
        let is_blob = |name: &str| Digest::parse(&format!("{}:{name}", algorithm.as_str())).is_ok();
        let found = self.disk.names(&directory, |shard| {
            let blob = self.disk.names(&directory.join(shard), |name| {
                if is_blob(name) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            match blob {
                Ok(None) => ControlFlow::Continue(()),
                Ok(Some(())) => ControlFlow::Break(Ok(true)),
                Err(error) => ControlFlow::Break(Err(error)),
            }
        })?;
        found.unwrap_or(Ok(false))
    }
}

/// The id in the marker of a layout; `None` when there is no marker.
pub(crate) fn read_marker(disk: &Disk, layout: &Layout) -> Result<Option<String>, Error> {
    let path = layout.marker();
    let Some(bytes) = read_small(disk, &path, MARKER_MAX)? else {
        return Ok(None);
    };
    let damaged = |reason: &str| Error::new("read marker", &path, io::Error::new(io::ErrorKind::InvalidData, reason));
    let text = String::from_utf8(bytes).map_err(|_| damaged("it is not text"))?;
    match text.trim() {
        "" => Err(damaged("it is empty")),
        id => Ok(Some(id.to_owned())),
    }
}

/// The bytes of a file of at most `limit` bytes; `None` when there is none.
///
/// # Errors
/// When it cannot be read, or is longer than `limit`.
pub(crate) fn read_small(disk: &Disk, path: &Path, limit: u64) -> Result<Option<Vec<u8>>, Error> {
    let Some(file) = disk.open(path)? else {
        return Ok(None);
    };
    let size = file.metadata()?.len();
    if size > limit {
        let reason = format!("{size} bytes, more than the {limit} that belong there");
        return Err(Error::new("read", path, io::Error::new(io::ErrorKind::InvalidData, reason)));
    }
    let mut bytes = Vec::new();
    let mut buffer = [0; 512];
    loop {
        let read = file.read_at(&mut buffer, bytes.len() as u64)?;
        bytes.extend_from_slice(buffer.get(..read).unwrap_or_default());
        if read == 0 || bytes.len() as u64 > limit {
            return Ok(Some(bytes));
        }
    }
}
