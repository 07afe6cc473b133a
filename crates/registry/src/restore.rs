//! A snapshot becomes the registry again: judged against the files first, then put in place in one step (contract section
//! 16). Never beside a server: the caller holds the lock of the data directory.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;

use mcr_blobs::{Brought, Disk, FileStat, Options as BlobOptions, ReadOnly, Store, shards};
use mcr_metadata::{
    Actor, BadBlob, BlobState, Judge, KeptBlob, RecordedStat, Restored, Snapshot, SnapshotFolder, Staging,
    audit_head_of,
};
use mcr_oci::{Digest, FindingKind};
use mcr_seams::{Clock, random_hex, rfc3339};
use serde_json::json;

use crate::backup::{self, BackupError, Judgement, Progress, each_blob};
use crate::start::Paths;

/// What shall be restored, and how.
#[derive(Debug, Clone)]
pub struct RestoreRequest {
    /// The registry's places.
    pub paths: Paths,
    /// The snapshot's file.
    pub snapshot: PathBuf,
    /// A backup that blobs are brought from which are missing or damaged.
    pub blobs: Option<PathBuf>,
    /// Change nothing where a tag would not be whole.
    pub strict: bool,
    /// Change nothing.
    pub dry_run: bool,
    /// Hash every blob, not only those that give a reason.
    pub deep: bool,
    /// Who restores, for the audit trail.
    pub actor: Actor,
}

/// What a restore did, or would do.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RestoreReport {
    /// The snapshot.
    pub snapshot: PathBuf,
    /// The schema it has; an older one is migrated.
    pub schema: i64,
    /// Whether the registry is now that of the snapshot.
    pub switched: bool,
    /// Where the database before is kept.
    pub kept: Option<PathBuf>,
    /// Blobs the snapshot refers to.
    pub blobs: u64,
    /// Of those, blobs whose file is as it was when it was last hashed.
    pub unchanged: u64,
    /// Blobs whose file has the right length and was not hashed: the next read does it.
    pub to_hash: u64,
    /// Blobs that were hashed and are right.
    pub hashed: u64,
    /// Blobs that were brought from the backup, or would be.
    pub brought: u64,
    /// Their bytes.
    pub brought_bytes: u64,
    /// Blob files that no row is of: what was pushed after the snapshot.
    pub files_without_rows: u64,
    /// Their bytes.
    pub bytes_without_rows: u64,
    /// What is not whole. The tags in it are left out of the list.
    pub judgement: Judgement,
    /// The run that left tags out; undoing it brings them back.
    pub run_id: String,
}

/// What a look at one file showed.
#[derive(Debug)]
enum Seen {
    /// As it was when it was last hashed.
    Unchanged,
    /// Of the right length, changed since; not hashed.
    ToHash,
    /// It hashed right now.
    Hashed(FileStat),
    /// It was brought, and hashed on the way.
    Brought(FileStat),
    /// It would be brought.
    ToBring,
    /// It is not whole. Whether there is a file.
    Bad(FindingKind, String, bool),
}

/// Restores a registry. Blocks, for as long as it takes to look at every blob's file.
///
/// # Errors
/// [`BackupError`]: the registry is as it was. What is left out, and where nothing was switched for it, is in the report.
pub fn restore(request: &RestoreRequest, clock: &Clock, progress: &Progress) -> Result<RestoreReport, BackupError> {
    let path = &request.snapshot;
    let snapshot = Snapshot::open(path).map_err(BackupError::snapshot(path))?;
    snapshot.check().map_err(BackupError::snapshot(path))?;
    let id = snapshot.registry_id()?.unwrap_or_default();
    let store = open_store(request, &snapshot, &id)?;
    let staging = Staging::of(&snapshot, &request.paths.database)?;
    let mut report = RestoreReport {
        snapshot: path.clone(),
        schema: snapshot.schema(),
        run_id: random_hex(16).map_err(|error| BackupError::Refused(format!("no random bytes to be had: {error}")))?,
        ..RestoreReport::default()
    };
    let damaged = look_at_files(request, &store, &staging, &mut report, clock, progress)?;
    staging.judge_manifests()?;
    report.judgement = backup::judge(&staging)?;
    count_strangers(&store, &staging, &mut report)?;
    if request.dry_run || (request.strict && report.judgement.incomplete > 0) {
        return Ok(report);
    }
    let now_ms = clock.now_ms();
    for digest in &damaged {
        store.quarantine(digest, now_ms)?;
    }
    let restored = Restored {
        actor: request.actor.clone(),
        at_ms: now_ms,
        run_id: report.run_id.clone(),
        details: details(request, &report),
    };
    staging.settle(&restored)?;
    report.kept = staging.switch(now_ms)?;
    report.switched = true;
    Ok(report)
}

