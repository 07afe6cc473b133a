//! Comparing rows with files: files without a row go, blobs without their file are findings; no row is ever deleted here.

use std::ops::ControlFlow;
use std::sync::Arc;

use mcr_blobs::{FileStat, Shard, shards};
use mcr_metadata::{AuditEvent, ExpectedFile, NewStep, PlanProgress, PlanStep, Settled, StepAction};
use mcr_oci::Digest;
use serde_json::json;

use crate::error::Error;
use crate::gc::planning::Planning;
use crate::gc::removal::Applying;
use crate::integrity::Judged;
use crate::record::about_nothing;
use crate::registry::Registry;

/// Files whose rows are looked up at once, and rows whose files are.
const BATCH: usize = 512;
/// Files without rows that are planned of one directory; the rest is for the next run.
const MAX_OF_SHARD: usize = 20_000;

/// What could not be looked at that one run names in the log; more are counted.
const MAX_LOGGED: u64 = 20;

/// A file that has no row.
type Stray = (Digest, FileStat);

/// Why a step is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stays {
    /// A blob's lock is somebody else's.
    Busy,
    /// It is not there.
    Gone,
    /// A snapshot refers to it, or may.
    Held,
    /// A blob has this file.
    HasRow,
    /// Its time has not come.
    Young,
    /// The disk does not let it go.
    Stuck,
    /// A step that the collector does not know.
    Foreign,
}

impl Stays {
    /// Whether a file lies there without a row, to be looked for again.
    const fn is_left(self) -> bool {
        matches!(self, Self::Held | Self::Stuck)
    }
}

impl std::fmt::Display for Stays {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Busy => "somebody was writing or checking it",
            Self::Gone => "it is gone already",
            Self::Held => "a snapshot holds it",
            Self::HasRow => "it has a row",
            Self::Young => "it was touched lately",
            Self::Stuck => "it cannot be removed: the log says why",
            Self::Foreign => "no step of this job",
        })
    }
}

/// Files and directories that the disk does not let us look at: one of them must not keep all the others.
#[derive(Debug, Default)]
struct Unseen(u64);

impl Unseen {
    /// Tells the log of one.
    fn note(&mut self, error: &dyn std::fmt::Display) {
        self.0 += 1;
        if self.0 <= MAX_LOGGED {
            tracing::warn!(%error, "the collector passes over what it cannot look at");
        }
    }

    /// Tells the log how many there were in all.
    fn told(&self, what: &'static str) {
        if self.0 > 0 {
            tracing::error!(unseen = self.0, "{what}: some could not be looked at; the next run tries again");
        }
    }
}

impl Registry {
    /// Writes a step for each file that has no row and is older than a promise lasts. What cannot be looked at is for the
    /// next run.
    ///
    /// # Errors
    /// Inability of the database; [`Error::Unavailable`] when the registry stops or the volume is away.
    pub(crate) async fn plan_files(&self, planning: &mut Planning) -> Result<(), Error> {
        let mut unseen = Unseen::default();
        let planned = self.plan_shards(planning, &mut unseen).await;
        unseen.told("files without rows");
        planning.totals.files_unseen = unseen.0 > 0 || planning.cut.is_some();
        planned
    }

