//! A whole backup: the blobs that a snapshot refers to beside it at another place, and the proof that they are there.
//! Works beside a running server, without its lock; the server's own directories are only read.

mod copy;
mod pages;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use mcr_blobs::ReadOnly;
use mcr_metadata::{BadBlob, IncompleteTag, Judge, KeptBlob, Snapshot};
use mcr_oci::{Finding, FindingKind};

pub use copy::{CopyReport, CopyRequest, copy_to};
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
    stopped: AtomicBool,
}

impl Progress {
    pub(crate) fn begin(&self, (blobs, bytes): (u64, u64)) {
        self.total_blobs.store(blobs, Ordering::Relaxed);
        self.total_bytes.store(bytes, Ordering::Relaxed);
        self.blobs.store(0, Ordering::Relaxed);
        self.bytes.store(0, Ordering::Relaxed);
    }

    /// Asks a copy or a check to end soon, also in the middle of a blob.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    /// Whether to go on.
    ///
    /// # Errors
    /// [`BackupError::Stopped`].
    pub(crate) fn go_on(&self) -> Result<(), BackupError> {
        if self.stopped.load(Ordering::Acquire) { Err(BackupError::Stopped) } else { Ok(()) }
    }

    /// Counts bytes, and says whether to go on.
    pub(crate) fn tell(&self, bytes: u64) -> ControlFlow<()> {
        self.add_bytes(bytes);
        self.tell_nothing(bytes)
    }

    /// Says whether to go on, and counts nothing.
    pub(crate) fn tell_nothing(&self, _bytes: u64) -> ControlFlow<()> {
        if self.stopped.load(Ordering::Acquire) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
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
    /// It was asked to end.
    #[error("it was stopped before its end; run again, it goes on where it was")]
    Stopped,
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
    /// One finding for each of those tags, and one for each bad blob or manifest that no tag needs; at most [`MAX_REPORTED`].
    pub findings: Vec<Finding>,
    /// All of them.
    pub findings_total: u64,
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
    let examine = |blob: &KeptBlob| {
        progress.go_on()?;
        let found = from.examine(&blob.digest, blob.size, &|bytes| progress.tell(bytes));
        progress.go_on()?;
        progress.add_blob();
        Ok::<_, BackupError>(found.unwrap_or_else(|error| Some(unreadable(&error))))
    };
    let mut bad = 0;
    each_blob(&opened, &examine, &mut |blob, found| {
        bad += u64::from(found.is_some());
        found.map_or(Ok(()), |(kind, detail)| Ok(opened.mark_bad(&BadBlob { id: blob.id, kind, detail })?))
    })?;
    if bad > 0 {
        // What is unmounted while it is read has lost nothing.
        present(&from, layers, &opened.registry_id()?.unwrap_or_default())?;
    }
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
    let mut apart = |finding| {
        judgement.add(finding);
        Ok(())
    };
    judged.bad_blobs_apart(&mut apart)?;
    judged.broken_manifests_apart(&mut apart)?;
    Ok(judgement)
}

impl Judgement {
    /// Adds a finding that no tag is left out for.
    pub(crate) fn add(&mut self, finding: Finding) {
        self.findings_total += 1;
        if self.findings.len() < MAX_REPORTED {
            self.findings.push(finding);
        }
    }
}

/// What is said of a blob whose disk would not let it be read: it may be whole, and is never called missing.
pub(crate) fn unreadable(why: &dyn std::fmt::Display) -> (FindingKind, String) {
    (FindingKind::Unreachable, format!("its bytes cannot be read: {why}"))
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
