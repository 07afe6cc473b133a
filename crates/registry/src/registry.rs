//! The registry as one value: its parts, and what use cases share of them; no use case itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mcr_access::Identity;
use mcr_blobs::Store;
use mcr_metadata::{Actor, Metadata};
use mcr_oci::FindingKind;
use mcr_seams::Clock;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::api_tokens::ApiTokens;
use crate::ask::Writes;
use crate::audit::Signer;
use crate::blocking::Blocking;
use crate::buffers::Buffers;
use crate::cache::Caches;
use crate::error::Error;
use crate::holds::Holds;
use crate::journal::Journal;
use crate::locks::DigestLocks;
use crate::logins::Ended;
use crate::policy::InForce;
use crate::pulls::Pulls;
use crate::read_only::ReadOnly;
use crate::record::Gap;
use crate::scrub::Scrub;
use crate::sessions::Sessions;
use crate::settings::Settings;
use crate::snapshots::Snapshots;
use crate::volume::Volume;

/// A registry over one data directory. Cheap to clone; every clone is the same registry.
#[derive(Clone)]
pub struct Registry {
    pub(crate) parts: Arc<Parts>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("volume", &self.parts.volume).finish_non_exhaustive()
    }
}

/// What the use cases share.
pub(crate) struct Parts {
    pub(crate) metadata: Arc<Metadata>,
    pub(crate) writes: Writes,
    pub(crate) blobs: Arc<Store>,
    pub(crate) blocking: Blocking,
    /// The door for walks, which wait for jobs behind the other one.
    pub(crate) walking: Blocking,
    pub(crate) locks: DigestLocks,
    pub(crate) caches: Arc<Caches>,
    pub(crate) buffers: Buffers,
    pub(crate) sessions: Sessions,
    pub(crate) volume: Volume,
    pub(crate) settings: Settings,
    /// Who may do what.
    pub(crate) policy: InForce,
    pub(crate) api_tokens: ApiTokens,
    /// Logins that were ended before their time.
    pub(crate) ended: Ended,
    /// Events that the audit trail lacks.
    pub(crate) gap: Arc<Gap>,
    pub(crate) pulls: Pulls,
    /// Snapshots that were taken and met.
    pub(crate) snapshots: Snapshots,
    /// What snapshots hold.
    pub(crate) holds: Holds,
    /// Who signs where the audit trail is cut off.
    pub(crate) signer: Signer,
    /// What is written beside the blobs, should the database be lost.
    pub(crate) journal: Journal,
    /// Refuse every write; an operator switches it while the server runs.
    pub(crate) read_only: ReadOnly,
    /// Runs that delete, one of a kind.
    pub(crate) runs: crate::runs::Runs,
    /// What the collector did.
    pub(crate) gc: crate::gc::GcCounters,
    pub(crate) clock: Clock,
    pub(crate) counters: Counters,
    /// What is told of the scrub.
    pub(crate) scrub: Scrub,
    /// Counts, kept for a moment.
    pub(crate) summary: tokio::sync::Mutex<crate::health::Kept>,
    /// Places for large manifests being parsed.
    pub(crate) heavy: Arc<Semaphore>,
    /// Work that goes on when the client that began it has gone; shutdown waits for it.
    pub(crate) tasks: TaskTracker,
}

/// Figures the edge shows as metrics. Monotonic since the start.
#[derive(Debug, Default)]
pub struct Counters {
    /// Refused pushes, by finding kind; see [`Counters::refused`].
    refused: [AtomicU64; FINDING_KINDS.len()],
    /// Blobs quarantined.
    pub quarantined: AtomicU64,
    /// Damaged blobs healed by a push.
    pub healed: AtomicU64,
    /// Bytes hashed by reads.
    pub hashed_bytes: AtomicU64,
}

/// The kinds a push can be refused with, in the order of the counters.
const FINDING_KINDS: [FindingKind; 8] = [
    FindingKind::ManifestMissing,
    FindingKind::ManifestCorrupt,
    FindingKind::ManifestInvalid,
    FindingKind::BlobMissing,
    FindingKind::BlobSizeMismatch,
    FindingKind::BlobTruncated,
    FindingKind::BlobCorrupt,
    FindingKind::Unreachable,
];

impl Counters {
    pub(crate) fn count_refused(&self, kind: FindingKind) {
        if let Some(counter) = FINDING_KINDS.iter().position(|k| *k == kind).and_then(|at| self.refused.get(at)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Refused pushes per finding kind.
    pub fn refused(&self) -> impl Iterator<Item = (FindingKind, u64)> + '_ {
        FINDING_KINDS.iter().zip(&self.refused).map(|(kind, count)| (*kind, count.load(Ordering::Relaxed)))
    }
}

impl Registry {
    /// Figures since the start.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.parts.counters
    }

    /// Upload sessions that exist now.
    #[must_use]
    pub fn uploads_open(&self) -> u64 {
        self.parts.sessions.count()
    }

    /// Records that accompany reads which could not be written.
    #[must_use]
    pub fn records_dropped(&self) -> u64 {
        self.parts.writes.dropped()
    }

    /// Waits for work that outlives its request, then closes the database.
    pub async fn close(self) {
        self.parts.volume.stop();
        self.parts.tasks.close();
        // First what is known now: whoever stops the process may not wait for the longest of that work.
        self.flush_pulls(true).await;
        self.finish_journal().await;
        self.parts.tasks.wait().await;
        self.flush_pulls(true).await;
        self.finish_journal().await;
    }

    /// Runs work that must finish although the client that asked for it may go.
    ///
    /// # Errors
    /// What the work answers; [`Error::Unavailable`] if it was cut off by the end of the process.
    pub(crate) async fn finish<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        self.parts.tasks.spawn(work).await.map_err(|error| {
            tracing::error!(%error, "a background step failed");
            Error::stopping()
        })?
    }

    /// Refuses writes while they are switched off or the blob volume is away.
    pub(crate) fn may_write(&self) -> Result<(), Error> {
        self.volume_present()?;
        if let Some(reason) = self.parts.read_only.why() {
            return Err(Error::ReadOnly(reason));
        }
        Ok(())
    }

    /// Ends long work when the registry stops or the blob volume is away.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub(crate) fn goes_on(&self) -> Result<(), Error> {
        if self.parts.volume.is_stopped() {
            return Err(Error::stopping());
        }
        self.volume_present()
    }

    /// Refuses everything while the blob volume is away: nothing can be pulled whole.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub fn volume_present(&self) -> Result<(), Error> {
        if self.parts.volume.present() {
            return Ok(());
        }
        Err(crate::volume::away())
    }
}

/// The actor of an audit row.
pub(crate) fn actor(identity: &Identity) -> Actor {
    Actor { name: identity.account().to_owned(), address: identity.address().map(str::to_owned) }
}
