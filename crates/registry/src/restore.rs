//! A snapshot becomes the registry again: judged against the files first, then put in place in one step (contract section
//! 16). Never beside a server: the caller holds the lock of the data directory.

mod look;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use mcr_blobs::{Disk, Options as BlobOptions, ReadOnly, Store, shards};
use mcr_metadata::{Actor, Judge, Restored, SnapshotFolder, Staging, audit_head_of};
use mcr_oci::Digest;
use mcr_seams::{Clock, random_hex, rfc3339};
use serde_json::json;

use crate::backup::{self, BackupError, Judgement, MAX_REPORTED, Progress};
use crate::start::Paths;
use look::{Changes, Look};

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
    /// Blobs whose disk did not let them be looked at or read. They may be whole: their tags stay.
    pub unreadable: u64,
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
    /// Directories of blobs that could not be listed for that.
    pub unlisted: u64,
    /// The run that left tags out; undoing it brings them back.
    pub run_id: String,
    /// What was changed on disk.
    pub changed: Changed,
}

/// What a restore has changed on disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changed {
    /// Whether it got so far that it changed anything at all: directories were made, what killed uploads left was removed.
    pub begun: bool,
    /// Blobs that were brought from the backup.
    pub brought: u64,
    /// Damaged files that were set aside.
    pub set_aside: u64,
    /// Whether the restored database is in its place.
    pub in_place: bool,
}

/// A restore that failed, and what it had changed by then.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}{}", .changed.so_far(), .changed.what_next())]
pub struct NotRestored {
    /// Why.
    pub error: BackupError,
    /// What had been changed.
    pub changed: Changed,
}

impl Changed {
    fn so_far(self) -> String {
        let Self { begun, brought, set_aside, in_place } = self;
        if in_place {
            return "the restored database is in its place, but that may not survive a power loss".to_owned();
        }
        if !begun {
            return "nothing was changed".to_owned();
        }
        let mut said = "the database is as it was".to_owned();
        if brought > 0 {
            said.push_str(&format!(", blobs brought from the backup: {brought}"));
        }
        if set_aside > 0 {
            said.push_str(&format!(", damaged files set aside in quarantine/: {set_aside}"));
        }
        said
    }

    const fn what_next(self) -> &'static str {
        if self.in_place {
            "; see that the disk is well, run `sync`, then start the server"
        } else if self.begun {
            "; run the command again, it goes on"
        } else {
            ""
        }
    }
}

/// Restores a registry. Blocks, for as long as it takes to look at every blob's file.
///
/// # Errors
/// [`NotRestored`], with what was changed by then. What is left out, and where nothing was switched for it, is in the
/// report.
pub fn restore(request: &RestoreRequest, clock: &Clock, progress: &Progress) -> Result<RestoreReport, NotRestored> {
    let changes = Changes::default();
    let restoring = Restoring { request, clock, progress, changes: &changes };
    let report = restoring.run().map_err(|error| NotRestored { error, changed: changes.so_far() })?;
    Ok(RestoreReport { changed: changes.so_far(), ..report })
}

/// One restore.
struct Restoring<'a> {
    request: &'a RestoreRequest,
    clock: &'a Clock,
    progress: &'a Progress,
    changes: &'a Changes,
}

