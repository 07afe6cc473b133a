//! Sessions as files: beginning, finding, opening, cancelling and listing them.
//! When a session is too old, and who may use it, is decided elsewhere.

use std::collections::BinaryHeap;
use std::fmt::Display;
use std::fs::Metadata;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;

use crate::marker::read_small;
use crate::session::{SIDECAR_MAX, Sidecar};
use crate::{Disk, Error, Store, Upload, UploadId, UploadInfo};

impl Store {
    /// Begins a session. It survives a restart of the process; a power loss may take it.
    ///
    /// # Errors
    /// When its two files cannot be made; then neither is left behind, as far as the disk allows.
    pub fn create_upload(&self, repository: &str, now_ms: i64) -> Result<UploadId, Error> {
        let text = self.random(&self.layout.uploads)?;
        let invalid = |reason: &dyn Display| {
            let source = io::Error::new(io::ErrorKind::InvalidData, reason.to_string());
            Error::new("begin a session below", &self.layout.uploads, source)
        };
        let id = UploadId::parse(&text).map_err(|error| invalid(&error))?;
        let sidecar = Sidecar::new(repository, now_ms).to_json();
        let created = self.create_files(&id, &sidecar.map_err(|error| invalid(&error))?);
        if created.is_err() {
            let _the_first_error_counts = self.remove_session(&id);
        }
        created.map(|()| id)
    }

    /// The sidecar first: bytes without one are no session, so a kill in between leaves none.
    fn create_files(&self, id: &UploadId, sidecar: &[u8]) -> Result<(), Error> {
        let file = self.disk.create(&self.layout.session(id))?;
        file.write_at(sidecar, 0)?;
        let data = self.layout.upload(id);
        self.disk.create(&data)?;
        Disk::point("upload.created", &data)
    }

    /// What is known of a session; `None` when there is none of that id (any more).
    ///
    /// # Errors
    /// When the disk does not say.
    pub fn upload(&self, id: &UploadId) -> Result<Option<UploadInfo>, Error> {
        let metadata = self.disk.metadata(&self.layout.upload(id))?;
        let Some(metadata) = metadata.filter(Metadata::is_file) else {
            return Ok(None);
        };
        Ok(self.sidecar(id)?.map(|sidecar| UploadInfo {
            repository: sidecar.repository,
            size: metadata.len(),
            started_ms: sidecar.started_ms,
            last_write_ms: last_write_ms(&metadata),
        }))
    }

    /// Opens a session to go on with it; `None` as for [`Store::upload`]. One caller at a time may have it open.
    ///
    /// # Errors
    /// [`Error::is_busy`] while another caller has it open; else when the disk fails.
    pub fn open_upload(&self, id: &UploadId) -> Result<Option<Upload>, Error> {
        let path = self.layout.upload(id);
        let Some(claim) = self.sessions.claim(id) else {
            let busy = io::Error::new(io::ErrorKind::ResourceBusy, "another request has it open");
            return Err(Error::new("open", &path, busy));
        };
        let Some(file) = self.disk.open_to_write(&path)? else {
            return Ok(None);
        };
        match self.sidecar(id)? {
            Some(sidecar) => Upload::new(claim, file, sidecar.repository).map(Some),
            None => Ok(None),
        }
    }

    /// Ends a session and removes its bytes; `false` when there was none. An [`Upload`] that is open ends with it:
    /// its commit answers [`Error::is_gone`].
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn cancel_upload(&self, id: &UploadId) -> Result<bool, Error> {
        self.remove_session(id)
    }

    /// The sessions that were left alone longest, oldest write first, `limit` at most.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn list_uploads(&self, limit: usize) -> Result<Vec<(UploadId, UploadInfo)>, Error> {
        // A heap of `limit` keeps the memory bounded, however many sessions there are.
        let mut oldest = BinaryHeap::new();
        let failed = self.disk.names(&self.layout.uploads, |name| {
            let Ok(id) = UploadId::parse(name) else {
                return ControlFlow::Continue(());
            };
            match self.disk.metadata(&self.layout.upload(&id)) {
                Ok(metadata) => oldest.extend(metadata.map(|data| (last_write_ms(&data), id))),
                Err(error) => return ControlFlow::Break(error),
            }
            if oldest.len() > limit {
                oldest.pop();
            }
            ControlFlow::Continue(())
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        let mut listed = Vec::new();
        for (_, id) in oldest.into_sorted_vec() {
            listed.extend(self.upload(&id)?.map(|info| (id, info)));
        }
        Ok(listed)
    }

    /// The bytes first: what is left of a session whose removal broke off is a sidecar, which is none.
    pub(crate) fn remove_session(&self, id: &UploadId) -> Result<bool, Error> {
        let existed = self.disk.unlink(&self.layout.upload(id))?;
        self.disk.unlink(&self.layout.session(id))?;
        Ok(existed)
    }

    pub(crate) fn sidecar(&self, id: &UploadId) -> Result<Option<Sidecar>, Error> {
        let bytes = read_small(&self.disk, &self.layout.session(id), SIDECAR_MAX)?;
        Ok(bytes.and_then(|bytes| Sidecar::from_json(&bytes)))
    }
}

fn last_write_ms(metadata: &Metadata) -> i64 {
    let seconds = metadata.mtime().saturating_mul(1000);
    seconds.saturating_add(metadata.mtime_nsec() / 1_000_000)
}
