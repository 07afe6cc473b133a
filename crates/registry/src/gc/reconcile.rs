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

/// A file that has no row.
type Stray = (Digest, FileStat);

impl Registry {
    /// Writes a step for each file that has no row and is older than a promise lasts.
    ///
    /// # Errors
    /// Inability; [`Error::Unavailable`] when the registry stops.
    pub(crate) async fn plan_files(&self, planning: &mut Planning) -> Result<(), Error> {
        for shard in shards() {
            if self.parts.volume.is_stopped() {
                return Err(Error::stopping());
            }
            self.volume_present()?;
            let before_ns = self.old_before_ns(planning.asked.lease_ms);
            let registry = self.clone();
            let strays = self.parts.blocking.run(move || registry.strays(shard, before_ns)).await??;
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
    fn strays(&self, shard: Shard, before_ns: i64) -> Result<Vec<Stray>, Error> {
        let (mut strays, mut batch, mut failed) = (Vec::new(), Vec::with_capacity(BATCH), None);
        let metadata = &self.parts.metadata;
        self.parts.blobs.visit_files(shard, |digest, stat| {
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
        })?;
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
                    run.left |= why == HELD || why == STUCK;
                    Some(why.to_owned())
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
    fn remove_stray(&self, digest: &Digest, before_ns: i64) -> Result<Result<u64, &'static str>, Error> {
        if self.parts.metadata.blob_anywhere(digest)?.is_some() {
            return Ok(Err("it has a row"));
        }
        let Some(stat) = self.parts.blobs.stat(digest)? else { return Ok(Err("it is gone already")) };
        if stat.ctime_ns >= before_ns {
            return Ok(Err("it was touched lately"));
        }
        if self.parts.holds.keeps(digest)? {
            return Ok(Err(HELD));
        }
        Ok(match self.parts.blobs.remove(digest) {
            Ok(true) => Ok(stat.size),
            Ok(false) => Err("it is gone already"),
            // One file that cannot be removed must not keep all the others for ever.
            Err(error) => {
                tracing::error!(%error, %digest, "a file without a row cannot be removed");
                Err(STUCK)
            }
        })
    }

    /// Looks whether each blob that is held to be sound has a file of its length; where not, judges it as a read would,
    /// which opens a finding. No row is deleted.
    ///
    /// # Errors
    /// Inability; [`Error::Unavailable`] when the registry stops.
    pub(crate) async fn check_rows(&self, run: &mut Applying) -> Result<(), Error> {
        let mut after = 0;
        loop {
            if self.parts.volume.is_stopped() {
                return Err(Error::stopping());
            }
            self.volume_present()?;
            run.pace.chunk();
            let registry = self.clone();
            let (last, suspects) = self.parts.blocking.run(move || registry.suspects(after)).await??;
            let mut findings = 0;
            for digest in &suspects {
                findings += u64::from(matches!(self.settle(digest).await?, Judged::Damaged { .. }));
            }
            if findings > 0 {
                self.settle_steps(run, Vec::new(), PlanProgress { findings, ..PlanProgress::default() }).await?;
            }
            let Some(last) = last else { return Ok(()) };
            after = last;
            self.rest(run).await?;
        }
    }

    /// The last row of a page, and those of it whose file is not there or of another length. Blocks.
    fn suspects(&self, after: i64) -> Result<(Option<i64>, Vec<Digest>), Error> {
        let page = self.parts.metadata.expected_files(after, BATCH)?;
        let mut suspects = Vec::new();
        for ExpectedFile { digest, size, .. } in &page {
            if self.parts.blobs.stat(digest)?.is_none_or(|stat| stat.size != *size) {
                suspects.push(digest.clone());
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

const HELD: &str = "a snapshot holds it";
const STUCK: &str = "it cannot be removed: the log says why";

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
