//! The only place of this crate that touches files: small ones, read with a bound, written whole; never what is in them.

#![expect(clippy::disallowed_methods, reason = "this is the one home of file calls in mcr-authentication")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use mcr_seams::random_hex;
use rustix::fs::RenameFlags;

/// The bits of a mode that let others than the owner in.
const OTHERS: u32 = 0o077;

/// What tells two states of a file apart without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signature {
    inode: (u64, u64),
    size: u64,
    mtime: (i64, i64),
    ctime: (i64, i64),
}

/// A file that was read.
pub(crate) struct Text {
    pub(crate) text: String,
    /// Taken before the content was read: a change in between is seen the next time.
    pub(crate) signature: Signature,
    /// Whether others than its owner may read or write it.
    pub(crate) open_to_others: bool,
}

/// Reads a whole text file of at most `limit` bytes.
///
/// # Errors
/// Those of the system; `InvalidData` when it is larger, or not UTF-8.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Text> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let (signature, open_to_others) = (signature_of(&metadata), metadata.mode() & OTHERS != 0);
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("larger than {limit} bytes")));
    }
    let text = String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not UTF-8"))?;
    Ok(Text { text, signature, open_to_others })
}

/// The signature of a file, symlinks followed.
///
/// # Errors
/// Those of the system.
pub(crate) fn signature(path: &Path) -> io::Result<Signature> {
    fs::metadata(path).map(|metadata| signature_of(&metadata))
}

fn signature_of(metadata: &fs::Metadata) -> Signature {
    Signature {
        inode: (metadata.dev(), metadata.ino()),
        size: metadata.size(),
        mtime: (metadata.mtime(), metadata.mtime_nsec()),
        ctime: (metadata.ctime(), metadata.ctime_nsec()),
    }
}

/// Puts a secret at `path` where nothing is, for its owner alone, durably; `false` where something is, which is left.
///
/// # Errors
/// Those of the system.
pub(crate) fn write_new_secret(path: &Path, text: &str) -> io::Result<bool> {
    place_secret(path, text, RenameFlags::NOREPLACE)
}

/// Puts a secret in the place of what is at `path`, for its owner alone, durably.
///
/// # Errors
/// Those of the system; then `path` is as it was.
pub(crate) fn replace_secret(path: &Path, text: &str) -> io::Result<()> {
    place_secret(path, text, RenameFlags::empty()).map(|_| ())
}

fn place_secret(path: &Path, text: &str, flags: RenameFlags) -> io::Result<bool> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = directory.join(format!(".{name}.{}", random_hex(8)?));
    let placed = write_synced(&temporary, text)
        .and_then(|()| Ok(rustix::fs::renameat_with(rustix::fs::CWD, &temporary, rustix::fs::CWD, path, flags)?));
    match placed {
        Ok(()) => File::open(&directory)?.sync_all().map(|()| true),
        Err(error) => {
            // The first failure is the one to tell; what stays is for its owner alone.
            let _ = fs::remove_file(&temporary);
            if error.kind() == io::ErrorKind::AlreadyExists { Ok(false) } else { Err(error) }
        }
    }
}

fn write_synced(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
