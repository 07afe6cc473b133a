//! A whole backup: the blobs that a snapshot refers to beside it at another place, and the proof that they are there.
//! Works beside a running server, without its lock; the server's own directories are only read.

mod pages;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use mcr_blobs::{Adopted, Brought, Copies, Disk, ReadOnly};
use mcr_metadata::{BadBlob, IncompleteTag, Judge, Snapshot, SnapshotFolder};
use mcr_oci::Finding;

pub(crate) use pages::each_blob;

/// Findings and tags that a report lists; all are counted.
pub const MAX_REPORTED: usize = 10_000;

/// How far a copy or a check is; read by who shows it.
#[derive(Debug, Default)]
pub struct Progress {
    /// Blobs there are to look at.
    pub total_blobs: AtomicU64,
    /// Their bytes.
    pub total_bytes: AtomicU64,
    /// Blobs looked at.
    pub blobs: AtomicU64,
    /// Bytes that are done: hashed, or known to be there.
    pub bytes: AtomicU64,
}

impl Progress {
    pub(crate) fn begin(&self, (blobs, bytes): (u64, u64)) {
        self.total_blobs.store(blobs, Ordering::Relaxed);
        self.total_bytes.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn add_blob(&self) {
        self.blobs.fetch_add(1, Ordering::Relaxed);
    }
}

/// Why a backup could not be made, checked or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A snapshot or the database.
    #[error("{0}")]
    Metadata(#[from] mcr_metadata::Error),
    /// A snapshot that cannot be used.
    #[error("snapshot {} cannot be used: {reason}; take another one (`--latest` takes the newest; `mcrsrv snapshot --check` looks into one)", .path.display())]
    Snapshot {
        /// Its file.
        path: PathBuf,
        /// Why.
        reason: mcr_metadata::Error,
    },
    /// Blob files.
    #[error("{0}")]
    Blobs(#[from] mcr_blobs::Error),
    /// What was asked for cannot be.
    #[error("{0}")]
    Refused(String),
}

impl BackupError {
    pub(crate) fn snapshot(path: &Path) -> impl FnOnce(mcr_metadata::Error) -> Self {
        move |reason| Self::Snapshot { path: path.to_owned(), reason }
    }
}

/// What is wrong with a set of blobs and tags.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Judgement {
    /// Tags of the snapshot.
    pub tags: u64,
    /// Tags whose closure is not whole, by repository and name; at most [`MAX_REPORTED`].
    pub incomplete_tags: Vec<IncompleteTag>,
    /// All of them.
    pub incomplete: u64,
    /// One finding for each of those tags, and one for each bad blob that no tag needs; at most [`MAX_REPORTED`].
    pub findings: Vec<Finding>,
    /// All of them.
    pub findings_total: u64,
}

/// What a copy did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CopyReport {
    /// Blobs the snapshot refers to.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blobs that were there already.
    pub present: u64,
    /// Blobs that were brought.
    pub copied: u64,
    /// Their bytes.
    pub copied_bytes: u64,
    /// Of those, blobs whose bytes the file system shares.
    pub reflinked: u64,
    /// Where the snapshot's own copy is.
    pub snapshot: PathBuf,
    /// What is not whole.
    pub judgement: Judgement,
}

/// What a check saw.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CheckReport {
    /// The snapshot that was checked.
    pub snapshot: PathBuf,
    /// Its schema.
    pub schema: i64,
    /// Blobs it refers to.
    pub blobs: u64,
    /// Bytes that were hashed.
    pub bytes: u64,
    /// Manifests that were hashed.
    pub manifests: u64,
    /// What is not whole.
    pub judgement: Judgement,
}

