//! The only place of the server that touches files itself: small ones, whole and durably. Blobs and rows have crates of their own.

#![expect(clippy::disallowed_methods, reason = "this is the one home of file calls in mcrsrv")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use mcr_seams::random_hex;
use rustix::fs::{Access, FlockOperation, RenameFlags};

/// Reads a whole text file of at most `limit` bytes.
///
/// # Errors
/// Those of the system; `InvalidData` when it is larger or not UTF-8.
pub fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    String::from_utf8(read_bytes(path, limit)?).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        io::Error::new(io::ErrorKind::InvalidData, format!("byte {at} is not UTF-8"))
    })
}

/// Reads a whole file of at most `limit` bytes.
///
/// # Errors
/// Those of the system; `InvalidData` when it is larger.
pub fn read_bytes(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|read| read <= limit) {
        Ok(bytes)
    } else {
        let message = format!("larger than {limit} bytes");
        Err(io::Error::new(io::ErrorKind::InvalidData, message))
    }
}

/// Reads stdin to its end: text of at most `limit` bytes.
///
/// # Errors
/// Those of the system; `InvalidData` when it is longer or not UTF-8.
pub fn read_stdin(limit: u64) -> io::Result<String> {
    let mut text = String::new();
    io::stdin().take(limit.saturating_add(1)).read_to_string(&mut text)?;
    if text.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("longer than {limit} bytes")));
    }
    Ok(text)
}

/// How many entries a directory has.
///
/// # Errors
/// The directory cannot be read.
pub fn count_entries(path: &Path) -> io::Result<u64> {
    Ok(fs::read_dir(path)?.count() as u64)
}

/// Whether something is there; a failure to look is an error, never "no".
///
/// # Errors
/// Those of the system.
pub fn exists(path: &Path) -> io::Result<bool> {
    fs::exists(path)
}

/// Whether a path leads to a directory, symlinks followed.
///
/// # Errors
/// Those of the system.
pub fn is_directory(path: &Path) -> io::Result<bool> {
    Ok(fs::metadata(path)?.is_dir())
}

/// The user that owns a file or directory; `None` where nothing is there.
///
/// # Errors
/// Those of the system.
pub fn owner(path: &Path) -> io::Result<Option<u32>> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata.uid())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether nobody but its owner may read or write a file.
///
/// # Errors
/// Those of the system.
pub fn is_private(path: &Path) -> io::Result<bool> {
    Ok(fs::metadata(path)?.mode() & 0o077 == 0)
}

/// What tells two states of a file apart without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    device: u64,
    inode: u64,
    size: u64,
    mtime: (i64, i64),
}

/// The signature of a file, symlinks followed.
///
/// # Errors
/// Those of the system.
pub fn signature(path: &Path) -> io::Result<Signature> {
    let metadata = fs::metadata(path)?;
    Ok(Signature {
        device: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.size(),
        mtime: (metadata.mtime(), metadata.mtime_nsec()),
    })
}

/// Makes a directory and what is missing above it, for the owner alone, durably. One that is there is left as it is.
///
/// # Errors
/// Those of the system; `NotADirectory` when something else is in its place.
pub fn create_private_dir(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if exists(path)? {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    let parent = parent_of(path);
    create_private_dir(&parent)?;
    match fs::DirBuilder::new().mode(0o700).create(path) {
        // Somebody else made it in between.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync_dir(&parent),
    }
}

/// The directory a path stands in; the working directory for a bare name.
#[must_use]
pub fn parent_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Puts `bytes` at `path` as a whole, replacing what is there, durably.
///
/// # Errors
/// Those of the system; then `path` is as it was.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    place(path, bytes, mode, RenameFlags::empty()).map(|_| ())
}

/// Puts `bytes` at `path` as a whole, durably; `false` when something is there already, which is left alone.
///
/// # Errors
/// Those of the system.
pub fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<bool> {
    place(path, bytes, mode, RenameFlags::NOREPLACE)
}

