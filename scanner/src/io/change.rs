//! The only changes a scan ever makes to a tree, each whole and durable; never a decision to make them.

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid};
use rustix::io::Errno;

use super::{Directory, Tree};

/// Whose a new file shall be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    user: u32,
    group: u32,
    directory_mode: u32,
}

impl Owner {
    /// Whoever has this directory.
    pub(crate) fn of(directory: &Directory) -> Result<Self, Errno> {
        let stat = rustix::fs::fstat(directory.fd())?;
        Ok(Self { user: stat.st_uid, group: stat.st_gid, directory_mode: stat.st_mode & 0o777 })
    }

    fn give(self, fd: &OwnedFd) -> Result<(), Errno> {
        let stat = rustix::fs::fstat(fd)?;
        if (stat.st_uid, stat.st_gid) == (self.user, self.group) {
            return Ok(());
        }
        rustix::fs::fchown(fd, Some(Uid::from_raw(self.user)), Some(Gid::from_raw(self.group)))
    }
}

/// Makes `directory` durable: what was renamed in it or removed from it.
fn sync_directory(directory: &Directory) -> Result<(), Errno> {
    rustix::fs::fsync(directory.fd())
}

/// Puts a file `name` with these bytes into `directory`, whole or not at all, in place of one that is there.
pub(crate) fn replace(directory: &Directory, name: &str, bytes: &[u8], owner: Owner) -> Result<(), Errno> {
    let temporary = format!("{name}.mcrctl.tmp");
    // Whatever is left over of an earlier attempt, or was put there: it is not opened.
    let _ = rustix::fs::unlinkat(directory.fd(), &temporary, AtFlags::empty());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(directory.fd(), &temporary, flags, Mode::from_raw_mode(0o644))?;
    let written = write_all(&fd, bytes)
        .and_then(|()| owner.give(&fd))
        .and_then(|()| rustix::fs::fsync(&fd))
        .and_then(|()| rustix::fs::renameat(directory.fd(), &temporary, directory.fd(), name));
    if written.is_err() {
        // What is left over would only be a temporary file; the error is the news.
        let _ = rustix::fs::unlinkat(directory.fd(), &temporary, AtFlags::empty());
    }
    written.and_then(|()| sync_directory(directory))
}

fn write_all(fd: &OwnedFd, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::write(fd, bytes) {
            Ok(0) => return Err(Errno::IO),
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl Tree {
    /// Removes the file `name` of `at`, never following it.
    pub(crate) fn remove(&self, at: &Directory, name: &[u8]) -> Result<(), Errno> {
        rustix::fs::unlinkat(at.fd(), name, AtFlags::empty())?;
        sync_directory(at)
    }

    /// Makes the directory `name` (one part) of `at` where it is not there, durable.
    pub(crate) fn make_directory(&self, at: &Directory, name: &[u8], owner: Owner) -> Result<(), Errno> {
        match rustix::fs::mkdirat(at.fd(), name, Mode::from_raw_mode(owner.directory_mode)) {
            Ok(()) => {}
            Err(Errno::EXIST) => return Ok(()),
            Err(error) => return Err(error),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let made = rustix::fs::openat(at.fd(), name, flags, Mode::empty())?;
        owner.give(&made)?;
        sync_directory(at)
    }
}
