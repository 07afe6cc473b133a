//! The only place of this crate that touches files; never what is in them.

#![expect(clippy::disallowed_methods, reason = "this is the one home of file calls in mcr-client")]

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// Files larger than this are no credential files, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// Reads a small file whole; `None` where there is none.
///
/// # Errors
/// Those of the system; `InvalidData` when it is larger than 1 MiB.
pub(crate) fn read_small(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        // A file in the place of a directory on the way holds no file either.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let mut bytes = Vec::new();
    file.take(MAX_FILE.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|read| read <= MAX_FILE) {
        Ok(Some(bytes))
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidData, "larger than 1 MiB"))
    }
}

/// Files that tests need.
#[cfg(test)]
pub(crate) mod fixtures {
    use std::fs::{Permissions, set_permissions, write};
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::{Path, PathBuf};

    /// Writes a file and answers its path.
    pub(crate) fn put(directory: &Path, name: &str, content: &str) -> PathBuf {
        let path = directory.join(name);
        write(&path, content).unwrap();
        path
    }

    /// A program from lines of shell.
    pub(crate) fn put_program(directory: &Path, name: &str, script: &str) -> PathBuf {
        let path = put(directory, name, &format!("#!/bin/sh\n{script}\n"));
        set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        path
    }
}
