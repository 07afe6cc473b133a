//! Opening a registry: the marker, the database and their agreement; never the lock of the directory (the edge's).

use std::path::PathBuf;
use std::sync::Arc;

use mcr_blobs::{Disk, Options as BlobOptions, Store};
use mcr_metadata::{Metadata, Options as MetadataOptions, SnapshotFolder};
use mcr_seams::{Clock, random_hex};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::api_tokens::ApiTokens;
use crate::ask::Writes;
use crate::audit::Signer;
use crate::blocking::{Blocking, MAX_BLOCKING, MAX_WALKING};
use crate::buffers::Buffers;
use crate::cache::Caches;
use crate::holds::Holds;
use crate::journal::{self, Journal};
use crate::logins::Ended;
use crate::policy::InForce;
use crate::policy_admin::{self, RuleRecord};
use crate::pulls::Pulls;
use crate::read_only::ReadOnly;
use crate::registry::{Counters, Parts, Registry};
use crate::scrub::{self, Scrub};
use crate::sessions::Sessions;
use crate::settings::Settings;
use crate::snapshots::{self, Snapshots};
use crate::volume::Volume;

/// Large manifests parsed at once.
const HEAVY_AT_ONCE: usize = 2;

/// Where a registry keeps its things.
#[derive(Debug, Clone)]
pub struct Paths {
    /// The database file.
    pub database: PathBuf,
    /// Finished blobs.
    pub layers: PathBuf,
    /// Unfinished ones; on the same file system.
    pub uploads: PathBuf,
}

/// Why a registry cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Blob storage.
    #[error("blob storage: {0}")]
    Blobs(#[from] mcr_blobs::Error),
    /// The database.
    #[error("database: {0}")]
    Metadata(#[from] mcr_metadata::Error),
    /// A policy rule that says what this program does not understand.
    #[error(
        "policy rule {id} in the database cannot be read: {reason}. Serving without it could open a door: run the program that \
         wrote it, or bring a database back with `mcrsrv restore`"
    )]
    Rule {
        /// Its number.
        id: i64,
        /// What about it.
        reason: String,
    },
    /// No randomness for an id.
    #[error("no random bytes to be had: {0}")]
    Random(std::io::Error),
    /// Two directories of different registries.
    #[error(
        "{layers} belongs to registry {found}, the database {database} to {expected}; put the right directories together, \
         or bring the database back with `mcrsrv restore` or, without a snapshot, `mcrsrv restore --from-blobs`"
    )]
    ForeignLayers {
        /// The blob directory.
        layers: PathBuf,
        /// Its marker.
        found: String,
        /// The database.
        database: PathBuf,
        /// Its id.
        expected: String,
    },
    /// Blobs without the database that books them.
    #[error(
        "{layers} holds blobs, but the database {database} is new: starting would lose them. Bring the database back with \
         `mcrsrv restore`, or make it again from the blobs with `mcrsrv restore --from-blobs`"
    )]
    BlobsWithoutDatabase {
        /// The blob directory.
        layers: PathBuf,
        /// The database.
        database: PathBuf,
    },
}

