//! The only place of `mcrctl` that touches files; never what is in them.

#![expect(clippy::disallowed_methods, reason = "this is the one home of file calls in mcrctl")]

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

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

/// A file that is written piece by piece beside its place, and is in its place only when it is whole.
pub(crate) struct Growing {
    place: PathBuf,
    beside: PathBuf,
    file: File,
    kept: bool,
}

impl Growing {
    /// Begins a file that will be at `place`.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn beside(place: &Path) -> io::Result<Self> {
        let mut name = place.file_name().map(OsString::from).ok_or(io::ErrorKind::InvalidInput)?;
        name.push(format!(".{}.new", std::process::id()));
        let beside = place.with_file_name(name);
        Ok(Self { place: place.to_owned(), file: File::create(&beside)?, beside, kept: false })
    }

    /// Adds a piece.
    ///
    /// # Errors
    /// Those of the system.
    pub(crate) fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        self.file.write_all(piece)
    }

    /// Puts the file in its place.
    ///
    /// # Errors
    /// Those of the system; what was there before then still is.
    pub(crate) fn keep(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        std::fs::rename(&self.beside, &self.place)?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Growing {
    fn drop(&mut self) {
        if !self.kept {
            // What could not be finished is no use to anybody; if it cannot be removed either, it is only in the way.
            let _ = std::fs::remove_file(&self.beside);
        }
    }
}

/// Writes a file whole or not at all: beside it first, then renamed over it.
///
/// # Errors
/// Those of the system; the file is then as it was.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = Growing::beside(path)?;
    file.write(bytes)?;
    file.keep()
}
