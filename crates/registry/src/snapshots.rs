//! Snapshots of the database as the server takes and meets them: booked, told, counted; never what is in one.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mcr_access::{Administer, GlobalPermit};
use mcr_metadata::{
    Actor, BookSnapshot, Error as MetadataError, Snapshot, SnapshotFile, SnapshotRow, TakenSnapshot, take_snapshot,
};

use crate::backup::{self, BackupError, CopyReport, CopyRequest, Progress};
use crate::error::Error;
use crate::record::SYSTEM;
use crate::registry::{Registry, actor};

/// How often the folder is looked at for snapshots that another process took.
const EVERY: Duration = Duration::from_secs(5);

/// How long a caller waits for another look or snapshot before it is told that one is being taken.
const TURN: Duration = Duration::from_secs(10);

/// A snapshot as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotRecord {
    /// Its name in the folder.
    pub name: String,
    /// Where it lies on this machine.
    pub path: PathBuf,
    /// When it was taken, in Unix milliseconds.
    pub taken_at_ms: i64,
    /// Its length in bytes.
    pub bytes: u64,
    /// The blobs it refers to; none where that cannot be told.
    pub blobs: Option<u64>,
    /// Why it cannot be relied on; none while it is sound.
    pub trouble: Option<String>,
}

/// What the server knows of snapshots.
#[derive(Debug)]
pub(crate) struct Snapshots {
    database: PathBuf,
    layers: PathBuf,
    /// Held by who takes or books one, so that who took it is told and not who noticed it.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Files that are booked, by name.
    seen: Mutex<HashMap<String, SnapshotFile>>,
    /// When the newest sound one was taken, in Unix milliseconds; `i64::MIN` for none.
    last_success: AtomicI64,
}

impl Snapshots {
    /// Of the registry with this database and these blobs, whose last sound snapshot was taken at `last`.
    pub(crate) fn new(database: PathBuf, layers: PathBuf, last: Option<i64>) -> Self {
        Self {
            database,
            layers,
            turn: Arc::default(),
            seen: Mutex::default(),
            last_success: AtomicI64::new(last.unwrap_or(i64::MIN)),
        }
    }
}

impl Registry {
    /// Takes a snapshot into the folder beside the database, and removes the oldest beyond `[backup] keep`. It goes on
    /// when whoever asked has gone.
    ///
    /// # Errors
    /// [`Error::Conflict`] while another is being taken; inability, and then there is no new snapshot.
    pub async fn take_snapshot(&self, permit: &GlobalPermit<Administer>) -> Result<SnapshotRecord, Error> {
        let (registry, actor) = (self.clone(), actor(permit.identity()));
        self.finish(async move { registry.take_now(actor).await.map(|(record, _)| record) }).await
    }

    /// Takes a snapshot as the schedule says, and copies the blobs where `[backup] blobs` says so; what was wrong with
    /// some of them is in the report.
    ///
    /// # Errors
    /// As [`take_snapshot`](Self::take_snapshot), and what failed while copying: the snapshot is there then.
    pub async fn run_scheduled_snapshot(&self) -> Result<(SnapshotRecord, Option<CopyReport>), Error> {
        let registry = self.clone();
        self.finish(async move {
            let (record, path) = registry.take_now(Actor { name: SYSTEM.to_owned(), address: None }).await?;
            let Some(directory) = registry.parts.settings.backup.blobs.clone() else { return Ok((record, None)) };
            let request = CopyRequest {
                snapshot: path,
                layers: registry.parts.snapshots.layers.clone(),
                directory,
                keep: registry.parts.settings.backup.keep,
                deep: false,
            };
            let copied = registry.copy_until_stopped(request).await?;
            let report = copied.map_err(|error| {
                if matches!(error, BackupError::Stopped) {
                    return Error::stopping();
                }
                tracing::error!(%error, "the blobs of a snapshot could not be copied");
                Error::unavailable(format!(
                    "snapshot {} was taken, but its blobs were not copied: {error}",
                    record.name
                ))
            })?;
            if report.judgement.findings_total > 0 {
                tracing::error!(
                    snapshot = record.name,
                    findings = report.judgement.findings_total,
                    tags = report.judgement.incomplete,
                    "the copy of the blobs is not whole; `mcrsrv snapshot --check` names what is missing"
                );
            }
            Ok((record, Some(report)))
        })
        .await
    }

    /// Copies blobs; ends in the middle of one when the registry closes, which waits for it.
    async fn copy_until_stopped(&self, request: CopyRequest) -> Result<Result<CopyReport, BackupError>, Error> {
        let progress = Arc::new(Progress::default());
        let told = Arc::clone(&progress);
        let copying = self.parts.walking.run(move || backup::copy_to(&request, &told));
        tokio::pin!(copying);
        tokio::select! {
            biased;
            () = self.parts.volume.stopped() => {
                progress.stop();
                copying.await
            }
            copied = &mut copying => copied,
        }
    }

