//! Writing down what the scrub has done: passes, hash times, blobs whose bytes came back; never a damage, which has its own write.

use mcr_oci::Digest;
use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::json;

use super::{ScrubPass, latest_known};
use crate::Metadata;
use crate::audit::{self, Audit};
use crate::error::Error;
use crate::findings;
use crate::job::{Done, Write, job};
use crate::requests::RecordHash;
use crate::rows::RecordedStat;
use crate::sql;

/// Passes that are kept; older ones go when another begins.
pub const KEEP_PASSES: i64 = 500;

/// Begin a pass, or go on with the one that has not ended.
#[derive(Clone, Copy, Debug)]
pub struct BeginScrubPass {
    /// Now, in Unix milliseconds.
    pub at_ms: i64,
}

/// What the scrub has done since it last said so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// Blobs hashed.
    pub blobs: u64,
    /// Manifests hashed.
    pub manifests: u64,
    /// Bytes hashed.
    pub bytes: u64,
    /// What was found damaged.
    pub findings: u64,
}

/// What hashed right, and how far the pass has come.
#[derive(Clone, Debug, Default)]
pub struct RecordScrub {
    /// The pass it counts for; none for what was hashed outside of one.
    pub pass: Option<i64>,
    /// Blobs whose bytes are right.
    pub blobs: Vec<RecordHash>,
    /// Manifests whose bytes are right: their rows, and when they were hashed, in Unix milliseconds.
    pub manifests: Vec<(i64, i64)>,
    /// What to add to the figures of the pass.
    pub done: Scrubbed,
    /// Now, in Unix milliseconds, as for [`RecordHash`].
    pub now_ms: i64,
}

/// End a pass; said again of one that has ended, it only changes what could not be read.
#[derive(Clone, Copy, Debug)]
pub struct EndScrubPass {
    /// The pass.
    pub id: i64,
    /// What the disk did not let it read.
    pub unreadable: u64,
    /// Now, in Unix milliseconds.
    pub at_ms: i64,
}

/// A blob that was damaged or gone has a file again, whose bytes are right.
#[derive(Clone, Debug)]
pub struct ReturnBlob {
    /// Its digest.
    pub digest: Digest,
    /// The stat of the file that was hashed.
    pub stat: RecordedStat,
    /// When it was hashed, in Unix milliseconds.
    pub hashed_at_ms: i64,
}

impl Metadata {
    /// Begins a pass, or answers the one that has not ended; one that began later than now begins now.
    pub fn begin_scrub_pass(&self, request: BeginScrubPass, done: Done<ScrubPass>) {
        self.submit(job(request, done));
    }

    /// Notes what hashed right: older news than what is stored changes nothing.
    pub fn record_scrub(&self, request: RecordScrub, done: Done<()>) {
        self.submit(job(request, done));
    }

    /// Ends a pass.
    pub fn end_scrub_pass(&self, request: EndScrubPass, done: Done<()>) {
        self.submit(job(request, done));
    }

    /// Forgets that a read asked for a blob to be hashed, where the disk does not let it be read.
    pub fn forget_scrub_request(&self, digest: Digest, done: Done<()>) {
        self.submit(job(ForgetRequest(digest), done));
    }

    /// Notes that a blob's bytes are back: it is sound, and what was found about it is closed. `done` learns false where
    /// it is sound already, is of another length, or there is none.
    pub fn return_blob(&self, request: ReturnBlob, done: Done<bool>) {
        self.submit(job(request, done));
    }
}

impl Write for BeginScrubPass {
    type Answer = ScrubPass;

