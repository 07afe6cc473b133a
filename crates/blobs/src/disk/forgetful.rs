//! A disk for tests that does the real calls and remembers how to undo what was not synced.
//! It assumes the worst a disk may do: what no sync covered is gone, whatever was synced around it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The calls so far, what they left unsynced, and which coming call fails.
#[derive(Debug, Default)]
pub(super) struct Forgetful {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    calls: u64,
    crash_at: Option<u64>,
    fail_at: Option<(u64, i32)>,
    crashed: bool,
    /// Directory entries that no sync of their directory covers yet, oldest first.
    entries: Vec<Entry>,
    /// Files with unsynced bytes, by inode: how many of their bytes are synced, and a handle to cut them with.
    files: HashMap<u64, (File, u64)>,
}

/// A change to a directory, and how to take it back.
#[derive(Debug)]
struct Entry {
    /// Syncing this directory makes the change durable. A rename counts where the new name is, as on a journal.
    directory: PathBuf,
    undo: Undo,
}

#[derive(Debug)]
enum Undo {
    Remove(PathBuf),
    RemoveTree(PathBuf),
    MoveBack { now: PathBuf, before: PathBuf },
    Restore { path: PathBuf, bytes: Vec<u8> },
}

impl Forgetful {
    pub(super) fn calls(&self) -> u64 {
        self.lock().calls
    }

    pub(super) fn crash_at(&self, nth: u64) {
        let mut state = self.lock();
        state.crash_at = Some(state.calls.saturating_add(nth));
    }

    pub(super) fn fail_at(&self, nth: u64, errno: i32) {
        let mut state = self.lock();
        state.fail_at = Some((state.calls.saturating_add(nth), errno));
    }

    pub(super) fn crash(&self) -> io::Result<()> {
        self.lock().crash()
    }

    /// Counts a call that changes nothing, and makes it before a crash of another thread can take the tree away from
    /// under it: what a lost disk no longer holds is never "not there".
    pub(super) fn call<T>(&self, action: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let mut state = self.lock();
        state.count()?;
        action()
    }

    pub(super) fn create(&self, path: &Path, open: impl FnOnce() -> io::Result<File>) -> io::Result<File> {
        let mut state = self.lock();
        state.count()?;
        let file = open()?;
        state.files.insert(file.metadata()?.ino(), (file.try_clone()?, 0));
        state.remember(path, Undo::Remove(path.to_owned()));
        Ok(file)
    }

    pub(super) fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.lock();
        let failed = state.count();
        if state.crashed {
            return failed;
        }
        state.dirty(file, u64::MAX)?;
        // A write that fails may have written a part, as on a disk that fills up.
        let written = if failed.is_ok() { bytes.len() } else { bytes.len() / 2 };
        file.write_all_at(bytes.get(..written).unwrap_or_default(), offset)?;
        failed
    }

    pub(super) fn truncate(&self, file: &File, size: u64) -> io::Result<()> {
        let mut state = self.lock();
        state.count()?;
        state.dirty(file, size)?;
        file.set_len(size)
    }

    pub(super) fn sync(&self, file: &File) -> io::Result<()> {
        let mut state = self.lock();
        state.count()?;
        state.files.remove(&file.metadata()?.ino());
        Ok(())
    }

    pub(super) fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.count()?;
        let replaced = state.synced_bytes(to)?;
        std::fs::rename(from, to)?;
        if let Some(bytes) = replaced {
            let path = to.to_owned();
            state.remember(to, Undo::Restore { path, bytes });
        }
        let (now, before) = (to.to_owned(), from.to_owned());
        state.remember(to, Undo::MoveBack { now, before });
        Ok(())
    }

    pub(super) fn unlink(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.count()?;
        let removed = state.synced_bytes(path)?;
        std::fs::remove_file(path)?;
        if let Some(bytes) = removed {
            let restored = path.to_owned();
            state.remember(path, Undo::Restore { path: restored, bytes });
        }
        Ok(())
    }

    pub(super) fn make_directory(&self, path: &Path, make: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let mut state = self.lock();
        state.count()?;
        make()?;
        state.remember(path, Undo::RemoveTree(path.to_owned()));
        Ok(())
    }

    pub(super) fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let mut state = self.lock();
        state.count()?;
        std::fs::read_dir(path)?;
        state.entries.retain(|entry| entry.directory != path);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn count(&mut self) -> io::Result<()> {
        let this = self.calls;
        self.calls = this.saturating_add(1);
        if self.crash_at == Some(this) {
            self.crash()?;
        }
        if self.crashed {
            return Err(rustix::io::Errno::IO.into());
        }
        match self.fail_at {
            Some((at, errno)) if at == this => Err(io::Error::from_raw_os_error(errno)),
            _ => Ok(()),
        }
    }

    /// From here on, at most the bytes the file has now, and none above `keep`, would survive.
    fn dirty(&mut self, file: &File, keep: u64) -> io::Result<()> {
        let metadata = file.metadata()?;
        match self.files.get_mut(&metadata.ino()) {
            Some((_, synced)) => *synced = keep.min(*synced),
            None => {
                let synced = keep.min(metadata.len());
                self.files.insert(metadata.ino(), (file.try_clone()?, synced));
            }
        }
        Ok(())
    }

    fn remember(&mut self, path: &Path, undo: Undo) {
        let directory = path.parent().unwrap_or(path).to_owned();
        self.entries.push(Entry { directory, undo });
    }

    /// What would be left of the file at `path`, were its data never synced again; `None` without a file.
    fn synced_bytes(&self, path: &Path) -> io::Result<Option<Vec<u8>>> {
        let metadata = match std::fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_file() => metadata,
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = std::fs::read(path)?;
        if let Some((_, synced)) = self.files.get(&metadata.ino()) {
            bytes.truncate(usize::try_from(*synced).unwrap_or(usize::MAX));
        }
        Ok(Some(bytes))
    }

    fn crash(&mut self) -> io::Result<()> {
        if std::mem::replace(&mut self.crashed, true) {
            return Ok(());
        }
        for (_, (file, synced)) in self.files.drain() {
            if file.metadata()?.len() > synced {
                file.set_len(synced)?;
            }
        }
        while let Some(Entry { undo, .. }) = self.entries.pop() {
            match undo.apply() {
                Ok(()) => {}
                // A later change that was synced has taken the name away already.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Undo {
    fn apply(self) -> io::Result<()> {
        match self {
            Undo::Remove(path) => std::fs::remove_file(path),
            Undo::RemoveTree(path) => std::fs::remove_dir_all(path),
            Undo::MoveBack { now, before } => std::fs::rename(now, before),
            Undo::Restore { path, bytes } => std::fs::write(path, bytes),
        }
    }
}
