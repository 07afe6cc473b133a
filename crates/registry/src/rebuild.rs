//! A registry made again from its blobs and the journal beside them: what the journal tells, whole closures only.
//! Never a command line, nor the server that serves it afterwards.
//!
//! A tag whose closure is not whole on disk is left out and named. Blobs are booked as never hashed, so that reads and
//! the scrub verify them. Until the very last step nothing of the registry is changed.

mod replay;
mod write;

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard};

use mcr_blobs::{Disk, Options, Store};
use mcr_metadata::{DatabaseState, Rebuild, Rebuilt, database_state};
use mcr_oci::{Digest, Finding};
use mcr_seams::Clock;
use serde_json::json;

use crate::start::Paths;

/// How a registry is made again.
#[derive(Debug, Clone)]
pub struct RebuildRequest {
    /// Where it keeps its things.
    pub paths: Paths,
    /// Hash every blob that is referred to; else presence and length count.
    pub deep: bool,
    /// Find out what would come of it, and change nothing.
    pub dry_run: bool,
    /// Do so although there is a database that can be used; it is kept beside the new one.
    pub replace: bool,
    /// Serve everybody at once with the built-in rules alone; else only administrators, and nothing is taken, until
    /// there is a policy rule.
    pub accept_default_policy: bool,
}

/// What was made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RebuildReport {
    /// The registry's id.
    pub registry_id: String,
    /// Repositories with something in them.
    pub repositories: u64,
    /// Tags, each whole.
    pub tags: u64,
    /// Manifests, each whole.
    pub manifests: u64,
    /// Blobs that those refer to.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Tags that were left out.
    pub left_out: u64,
    /// Manifests that were left out.
    pub manifests_left_out: u64,
    /// Lines of the journal that cannot be read, and gaps where lines are missing.
    pub damaged_lines: u64,
    /// Whether the newest telling of everything was not finished and does not go on where a finished one ends, so that
    /// the journal may lack what it never told, and hold what is no longer so.
    pub unfinished: bool,
    /// Where the old database is kept, if there was one.
    pub kept: Option<PathBuf>,
}

impl RebuildReport {
    /// Whether everything the journal told is there, and the journal was whole.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.left_out == 0 && self.manifests_left_out == 0 && self.damaged_lines == 0 && !self.unfinished
    }
}

/// What is told while a registry is made again.
#[derive(Debug)]
pub enum RebuildNews<'a> {
    /// Something about the journal, in a sentence.
    Journal(String),
    /// A tag is left out.
    LeftOut {
        /// Its repository.
        repository: &'a str,
        /// Its name.
        tag: &'a str,
        /// Where it pointed.
        digest: &'a Digest,
        /// What its closure lacks; at least one.
        findings: &'a [Finding],
    },
}

/// Takes the news.
pub type Tell<'a> = &'a mut dyn FnMut(RebuildNews<'_>);

/// Why a registry cannot be made again.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The files.
    #[error("blob storage: {0}")]
    Blobs(#[from] mcr_blobs::Error),
    /// The new database, or the old one.
    #[error("database: {0}")]
    Metadata(#[from] mcr_metadata::Error),
    /// There is nothing to be restored from the blobs.
    #[error(
        "{0} is a registry's database and can be used: start the server on it. To make another one from the blobs all the \
         same, which loses policies, audit trail and history, say --replace; the old one is kept beside it"
    )]
    Usable(PathBuf),
    /// No journal.
    #[error(
        "{layers} holds no journal{of}: without one nobody knows which manifests and tags there were. See that the right \
         volume is mounted, or bring a snapshot back with `mcrsrv restore`"
    )]
    NoJournal {
        /// The blob directory.
        layers: PathBuf,
        /// Of which registry, where the marker says.
        of: String,
    },
    /// A newer program wrote the journal.
    #[error(
        "the journal has format {found}, this program knows {known}: use the program that wrote it, or a newer one"
    )]
    NewerJournal {
        /// What it has.
        found: u32,
        /// What is known.
        known: u32,
    },
    /// A defect.
    #[error("an internal step failed: {0}")]
    Internal(String),
}

/// Makes a registry again. Blocks; the caller holds the lock on the data directory.
///
/// # Errors
/// [`RebuildError`]; then the old database, or none, is in force.
pub fn rebuild(
    request: &RebuildRequest,
    clock: &Clock,
    disk: Disk,
    tell: Tell<'_>,
) -> Result<RebuildReport, RebuildError> {
    let paths = &request.paths;
    if !request.replace {
        match database_state(&paths.database)? {
            // Nothing was written to it: made again, it is what it was, with the rules that are accepted now.
            DatabaseState::Closed if request.accept_default_policy => {}
            DatabaseState::Closed | DatabaseState::Usable => return Err(RebuildError::Usable(paths.database.clone())),
            DatabaseState::Absent | DatabaseState::Empty | DatabaseState::Damaged => {}
        }
    }
    let options = Options { layers: paths.layers.clone(), uploads: paths.uploads.clone() };
    // Looking makes no directory, least of all below a mount point whose volume is away.
    let store = if request.dry_run { Store::to_look_at(options, disk) } else { Store::open(options, disk)? };
    let marker = store.marker()?;
    let making = Making {
        rebuild: Mutex::new(Rebuild::beside(&paths.database)?),
        store,
        deep: request.deep,
        now_ms: clock.now_ms(),
    };
    let mut report = RebuildReport::default();
    let Some(id) = making.replay(marker.as_deref(), &mut report, tell)? else {
        let of = marker.map(|id| format!(" of registry {id}")).unwrap_or_default();
        return Err(RebuildError::NoJournal { layers: paths.layers.clone(), of });
    };
    report.registry_id = id;
    making.write(&mut report, tell)?;
    let Making { rebuild, store, now_ms, .. } = making;
    if request.dry_run {
        return Ok(report);
    }
    let rebuild = rebuild.into_inner().map_err(|_| poisoned())?;
    rebuild.finish(&said(request, &report, now_ms))?;
    if marker.is_none() {
        // Before the database: a start takes an id without a marker for a volume that is not mounted.
        store.write_marker(&report.registry_id)?;
    }
    report.kept = rebuild.switch(now_ms)?;
    Ok(report)
}

fn said(request: &RebuildRequest, report: &RebuildReport, at_ms: i64) -> Rebuilt {
    let details = json!({
        "source": "blobs",
        "tags": report.tags,
        "left_out": report.left_out,
        "manifests": report.manifests,
        "damaged_lines": report.damaged_lines,
        "accept_default_policy": request.accept_default_policy,
    });
    Rebuilt { registry_id: report.registry_id.clone(), closed: !request.accept_default_policy, details, at_ms }
}

fn poisoned() -> RebuildError {
    RebuildError::Internal("a thread panicked at work".to_owned())
}

/// A registry on its way.
struct Making {
    rebuild: Mutex<Rebuild>,
    store: Store,
    deep: bool,
    now_ms: i64,
}

impl Making {
    /// The new database. One thread is at work; the lock is for the walk, whose sources are shared.
    fn database(&self) -> Result<MutexGuard<'_, Rebuild>, RebuildError> {
        self.rebuild.lock().map_err(|_| poisoned())
    }
}

#[cfg(test)]
mod tests;
