//! The folder of snapshots: their names, who is writing one, which ones go; never what is in one.
//!
//! A snapshot is written as `mcr-YYYYMMDD-HHMMSS.db.partial`, which its writer has locked since before its view of
//! the database began, and gets its name when it is whole and synced. So whoever sees neither a locked `.partial`
//! nor a new `.db` knows that any later snapshot will be of a later moment.

#![expect(clippy::disallowed_methods, reason = "the database's files, and copies of it, have their home in this crate")]

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, BufRead as _, BufReader};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use mcr_seams::fault;

use crate::error::Error;
use crate::snapshot_name::{self, PARTIAL};
use crate::snapshot_read::Snapshot;

/// Snapshots that a folder may hold; a folder with more is answered with an error, not with a part of it.
pub const MAX_SNAPSHOTS: usize = 10_000;

/// Names that are tried for one snapshot, and how often a lock is tried again that somebody only looked at.
const TRIES: i64 = 100;

/// Where snapshots lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotFolder {
    path: PathBuf,
}

/// A finished snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotFile {
    /// Its name: `mcr-20261121-093000.db`.
    pub name: String,
    /// Where it lies.
    pub path: PathBuf,
    /// When it was taken, in Unix milliseconds; its name says so.
    pub taken_at_ms: i64,
    /// Its length in bytes.
    pub bytes: u64,
    /// What tells it from another file of that name: inode and the time of its last change.
    pub identity: (u64, i64, i64),
}

/// A snapshot that is being written; gone with its file unless it is [finished](Self::finish).
#[derive(Debug)]
pub(crate) struct Unfinished {
    folder: PathBuf,
    name: String,
    taken_at_ms: i64,
    /// Locked as long as this lives.
    file: File,
    finished: bool,
}

impl SnapshotFolder {
    /// A folder of snapshots; it need not exist yet.
    #[must_use]
    pub const fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// The folder that belongs to a database: `backups` beside it.
    #[must_use]
    pub fn beside(database: &Path) -> Self {
        Self::at(database.parent().unwrap_or_else(|| Path::new("")).join("backups"))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// When a snapshot was taken, by its name, in Unix milliseconds; none for a file that is not named as one.
    #[must_use]
    pub fn taken_at_ms(file: &Path) -> Option<i64> {
        snapshot_name::taken_at_ms(file.file_name()?.to_str()?)
    }

    /// Whether a regular file stands at a path, symbolic links followed.
    ///
    /// # Errors
    /// Where that cannot be told.
    pub fn is_file(path: &Path) -> Result<bool, Error> {
        match fs::metadata(path) {
            Ok(stat) => Ok(stat.is_file()),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(false),
            Err(error) => Err(about(path, &error)),
        }
    }

    /// The finished snapshots, the newest first. A folder that is not there has none.
    ///
    /// # Errors
    /// Where the folder cannot be read; that is never "none".
    pub fn list(&self) -> Result<Vec<SnapshotFile>, Error> {
        let mut found = Vec::new();
        for name in self.names()? {
            let Some(taken_at_ms) = snapshot_name::taken_at_ms(&name) else { continue };
            let path = self.path.join(&name);
            match fs::symlink_metadata(&path) {
                Ok(stat) if stat.is_file() => {
                    let identity = (stat.ino(), stat.mtime(), stat.mtime_nsec());
                    found.push(SnapshotFile { name, path, taken_at_ms, bytes: stat.len(), identity });
                }
                Ok(_) => {}
                // It went since the folder was read.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(about(&path, &error)),
            }
        }
        found.sort_by(|one, other| other.name.cmp(&one.name));
        Ok(found)
    }

    /// Whether somebody is writing a snapshot now: a `.partial` file is there whose writer is alive.
    ///
    /// Who asks this and then [`list`](Self::list)s, in this order, misses none: a snapshot that is not being written any
    /// more has its name by then.
    ///
    /// # Errors
    /// Where the folder cannot be read.
    pub fn in_progress(&self) -> Result<bool, Error> {
        for name in self.names()?.into_iter().filter(|name| is_partial(name)) {
            let path = self.path.join(name);
            match File::open(&path) {
                // A lock that others can share: two who look at once must not take each other for a writer.
                Ok(file) => match file.try_lock_shared() {
                    Ok(()) => {}
                    Err(TryLockError::WouldBlock) => return Ok(true),
                    Err(TryLockError::Error(error)) => return Err(about(&path, &error)),
                },
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(about(&path, &error)),
            }
        }
        Ok(false)
    }

    /// Removes snapshots until `keep` are left (at least one), the oldest first; says which went.
    ///
    /// # Errors
    /// Where the folder cannot be read or a file not removed.
    pub fn prune(&self, keep: u32) -> Result<Vec<String>, Error> {
        let keep = usize::try_from(keep.max(1)).unwrap_or(usize::MAX);
        let mut gone = Vec::new();
        for old in self.list()?.into_iter().skip(keep) {
            remove(&old.path)?;
            gone.push(old.name);
        }
        if !gone.is_empty() {
            sync_directory(&self.path)?;
        }
        Ok(gone)
    }

    /// Makes the folder, clears away what dead writers left, and makes and locks the file of a snapshot taken now.
    /// The view of the database must begin after this.
    ///
    /// # Errors
    /// Where a file cannot be made.
    pub(crate) fn begin(&self, now_ms: i64) -> Result<Unfinished, Error> {
        make_private(&self.path)?;
        self.sweep()?;
        // Two in one second, or a clock that was set back: the later one has the later name, or it would be taken for
        // the oldest and removed as that.
        let newest = self.list()?.first().map_or(i64::MIN, |newest| newest.taken_at_ms.saturating_add(1000));
        let first = now_ms.max(newest);
        for attempt in 0..TRIES {
            let Some((name, taken_at_ms)) = snapshot_name::of(first.saturating_add(attempt * 1000)) else { break };
            if is_there(&self.path.join(&name))? {
                continue;
            }
            let path = self.path.join(format!("{name}{PARTIAL}"));
            let made = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path);
            let file = match made {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(about(&path, &error)),
            };
            // Whoever looks whether it is locked lets go at once.
            file.lock().map_err(|error| about(&path, &error))?;
            if same_file(&file, &path)? {
                passed("snapshot.begun")?;
                return Ok(Unfinished { folder: self.path.clone(), name, taken_at_ms, file, finished: false });
            }
            // Another writer took it for one that was left behind, before it was locked.
        }
        Err(Error::Busy(format!("{}: no name is free for a snapshot; try again in a minute", self.path.display())))
    }