    async fn plan_shards(&self, planning: &mut Planning, unseen: &mut Unseen) -> Result<(), Error> {
        for shard in shards() {
            self.goes_on()?;
            let before_ns = self.old_before_ns(planning.asked.lease_ms);
            let (registry, mut passed) = (self.clone(), std::mem::take(unseen));
            let look = move || Ok::<_, Error>((registry.strays(shard, before_ns, &mut passed)?, passed));
            let (strays, passed) = self.parts.blocking.run(look).await??;
            *unseen = passed;
            if strays.len() == MAX_OF_SHARD {
                planning.cut = Some("there are more files without rows than one plan holds: run it again");
            }
            let steps = strays.into_iter().map(|(digest, stat)| NewStep {
                action: StepAction::File,
                repository: None,
                tag: None,
                digest,
                bytes: stat.size,
                reason: "its file has no row".to_owned(),
            });
            self.write_steps(planning, steps.collect()).await?;
            if planning.cut.is_some() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Files of a directory that have no row and were not touched since `before_ns`. Blocks.
    fn strays(&self, shard: Shard, before_ns: i64, unseen: &mut Unseen) -> Result<Vec<Stray>, Error> {
        let (mut strays, mut batch, mut failed) = (Vec::new(), Vec::with_capacity(BATCH), None);
        let metadata = &self.parts.metadata;
        let visited = self.parts.blobs.visit_files(shard, |digest, stat| {
            let stat = match stat {
                Ok(stat) => stat,
                Err(error) => {
                    unseen.note(&error);
                    return ControlFlow::Continue(());
                }
            };
            if stat.ctime_ns >= before_ns {
                return ControlFlow::Continue(());
            }
            batch.push((digest, stat));
            if batch.len() == BATCH
                && let Err(error) = without_rows(metadata, &mut batch, &mut strays)
            {
                failed = Some(error);
                return ControlFlow::Break(());
            }
            if strays.len() < MAX_OF_SHARD { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        if let Err(error) = visited {
            unseen.note(&error);
        }
        if let Some(error) = failed {
            return Err(error.into());
        }
        without_rows(metadata, &mut batch, &mut strays)?;
        strays.truncate(MAX_OF_SHARD);
        Ok(strays)
    }

    fn old_before_ns(&self, lease_ms: i64) -> i64 {
        self.parts.clock.now_ms().saturating_sub(lease_ms).saturating_mul(1_000_000)
    }

    /// Removes files that still have no row, each under its digest's lock, and tells the audit trail.
    ///
    /// # Errors
    /// Inability.
    pub(crate) async fn remove_files(&self, run: &mut Applying, steps: &[PlanStep]) -> Result<(), Error> {
        let (mut settled, mut more, mut names) = (Vec::new(), PlanProgress::default(), Vec::new());
        let before_ns = self.old_before_ns(run.asked.lease_ms);
        for step in steps {
            let guard = self.parts.locks.lock(&step.digest).await;
            let (registry, digest) = (self.clone(), step.digest.clone());
            let removed = self
                .parts
                .blocking
                .run(move || {
                    let removed = registry.remove_stray(&digest, before_ns);
                    drop(guard);
                    removed
                })
                .await??;
            let skipped = match removed {
                Ok(bytes) => {
                    more.files_removed += 1;
                    more.bytes_freed += bytes;
                    names.push(step.digest.to_string());
                    None
                }
                Err(why) => {
                    run.left |= why.is_left();
                    Some(why.to_string())
                }
            };
            settled.push(Settled { position: step.position, skipped });
        }
        if !names.is_empty() {
            let details = json!({ "run_id": run.plan, "files": names });
            let event =
                AuditEvent { details, ..about_nothing("gc_removed", run.actor.clone(), self.parts.clock.now_ms()) };
            run.pace.wrote();
            self.parts.writes.durable(|m, done| m.record_event(event, done), |()| ()).await?;
        }
        self.settle_steps(run, settled, more).await
    }

    /// Removes a file that has no row; its length, or why not. The caller holds the lock: whoever pushes this digest has
    /// its row before the lock is free. Blocks.
    fn remove_stray(&self, digest: &Digest, before_ns: i64) -> Result<Result<u64, Stays>, Error> {
        if self.parts.metadata.blob_anywhere(digest)?.is_some() {
            return Ok(Err(Stays::HasRow));
        }
        // One file that cannot be looked at or removed must not keep all the others for ever.
        let stuck = |error: mcr_blobs::Error| {
            tracing::error!(%error, %digest, "a file without a row cannot be removed");
            Stays::Stuck
        };
        let size = match self.parts.blobs.stat(digest) {
            Ok(Some(stat)) if stat.ctime_ns < before_ns => stat.size,
            Ok(Some(_)) => return Ok(Err(Stays::Young)),
            Ok(None) => return Ok(Err(Stays::Gone)),
            Err(error) => return Ok(Err(stuck(error))),
        };
        if self.parts.holds.keeps(digest)? {
            return Ok(Err(Stays::Held));
        }
        let removed = self.parts.blobs.remove(digest).map_err(stuck);
        Ok(removed.and_then(|removed| if removed { Ok(size) } else { Err(Stays::Gone) }))
    }

    /// Looks whether each blob that is held to be sound has a file of its length; where not, judges it as a read would,
    /// which opens a finding. No row is deleted. What cannot be looked at is passed over: it is unknown, not damaged.
    ///
    /// # Errors
    /// Inability of the database; [`Error::Unavailable`] when the registry stops or the volume is away.
    pub(crate) async fn check_rows(&self, run: &mut Applying) -> Result<(), Error> {
        let mut unseen = Unseen::default();
        let checked = self.check_pages(run, &mut unseen).await;
        unseen.told("files of blobs");
        checked
    }

    async fn check_pages(&self, run: &mut Applying, unseen: &mut Unseen) -> Result<(), Error> {
        let mut after = 0;
        loop {
            self.goes_on()?;
            run.pace.chunk();
            let (registry, mut passed) = (self.clone(), std::mem::take(unseen));
            let look = move || Ok::<_, Error>((registry.suspects(after, &mut passed)?, passed));
            let ((last, suspects), passed) = self.parts.blocking.run(look).await??;
            *unseen = passed;
            let mut findings = 0;
            for digest in &suspects {
                findings += u64::from(self.is_damaged(digest, unseen).await?);
            }
            if findings > 0 {
                self.settle_steps(run, Vec::new(), PlanProgress { findings, ..PlanProgress::default() }).await?;
            }
            let Some(last) = last else { return Ok(()) };
            after = last;
            self.rest(run).await?;
        }
    }

    /// Judges a suspect; one that cannot be judged now is passed over while the registry goes on.
    async fn is_damaged(&self, digest: &Digest, unseen: &mut Unseen) -> Result<bool, Error> {
        match self.settle(digest).await {
            Ok(judged) => Ok(matches!(judged, Judged::Damaged { .. })),
            Err(error) => {
                self.goes_on()?;
                unseen.note(&error);
                Ok(false)
            }
        }
    }

    /// The last row of a page, and those of it whose file is not there or of another length. Blocks.
    fn suspects(&self, after: i64, unseen: &mut Unseen) -> Result<(Option<i64>, Vec<Digest>), Error> {
        let page = self.parts.metadata.expected_files(after, BATCH)?;
        let mut suspects = Vec::new();
        for ExpectedFile { digest, size, .. } in &page {
            match self.parts.blobs.stat(digest) {
                Ok(Some(stat)) if stat.size == *size => {}
                Ok(_) => suspects.push(digest.clone()),
                Err(error) => unseen.note(&error),
            }
        }
        Ok((page.last().map(|last| last.id), suspects))
    }

    /// Notes whether files are known to lie without a row.
    ///
    /// # Errors
    /// Inability.
    pub(crate) async fn note_reconcile(&self, wanted: bool) -> Result<(), Error> {
        self.parts.writes.durable(|m, done| m.want_reconcile(wanted, done), |()| ()).await
    }

    /// Whether files are known to lie without a row.
    ///
    /// # Errors
    /// Inability.
    pub(crate) async fn wants_reconcile(&self) -> Result<bool, Error> {
        let metadata = Arc::clone(&self.parts.metadata);
        Ok(self.parts.blocking.run(move || metadata.reconcile_wanted()).await??)
    }
}

/// Moves what has no row from `batch`, which is then empty, to `strays`.
fn without_rows(
    metadata: &mcr_metadata::Metadata,
    batch: &mut Vec<Stray>,
    strays: &mut Vec<Stray>,
) -> Result<(), mcr_metadata::Error> {
    let digests: Vec<Digest> = batch.iter().map(|(digest, _)| digest.clone()).collect();
    let known = metadata.have_blobs(&digests)?;
    strays.extend(batch.drain(..).zip(known).filter_map(|(stray, known)| (!known).then_some(stray)));
    Ok(())
}