    fn apply(&self, tx: &Connection) -> Result<ScrubPass, Error> {
        let open = tx
            .prepare_cached(
                "SELECT id, started_at, ended_at, blobs, manifests, bytes, findings, unreadable
                 FROM scrub_passes WHERE ended_at IS NULL ORDER BY id DESC LIMIT 1",
            )?
            .query_row([], |row| Ok(super::pass(row)))
            .optional()?;
        if let Some(open) = open {
            let mut open = open?;
            if open.started_at_ms > self.at_ms {
                // The clock was ahead: what is hashed from now on would be from before the pass for ever.
                open.started_at_ms = self.at_ms;
                tx.prepare_cached("UPDATE scrub_passes SET started_at = ?2 WHERE id = ?1")?
                    .execute([open.id, self.at_ms])?;
            }
            return Ok(open);
        }
        tx.prepare_cached(
            "INSERT INTO scrub_passes (started_at, blobs, manifests, bytes, findings, unreadable)
             VALUES (?1, 0, 0, 0, 0, 0)",
        )?
        .execute([self.at_ms])?;
        let id = tx.last_insert_rowid();
        tx.prepare_cached("DELETE FROM scrub_passes WHERE id <= ?1")?.execute([id - KEEP_PASSES])?;
        Ok(ScrubPass {
            id,
            started_at_ms: self.at_ms,
            ended_at_ms: None,
            blobs: 0,
            manifests: 0,
            bytes: 0,
            findings: 0,
            unreadable: 0,
        })
    }

    fn is_frugal(&self, _answer: &ScrubPass) -> bool {
        true
    }
}

impl Write for RecordScrub {
    type Answer = ();

    fn apply(&self, tx: &Connection) -> Result<(), Error> {
        self.blobs.iter().try_for_each(|hash| hash.apply(tx))?;
        let mut statement = tx.prepare_cached(
            "UPDATE manifests SET hashed_at = ?2 WHERE id = ?1 AND (hashed_at < ?2 OR hashed_at > ?3)",
        )?;
        for (id, at_ms) in &self.manifests {
            statement.execute([*id, *at_ms, latest_known(self.now_ms)])?;
        }
        if let Some(pass) = self.pass {
            tx.prepare_cached(
                "UPDATE scrub_passes
                 SET blobs = blobs + ?2, manifests = manifests + ?3, bytes = bytes + ?4, findings = findings + ?5
                 WHERE id = ?1",
            )?
            .execute(params![
                pass,
                sql::size(self.done.blobs),
                sql::size(self.done.manifests),
                sql::size(self.done.bytes),
                sql::size(self.done.findings)
            ])?;
        }
        Ok(())
    }

    fn is_frugal(&self, _answer: &()) -> bool {
        true
    }
}

impl Write for EndScrubPass {
    type Answer = ();

    fn apply(&self, tx: &Connection) -> Result<(), Error> {
        tx.prepare_cached("UPDATE scrub_passes SET ended_at = coalesce(ended_at, ?2), unreadable = ?3 WHERE id = ?1")?
            .execute(params![self.id, self.at_ms, sql::size(self.unreadable)])?;
        Ok(())
    }

    fn is_frugal(&self, _answer: &()) -> bool {
        true
    }
}

struct ForgetRequest(Digest);

impl Write for ForgetRequest {
    type Answer = ();

    fn apply(&self, tx: &Connection) -> Result<(), Error> {
        tx.prepare_cached("UPDATE blobs SET scrub_requested_at = NULL WHERE digest = ?1")?
            .execute([self.0.as_str()])?;
        Ok(())
    }

    fn is_frugal(&self, _answer: &()) -> bool {
        true
    }
}

impl Write for ReturnBlob {
    type Answer = bool;

    fn apply(&self, tx: &Connection) -> Result<bool, Error> {
        let changed = tx
            .prepare_cached(
                "UPDATE blobs SET state = 'sound', state_since = ?6, inode = ?3, mtime_ns = ?4, ctime_ns = ?5,
                                  hashed_at = ?6, scrub_requested_at = NULL
                 WHERE digest = ?1 AND size = ?2 AND state <> 'sound'",
            )?
            .execute(params![
                self.digest.as_str(),
                sql::size(self.stat.size),
                self.stat.inode.cast_signed(),
                self.stat.mtime_ns,
                self.stat.ctime_ns,
                self.hashed_at_ms
            ])?;
        if changed == 0 {
            return Ok(false);
        }
        findings::close_blob(tx, &self.digest, self.hashed_at_ms)?;
        let details = json!({ "by": "scrub", "detail": "its file is back, and its bytes are right" });
        let digest = Some(self.digest.as_str());
        audit::append(tx, Audit { digest, details, ..Audit::by_system("blob_healed", self.hashed_at_ms) })?;
        Ok(true)
    }

    fn is_frugal(&self, _answer: &bool) -> bool {
        true
    }
}