    /// Brings a finished snapshot of another folder here, under its own name, checked and synced. One that is here
    /// already, and is the same, is left alone.
    ///
    /// # Errors
    /// `NotOurs` for a file that is not named as a snapshot; `Corrupt` for a damaged one; else whatever the files answer.
    pub fn receive(&self, from: &Path) -> Result<SnapshotFile, Error> {
        let name = from.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(taken_at_ms) = snapshot_name::taken_at_ms(&name) else {
            let reason = "it has no name of a snapshot (mcr-YYYYMMDD-HHMMSS.db)".to_owned();
            return Err(Error::NotOurs { path: from.display().to_string(), reason });
        };
        let mut source = File::open(from).map_err(|error| about(from, &error))?;
        let length = source.metadata().map_err(|error| about(from, &error))?.len();
        let known = self.list()?.into_iter().find(|file| file.name == name && file.bytes == length);
        if let Some(known) = known
            && same_bytes(from, &known.path)?
        {
            return Ok(known);
        }
        make_private(&self.path)?;
        self.sweep()?;
        let path = self.path.join(format!("{name}{PARTIAL}"));
        let made = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path);
        let file = made.map_err(|error| about(&path, &error))?;
        file.lock().map_err(|error| about(&path, &error))?;
        // From here on it goes with this, whatever fails: a full disk must not keep what filled it.
        let mut unfinished = Unfinished { folder: self.path.clone(), name, taken_at_ms, file, finished: false };
        io::copy(&mut source, &mut unfinished.file).map_err(|error| about(&path, &error))?;
        passed("snapshot.received")?;
        let copy = Snapshot::open(&path)?;
        copy.check()?;
        drop(copy);
        unfinished.finish()
    }

    /// Removes `.partial` files whose writers died.
    fn sweep(&self) -> Result<(), Error> {
        for name in self.names()?.into_iter().filter(|name| is_partial(name)) {
            let path = self.path.join(name);
            let Ok(file) = File::open(&path) else { continue };
            if file.try_lock().is_ok() {
                remove(&path)?;
            }
        }
        Ok(())
    }

    fn names(&self) -> Result<Vec<String>, Error> {
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(about(&self.path, &error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(|error| about(&self.path, &error))?.file_name();
            if let Some(name) =
                name.to_str().filter(|name| snapshot_name::taken_at_ms(name).is_some() || is_partial(name))
            {
                names.push(name.to_owned());
            }
            if names.len() > MAX_SNAPSHOTS {
                return Err(Error::Io(format!(
                    "{}: more than {MAX_SNAPSHOTS} snapshots lie there; move old ones away",
                    self.path.display()
                )));
            }
        }
        Ok(names)
    }
}