    /// The snapshots in the folder, the newest first.
    ///
    /// # Errors
    /// Inability.
    pub async fn snapshots(&self, _permit: &GlobalPermit<Administer>) -> Result<Vec<SnapshotRecord>, Error> {
        let parts = Arc::clone(&self.parts);
        let (files, rows) = self
            .parts
            .blocking
            .run(move || Ok::<_, MetadataError>((parts.holds.folder().list()?, parts.metadata.snapshots()?)))
            .await??;
        let mut rows: HashMap<String, SnapshotRow> = rows.into_iter().map(|row| (row.name.clone(), row)).collect();
        let shown = files.into_iter().map(|file| {
            let row = rows.remove(&file.name).filter(|row| row.bytes == file.bytes);
            let (blobs, trouble) = row.map_or((None, None), |row| (row.blobs, row.trouble));
            let SnapshotFile { name, path, taken_at_ms, bytes, .. } = file;
            SnapshotRecord { name, path, taken_at_ms, bytes, blobs, trouble }
        });
        Ok(shown.collect())
    }

    /// When the newest sound snapshot was taken, in Unix milliseconds; none while there never was one.
    #[must_use]
    pub fn last_snapshot_success_ms(&self) -> Option<i64> {
        Some(self.parts.snapshots.last_success.load(Ordering::Acquire)).filter(|at| *at != i64::MIN)
    }

    /// Takes one and books it as the deed of `actor`.
    async fn take_now(&self, actor: Actor) -> Result<(SnapshotRecord, PathBuf), Error> {
        let turn = tokio::time::timeout(TURN, Arc::clone(&self.parts.snapshots.turn).lock_owned()).await;
        let Ok(turn) = turn else {
            return Err(Error::Conflict("a snapshot is being taken; wait until it is done, then try again".to_owned()));
        };
        let parts = Arc::clone(&self.parts);
        let taken: TakenSnapshot = self
            .parts
            .walking
            .run(move || {
                let folder = parts.holds.folder();
                let taken = take_snapshot(&parts.snapshots.database, folder, parts.clock.now_ms())?;
                let gone = folder.prune(parts.settings.backup.keep)?;
                if !gone.is_empty() {
                    tracing::info!(snapshots = ?gone, "old snapshots were removed, as [backup] keep says");
                }
                Ok::<_, MetadataError>(taken)
            })
            .await??;
        let TakenSnapshot { file, blobs, .. } = taken;
        let record = self.book_snapshot(&file, Some(blobs), None, actor).await?;
        drop(turn);
        Ok((record, file.path))
    }

    async fn book_snapshot(
        &self,
        file: &SnapshotFile,
        blobs: Option<u64>,
        trouble: Option<String>,
        actor: Actor,
    ) -> Result<SnapshotRecord, Error> {
        let SnapshotFile { name, path, taken_at_ms, bytes, .. } = file.clone();
        let row = SnapshotRow { name: name.clone(), taken_at_ms, bytes, blobs, trouble: trouble.clone() };
        let now_ms = self.parts.clock.now_ms();
        let request = BookSnapshot { row, actor, at_ms: now_ms };
        let new = self.parts.writes.durable(|m, done| m.book_snapshot(request, done), |_| {}).await?;
        let snapshots = &self.parts.snapshots;
        let mut seen = snapshots.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(name.clone(), file.clone());
        drop(seen);
        // A name from a clock that was ahead must not say that all is well until that day; one that was booked before says
        // nothing new.
        if trouble.is_none() && new {
            snapshots.last_success.fetch_max(taken_at_ms.min(now_ms), Ordering::AcqRel);
        }
        Ok(SnapshotRecord { name, path, taken_at_ms, bytes, blobs, trouble })
    }

    /// Books what is new in the folder.
    async fn notice_snapshots(&self) -> Result<(), Error> {
        let Ok(_turn) = self.parts.snapshots.turn.try_lock() else { return Ok(()) };
        let parts = Arc::clone(&self.parts);
        let new = self
            .parts
            .walking
            .run(move || {
                let files = parts.holds.folder().list()?;
                let mut seen = parts.snapshots.seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.retain(|_, known| files.contains(known));
                // The oldest is told first.
                let new: Vec<_> = files.into_iter().rev().filter(|file| !seen.contains_key(&file.name)).collect();
                drop(seen);
                Ok::<_, MetadataError>(new.into_iter().map(|file| (look_into(&file), file)).collect::<Vec<_>>())
            })
            .await??;
        for (looked, file) in new {
            let (blobs, trouble) = looked.map_or_else(|why| (None, Some(why)), |blobs| (Some(blobs), None));
            if let Some(trouble) = &trouble {
                tracing::warn!(snapshot = file.name, trouble, "a snapshot cannot be read");
            }
            self.book_snapshot(&file, blobs, trouble, Actor { name: SYSTEM.to_owned(), address: None }).await?;
        }
        Ok(())
    }
}

/// How many blobs a snapshot refers to. Whoever took it has checked the whole of it.
fn look_into(file: &SnapshotFile) -> Result<u64, String> {
    Snapshot::open(&file.path).and_then(|snapshot| snapshot.blob_count()).map_err(|error| error.to_string())
}

/// The loop that notices what other processes took; ends when the registry closes.
pub(crate) async fn watch(registry: Registry) {
    loop {
        if let Err(error) = registry.notice_snapshots().await {
            tracing::warn!(%error, "the folder of snapshots could not be looked at");
        }
        tokio::select! {
            () = registry.parts.volume.stopped() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

#[cfg(test)]
mod tests;
