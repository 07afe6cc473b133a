//! Blobs beside their snapshot at another place: what is new is brought, what is damaged there is brought anew; never how
//! bytes are copied.

use std::path::{Path, PathBuf};

use mcr_blobs::{Adopted, Brought, Copies, Disk, ReadOnly};
use mcr_metadata::{BadBlob, Judge as _, KeptBlob, Snapshot, SnapshotFolder};
use mcr_oci::FindingKind;

use super::{BackupError, Judgement, Progress, each_blob, judge, present, unreadable};

/// What shall be copied, and how.
#[derive(Debug, Clone)]
pub struct CopyRequest {
    /// The snapshot's file.
    pub snapshot: PathBuf,
    /// The blobs of its registry; only read.
    pub layers: PathBuf,
    /// Where the copies go, in the form of `layers`.
    pub directory: PathBuf,
    /// Snapshots that stay there.
    pub keep: u32,
    /// Read what is there already, and bring anew what is damaged. Without it a file of the right length is believed.
    pub deep: bool,
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
    /// Of those, blobs that were read and are right.
    pub reread: u64,
    /// Blobs that were brought.
    pub copied: u64,
    /// Their bytes.
    pub copied_bytes: u64,
    /// Of those, blobs that replaced a damaged copy.
    pub healed: u64,
    /// Of those that were brought, blobs whose bytes the file system shares.
    pub reflinked: u64,
    /// Where the snapshot's own copy is.
    pub snapshot: PathBuf,
    /// What is not whole.
    pub judgement: Judgement,
}

/// What became of one blob.
struct Outcome {
    brought: Brought,
    /// Whether a copy that was there was read.
    read: bool,
}

/// Copies the blobs that a snapshot refers to, then the snapshot itself. What is there is left alone, unless it is read and
/// found damaged; a run that was cut off is gone on with. A blob that is missing, damaged or unreadable where it comes from
/// is told in the report, and the others are copied all the same.
///
/// # Errors
/// [`BackupError`]; then the directory has no new snapshot, and the blobs that were brought are whole.
pub fn copy_to(request: &CopyRequest, progress: &Progress) -> Result<CopyReport, BackupError> {
    let CopyRequest { snapshot, layers, directory, keep, .. } = request;
    refuse_nested(directory, layers)?;
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
    let copying =
        Copying { from: &from, copies: &copies, there: &ReadOnly::new(directory), deep: request.deep, progress };
    let mut bad = 0;
    each_blob(&opened, &|blob| copying.one(blob), &mut |blob, outcome| {
        if let Some((kind, detail)) = report.count(blob, outcome) {
            bad += 1;
            opened.mark_bad(&BadBlob { id: blob.id, kind, detail })?;
        }
        Ok(())
    })?;
    if bad > 0 {
        // What is unmounted while it is read has lost nothing.
        present(&from, layers, &id)?;
    }
    report.judgement = judge(&opened)?;
    let folder = SnapshotFolder::at(directory.to_owned());
    report.snapshot = folder.receive(snapshot)?.path;
    folder.prune(*keep)?;
    Ok(report)
}

impl CopyReport {
    /// Counts what became of a blob; answers what is wrong with it.
    fn count(&mut self, blob: &KeptBlob, Outcome { brought, read }: Outcome) -> Option<(FindingKind, String)> {
        match brought {
            Brought::Present => {
                self.present += 1;
                self.reread += u64::from(read);
                None
            }
            Brought::Copied { how, .. } => {
                self.copied += 1;
                self.copied_bytes += blob.size;
                self.healed += u64::from(read);
                self.reflinked += u64::from(how == Adopted::Reflinked);
                None
            }
            Brought::Unsound { kind, detail } => Some((kind, detail)),
            Brought::Unreadable(why) => Some(unreadable(&why)),
        }
    }
}

/// Where blobs are copied from and to.
struct Copying<'a> {
    from: &'a ReadOnly,
    copies: &'a Copies,
    /// What the copies are, for reading.
    there: &'a ReadOnly,
    deep: bool,
    progress: &'a Progress,
}

impl Copying<'_> {
    fn one(&self, blob: &KeptBlob) -> Result<Outcome, BackupError> {
        let progress = self.progress;
        progress.go_on()?;
        let store = self.copies.store();
        let is_there = store.stat(&blob.digest)?.is_some_and(|stat| stat.size == blob.size);
        let read = is_there && self.deep;
        let is_damaged = read && self.is_damaged(blob);
        // What was broken off says nothing.
        progress.go_on()?;
        let brought = if is_damaged {
            store.bring_anew(self.from, &blob.digest, blob.size, &|bytes| progress.tell_nothing(bytes))
        } else {
            store.bring(self.from, &blob.digest, blob.size, &|bytes| progress.tell(bytes))
        };
        progress.go_on()?;
        let brought = brought?;
        if is_there && !read {
            progress.add_bytes(blob.size);
        }
        progress.add_blob();
        Ok(Outcome { brought: if is_damaged { damaged_twice(brought) } else { brought }, read })
    }

    /// Whether the copy that is there is damaged. One that cannot be read is, too: another one can be made.
    fn is_damaged(&self, blob: &KeptBlob) -> bool {
        !matches!(self.there.examine(&blob.digest, blob.size, &|bytes| self.progress.tell(bytes)), Ok(None))
    }
}

/// Where a damaged copy could not be replaced, that it is one is what matters.
fn damaged_twice(brought: Brought) -> Brought {
    match brought {
        Brought::Unsound { detail, .. } | Brought::Unreadable(detail) => Brought::Unsound {
            kind: FindingKind::BlobCorrupt,
            detail: format!("the copy is damaged, and no whole one is to be had where it came from: {detail}"),
        },
        brought => brought,
    }
}

/// Refuses copies among the blobs that they are copies of.
fn refuse_nested(directory: &Path, layers: &Path) -> Result<(), BackupError> {
    let absolute = |path: &Path| {
        std::path::absolute(path).map_err(|error| BackupError::Refused(format!("{}: {error}", path.display())))
    };
    let (one, other) = (absolute(directory)?, absolute(layers)?);
    if one.starts_with(&other) || other.starts_with(&one) {
        return Err(BackupError::Refused(format!(
            "{} and {}, which the registry uses, lie one in the other; give another directory, best on another disk",
            one.display(),
            other.display()
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
