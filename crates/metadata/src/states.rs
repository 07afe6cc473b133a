//! What reads and checks find out about blobs: state, hash times, scrub requests, leases; never the check itself.

use mcr_oci::{Digest, Finding, FindingKind};
use rusqlite::{Connection, OptionalExtension as _, params};
use serde_json::{Value, json};

use crate::Metadata;
use crate::audit::{self, Audit};
use crate::error::Error;
use crate::findings;
use crate::job::{Done, Write, job};
use crate::repositories;
use crate::requests::{Content, RecordHash, RenewLease, RequestScrub, SetBlobState};
use crate::rows::BlobState;
use crate::scrub::latest_known;
use crate::sql;

impl Metadata {
    /// Notes how a blob's file stands. Unsound: opens a finding. Sound: closes what was found. `done` learns
    /// whether there is such a blob.
    pub fn set_blob_state(&self, request: SetBlobState, done: Done<bool>) {
        self.submit(job(request, done));
    }

    /// Notes that a sound blob's bytes hashed right; older news than what is stored, or another length, changes
    /// nothing. What is stored is no news where its time has not come yet.
    pub fn record_hash(&self, request: RecordHash, done: Done<()>) {
        self.submit(job(request, done));
    }

    /// Asks the scrub to look at a blob next.
    pub fn request_scrub(&self, request: RequestScrub, done: Done<()>) {
        self.submit(job(request, done));
    }

    /// Moves `unreferenced_since` to the time given, or leaves it where it is later or null. `done` learns false
    /// where the content is not there any more, or only its tombstone: the promise must not be made.
    pub fn renew_lease(&self, request: RenewLease, done: Done<bool>) {
        self.submit(job(request, done));
    }
}

impl Write for SetBlobState {
    type Answer = bool;

    fn apply(&self, tx: &Connection) -> Result<bool, Error> {
        let before: Option<(String, i64)> = tx
            .prepare_cached("SELECT state, size FROM blobs WHERE digest = ?1")?
            .query_row([self.digest.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((before, size)) = before else {
            return Ok(false);
        };
        let changed = before != self.state.as_str();
        if changed {
            tx.prepare_cached(
                "UPDATE blobs SET state = ?2, state_since = ?3, scrub_requested_at = NULL WHERE digest = ?1",
            )?
            .execute((self.digest.as_str(), self.state.as_str(), self.at_ms))?;
        }
        match self.state {
            BlobState::Sound if changed => {
                findings::close_blob(tx, &self.digest, self.at_ms)?;
                self.tell(tx, "blob_healed", Value::Null)?;
            }
            BlobState::Sound => {}
            BlobState::Quarantined | BlobState::Missing => {
                let finding = self.finding_to_open(size);
                findings::open(tx, &finding, self.at_ms)?;
                if changed {
                    let details = json!({
                        "state": self.state.as_str(),
                        "kind": finding.kind.as_str(),
                        "detail": finding.detail,
                    });
                    self.tell(tx, "blob_quarantined", details)?;
                }
            }
        }
        Ok(true)
    }

    fn is_frugal(&self, _answer: &bool) -> bool {
        true
    }
}

impl SetBlobState {
    /// The finding that was given, about this digest and of a kind that healing closes; else one made from the state.
    fn finding_to_open(&self, size: i64) -> Finding {
        let kind = match self.state {
            BlobState::Missing => FindingKind::BlobMissing,
            BlobState::Sound | BlobState::Quarantined => FindingKind::BlobCorrupt,
        };
        let mut finding = self.finding.clone().unwrap_or_else(|| Finding::new(kind));
        finding.digest = Some(self.digest.clone());
        finding.size = finding.size.or_else(|| u64::try_from(size).ok());
        if !finding.kind.as_str().starts_with("blob-") {
            finding.kind = kind;
        }
        finding
    }

    fn tell(&self, tx: &Connection, event: &str, details: Value) -> Result<(), Error> {
        audit::append(tx, Audit { digest: Some(self.digest.as_str()), details, ..Audit::by_system(event, self.at_ms) })
    }
}

impl Write for RecordHash {
    type Answer = ();

    fn apply(&self, tx: &Connection) -> Result<(), Error> {
        tx.prepare_cached(
            "UPDATE blobs SET inode = ?3, mtime_ns = ?4, ctime_ns = ?5, hashed_at = ?6, scrub_requested_at = NULL
             WHERE digest = ?1 AND size = ?2 AND state = 'sound' AND (hashed_at <= ?6 OR hashed_at > ?7)",
        )?
        .execute(params![
            self.digest.as_str(),
            sql::size(self.stat.size),
            self.stat.inode.cast_signed(),
            self.stat.mtime_ns,
            self.stat.ctime_ns,
            self.hashed_at_ms,
            latest_known(self.now_ms)
        ])?;
        Ok(())
    }

    fn is_frugal(&self, _answer: &()) -> bool {
        true
    }
}

impl Write for RequestScrub {
    type Answer = ();

    fn apply(&self, tx: &Connection) -> Result<(), Error> {
        tx.prepare_cached(
            "UPDATE blobs SET scrub_requested_at = ?2
             WHERE digest = ?1 AND scrub_requested_at IS NULL AND state = 'sound'",
        )?
        .execute((self.digest.as_str(), self.at_ms))?;
        Ok(())
    }

    fn is_frugal(&self, _answer: &()) -> bool {
        true
    }
}

impl Write for RenewLease {
    type Answer = bool;

    fn apply(&self, tx: &Connection) -> Result<bool, Error> {
        let Some(repository) = repositories::find(tx, &self.repository)? else {
            return Ok(false);
        };
        match self.content {
            Content::Blob => lease_blob(tx, repository, &self.digest, self.until_ms),
            Content::Manifest => lease_manifest(tx, repository, &self.digest, self.until_ms),
        }
    }

    fn is_frugal(&self, _answer: &bool) -> bool {
        true
    }
}

fn lease_blob(tx: &Connection, repository: i64, digest: &Digest, until_ms: i64) -> Result<bool, Error> {
    let found: Option<(i64, Option<i64>)> = tx
        .prepare_cached(
            "SELECT l.blob_id, l.unreferenced_since
             FROM blobs b CROSS JOIN repository_blobs l ON l.repository_id = ?1 AND l.blob_id = b.id
             WHERE b.digest = ?2 AND l.deleted_at IS NULL",
        )?
        .query_row((repository, digest.as_str()), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((blob, since)) = found else {
        return Ok(false);
    };
    if since.is_some_and(|since| since < until_ms) {
        tx.prepare_cached(
            "UPDATE repository_blobs SET unreferenced_since = ?3 WHERE repository_id = ?1 AND blob_id = ?2",
        )?
        .execute([repository, blob, until_ms])?;
    }
    Ok(true)
}

fn lease_manifest(tx: &Connection, repository: i64, digest: &Digest, until_ms: i64) -> Result<bool, Error> {
    let found: Option<(i64, Option<i64>)> = tx
        .prepare_cached(
            "SELECT id, unreferenced_since FROM manifests
             WHERE repository_id = ?1 AND digest = ?2 AND deleted_at IS NULL",
        )?
        .query_row((repository, digest.as_str()), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((manifest, since)) = found else {
        return Ok(false);
    };
    if since.is_some_and(|since| since < until_ms) {
        tx.prepare_cached("UPDATE manifests SET unreferenced_since = ?2 WHERE id = ?1")?
            .execute([manifest, until_ms])?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests;
