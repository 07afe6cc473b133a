//! The only place of the scanner that touches files: relative opens that stay in the tree, bounded reads; never what
//! is in them.
//!
//! Symbolic links are followed only where they end in the same tree; nothing but regular files is read; what waits
//! for somebody (a fifo, a device) is never waited for.

#![expect(clippy::disallowed_methods, reason = "this is the one home of file calls in the scanner")]

mod change;
mod listing;
mod state_file;

use std::path::{Path, PathBuf};

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::io::Errno;

pub(crate) use change::{Owner, replace};
pub(crate) use listing::{Entry, EntryKind, Listing};
pub(crate) use state_file::StateFile;

/// How often a lookup is tried again that the kernel says was overtaken by a rename.
const OVERTAKEN_MAX: usize = 16;

/// What a look at a name found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer<T> {
    /// It is there.
    There(T),
    /// There is nothing of that name.
    Absent,
    /// Something else is there that can never be served: a directory, a fifo, a circle of links.
    Odd(&'static str),
    /// It could not be looked at.
    Failed(Errno),
    /// It leads out of the tree, where nothing is looked at.
    Outside,
}

impl<T> Answer<T> {
    /// The same answer about something else.
    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Answer<U> {
        match self {
            Self::There(value) => Answer::There(change(value)),
            Self::Absent => Answer::Absent,
            Self::Odd(what) => Answer::Odd(what),
            Self::Failed(error) => Answer::Failed(error),
            Self::Outside => Answer::Outside,
        }
    }

    /// The same answer, borrowed.
    pub(crate) const fn as_ref(&self) -> Answer<&T> {
        match self {
            Self::There(value) => Answer::There(value),
            Self::Absent => Answer::Absent,
            Self::Odd(what) => Answer::Odd(what),
            Self::Failed(error) => Answer::Failed(*error),
            Self::Outside => Answer::Outside,
        }
    }

    /// The answer of a further look, where this is there.
    pub(crate) fn and_then<U>(self, further: impl FnOnce(T) -> Answer<U>) -> Answer<U> {
        match self {
            Self::There(value) => further(value),
            Self::Absent => Answer::Absent,
            Self::Odd(what) => Answer::Odd(what),
            Self::Failed(error) => Answer::Failed(error),
            Self::Outside => Answer::Outside,
        }
    }

    /// What is there, if it is.
    pub(crate) fn there(self) -> Option<T> {
        match self {
            Self::There(value) => Some(value),
            Self::Absent | Self::Odd(_) | Self::Failed(_) | Self::Outside => None,
        }
    }

    /// One clause for people where it is not there.
    pub(crate) fn reason(&self) -> String {
        match self {
            Self::There(_) => "it is there".to_owned(),
            Self::Absent => "it is not there".to_owned(),
            Self::Odd(what) => (*what).to_owned(),
            Self::Failed(error) => std::io::Error::from(*error).to_string(),
            Self::Outside => "a symbolic link leads out of the tree and is not followed".to_owned(),
        }
    }

    fn of(error: Errno) -> Self {
        match error {
            Errno::NOENT => Self::Absent,
            Errno::NOTDIR => Self::Odd("a part of its path is not a directory"),
            Errno::LOOP => Self::Odd("its symbolic links lead in a circle"),
            Errno::NAMETOOLONG => Self::Odd("its path is too long"),
            // Opening a fifo or a socket for reading.
            Errno::NXIO | Errno::NODEV => Self::Odd("not a regular file"),
            Errno::XDEV => Self::Outside,
            other => Self::Failed(other),
        }
    }
}

/// What is known of a file without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileStat {
    /// Its length in bytes.
    pub(crate) size: u64,
    /// When it was last written, in nanoseconds since 1970.
    pub(crate) mtime_ns: i128,
    /// Its inode.
    pub(crate) inode: u64,
}

impl FileStat {
    fn of(stat: &Stat) -> Self {
        Self {
            size: u64::try_from(stat.st_size).unwrap_or(0),
            mtime_ns: i128::from(stat.st_mtime) * 1_000_000_000 + i128::from(stat.st_mtime_nsec),
            inode: stat.st_ino,
        }
    }
}

