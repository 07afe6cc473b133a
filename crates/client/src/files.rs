//! The only place of this crate that touches files; never what is in them.

#![expect(clippy::disallowed_methods, reason = "this is the one home of file calls in mcr-client")]

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
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

/// Writes a file for its owner's eyes only, whole or not at all; directories that are missing are made. A link is
/// followed, so that the file it leads to is the one that is replaced.
///
/// # Errors
/// Those of the system; the file is then as it was.
pub(crate) fn replace_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let real = match std::fs::canonicalize(path) {
        Ok(real) => real,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
        Err(error) => return Err(error),
    };
    if let Some(directory) = real.parent().filter(|directory| !directory.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let mut name = real.file_name().map(OsString::from).ok_or(io::ErrorKind::InvalidInput)?;
    name.push(format!(".{}.new", std::process::id()));
    let beside = real.with_file_name(name);
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&beside, &real)
    })();
    if written.is_err() {
        // What could not be finished is no use to anybody; if it cannot be removed either, it is only in the way.
        let _ = std::fs::remove_file(&beside);
    }
    written
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