impl Restoring<'_> {
    fn run(&self) -> Result<RestoreReport, BackupError> {
        let request = self.request;
        let path = &request.snapshot;
        let mut staging = Staging::of(path, &request.paths.database)?;
        let schema = staging.check().map_err(BackupError::snapshot(path))?;
        staging.migrate()?;
        let id = staging.registry_id()?.unwrap_or_default();
        let is_marked = whose(request, &staging, &id)?;
        let run_id = random_hex(16);
        let run_id = run_id.map_err(|error| BackupError::Refused(format!("no random bytes to be had: {error}")))?;
        let blank = RestoreReport { snapshot: path.clone(), schema, run_id, ..RestoreReport::default() };
        if request.dry_run || request.strict {
            let store = Store::to_look_at(self.options(), Disk::real());
            let (report, _) = self.judge(&store, &staging, blank.clone(), true)?;
            if request.dry_run || report.judgement.incomplete > 0 {
                return Ok(report);
            }
        }
        self.changes.begin();
        let store = Store::open(self.options(), Disk::real())?;
        store.sweep()?;
        if !is_marked {
            store.write_marker(&id)?;
        }
        let (mut report, damaged) = self.judge(&store, &staging, blank, false)?;
        if request.strict && report.judgement.incomplete > 0 {
            return Ok(report);
        }
        let now_ms = self.clock.now_ms();
        for digest in &damaged {
            if store.quarantine(digest, now_ms)?.is_some() {
                self.changes.set_aside();
            }
        }
        let restored = Restored {
            actor: request.actor.clone(),
            at_ms: now_ms,
            run_id: report.run_id.clone(),
            details: details(request, &report),
        };
        staging.settle(&restored)?;
        report.kept = staging.switch(now_ms).map_err(|not_switched| {
            self.changes.switched(not_switched.in_place);
            not_switched.error
        })?;
        self.changes.switched(true);
        report.switched = true;
        Ok(report)
    }

    fn options(&self) -> BlobOptions {
        let paths = &self.request.paths;
        BlobOptions { layers: paths.layers.clone(), uploads: paths.uploads.clone() }
    }

    /// Looks at every file and judges every tag; answers which damaged files are there.
    fn judge(
        &self,
        store: &Store,
        staging: &Staging,
        mut report: RestoreReport,
        only_look: bool,
    ) -> Result<(RestoreReport, Vec<Digest>), BackupError> {
        staging.begin_anew()?;
        staging.begin_judging()?;
        let look = Look::new(self, store, only_look);
        let damaged = look.at_all(staging, &mut report)?;
        staging.judge_manifests()?;
        let unreadable = std::mem::take(&mut report.judgement);
        report.judgement = backup::judge(staging)?;
        for finding in unreadable.findings {
            report.judgement.add(finding);
        }
        report.judgement.findings_total += report.unreadable.saturating_sub(MAX_REPORTED as u64);
        count_strangers(store, staging, &mut report)?;
        Ok((report, damaged))
    }
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

/// Makes certain that the blobs are those of the snapshot; answers whether a marker says so.
fn whose(request: &RestoreRequest, staging: &Staging, id: &str) -> Result<bool, BackupError> {
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
    match ReadOnly::new(layers).marker()? {
        Some(found) if found == id => return Ok(true),
        Some(found) => {
            return refused(format!(
                "{} belongs to registry {found}, the snapshot to {id}; give the snapshot, or the configuration, that \
                 belongs to it",
                layers.display()
            ));
        }
        None => {}
    }
    if staging.blobs_and_bytes()?.0 > 0 && request.blobs.is_none() {
        return refused(format!(
            "{} has no marker (mcr-registry-id), so its volume is probably not mounted: mount it; if the blobs are \
             lost, bring them from a backup with --blobs DIR",
            layers.display()
        ));
    }
    let options = BlobOptions { layers: layers.clone(), uploads: request.paths.uploads.clone() };
    if Store::to_look_at(options, Disk::real()).holds_blobs()? {
        return refused(format!(
            "{} holds blobs but no marker (mcr-registry-id) that says whose they are; give an empty directory",
            layers.display()
        ));
    }
    Ok(false)
}

/// Counts the files that no row is of.
fn count_strangers(store: &Store, staging: &Staging, report: &mut RestoreReport) -> Result<(), BackupError> {
    for shard in shards() {
        let mut failed = None;
        let listed = store.visit_files(shard, |digest, stat| match staging.has_blob(&digest) {
            Ok(true) => ControlFlow::Continue(()),
            Ok(false) => {
                report.files_without_rows += 1;
                // One that cannot be looked at is a file all the same.
                report.bytes_without_rows += stat.map_or(0, |stat| stat.size);
                ControlFlow::Continue(())
            }
            Err(error) => {
                failed = Some(error);
                ControlFlow::Break(())
            }
        });
        // It is told and no more: a disk that does not list one directory must not keep a registry from being restored.
        report.unlisted += u64::from(listed.is_err());
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

#[cfg(test)]
mod tests;