/// What the audit trail tells: where it goes on from, and what it no longer has.
fn details(request: &RestoreRequest, report: &RestoreReport) -> serde_json::Value {
    let name = request.snapshot.file_name().unwrap_or_default().to_string_lossy().into_owned();
    // A database that cannot be read has no head to tell of.
    let replaced = audit_head_of(&request.paths.database);
    json!({
        "snapshot": name,
        "taken_at": SnapshotFolder::taken_at_ms(&request.snapshot).map(rfc3339),
        "replaced_head": replaced.map(|(seq, hash)| json!({ "seq": seq, "hash": hash })),
        "tags": report.judgement.tags,
        "tags_left_out": report.judgement.incomplete,
        "run_id": report.run_id,
        "blobs_brought": report.brought,
    })
}

/// Opens the blobs, once it is certain that they are those of the snapshot.
fn open_store(request: &RestoreRequest, snapshot: &Snapshot, id: &str) -> Result<Store, BackupError> {
    let layers = &request.paths.layers;
    let refused = |reason: String| Err(BackupError::Refused(reason));
    if let Some(backup) = &request.blobs
        && let Some(found) = ReadOnly::new(backup).marker()?
        && found != id
    {
        return refused(format!(
            "{} is the backup of registry {found}, the snapshot is of {id}; give the backup that belongs to it",
            backup.display()
        ));
    }
    let marker = ReadOnly::new(layers).marker()?;
    match &marker {
        Some(found) if found != id => {
            return refused(format!(
                "{} belongs to registry {found}, the snapshot to {id}: nothing was changed; give the snapshot, or the \
                 configuration, that belongs to it",
                layers.display()
            ));
        }
        None if snapshot.blob_count()? > 0 && request.blobs.is_none() => {
            return refused(format!(
                "{} has no marker (mcr-registry-id), so its volume is probably not mounted: mount it; if the blobs are \
                 lost, bring them from a backup with --blobs DIR",
                layers.display()
            ));
        }
        _ => {}
    }
    let options = BlobOptions { layers: layers.clone(), uploads: request.paths.uploads.clone() };
    let store = Store::open(options, Disk::real())?;
    store.sweep()?;
    if marker.is_none() {
        if store.holds_blobs()? {
            return refused(format!(
                "{} holds blobs but no marker (mcr-registry-id) that says whose they are; give an empty directory",
                layers.display()
            ));
        }
        if !request.dry_run {
            store.write_marker(id)?;
        }
    }
    Ok(store)
}

