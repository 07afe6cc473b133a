//! Reading a blob from the disk itself and leaving the page cache as it was: for whoever checks what the disk holds.
//! Reads that answer somebody want the cache, and stay where they are.

use super::{BlobFile, FileStat};
use crate::disk::DiskFile;
use crate::{Disk, Error};

impl BlobFile {
    /// The stat of this very file as it is now, to be compared with the one of its opening.
    ///
    /// # Errors
    /// When the disk does not say.
    pub fn stat_now(&self) -> Result<FileStat, Error> {
        Ok(FileStat::of(&self.file.metadata()?))
    }

    /// Tells the kernel that this handle reads by [`BlobFile::read_from_medium`], so that it reads nothing ahead.
    pub fn expect_medium_reads(&self) {
        self.file.expect_scattered_reads();
    }

    /// Reads up to `buffer.len()` bytes at `offset` from the disk, 0 only at the end. What the page cache held of them is
    /// read anew, since it says nothing of the disk; what it did not hold, it does not hold afterwards.
    ///
    /// Where the file system knows no such advice, the bytes may come from the cache.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn read_from_medium(&self, buffer: &mut [u8], offset: u64) -> Result<usize, Error> {
        self.file.read_from_medium(buffer, offset)
    }
}

impl DiskFile {
    /// See [`BlobFile::read_from_medium`].
    pub(crate) fn read_from_medium(&self, buffer: &mut [u8], offset: u64) -> Result<usize, Error> {
        Disk::point("blob.read", self.path())?;
        let held = self.read_at_if_cached(&mut [0], offset).is_ok_and(|read| read.is_some());
        self.forget_cached(offset, buffer.len() as u64);
        let mut filled = 0;
        while let Some(space) = buffer.get_mut(filled..).filter(|space| !space.is_empty()) {
            let read = self.read_at(space, offset.saturating_add(filled as u64))?;
            if read == 0 {
                break;
            }
            filled += read;
        }
        if !held {
            self.forget_cached(offset, filled as u64);
        }
        Ok(filled)
    }
}
