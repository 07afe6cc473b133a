//! Clearing away what a killed process left in `uploads_path` and no session owns.
//! Sessions themselves, and everything in `layers_path`, are left alone.

use std::ops::ControlFlow;

use crate::layout::{SESSION_SUFFIX, TEMPORARY_SUFFIX};
use crate::{Error, Store, UploadId};

impl Store {
    /// Removes temporary files, sidecars without bytes and bytes without a readable sidecar; answers how many of these.
    ///
    /// Only for the process that owns the data directory, before it serves: a running one has such files in use.
    ///
    /// # Errors
    /// When the disk fails; what was removed until then stays removed.
    pub fn sweep(&self) -> Result<u64, Error> {
        let mut removed = 0_u64;
        let failed = self.disk.names(&self.layout.uploads, |name| {
            match self.sweep_one(name) {
                Ok(gone) => removed = removed.saturating_add(u64::from(gone)),
                Err(error) => return ControlFlow::Break(error),
            }
            ControlFlow::Continue(())
        })?;
        failed.map_or(Ok(removed), Err)
    }

    fn sweep_one(&self, name: &str) -> Result<bool, Error> {
        if let Ok(id) = UploadId::parse(name) {
            // Together with the sidecar that cannot be read, should there be one.
            let is_session = self.sidecar(&id)?.is_some();
            return if is_session { Ok(false) } else { self.remove_session(&id) };
        }
        let leftover = match name.strip_suffix(SESSION_SUFFIX).map(UploadId::parse) {
            Some(Ok(id)) => self.disk.metadata(&self.layout.upload(&id))?.is_none(),
            Some(Err(_)) => false,
            None => name.ends_with(TEMPORARY_SUFFIX),
        };
        if leftover { self.disk.unlink(&self.layout.uploads.join(name)) } else { Ok(false) }
    }
}