/// The bytes of a file, or why they are not read.
#[derive(Debug)]
pub(crate) enum Content {
    /// All of them.
    Bytes(Vec<u8>),
    /// More than were asked for; how many.
    TooLong(u64),
}

/// A tree: everything in it is reached through its root, and nothing outside of it.
#[derive(Debug)]
pub(crate) struct Tree {
    root: Directory,
    path: PathBuf,
}

/// An open directory of a tree, and where it lies in it.
#[derive(Debug)]
pub(crate) struct Directory {
    fd: OwnedFd,
    below_root: Vec<u8>,
}

impl Directory {
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Where it lies below the root of its tree.
    pub(crate) fn below_root(&self) -> &[u8] {
        &self.below_root
    }

    fn joined(&self, name: &[u8]) -> Vec<u8> {
        if self.below_root.is_empty() {
            return name.to_vec();
        }
        [self.below_root.as_slice(), b"/", name].concat()
    }
}

impl Tree {
    /// Opens the directory at `path`, which may itself be a symbolic link: its user named it.
    pub(crate) fn open(path: &Path) -> Answer<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        match rustix::fs::open(path, flags, Mode::empty()) {
            Ok(fd) => {
                let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
                Answer::There(Self { root: Directory { fd, below_root: Vec::new() }, path })
            }
            Err(error) => Answer::of(error),
        }
    }

    /// Its root.
    pub(crate) fn root(&self) -> &Directory {
        &self.root
    }

    /// Where it lies, as a path to show.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the directory `name` (which may have slashes) of `at`.
    pub(crate) fn directory(&self, at: &Directory, name: &[u8]) -> Answer<Directory> {
        match self.open_beneath(at, name, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK) {
            Ok(fd) => Answer::There(Directory { fd, below_root: at.joined(name) }),
            Err(error) => Answer::of(error),
        }
    }

    /// Device and inode of a directory, to tell circles.
    pub(crate) fn identity(directory: &Directory) -> Option<(u64, u64)> {
        rustix::fs::fstat(&directory.fd).ok().map(|stat| (stat.st_dev, stat.st_ino))
    }

    /// When something was last added to or removed from a directory, in nanoseconds since 1970.
    pub(crate) fn written_ns(directory: &Directory) -> Option<i128> {
        rustix::fs::fstat(&directory.fd).ok().map(|stat| FileStat::of(&stat).mtime_ns)
    }

    /// Reads a file of a few bytes into `buffer`; gives how many there are, at most its length.
    ///
    /// Without a look at its kind first, which would be a fourth of the work of a scan: a read at an offset takes
    /// nothing from a fifo, a socket or a terminal, but is an error there.
    pub(crate) fn read_few(&self, at: &Directory, name: &[u8], buffer: &mut [u8]) -> Answer<usize> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let read = self.open_beneath(at, name, flags).and_then(|fd| {
            loop {
                match rustix::io::pread(&fd, &mut *buffer, 0) {
                    Err(Errno::INTR) => {}
                    done => break done,
                }
            }
        });
        match read {
            Ok(length) => Answer::There(length),
            Err(Errno::SPIPE | Errno::ISDIR) => Answer::Odd("not a regular file"),
            Err(error) => Answer::of(error),
        }
    }

    /// Reads a file whole, if it has at most `max` bytes.
    pub(crate) fn read(&self, at: &Directory, name: &[u8], max: usize) -> Answer<Content> {
        let (fd, stat) = match self.regular(at, name) {
            Answer::There(found) => found,
            other => return other.map(|_| Content::TooLong(0)),
        };
        let announced = usize::try_from(stat.size).unwrap_or(usize::MAX);
        if announced > max {
            return Answer::There(Content::TooLong(stat.size));
        }
        // A file that grows meanwhile is none that hashes right.
        let mut bytes = vec![0; announced];
        match fill(&fd, &mut bytes) {
            Ok(length) => {
                bytes.truncate(length);
                Answer::There(Content::Bytes(bytes))
            }
            Err(error) => Answer::of(error),
        }
    }

    /// Opens a regular file for reading, without waiting for anything.
    pub(crate) fn regular(&self, at: &Directory, name: &[u8]) -> Answer<(OwnedFd, FileStat)> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let fd = match self.open_beneath(at, name, flags) {
            Ok(fd) => fd,
            Err(error) => return Answer::of(error),
        };
        match rustix::fs::fstat(&fd) {
            Ok(stat) => regular_only(&stat).map(|stat| (fd, stat)),
            Err(error) => Answer::Failed(error),
        }
    }

    /// What `stat` says of a regular file.
    pub(crate) fn stat(&self, at: &Directory, name: &[u8]) -> Answer<FileStat> {
        let opened = self.open_beneath(at, name, OFlags::PATH);
        match opened.and_then(rustix::fs::fstat) {
            Ok(stat) => regular_only(&stat),
            Err(error) => Answer::of(error),
        }
    }

    /// [`stat`](Self::stat) in one call, where the parts of `name` before the last are known to be directories.
    pub(crate) fn stat_known(&self, at: &Directory, name: &[u8]) -> Answer<FileStat> {
        match rustix::fs::statat(&at.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => self.stat(at, name),
            Ok(stat) => regular_only(&stat),
            Err(error) => Answer::of(error),
        }
    }

    /// Most names hold no symbolic link: that is one call, and the kernel refuses the others. Those are looked up
    /// again from the root of the tree, which they may not leave.
    fn open_beneath(&self, at: &Directory, name: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let flags = flags | OFlags::CLOEXEC;
        let plain = open_resolved(&at.fd, name, flags, ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS);
        match plain {
            Err(Errno::LOOP) => {
                let from_root = at.joined(name);
                open_resolved(&self.root.fd, &from_root, flags, ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS)
            }
            // An old kernel, or a sandbox that does not know the call.
            Err(Errno::NOSYS | Errno::PERM) => step_by_step(&at.fd, name, flags),
            done => done,
        }
    }
}

