//! Reading a file once to hash it, in constant memory.
//! What a digest that differs means is the caller's to judge.

use std::io;

use mcr_oci::{Digest, Hasher};

use crate::blob::FileStat;
use crate::disk::DiskFile;
use crate::{Disk, Error, Store};

/// Bytes read at a time: large enough that the calls cost nothing beside the hashing.
const READ_SIZE: usize = 256 * 1024;

/// How often a file that changes while it is read is read again.
const ATTEMPTS: u32 = 3;

/// What a blob's bytes really hash to, and the stat of the file they were read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hashed {
    /// The digest of the bytes on disk, in the algorithm that was asked for.
    pub digest: Digest,
    /// The stat before and after the reading, which agreed.
    pub stat: FileStat,
}

impl Store {
    /// Reads a whole blob and hashes it, in constant memory; `None` as for [`Store::stat`].
    ///
    /// A digest other than the one asked for is an answer here, not an error.
    ///
    /// # Errors
    /// When the disk fails, or the file keeps changing while it is read.
    pub fn hash(&self, digest: &Digest) -> Result<Option<Hashed>, Error> {
        let path = self.layout.blob(digest);
        Disk::point("blob.open", &path)?;
        for _ in 0..ATTEMPTS {
            let Some(file) = self.disk.open(&path)? else {
                return Ok(None);
            };
            let metadata = file.metadata()?;
            if !metadata.is_file() {
                return Ok(None);
            }
            let before = FileStat::of(&metadata);
            file.expect_sequential_reads();
            let mut hasher = Hasher::new(digest.algorithm());
            let read = hash_up_to(&file, &mut hasher, u64::MAX)?;
            let stat = FileStat::of(&file.metadata()?);
            if before == stat && read == stat.size {
                let digest = hasher.finish();
                return Ok(Some(Hashed { digest, stat }));
            }
        }
        let restless = io::Error::other("the file changes while it is read");
        Err(Error::new("hash", &path, restless))
    }
}

/// Feeds the first `limit` bytes of a file to `hasher`; answers how many there were.
pub(crate) fn hash_up_to(file: &DiskFile, hasher: &mut Hasher, limit: u64) -> Result<u64, Error> {
    let mut buffer = vec![0; READ_SIZE];
    let mut offset = 0;
    while offset < limit {
        let wanted = usize::try_from(limit - offset).map_or(READ_SIZE, |rest| rest.min(READ_SIZE));
        Disk::point("blob.read", file.path())?;
        let read = file.read_at(buffer.get_mut(..wanted).unwrap_or_default(), offset)?;
        if read == 0 {
            break;
        }
        hasher.update(buffer.get(..read).unwrap_or_default());
        offset += read as u64;
    }
    Ok(offset)
}