/// Copies the blobs that `snapshot` refers to from `layers` into `directory`, in the form of `layers`, then the snapshot
/// itself, of which the newest `keep` stay. What is there is left alone; a run that was cut off is gone on with.
///
/// # Errors
/// [`BackupError`]; then the directory has no new snapshot, and the blobs that it has are whole.
pub fn copy_to(
    snapshot: &Path,
    layers: &Path,
    directory: &Path,
    keep: u32,
    progress: &Progress,
) -> Result<CopyReport, BackupError> {
    let opened = Snapshot::open(snapshot).map_err(BackupError::snapshot(snapshot))?;
    let id = opened.registry_id()?.unwrap_or_default();
    let from = ReadOnly::new(layers);
    present(&from, layers, &id)?;
    let copies = Copies::open(directory, Disk::real())?;
    match copies.store().marker()? {
        None => copies.store().write_marker(&id)?,
        Some(found) if found == id => {}
        Some(found) => {
            return Err(BackupError::Refused(format!(
                "{} holds the blobs of registry {found}, this one is {id}; copy into another directory",
                directory.display()
            )));
        }
    }
    let mut report = CopyReport::default();
    opened.begin_judging()?;
    (report.blobs, report.bytes) = opened.blobs_and_bytes()?;
    progress.begin((report.blobs, report.bytes));
    let bring = |blob: &mcr_metadata::KeptBlob| {
        let brought = copies.store().bring(&from, &blob.digest, blob.size, &|bytes| progress.add_bytes(bytes))?;
        if brought == Brought::Present {
            progress.add_bytes(blob.size);
        }
        progress.add_blob();
        Ok::<_, BackupError>(brought)
    };
    each_blob(&opened, &bring, &mut |blob, brought| {
        match brought {
            Brought::Present => report.present += 1,
            Brought::Copied { how, .. } => {
                report.copied += 1;
                report.copied_bytes += blob.size;
                report.reflinked += u64::from(how == Adopted::Reflinked);
            }
            Brought::Unsound { kind, detail } => opened.mark_bad(&BadBlob { id: blob.id, kind, detail })?,
        }
        Ok(())
    })?;
    report.judgement = judge(&opened)?;
    let folder = SnapshotFolder::at(directory.to_owned());
    report.snapshot = folder.receive(snapshot)?.path;
    folder.prune(keep)?;
    Ok(report)
}

/// Reads every blob that a snapshot refers to below `layers`, and every manifest in it.
///
/// # Errors
/// [`BackupError`]: it could not be looked at. What is wrong is in the report.
pub fn check(snapshot: &Path, layers: &Path, progress: &Progress) -> Result<CheckReport, BackupError> {
    let opened = Snapshot::open(snapshot).map_err(BackupError::snapshot(snapshot))?;
    opened.check().map_err(BackupError::snapshot(snapshot))?;
    let from = ReadOnly::new(layers);
    present(&from, layers, &opened.registry_id()?.unwrap_or_default())?;
    opened.begin_judging()?;
    let (blobs, bytes) = opened.blobs_and_bytes()?;
    progress.begin((blobs, bytes));
    let examine = |blob: &mcr_metadata::KeptBlob| {
        let found = from.examine(&blob.digest, blob.size, &|bytes| progress.add_bytes(bytes))?;
        progress.add_blob();
        Ok::<_, BackupError>(found)
    };
    each_blob(&opened, &examine, &mut |blob, found| {
        found.map_or(Ok(()), |(kind, detail)| Ok(opened.mark_bad(&BadBlob { id: blob.id, kind, detail })?))
    })?;
    let (manifests, _) = opened.judge_manifests()?;
    let judgement = judge(&opened)?;
    let bytes = progress.bytes.load(Ordering::Relaxed);
    Ok(CheckReport { snapshot: snapshot.to_owned(), schema: opened.schema(), blobs, bytes, manifests, judgement })
}

/// Climbs from what was marked and collects what there is to tell.
pub(crate) fn judge(judged: &impl Judge) -> Result<Judgement, mcr_metadata::Error> {
    judged.climb()?;
    let mut judgement = Judgement { tags: judged.tag_count()?, ..Judgement::default() };
    judged.incomplete_tags(&mut |tag| {
        judgement.incomplete += 1;
        judgement.findings_total += 1;
        if judgement.incomplete_tags.len() < MAX_REPORTED {
            judgement.findings.push(tag.finding.clone());
            judgement.incomplete_tags.push(tag);
        }
        Ok(())
    })?;
    judged.bad_blobs_apart(&mut |finding| {
        judgement.findings_total += 1;
        if judgement.findings.len() < MAX_REPORTED {
            judgement.findings.push(finding);
        }
        Ok(())
    })?;
    Ok(judgement)
}

/// Refuses to take an unmounted or another registry's directory for one that has lost everything.
fn present(layers: &ReadOnly, path: &Path, id: &str) -> Result<(), BackupError> {
    match layers.marker()? {
        Some(found) if found == id => Ok(()),
        Some(found) => Err(BackupError::Refused(format!(
            "{} belongs to registry {found}, the snapshot to {id}; give the directory that belongs to it",
            path.display()
        ))),
        None => Err(BackupError::Refused(format!(
            "{} has no marker (mcr-registry-id): it is not mounted, or no directory of blobs; mount it, then try again",
            path.display()
        ))),
    }
}