impl Registry {
    /// Opens the registry at `paths`, making what is missing. Blocks; call it before serving.
    ///
    /// The caller holds the exclusive lock of the data directory.
    ///
    /// # Errors
    /// [`StartError`], with what to do.
    pub fn open(paths: &Paths, settings: Settings, clock: Clock, disk: Disk) -> Result<Self, StartError> {
        let blobs = Store::open(BlobOptions { layers: paths.layers.clone(), uploads: paths.uploads.clone() }, disk)?;
        let metadata = Metadata::open(&paths.database, MetadataOptions::default())?;
        let id = agree(paths, &blobs, &metadata)?;
        let (blobs, metadata) = (Arc::new(blobs), Arc::new(metadata));
        // Whatever a killed process left half-made; nobody else is here, the caller has the lock.
        let swept = blobs.sweep()?;
        if swept > 0 {
            tracing::info!(files = swept, "removed what an earlier process left unfinished");
        }
        let open_uploads = blobs.list_uploads(crate::sessions::MAX_SESSIONS)?.len();
        let tasks = TaskTracker::new();
        let rules = rules(&metadata)?;
        let closed = metadata.is_closed()?;
        if closed {
            tracing::warn!("this registry serves administrators only: {}", crate::read_only::CLOSED);
        }
        let volume = Volume::new(Arc::clone(&blobs), id, settings.reserve);
        let backups = settings.backup.directory.clone();
        let backups = backups.map_or_else(|| SnapshotFolder::beside(&paths.database), SnapshotFolder::at);
        let holds = Holds::new(backups, settings.backup.hold, clock.clone());
        Ok(Self {
            parts: Arc::new(Parts {
                writes: Writes::new(Arc::clone(&metadata)),
                blobs,
                blocking: Blocking::new(MAX_BLOCKING),
                walking: Blocking::new(MAX_WALKING),
                locks: crate::locks::DigestLocks::default(),
                caches: Arc::new(Caches::new()),
                buffers: Buffers::default(),
                sessions: Sessions::new(open_uploads as u64),
                volume,
                read_only: ReadOnly::new(settings.read_only, closed),
                policy: InForce::new(settings.builtins.clone(), rules, closed),
                api_tokens: ApiTokens::new(metadata.api_tokens()?),
                ended: Ended::new(metadata.revoked_sessions(clock.now_ms())?),
                gap: Arc::default(),
                pulls: Pulls::new(),
                snapshots: Snapshots::new(
                    paths.database.clone(),
                    paths.layers.clone(),
                    metadata.last_snapshot_success()?,
                ),
                holds,
                signer: Signer::default(),
                journal: Journal::new(),
                runs: crate::runs::Runs::default(),
                gc: crate::gc::GcCounters::default(),
                metadata,
                settings,
                clock,
                counters: Counters::default(),
                scrub: Scrub::default(),
                summary: tokio::sync::Mutex::default(),
                heavy: Arc::new(Semaphore::new(HEAVY_AT_ONCE)),
                tasks,
            }),
        })
    }

    /// Starts the watch over the volume, the expiry of uploads, and what is done for the audit trail; needs a running
    /// runtime.
    pub fn watch(&self) {
        self.parts.tasks.spawn(self.parts.volume.watch());
        self.parts.tasks.spawn(crate::expire::expire(self.clone()));
        self.parts.tasks.spawn(crate::chores::chores(self.clone()));
        self.parts.tasks.spawn(crate::plans::resume(self.clone()));
        self.parts.tasks.spawn(snapshots::watch(self.clone()));
        self.parts.tasks.spawn(scrub::scrub(self.clone()));
        self.parts.tasks.spawn(journal::keep(self.clone()));
    }
}

/// The rules of the database: all of them, or none serve.
fn rules(metadata: &Metadata) -> Result<Vec<RuleRecord>, StartError> {
    let read = |row: mcr_metadata::RuleRow| {
        let id = row.id;
        policy_admin::record(row).map_err(|error| StartError::Rule { id, reason: error.to_string() })
    };
    metadata.policy_rules()?.into_iter().map(read).collect()
}

/// Brings the marker beside the blobs and the id in the database to agree (contract section 2.5).
fn agree(paths: &Paths, blobs: &Store, metadata: &Metadata) -> Result<String, StartError> {
    let (layers, database) = (paths.layers.clone(), paths.database.clone());
    let marker = blobs.marker()?;
    match (metadata.registry_id()?, marker) {
        (Some(expected), Some(found)) if expected != found => {
            Err(StartError::ForeignLayers { layers, found, database, expected })
        }
        (Some(id), Some(_)) => Ok(id),
        (Some(id), None) => {
            // With blobs booked, the volume is not mounted: the registry comes up and says so.
            if !metadata.has_blobs()? {
                blobs.write_marker(&id)?;
            }
            Ok(id)
        }
        (None, marker) => {
            if blobs.holds_blobs()? {
                return Err(StartError::BlobsWithoutDatabase { layers, database });
            }
            let id = match marker {
                Some(id) => id,
                None => {
                    let id = random_hex(16).map_err(StartError::Random)?;
                    blobs.write_marker(&id)?;
                    id
                }
            };
            metadata.set_registry_id(&id)?;
            Ok(id)
        }
    }
}