fn place(path: &Path, bytes: &[u8], mode: u32, flags: RenameFlags) -> io::Result<bool> {
    let dir = parent_of(path);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = dir.join(format!(".{name}.{}", random_hex(8)?));
    let placed = write_synced(&temporary, bytes, mode)
        .and_then(|()| Ok(rustix::fs::renameat_with(rustix::fs::CWD, &temporary, rustix::fs::CWD, path, flags)?));
    match placed {
        Ok(()) => sync_dir(&dir).map(|()| true),
        Err(error) => {
            // The first failure is the one to tell; a temporary file that stays is harmless.
            let _ = fs::remove_file(&temporary);
            if error.kind() == io::ErrorKind::AlreadyExists { Ok(false) } else { Err(error) }
        }
    }
}

fn write_synced(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The file system's name when `path`, or the nearest directory above it that exists, is on a network.
///
/// # Errors
/// Those of the system.
pub fn network_filesystem(path: &Path) -> io::Result<Option<&'static str>> {
    let kind = rustix::fs::statfs(&existing_ancestor(path)?)?.f_type;
    // The magic numbers of statfs(2); the word is signed on some machines, so only its 32 bits count.
    Ok(match kind & 0xffff_ffff {
        0x6969 => Some("NFS"),
        0xff53_4d42 => Some("CIFS"),
        0xfe53_4d42 => Some("SMB2"),
        0x517b => Some("SMB"),
        0x0102_1997 => Some("9p"),
        _ => None,
    })
}

/// `path` itself, or the nearest directory above it that exists.
///
/// # Errors
/// Those of the system.
pub fn existing_ancestor(path: &Path) -> io::Result<PathBuf> {
    for ancestor in path.ancestors() {
        if !ancestor.as_os_str().is_empty() && exists(ancestor)? {
            return Ok(ancestor.to_owned());
        }
    }
    Ok(PathBuf::from("."))
}

/// Whether this process may write into a directory.
///
/// # Errors
/// Those of the system.
pub fn is_writable(dir: &Path) -> io::Result<bool> {
    use rustix::io::Errno;
    match rustix::fs::access(dir, Access::WRITE_OK | Access::EXEC_OK) {
        Ok(()) => Ok(true),
        Err(Errno::ACCESS | Errno::PERM | Errno::ROFS) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether a file can be renamed from one directory into the other, found out by doing it.
/// Where one is missing, the directories above are compared without writing anything.
///
/// # Errors
/// Those of the system.
pub fn same_filesystem(from: &Path, to: &Path) -> io::Result<bool> {
    if !(from.is_dir() && to.is_dir()) {
        let device = |path: &Path| Ok::<u64, io::Error>(fs::metadata(existing_ancestor(path)?)?.dev());
        return Ok(device(from)? == device(to)?);
    }
    let name = format!(".rename-test.{}", random_hex(8)?);
    let (source, target) = (from.join(&name), to.join(&name));
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&source)?;
    let renamed = fs::rename(&source, &target);
    fs::remove_file(if renamed.is_ok() { &target } else { &source })?;
    match renamed {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => Ok(false),
        Err(error) => Err(error),
    }
}

/// A file that is locked for this process until it is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct Locked {
    file: File,
}

impl Locked {
    /// Replaces the content. It only informs: the lock holds whatever the file says.
    ///
    /// # Errors
    /// Those of the system, as on a full disk.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        use std::io::Seek as _;
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(bytes)
    }
}

/// Opens, making it where it is missing, and locks a file; `None` when another process holds the lock.
///
/// # Errors
/// Those of the system.
pub fn lock(path: &Path) -> io::Result<Option<Locked>> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let file = match options.open(path) {
        // On a read-only disk the lock of an earlier run still locks.
        Err(error) if error.kind() == io::ErrorKind::ReadOnlyFilesystem => File::open(path)?,
        other => other?,
    };
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(Locked { file })),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests;
