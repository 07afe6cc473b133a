//! One process owns a data directory: the lock that says so, and who holds it; never what is in the directory.

use std::io;
use std::path::{Path, PathBuf};

use mcr_seams::{Clock, rfc3339};
use serde::{Deserialize, Serialize};

use crate::files::{self, Locked};

/// The file in a data directory that is locked.
pub const LOCK_FILE: &str = "mcr.lock";

/// Who holds a data directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The program and its subcommand: `mcrsrv server`.
    pub program: String,
    /// Its process id, on its host.
    pub pid: u32,
    /// The host's name.
    pub host: String,
    /// When it took the lock, RFC 3339.
    pub since: String,
}

/// Why a data directory could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("{} is in use by {}; stop that one first, or use another data directory", .directory.display(), held_by(.holder.as_ref()))]
    Held {
        /// The directory.
        directory: PathBuf,
        /// Who has it, if it has said so yet.
        holder: Option<Holder>,
    },
    /// The lock file cannot be used.
    #[error("cannot lock {}: {source}; check that this user may write there", .path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

fn held_by(holder: Option<&Holder>) -> String {
    match holder {
        Some(Holder { program, pid, host, since }) => {
            format!("{program} (pid {pid} on {host}, since {since})")
        }
        None => "another process that has not given its name".to_owned(),
    }
}

/// The data directories of this process. Held until dropped, or until the process ends, however it ends.
#[derive(Debug)]
pub struct DataLock {
    _locked: Vec<Locked>,
}

impl DataLock {
    /// Takes the directory of the database and that of the blobs, making them where they are missing.
    /// Both are locked even when one lies inside the other: another configuration may share only one of them.
    ///
    /// # Errors
    /// [`LockError::Held`] naming the holder when another process has one of them; nothing is changed then.
    pub fn acquire(program: &str, database: &Path, layers: &Path) -> Result<Self, LockError> {
        let mut directories = vec![files::parent_of(database)];
        if directories.iter().all(|directory| directory != layers) {
            directories.push(layers.to_owned());
        }
        let holder = Holder {
            program: program.to_owned(),
            pid: std::process::id(),
            host: host_name(),
            since: rfc3339(Clock::system().now_ms()),
        };
        let locked = directories.iter().map(|directory| take(directory, &holder)).collect();
        Ok(Self { _locked: Result::from_iter::<Vec<_>>(locked)? })
    }
}

/// The name of this machine.
#[must_use]
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn take(directory: &Path, holder: &Holder) -> Result<Locked, LockError> {
    let path = directory.join(LOCK_FILE);
    let failed = |source| LockError::Io { path: path.clone(), source };
    files::create_private_dir(directory).map_err(failed)?;
    let Some(mut locked) = files::lock(&path).map_err(failed)? else {
        return Err(LockError::Held { directory: directory.to_owned(), holder: read_holder(&path) });
    };
    let text = serde_json::to_vec(holder).unwrap_or_default();
    if let Err(error) = locked.write(&text) {
        // The name is a courtesy, the lock is what counts: a full disk must not keep pulls from being served.
        tracing::warn!(path = %path.display(), %error, "cannot write who holds the data directory");
    }
    Ok(locked)
}

/// The holder writes its name just after it took the lock, so it is asked for a few times.
fn read_holder(path: &Path) -> Option<Holder> {
    const TRIES: u32 = 10;
    const PAUSE: std::time::Duration = std::time::Duration::from_millis(20);
    const LARGEST: u64 = 4096;
    for _ in 0..TRIES {
        let text = files::read_text(path, LARGEST).ok();
        if let Some(holder) = text.and_then(|text| serde_json::from_str(&text).ok()) {
            return Some(holder);
        }
        std::thread::sleep(PAUSE);
    }
    None
}

#[cfg(test)]
mod tests;
