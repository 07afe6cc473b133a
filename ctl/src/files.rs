//! The only place of `mcrctl` that touches files; never what is in them.

#![expect(clippy::disallowed_methods, reason = "this is the one home of file calls in mcrctl")]

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// Files larger than this are something else than what a command reads, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Reads a small file whole.
///
/// # Errors
/// Those of the system; `InvalidData` when it is larger than 1 MiB.
pub(crate) fn read_small(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|read| read <= MAX_FILE) {
        Ok(bytes)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidData, "larger than 1 MiB"))
    }
}
