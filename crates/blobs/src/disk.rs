//! Every file call of the registry's bytes passes here: the one seam where faults and lost writes are made.
//! What a file means, and in which order the calls come, is decided elsewhere.

#![expect(clippy::disallowed_methods, reason = "this is the one home of file calls on blobs")]

mod file;
mod forgetful;

use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind};
use std::ops::ControlFlow;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::OFlags;

use crate::Error;
use forgetful::Forgetful;

pub(crate) use file::DiskFile;

const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;

/// How the store reaches the file system: the real calls, or the same calls on a disk that can lose what was not synced.
#[derive(Clone, Debug)]
pub struct Disk {
    forgetful: Option<Arc<Forgetful>>,
}

impl Disk {
    /// The file system as it is. What production uses.
    #[must_use]
    pub fn real() -> Disk {
        Disk { forgetful: None }
    }

    /// The file system, remembering what was not synced, so that a test can lose it. See [`Disk::crash`].
    #[must_use]
    pub fn forgetful() -> Disk {
        Disk { forgetful: Some(Arc::default()) }
    }

    /// Power loss, on a forgetful disk: the tree goes back to what was synced and every later call answers EIO.
    /// The next life opens a store with another `Disk`. On a real disk this does nothing.
    ///
    /// # Errors
    /// When the tree could not be put back, which spoils the test.
    pub fn crash(&self) -> io::Result<()> {
        self.forgetful.as_ref().map_or(Ok(()), |disk| disk.crash())
    }

    /// Crashes a forgetful disk in place of its `nth` call from now (0 is the next one).
    pub fn crash_at(&self, nth: u64) {
        if let Some(disk) = &self.forgetful {
            disk.crash_at(nth);
        }
    }

    /// Lets the `nth` call from now (0 is the next one) on a forgetful disk answer `errno`; the ones after it work.
    pub fn fail_at(&self, nth: u64, errno: i32) {
        if let Some(disk) = &self.forgetful {
            disk.fail_at(nth, errno);
        }
    }

