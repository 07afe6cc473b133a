//! The file of every blob of a snapshot, before that becomes the registry: as it was, to be brought, or bad; never what
//! follows for a tag.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use mcr_blobs::{Brought, FileStat, ReadOnly, Store};
use mcr_metadata::{BadBlob, BlobState, Judge as _, KeptBlob, RecordedStat, Staging};
use mcr_oci::{Digest, Finding, FindingKind};

use super::{Changed, RestoreReport, Restoring};
use crate::backup::{BackupError, MAX_REPORTED, each_blob, unreadable};

/// What was changed so far.
#[derive(Debug, Default)]
pub(super) struct Changes {
    begun: AtomicBool,
    brought: AtomicU64,
    set_aside: AtomicU64,
    in_place: AtomicBool,
}

impl Changes {
    pub(super) fn begin(&self) {
        self.begun.store(true, Ordering::Relaxed);
    }

    pub(super) fn set_aside(&self) {
        self.set_aside.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn switched(&self, in_place: bool) {
        self.in_place.store(in_place, Ordering::Relaxed);
    }

    pub(super) fn so_far(&self) -> Changed {
        Changed {
            begun: self.begun.load(Ordering::Relaxed),
            brought: self.brought.load(Ordering::Relaxed),
            set_aside: self.set_aside.load(Ordering::Relaxed),
            in_place: self.in_place.load(Ordering::Relaxed),
        }
    }
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
    /// Its disk does not let it be read: neither whole nor broken.
    Unreadable(String),
    /// It is not whole. Whether there is a file.
    Bad(FindingKind, String, bool),
}

/// Where files are looked at.
pub(super) struct Look<'a> {
    restoring: &'a Restoring<'a>,
    store: &'a Store,
    layers: ReadOnly,
    backup: Option<ReadOnly>,
    /// Nothing is changed.
    only_look: bool,
}

impl<'a> Look<'a> {
    pub(super) fn new(restoring: &'a Restoring<'a>, store: &'a Store, only_look: bool) -> Self {
        let layers = ReadOnly::new(&restoring.request.paths.layers);
        let backup = restoring.request.blobs.as_deref().map(ReadOnly::new);
        Self { restoring, store, layers, backup, only_look }
    }

    /// Looks at the file of every blob, brings what is missing, and marks what is bad; answers which bad files are there.
    /// What could not be read is among the findings of the report.
    pub(super) fn at_all(&self, staging: &Staging, report: &mut RestoreReport) -> Result<Vec<Digest>, BackupError> {
        let progress = self.restoring.progress;
        let (blobs, bytes) = staging.blobs_and_bytes()?;
        report.blobs = blobs;
        progress.begin((blobs, bytes));
        let damaged = Mutex::new(Vec::new());
        let work = |blob: &KeptBlob| {
            let seen = self.at(blob)?;
            progress.add_bytes(blob.size);
            progress.add_blob();
            Ok(seen)
        };
        each_blob(staging, &work, &mut |blob, seen| {
            if let Seen::Bad(_, _, true) = &seen {
                damaged.lock().unwrap_or_else(PoisonError::into_inner).push(blob.digest.clone());
            }
            self.note(staging, report, blob, seen)
        })?;
        Ok(damaged.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn note(
        &self,
        staging: &Staging,
        report: &mut RestoreReport,
        blob: &KeptBlob,
        seen: Seen,
    ) -> Result<(), BackupError> {
        let at_ms = self.restoring.clock.now_ms();
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
            Seen::Unreadable(why) => {
                report.unreadable += 1;
                staging.request_scrub(blob.id, at_ms)?;
                if report.judgement.findings.len() < MAX_REPORTED {
                    let (kind, detail) = unreadable(&why);
                    let mut finding = Finding::new(kind);
                    finding.digest = Some(blob.digest.clone());
                    finding.size = Some(blob.size);
                    finding.detail = Some(detail);
                    report.judgement.findings.push(finding);
                }
            }
            Seen::Bad(kind, detail, _) => staging.mark_bad(&BadBlob { id: blob.id, kind, detail })?,
        }
        Ok(())
    }

    fn at(&self, blob: &KeptBlob) -> Result<Seen, BackupError> {
        let looked = match self.here(blob) {
            Ok(Ok(seen)) => return Ok(seen),
            Ok(Err(bad)) => Seen::Bad(bad.0, bad.1, bad.2),
            Err(error) => Seen::Unreadable(error.to_string()),
        };
        let Some(backup) = &self.backup else { return Ok(looked) };
        let there = !matches!(looked, Seen::Bad(_, _, false));
        Ok(self.bring(blob, backup, there)?.unwrap_or(looked))
    }

    /// What the file in its place is, or what is wrong with it and whether there is one.
    fn here(&self, blob: &KeptBlob) -> Result<Result<Seen, (FindingKind, String, bool)>, mcr_blobs::Error> {
        let stat = self.store.stat(&blob.digest)?;
        if let Some(stat) = stat.filter(|stat| stat.size == blob.size)
            && blob.state == BlobState::Sound
            && !self.restoring.request.deep
        {
            return Ok(Ok(if recorded(stat) == blob.stat { Seen::Unchanged } else { Seen::ToHash }));
        }
        let progress = self.restoring.progress;
        let found = self.layers.examine(&blob.digest, blob.size, &|bytes| progress.tell_nothing(bytes))?;
        if let Some((kind, detail)) = found {
            return Ok(Err((kind, detail, stat.is_some())));
        }
        Ok(match self.store.stat(&blob.digest)? {
            Some(stat) => Ok(Seen::Hashed(stat)),
            None => Err((FindingKind::BlobMissing, "its file went while it was read".to_owned(), false)),
        })
    }

    /// Brings a blob from the backup, and sets aside what stands in its place; none where the backup has it not.
    fn bring(&self, blob: &KeptBlob, backup: &ReadOnly, there: bool) -> Result<Option<Seen>, BackupError> {
        let progress = self.restoring.progress;
        let tell = |bytes| progress.tell_nothing(bytes);
        // What stands here is not set aside for a copy that is no better. A backup that cannot be read has nothing to give.
        if (self.only_look || there) && !matches!(backup.examine(&blob.digest, blob.size, &tell), Ok(None)) {
            return Ok(None);
        }
        if self.only_look {
            return Ok(Some(Seen::ToBring));
        }
        let changes = self.restoring.changes;
        if there && self.store.quarantine(&blob.digest, self.restoring.clock.now_ms())?.is_some() {
            changes.set_aside();
        }
        Ok(match self.store.bring(backup, &blob.digest, blob.size, &tell)? {
            Brought::Copied { committed, .. } => {
                changes.brought.fetch_add(1, Ordering::Relaxed);
                Some(Seen::Brought(committed.stat))
            }
            // Nobody else writes here: the lock is held.
            Brought::Present | Brought::Unsound { .. } | Brought::Unreadable(_) => None,
        })
    }
}

fn recorded(stat: FileStat) -> RecordedStat {
    RecordedStat { inode: stat.inode, size: stat.size, mtime_ns: stat.mtime_ns, ctime_ns: stat.ctime_ns }
}
