//! The only place of `mcrctl` that touches files; never what is in them.

#![expect(clippy::disallowed_methods, reason = "this is the one home of file calls in mcrctl")]

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
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

/// Reads stdin to its end, as text.
///
/// # Errors
/// Those of the system; `InvalidData` when it is longer than `most` bytes or not UTF-8.
pub(crate) fn read_stdin(most: usize) -> io::Result<String> {
    let mut text = String::new();
    io::stdin().lock().take(most as u64 + 1).read_to_string(&mut text)?;
    if text.len() > most {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("longer than {most} bytes")));
    }
    Ok(text)
}

/// Writes a file whole or not at all: beside it first, then renamed over it.
///
/// # Errors
/// Those of the system; the file is then as it was.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().map(OsString::from).ok_or(io::ErrorKind::InvalidInput)?;
    name.push(format!(".{}.new", std::process::id()));
    let beside = path.with_file_name(name);
    let written = (|| {
        let mut file = File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    })();
    if written.is_err() {
        // What could not be finished is no use to anybody; if it cannot be removed either, it is only in the way.
        let _ = std::fs::remove_file(&beside);
    }
    written
}