    /// How many calls a forgetful disk has seen; 0 on a real one.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.forgetful.as_ref().map_or(0, |disk| disk.calls())
    }

    /// A named fault point of the shipping code, as an error of this crate.
    pub(crate) fn point(name: &'static str, path: &Path) -> Result<(), Error> {
        mcr_seams::fault::point(name).map_err(|source| Error::new(name, path, source))
    }

    /// Creates a file that must not exist yet, to write to and read back.
    pub(crate) fn create(&self, path: &Path) -> Result<DiskFile, Error> {
        let open = || {
            OpenOptions::new()
                .read(true)
                .write(true)
                .create_new(true)
                .mode(FILE_MODE)
                .custom_flags(no_follow())
                .open(path)
        };
        let file = match &self.forgetful {
            None => open(),
            Some(disk) => disk.create(path, open),
        };
        file.map(|file| DiskFile::new(file, path, self.forgetful.clone()))
            .map_err(|source| Error::new("create", path, source))
    }

    /// Opens a regular file to read; `None` when none is there.
    pub(crate) fn open(&self, path: &Path) -> Result<Option<DiskFile>, Error> {
        self.open_with(path, OpenOptions::new().read(true))
    }

    /// Opens a regular file to read and write; `None` when none is there.
    pub(crate) fn open_to_write(&self, path: &Path) -> Result<Option<DiskFile>, Error> {
        self.open_with(path, OpenOptions::new().read(true).write(true))
    }

    fn open_with(&self, path: &Path, options: &mut OpenOptions) -> Result<Option<DiskFile>, Error> {
        let opened = self.call(|| options.custom_flags(no_follow()).open(path));
        match opened {
            Ok(file) => Ok(Some(DiskFile::new(file, path, self.forgetful.clone()))),
            Err(source) if is_absent(&source) || is_symlink(&source) => Ok(None),
            Err(source) => Err(Error::new("open", path, source)),
        }
    }

    /// Lets `target`, which is empty, share the bytes of `source`; `false` where the file system cannot do that.
    pub(crate) fn share_bytes(&self, source: &File, target: &DiskFile) -> Result<bool, Error> {
        use rustix::io::Errno;
        if self.forgetful.is_some() {
            return Ok(false);
        }
        match target.share(source) {
            Ok(()) => Ok(true),
            Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::ROFS)) => {
                Err(Error::new("share bytes", target.path(), io::Error::from(error)))
            }
            // Another file system, one that cannot, or a sandbox that forbids it: then they are copied.
            Err(_) => Ok(false),
        }
    }

    /// Gives an open file a second name.
    pub(crate) fn link(&self, source: &File, path: &Path) -> io::Result<()> {
        use rustix::fd::AsRawFd as _;
        if self.forgetful.is_some() {
            return Err(ErrorKind::Unsupported.into());
        }
        // By its descriptor: the file that was opened, whatever its name leads to by now.
        let open = format!("/proc/self/fd/{}", source.as_raw_fd());
        rustix::fs::linkat(rustix::fs::CWD, open, rustix::fs::CWD, path, rustix::fs::AtFlags::SYMLINK_FOLLOW)?;
        Ok(())
    }

    /// What the directory says about a path, links not followed; `None` when nothing is there.
    pub(crate) fn metadata(&self, path: &Path) -> Result<Option<Metadata>, Error> {
        match self.call(|| std::fs::symlink_metadata(path)) {
            Ok(metadata) => Ok(Some(metadata)),
            Err(source) if is_absent(&source) => Ok(None),
            Err(source) => Err(Error::new("stat", path, source)),
        }
    }

    /// Moves a file, replacing what stands at `to`.
    pub(crate) fn rename(&self, from: &Path, to: &Path) -> Result<(), Error> {
        let renamed = match &self.forgetful {
            None => std::fs::rename(from, to),
            Some(disk) => disk.rename(from, to),
        };
        renamed.map_err(|source| Error::new("rename", from, source))
    }

    /// Removes a file; `false` when none was there.
    pub(crate) fn unlink(&self, path: &Path) -> Result<bool, Error> {
        let removed = match &self.forgetful {
            None => std::fs::remove_file(path),
            Some(disk) => disk.unlink(path),
        };
        match removed {
            Ok(()) => Ok(true),
            Err(source) if is_absent(&source) => Ok(false),
            Err(source) => Err(Error::new("remove", path, source)),
        }
    }

    /// Makes one directory; `false` when something of that name was there already.
    pub(crate) fn make_directory(&self, path: &Path) -> Result<bool, Error> {
        let make = || DirBuilder::new().mode(DIRECTORY_MODE).create(path);
        let made = match &self.forgetful {
            None => make(),
            Some(disk) => disk.make_directory(path, make),
        };
        match made {
            Ok(()) => Ok(true),
            Err(source) if source.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(source) => Err(Error::new("make directory", path, source)),
        }
    }

    /// Makes the entries of a directory durable.
    pub(crate) fn sync_directory(&self, path: &Path) -> Result<(), Error> {
        let synced = match &self.forgetful {
            None => File::open(path).and_then(|directory| directory.sync_all()),
            Some(disk) => disk.sync_directory(path),
        };
        synced.map_err(|source| Error::new("sync directory", path, source))
    }

    /// Whether [`sync_all`](Self::sync_all) does what it says here.
    pub(crate) fn can_sync_all(&self) -> bool {
        self.forgetful.is_none()
    }

    /// Opens a directory whose file system is to be synced.
    pub(crate) fn open_directory(&self, path: &Path) -> Result<File, Error> {
        self.call(|| File::open(path)).map_err(|source| Error::new("open", path, source))
    }

    /// Makes everything durable that was written to the file system that holds an open directory. It tells of writes
    /// that failed since the directory was opened, or since it was told last.
    pub(crate) fn sync_all(&self, directory: &File, path: &Path) -> Result<(), Error> {
        rustix::fs::syncfs(directory).map_err(|error| Error::new("sync the file system of", path, error))
    }

    /// Shows `visit` the names in a directory, in the file system's order, until it breaks off, and answers with what.
    /// A directory that is not there has no names; names that are not UTF-8 are none of ours and left out.
    pub(crate) fn names<B>(
        &self,
        path: &Path,
        mut visit: impl FnMut(&str) -> ControlFlow<B>,
    ) -> Result<Option<B>, Error> {
        let failed = |source| Error::new("list", path, source);
        let entries = match self.call(|| std::fs::read_dir(path)) {
            Ok(entries) => entries,
            Err(source) if is_absent(&source) => return Ok(None),
            Err(source) => return Err(failed(source)),
        };
        for entry in entries {
            let name = entry.map_err(failed)?.file_name();
            if let Some(ControlFlow::Break(found)) = name.to_str().map(&mut visit) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Free (for us) and total bytes of the file system that holds `path`.
    pub(crate) fn space(&self, path: &Path) -> Result<(u64, u64), Error> {
        let failed = |source: io::Error| Error::new("statvfs", path, source);
        let found = self.call(|| Ok(rustix::fs::statvfs(path)?)).map_err(failed)?;
        Ok((found.f_bavail.saturating_mul(found.f_frsize), found.f_blocks.saturating_mul(found.f_frsize)))
    }

    /// A call that changes nothing: a forgetful disk counts it and may fail it.
    fn call<T>(&self, action: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        match &self.forgetful {
            None => action(),
            Some(disk) => disk.call(action),
        }
    }
}

/// "Nothing of that name": ENOENT, and ENOTDIR when a file stands where one of our directories belongs.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// A symbolic link is no file of ours: it is not followed out of the tree, and the next push replaces it.
fn is_symlink(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

fn no_follow() -> i32 {
    // The flag bits of open(2) fit an i32 on every Linux target.
    OFlags::NOFOLLOW.bits().cast_signed()
}