/// Looks at the file of every blob, brings what is missing, and marks what is bad; answers which bad files are there.
fn look_at_files(
    request: &RestoreRequest,
    store: &Store,
    staging: &Staging,
    report: &mut RestoreReport,
    clock: &Clock,
    progress: &Progress,
) -> Result<Vec<Digest>, BackupError> {
    staging.begin_judging()?;
    let (blobs, bytes) = staging.blobs_and_bytes()?;
    report.blobs = blobs;
    progress.begin((blobs, bytes));
    let backup = request.blobs.as_deref().map(ReadOnly::new);
    let layers = ReadOnly::new(&request.paths.layers);
    let look = Look { request, store, layers: &layers, backup: backup.as_ref(), clock };
    let damaged = Mutex::new(Vec::new());
    let work = |blob: &KeptBlob| {
        let seen = look.at(blob)?;
        progress.add_bytes(blob.size);
        progress.add_blob();
        Ok(seen)
    };
    staging.begin()?;
    each_blob(staging, &work, &mut |blob, seen| {
        let at_ms = clock.now_ms();
        match seen {
            Seen::Unchanged => report.unchanged += 1,
            Seen::ToHash => {
                report.to_hash += 1;
                staging.request_scrub(blob.id, at_ms)?;
            }
            Seen::Hashed(stat) => {
                report.hashed += 1;
                staging.record_file(blob.id, &blob.digest, recorded(stat), at_ms)?;
            }
            Seen::Brought(stat) => {
                report.brought += 1;
                report.brought_bytes += blob.size;
                staging.record_file(blob.id, &blob.digest, recorded(stat), at_ms)?;
            }
            Seen::ToBring => {
                report.brought += 1;
                report.brought_bytes += blob.size;
            }
            Seen::Bad(kind, detail, there) => {
                if there {
                    damaged.lock().unwrap_or_else(PoisonError::into_inner).push(blob.digest.clone());
                }
                staging.mark_bad(&BadBlob { id: blob.id, kind, detail })?;
            }
        }
        Ok(())
    })?;
    Ok(damaged.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Where files are looked at.
struct Look<'a> {
    request: &'a RestoreRequest,
    store: &'a Store,
    layers: &'a ReadOnly,
    backup: Option<&'a ReadOnly>,
    clock: &'a Clock,
}

impl Look<'_> {
    fn at(&self, blob: &KeptBlob) -> Result<Seen, BackupError> {
        let stat = self.store.stat(&blob.digest)?;
        if let Some(stat) = stat.filter(|stat| stat.size == blob.size)
            && blob.state == BlobState::Sound
            && !self.request.deep
        {
            return Ok(if recorded(stat) == blob.stat { Seen::Unchanged } else { Seen::ToHash });
        }
        let Some((kind, detail)) = self.layers.examine(&blob.digest, blob.size, &|_| {})? else {
            return Ok(match self.store.stat(&blob.digest)? {
                Some(stat) => Seen::Hashed(stat),
                None => Seen::Bad(FindingKind::BlobMissing, "its file went while it was read".to_owned(), false),
            });
        };
        let there = stat.is_some();
        let Some(backup) = self.backup else { return Ok(Seen::Bad(kind, detail, there)) };
        self.bring(blob, backup, there).map(|seen| seen.unwrap_or(Seen::Bad(kind, detail, there)))
    }

    /// Brings a blob from the backup, and sets aside what stands in its place; none where the backup has it not.
    fn bring(&self, blob: &KeptBlob, backup: &ReadOnly, there: bool) -> Result<Option<Seen>, BackupError> {
        if !backup.has(&blob.digest, blob.size)? {
            return Ok(None);
        }
        if self.request.dry_run || self.request.strict {
            let whole = backup.examine(&blob.digest, blob.size, &|_| {})?.is_none();
            if !whole {
                return Ok(None);
            }
            if self.request.dry_run {
                return Ok(Some(Seen::ToBring));
            }
        }
        if there {
            self.store.quarantine(&blob.digest, self.clock.now_ms())?;
        }
        Ok(match self.store.bring(backup, &blob.digest, blob.size, &|_| {})? {
            Brought::Copied { committed, .. } => Some(Seen::Brought(committed.stat)),
            // Nobody else writes here: the lock is held.
            Brought::Present | Brought::Unsound { .. } => None,
        })
    }
}

fn recorded(stat: FileStat) -> RecordedStat {
    RecordedStat { inode: stat.inode, size: stat.size, mtime_ns: stat.mtime_ns, ctime_ns: stat.ctime_ns }
}

/// Counts the files that no row is of.
fn count_strangers(store: &Store, staging: &Staging, report: &mut RestoreReport) -> Result<(), BackupError> {
    for shard in shards() {
        let mut failed = None;
        store.visit_files(shard, |digest, stat| match staging.has_blob(&digest) {
            Ok(true) => ControlFlow::Continue(()),
            Ok(false) => {
                report.files_without_rows += 1;
                report.bytes_without_rows += stat.size;
                ControlFlow::Continue(())
            }
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        })?;
        if let Some(error) = failed {
            return Err(error.into());
        }
    }
    Ok(())
}

/// The snapshot that an operator means: a file, or a name in the folder beside the database; the newest where none is said.
///
/// # Errors
/// [`BackupError::Refused`], naming those there are.
pub fn find_snapshot(database: &Path, asked: Option<&Path>) -> Result<PathBuf, BackupError> {
    let folder = SnapshotFolder::beside(database);
    let listed = folder.list()?;
    let newest = listed.first().map(|file| file.path.clone());
    let Some(asked) = asked else {
        return newest.ok_or_else(|| {
            BackupError::Refused(format!(
                "no snapshot lies in {}; give the file of one, or make the registry again from its blobs with \
                 `mcrsrv restore --from-blobs`",
                folder.path().display()
            ))
        });
    };
    if asked.components().count() == 1
        && let Some(file) = listed.iter().find(|file| Path::new(&file.name) == asked)
    {
        return Ok(file.path.clone());
    }
    if SnapshotFolder::is_file(asked)? {
        return Ok(asked.to_owned());
    }
    let names: Vec<&str> = listed.iter().take(5).map(|file| file.name.as_str()).collect();
    Err(BackupError::Refused(format!(
        "{}: no such snapshot, neither as a file nor in {}; the newest there: {}",
        asked.display(),
        folder.path().display(),
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    )))
}
