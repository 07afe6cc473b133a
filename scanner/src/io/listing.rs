//! Listing directories piece by piece, in constant memory; never what the names mean.

use rustix::fs::{FileType, RawDir, SeekFrom};
use rustix::io::Errno;

use super::{Answer, Directory, Tree};

/// Room for names of one call, in bytes.
const ROOM: usize = 32 * 1024;

/// What a directory says an entry is, without a look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EntryKind {
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Symlink,
    /// A fifo, a device, a socket.
    Other,
    /// The file system does not say.
    Unknown,
}

/// One entry; its name may be any bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    /// Its name.
    pub(crate) name: &'a [u8],
    /// Its kind.
    pub(crate) kind: EntryKind,
}

/// Lists one directory after the other with the same room.
#[derive(Debug)]
pub(crate) struct Listing {
    room: Vec<u8>,
}

impl Listing {
    pub(crate) fn new() -> Self {
        Self { room: Vec::with_capacity(ROOM) }
    }

    /// Hands every entry of the directory `name` of `at` to `take`, in no order, without `.` and `..`.
    ///
    /// An error in the middle is the answer; what was handed out before it stays.
    pub(crate) fn each(
        &mut self,
        tree: &Tree,
        at: &Directory,
        name: &[u8],
        take: impl FnMut(&Directory, Entry<'_>),
    ) -> Answer<Directory> {
        match tree.directory(at, name) {
            Answer::There(directory) => match self.entries(&directory, take) {
                Ok(()) => Answer::There(directory),
                Err(error) => Answer::of(error),
            },
            other => other,
        }
    }

    /// The same of a directory that is open.
    pub(crate) fn entries(
        &mut self,
        directory: &Directory,
        mut take: impl FnMut(&Directory, Entry<'_>),
    ) -> Result<(), Errno> {
        // Where it was listed before, the next listing would go on at its end.
        rustix::fs::seek(directory.fd(), SeekFrom::Start(0))?;
        let mut listing = RawDir::new(directory.fd(), self.room.spare_capacity_mut());
        while let Some(entry) = listing.next() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error),
            };
            let name = entry.file_name().to_bytes();
            if !matches!(name, b"." | b"..") {
                take(directory, Entry { name, kind: kind(entry.file_type()) });
            }
        }
        Ok(())
    }
}

fn kind(file_type: FileType) -> EntryKind {
    match file_type {
        FileType::Directory => EntryKind::Directory,
        FileType::RegularFile => EntryKind::File,
        FileType::Symlink => EntryKind::Symlink,
        FileType::Unknown => EntryKind::Unknown,
        _ => EntryKind::Other,
    }
}
