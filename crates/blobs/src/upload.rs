//! An open session: bytes go to its file and through the hash in one pass.
//! Making a blob of it is the commit's.

use std::io;

use mcr_oci::{Algorithm, Hasher};

use crate::disk::DiskFile;
use crate::hash::hash_up_to;
use crate::session::{Claim, Remembered};
use crate::{Disk, Error, FileStat, UploadId};

/// After this many new bytes the disk is asked to begin writing them, so that the final sync finds little to do.
const WRITE_BACK_EVERY: u64 = 8 * 1024 * 1024;

/// Write-back ends at a multiple of this, so that no page is written twice because it was half full.
const WRITE_BACK_UNIT: u64 = 1024 * 1024;

/// An upload session that this caller alone has open. Dropping it keeps the session.
#[derive(Debug)]
pub struct Upload {
    pub(crate) claim: Claim,
    pub(crate) file: DiskFile,
    repository: String,
    size: u64,
    /// The hash over all `size` bytes; `None` when they have to be read again first.
    hasher: Option<Hasher>,
    algorithm: Algorithm,
    written_back: u64,
}

impl Upload {
    pub(crate) fn new(mut claim: Claim, file: DiskFile, repository: String) -> Result<Upload, Error> {
        let stat = FileStat::of(&file.metadata()?);
        let remembered = claim.remembered.take();
        let hasher = remembered.filter(|remembered| remembered.stat == stat).map(|remembered| remembered.hasher);
        Ok(Upload {
            claim,
            file,
            repository,
            size: stat.size,
            algorithm: hasher.as_ref().map_or(Algorithm::Sha256, Hasher::algorithm),
            hasher,
            written_back: stat.size,
        })
    }

    /// The session's id.
    #[must_use]
    pub fn id(&self) -> &UploadId {
        &self.claim.id
    }

    /// The repository the session was begun for.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Bytes received so far.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Announces the digest's algorithm, SHA-256 unless told. Said before the first byte it saves a second reading.
    pub fn set_algorithm(&mut self, algorithm: Algorithm) {
        self.algorithm = algorithm;
        if self.hasher.as_ref().is_some_and(|hasher| hasher.algorithm() != algorithm) {
            self.hasher = None;
        }
    }

    /// Adds bytes at the end. Large pieces (64 KiB and more) go at the speed of the disk and the hash.
    ///
    /// # Errors
    /// When not all could be written; then the session ends after the last whole append.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let mut hasher = self.take_hasher()?;
        let written = Disk::point("blob.write", self.file.path()).and_then(|()| self.file.write_at(bytes, self.size));
        if let Err(error) = written {
            self.hasher = Some(hasher);
            // Should this fail too, the next append or the commit cuts the rest off.
            let _the_first_error_counts = self.file.truncate(self.size);
            return Err(error);
        }
        hasher.update(bytes);
        self.hasher = Some(hasher);
        self.size = self.size.saturating_add(bytes.len() as u64);
        self.begin_write_back();
        Ok(())
    }

    /// Takes the running hash out, to be brought forward beside the writing of the same bytes; see
    /// [`Upload::append_hashed`]. `None` where the session's bytes would have to be read first: then
    /// [`Upload::append`] does that.
    pub fn lend_hasher(&mut self) -> Option<Hasher> {
        self.hasher.take()
    }

    /// Appends like [`Upload::append`], without hashing: the caller hashes the same pieces elsewhere meanwhile and
    /// gives the hash back with [`Upload::return_hasher`]. A hash that does not come back is made again by reading.
    ///
    /// # Errors
    /// When the disk fails; the session then has what it had before.
    pub fn append_hashed<'a>(&mut self, pieces: impl Iterator<Item = &'a [u8]>) -> Result<(), Error> {
        let mut end = self.size;
        for piece in pieces {
            let written = Disk::point("blob.write", self.file.path()).and_then(|()| self.file.write_at(piece, end));
            if let Err(error) = written {
                let _the_first_error_counts = self.file.truncate(self.size);
                return Err(error);
            }
            end = end.saturating_add(piece.len() as u64);
        }
        self.hasher = None;
        self.size = end;
        self.begin_write_back();
        Ok(())
    }

    /// Gives back the hash lent by [`Upload::lend_hasher`], now over everything that was appended since.
    pub fn return_hasher(&mut self, hasher: Hasher) {
        self.hasher = Some(hasher);
    }

    /// Cuts the session back to its first `size` bytes; does nothing when it has no more.
    ///
    /// # Errors
    /// When the file could not be cut; then the session is as it was.
    pub fn truncate_to(&mut self, size: u64) -> Result<(), Error> {
        if size < self.size {
            self.file.truncate(size)?;
            self.size = size;
            self.written_back = self.written_back.min(size);
            self.hasher = None;
        }
        Ok(())
    }

    /// The hash over all bytes of the session in `algorithm`, reading them only if it is not known.
    pub(crate) fn hashed(&mut self, algorithm: Algorithm) -> Result<Hasher, Error> {
        self.set_algorithm(algorithm);
        let hasher = self.take_hasher()?;
        self.hasher = Some(hasher.clone());
        Ok(hasher)
    }

    fn take_hasher(&mut self) -> Result<Hasher, Error> {
        if let Some(hasher) = self.hasher.take() {
            return Ok(hasher);
        }
        let mut hasher = Hasher::new(self.algorithm);
        let read = hash_up_to(&self.file, &mut hasher, self.size)?;
        if read == self.size { Ok(hasher) } else { Err(self.unlike(read)) }
    }

    /// Makes the bytes durable, after making sure that the file is as long as what was hashed.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        let length = self.file.metadata()?.len();
        if length < self.size {
            return Err(self.unlike(length));
        }
        if length > self.size {
            self.file.truncate(self.size)?;
        }
        Disk::point("blob.sync", self.file.path())?;
        self.file.sync()?;
        Disk::point("blob.synced", self.file.path())
    }

    /// The hash is of no use any more: the session has become a blob or was lost.
    pub(crate) fn forget_hash(&mut self) {
        self.hasher = None;
    }

    fn unlike(&self, length: u64) -> Error {
        let reason = format!("{} bytes were written, the file has {length}", self.size);
        Error::new("read back", self.file.path(), io::Error::other(reason))
    }

    fn begin_write_back(&mut self) {
        let end = self.size - self.size % WRITE_BACK_UNIT;
        if end.saturating_sub(self.written_back) >= WRITE_BACK_EVERY {
            self.file.start_write_back(self.written_back, end - self.written_back);
            self.written_back = end;
        }
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let Some(hasher) = self.hasher.take() else {
            return;
        };
        // Only a hash over exactly what the file holds is worth keeping.
        let stat = self.file.metadata().map(|metadata| FileStat::of(&metadata));
        if let Ok(stat) = stat
            && stat.size == self.size
        {
            self.claim.remembered = Some(Remembered { hasher, stat });
        }
    }
}