impl Unfinished {
    /// Where it is written.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.join(format!("{}{PARTIAL}", self.name))
    }

    /// Empties it, for another try.
    ///
    /// # Errors
    /// Whatever the file answers.
    pub(crate) fn empty(&self) -> Result<(), Error> {
        self.file.set_len(0).map_err(|error| about(&self.path(), &error))
    }

    /// Makes it durable and gives it its name.
    ///
    /// # Errors
    /// Where a step fails; it is then gone, or whole at its place.
    pub(crate) fn finish(mut self) -> Result<SnapshotFile, Error> {
        let partial = self.path();
        let path = self.folder.join(&self.name);
        self.file.sync_all().map_err(|error| about(&partial, &error))?;
        passed("snapshot.synced")?;
        fs::rename(&partial, &path).map_err(|error| about(&partial, &error))?;
        self.finished = true;
        passed("snapshot.renamed")?;
        sync_directory(&self.folder)?;
        let stat = self.file.metadata().map_err(|error| about(&path, &error))?;
        let identity = (stat.ino(), stat.mtime(), stat.mtime_nsec());
        Ok(SnapshotFile { name: self.name.clone(), path, taken_at_ms: self.taken_at_ms, bytes: stat.len(), identity })
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.finished {
            // The next writer clears it away otherwise.
            let _ = fs::remove_file(self.path());
        }
    }
}

/// Passes a fault point.
///
/// # Errors
/// The one that was asked for there.
pub(crate) fn passed(point: &'static str) -> Result<(), Error> {
    fault::point(point).map_err(|error| Error::from_io(&error))
}

fn is_partial(name: &str) -> bool {
    name.strip_suffix(PARTIAL).is_some_and(|name| snapshot_name::taken_at_ms(name).is_some())
}

/// Whether two files hold the same.
pub(crate) fn same_bytes(one: &Path, other: &Path) -> Result<bool, Error> {
    let open = |path: &Path| File::open(path).map(BufReader::new).map_err(|error| about(path, &error));
    let (mut left, mut right) = (open(one)?, open(other)?);
    loop {
        let a = left.fill_buf().map_err(|error| about(one, &error))?;
        let b = right.fill_buf().map_err(|error| about(other, &error))?;
        let both = a.len().min(b.len());
        if both == 0 {
            return Ok(a.len() == b.len());
        }
        if a.get(..both) != b.get(..both) {
            return Ok(false);
        }
        left.consume(both);
        right.consume(both);
    }
}

/// Whether `path` leads to this very file.
pub(crate) fn same_file(file: &File, path: &Path) -> Result<bool, Error> {
    let open = file.metadata().map_err(|error| about(path, &error))?;
    match fs::symlink_metadata(path) {
        Ok(named) => Ok((named.dev(), named.ino()) == (open.dev(), open.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(about(path, &error)),
    }
}

/// Makes a directory for its owner alone, durably; those above it exist.
fn make_private(path: &Path) -> Result<(), Error> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => sync_directory(path.parent().unwrap_or_else(|| Path::new("."))),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(about(path, &error)),
    }
}

/// Whether something is there.
///
/// # Errors
/// Where that cannot be told.
pub(crate) fn is_there(path: &Path) -> Result<bool, Error> {
    fs::exists(path).map_err(|error| about(path, &error))
}

/// The length of a file in bytes; 0 where there is none.
///
/// # Errors
/// Where that cannot be told.
pub(crate) fn length_of(path: &Path) -> Result<u64, Error> {
    match fs::metadata(path) {
        Ok(stat) => Ok(stat.len()),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(0),
        Err(error) => Err(about(path, &error)),
    }
}

/// Removes a file; one that is not there is gone already.
///
/// # Errors
/// Where it is still there.
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(about(path, &error)),
        _ => Ok(()),
    }
}

/// Makes the entries of a directory durable.
///
/// # Errors
/// Where it cannot be told that they are.
pub(crate) fn sync_directory(path: &Path) -> Result<(), Error> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    File::open(path).and_then(|directory| directory.sync_all()).map_err(|error| about(path, &error))
}

/// An error of a file call, with the file.
pub(crate) fn about(path: &Path, error: &io::Error) -> Error {
    Error::from_io(&io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests;