fn open_resolved(at: &OwnedFd, name: &[u8], flags: OFlags, resolve: ResolveFlags) -> Result<OwnedFd, Errno> {
    let mut outcome = Err(Errno::AGAIN);
    for _ in 0..OVERTAKEN_MAX {
        outcome = rustix::fs::openat2(at, name, flags, Mode::empty(), resolve);
        if !matches!(outcome, Err(Errno::AGAIN | Errno::INTR)) {
            break;
        }
    }
    outcome
}

/// Without `openat2`: no symbolic link is followed at all.
fn step_by_step(at: &OwnedFd, name: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let outside = |error| if error == Errno::LOOP { Errno::XDEV } else { error };
    let mut parts: Vec<&[u8]> = name.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).collect();
    let last = parts.pop().ok_or(Errno::NOENT)?;
    let mut here: Option<OwnedFd> = None;
    for part in parts {
        let from = here.as_ref().unwrap_or(at);
        let through = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        here = Some(rustix::fs::openat(from, part, through, Mode::empty()).map_err(outside)?);
    }
    let from = here.as_ref().unwrap_or(at);
    rustix::fs::openat(from, last, flags | OFlags::NOFOLLOW, Mode::empty()).map_err(outside)
}

fn regular_only(stat: &Stat) -> Answer<FileStat> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Answer::There(FileStat::of(stat)),
        FileType::Directory => Answer::Odd("a directory is in its place"),
        FileType::Symlink => Answer::Outside,
        _ => Answer::Odd("not a regular file"),
    }
}

/// Reads until `buffer` is full or the file ends.
pub(crate) fn fill(fd: &OwnedFd, buffer: &mut [u8]) -> Result<usize, Errno> {
    let mut length = 0;
    while let Some(room) = buffer.get_mut(length..).filter(|room| !room.is_empty()) {
        match rustix::io::read(fd, room) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

/// Tells the kernel that a file will be read from its beginning to its end.
pub(crate) fn read_ahead(fd: &OwnedFd) {
    // Only a hint: without it the same bytes come, later.
    let _ = rustix::fs::fadvise(fd, 0, None, rustix::fs::Advice::Sequential);
}
