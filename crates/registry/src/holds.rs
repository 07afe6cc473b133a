//! What snapshots hold: the collector leaves alone what a young one refers to (contract sections 2.4 and 16); never
//! how a snapshot is taken.
//!
//! Whoever removes a blob asks [`Holds::keeps`] after its row's removal is durable and before its file goes. A
//! snapshot's writer locks a `.partial` file before its view of the database begins: if the collector sees none, and no
//! snapshot that has the digest, then any later snapshot is of a moment when the row was gone.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mcr_metadata::{Error, Judge as _, Snapshot, SnapshotFile, SnapshotFolder};
use mcr_oci::Digest;
use mcr_seams::Clock;

/// Snapshots that are kept open at once; questions about more open and close them each time.
const OPEN_MAX: usize = 64;

/// Whether any snapshot holds anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HeldBy {
    /// No snapshot is young, and none is being taken.
    Nothing,
    /// So many young snapshots hold what they refer to.
    Snapshots(usize),
    /// A snapshot is being taken, or a young one cannot be read: nothing may go. Says which and why.
    Everything(String),
}

/// The young snapshots of a registry.
pub(crate) struct Holds {
    folder: SnapshotFolder,
    hold: Duration,
    clock: Clock,
    young: Mutex<BTreeMap<String, Young>>,
}

/// A snapshot that holds.
struct Young {
    file: SnapshotFile,
    /// None where it cannot be read (it then holds everything), or where too many are open.
    open: Result<Option<Snapshot>, String>,
}

impl Holds {
    /// The holds of the snapshots in `folder`, each for `hold` after it was taken.
    pub(crate) fn new(folder: SnapshotFolder, hold: Duration, clock: Clock) -> Self {
        Self { folder, hold, clock, young: Mutex::default() }
    }

    /// The folder of snapshots.
    pub(crate) const fn folder(&self) -> &SnapshotFolder {
        &self.folder
    }

    /// Looks at the folder, opens what is new and forgets what has gone or is old. Blocks, briefly.
    ///
    /// # Errors
    /// Where the folder cannot be read: then nothing may be removed.
    pub(crate) fn look(&self) -> Result<HeldBy, Error> {
        // In this order: see `SnapshotFolder::in_progress`.
        let in_progress = self.in_progress()?;
        let young = self.refresh()?;
        if in_progress {
            return Ok(HeldBy::Everything("a snapshot is being taken".to_owned()));
        }
        let broken = young.iter().find_map(|(name, young)| Some((name, young.open.as_ref().err()?)));
        if let Some((name, trouble)) = broken {
            return Ok(HeldBy::Everything(format!(
                "snapshot {name} cannot be read and may refer to anything: {trouble}; move it away if it is of no use"
            )));
        }
        Ok(if young.is_empty() { HeldBy::Nothing } else { HeldBy::Snapshots(young.len()) })
    }

    /// When the last of the snapshots of the last [`look`](Self::look) ceases to hold, in Unix milliseconds.
    pub(crate) fn until_ms(&self) -> Option<i64> {
        let (now, hold) = (self.clock.now_ms(), i64::try_from(self.hold.as_millis()).unwrap_or(i64::MAX));
        self.lock().values().map(|young| written_at_ms(&young.file, now).saturating_add(hold)).max()
    }

    /// Whether a snapshot is being written now.
    ///
    /// # Errors
    /// As [`look`](Self::look).
    pub(crate) fn in_progress(&self) -> Result<bool, Error> {
        self.folder.in_progress()
    }

    /// Whether a snapshot of the last [`look`](Self::look) holds a blob. One that cannot be read holds everything.
    pub(crate) fn holds(&self, digest: &Digest) -> bool {
        held(&self.lock(), digest)
    }

    /// Looks, and says whether a blob must stay now: a snapshot that is being written holds everything. For the moment
    /// between the removal of a row, once that is durable, and of its file.
    ///
    /// # Errors
    /// As [`look`](Self::look): the blob must stay.
    pub(crate) fn keeps(&self, digest: &Digest) -> Result<bool, Error> {
        Ok(self.in_progress()? || held(&*self.refresh()?, digest))
    }

    fn refresh(&self) -> Result<MutexGuard<'_, BTreeMap<String, Young>>, Error> {
        let files = self.folder.list()?;
        let now = self.clock.now_ms();
        let since = now.saturating_sub(i64::try_from(self.hold.as_millis()).unwrap_or(i64::MAX));
        let mut young = self.lock();
        let mut before = std::mem::take(&mut *young);
        for file in files.into_iter().filter(|file| written_at_ms(file, now) > since) {
            let known = before.remove(&file.name).filter(|known| known.file == file);
            let entry = known.unwrap_or_else(|| {
                let keep_open = young.len() < OPEN_MAX;
                let open = open(&file).map(|snapshot| keep_open.then_some(snapshot));
                Young { file: file.clone(), open }
            });
            young.insert(file.name, entry);
        }
        Ok(young)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Young>> {
        self.young.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When a snapshot was taken, as far as that can be believed: a name from a clock that was ahead, or that had to be later
/// than such a one, would hold until that day. Its file was written when it was taken.
fn written_at_ms(file: &SnapshotFile, now_ms: i64) -> i64 {
    let (_, seconds, nanoseconds) = file.identity;
    if file.taken_at_ms <= now_ms {
        return file.taken_at_ms;
    }
    seconds.saturating_mul(1000).saturating_add(nanoseconds / 1_000_000)
}

fn open(file: &SnapshotFile) -> Result<Snapshot, String> {
    Snapshot::open(&file.path).map_err(|error| error.to_string())
}

fn held(young: &BTreeMap<String, Young>, digest: &Digest) -> bool {
    let has = |snapshot: &Snapshot| {
        snapshot.has_blob(digest).unwrap_or_else(|error| {
            tracing::warn!(snapshot = %snapshot.path().display(), %error, "a snapshot cannot be read: it holds every blob");
            true
        })
    };
    young.values().any(|young| match &young.open {
        Ok(Some(snapshot)) => has(snapshot),
        Ok(None) => open(&young.file).as_ref().map_or(true, has),
        Err(_) => true,
    })
}

#[cfg(test)]
mod tests;
