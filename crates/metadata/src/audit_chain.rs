//! Whether the audit trail is what was written, and cutting what is old off it; never a row's meaning.
//!
//! A cut is one transaction: the anchor comes, signed by the caller, and the rows up to it go. So there is always one
//! place where the chain begins, whenever the process is killed.

use mcr_oci::Digest;
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::Metadata;
use crate::audit::{self, Entry};
use crate::error::Error;
use crate::job::{Done, Write, job};
use crate::sql;

/// Rows that are looked at in one read transaction: the write-ahead log cannot begin anew meanwhile.
const AT_ONCE: usize = 10_000;

/// Up to where the trail was cut.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditAnchor {
    /// The last row that went.
    pub seq: i64,
    /// Its hash, which the first row that is left follows.
    pub hash: String,
    /// When it was cut, in Unix milliseconds.
    pub at_ms: i64,
    /// What the caller signed [`statement`](Self::statement) with.
    pub signature: String,
}

impl AuditAnchor {
    /// What is signed: the registry, the row and its hash, and when.
    #[must_use]
    pub fn statement(&self, registry_id: &str) -> Vec<u8> {
        let Self { seq, hash, at_ms, .. } = self;
        format!("mcr audit anchor 1\n{registry_id}\n{seq}\n{hash}\n{at_ms}\n").into_bytes()
    }
}

/// What [`Metadata::verify_audit`] saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditCheck {
    /// Rows looked at.
    pub rows: u64,
    /// The hash of the last row, or of the last that was cut off; none while there never was one.
    pub head: Option<String>,
    /// The number of that row.
    pub head_seq: i64,
    /// The first row that does not follow from the one before it, or was changed.
    pub broken_at: Option<i64>,
    /// Where the trail was cut last; whether the signature is right is the caller's to say.
    pub anchor: Option<AuditAnchor>,
    /// The row that has the hash that was asked for.
    pub expected_at: Option<i64>,
}

/// What is old enough to be cut off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditPrefix {
    /// Nothing.
    None,
    /// Everything up to this row, which holds.
    UpTo {
        /// Its number.
        seq: i64,
        /// Its hash.
        hash: String,
    },
    /// This row does not hold: cutting would hide that.
    Broken {
        /// Its number.
        seq: i64,
    },
}

impl Metadata {
    /// Recomputes the whole chain, in pages of `AT_ONCE` rows. Reads every row: for operators and tests, not for
    /// requests. `expected` is a hash to be looked for on the way.
    ///
    /// # Errors
    /// Whatever the files answer; a broken chain is an answer.
    pub fn verify_audit(&self, expected: Option<&str>) -> Result<AuditCheck, Error> {
        let mut walk = Walk::new(expected);
        while self.readers.read(|connection| walk.step(connection))? {}
        Ok(walk.check)
    }

    /// The last row's number and hash; none while there is none.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn audit_head(&self) -> Result<Option<(i64, String)>, Error> {
        self.readers.read(|connection| Ok(Some(audit::head(connection)?).filter(|(seq, _)| *seq > 0)))
    }

    /// The oldest rows that are all from before `before_ms`, at most `limit`; the last row of all stays.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn audit_prefix(&self, before_ms: i64, limit: usize) -> Result<AuditPrefix, Error> {
        self.readers.read(|connection| {
            let (_, mut previous) = audit::anchor(connection)?;
            let last = audit::head(connection)?.0;
            let mut found = AuditPrefix::None;
            let mut statement = connection.prepare_cached(CHAIN)?;
            let mut rows = statement.query([0, sql::limit(limit)])?;
            while let Some(row) = rows.next()? {
                let (entry, hash) = (Entry::from_row(row)?, row.get::<_, String>(10)?);
                if entry.at >= before_ms || entry.seq == last {
                    break;
                }
                let follows = row.get_ref(9)?.as_str().is_ok_and(|stored| stored == previous);
                if !follows || entry.hash(&previous) != hash {
                    return Ok(AuditPrefix::Broken { seq: entry.seq });
                }
                previous.clone_from(&hash);
                found = AuditPrefix::UpTo { seq: entry.seq, hash };
            }
            Ok(found)
        })
    }

    /// Cuts the trail off up to the row of `anchor`; `done` learns how many rows went: none where that row is not
    /// there, or has another hash.
    pub fn cut_audit(&self, anchor: AuditAnchor, done: Done<u64>) {
        self.submit(job(Cut(anchor), done));
    }
}

const CHAIN: &str = "SELECT seq, at, event, actor, address, repository, tag, digest, details, previous, hash
                     FROM audit WHERE seq > ?1 ORDER BY seq LIMIT ?2";

/// A walk along the chain; it remembers where it is between transactions.
struct Walk {
    check: AuditCheck,
    expected: Option<String>,
    previous: Option<String>,
}

impl Walk {
    fn new(expected: Option<&str>) -> Self {
        let expected = expected.map(str::to_ascii_lowercase);
        Self { check: AuditCheck::default(), expected, previous: None }
    }

    /// Looks at some more rows; says whether there may be others.
    fn step(&mut self, connection: &Connection) -> Result<bool, Error> {
        let anchor = current_anchor(connection)?;
        let cut_past = anchor.as_ref().is_some_and(|anchor| anchor.seq > self.check.head_seq);
        // At the start, and where old rows went that were not looked at yet.
        if cut_past || self.previous.is_none() {
            self.check.head_seq = anchor.as_ref().map_or(0, |anchor| anchor.seq);
            self.check.head = anchor.as_ref().map(|anchor| anchor.hash.clone());
            if self.check.head.is_some() && self.check.head == self.expected {
                self.check.expected_at = Some(self.check.head_seq);
            }
            self.previous = Some(audit::anchor(connection)?.1);
            self.check.anchor = anchor;
        }
        let begin = if self.check.rows == 0 { 0 } else { self.check.head_seq };
        let mut statement = connection.prepare_cached(CHAIN)?;
        let mut rows = statement.query([begin, sql::limit(AT_ONCE)])?;
        let mut seen = 0;
        while let Some(row) = rows.next()? {
            seen += 1;
            self.look(&Entry::from_row(row)?, &row.get::<_, String>(9)?, row.get(10)?);
        }
        Ok(seen == AT_ONCE)
    }

    fn look(&mut self, entry: &Entry, stored: &str, hash: String) {
        let previous = self.previous.as_deref().unwrap_or_default();
        let whole = stored == previous && entry.hash(previous) == hash;
        self.check.rows += 1;
        if !whole && self.check.broken_at.is_none() {
            self.check.broken_at = Some(entry.seq);
        }
        if self.expected.as_ref() == Some(&hash) {
            self.check.expected_at = Some(entry.seq);
        }
        self.check.head_seq = entry.seq;
        self.check.head = Some(hash.clone());
        self.previous = Some(hash);
    }
}

fn current_anchor(connection: &Connection) -> Result<Option<AuditAnchor>, Error> {
    let found = connection
        .prepare_cached("SELECT seq, hash, at, signature FROM audit_anchors ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| {
            Ok(AuditAnchor { seq: row.get(0)?, hash: row.get(1)?, at_ms: row.get(2)?, signature: row.get(3)? })
        })
        .optional()?;
    Ok(found)
}

struct Cut(AuditAnchor);

impl Write for Cut {
    type Answer = u64;

    fn apply(&self, tx: &Connection) -> Result<u64, Error> {
        let AuditAnchor { seq, hash, at_ms, signature } = &self.0;
        let held = tx.prepare_cached("SELECT 1 FROM audit WHERE seq = ?1 AND hash = ?2")?.exists(params![seq, hash])?;
        if !held {
            return Ok(0);
        }
        tx.prepare_cached("INSERT INTO audit_anchors (seq, hash, at, signature) VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![seq, hash, at_ms, signature])?;
        tx.prepare_cached("DELETE FROM audit_anchors WHERE seq < ?1")?.execute([seq])?;
        let gone = tx.prepare_cached("DELETE FROM audit WHERE seq <= ?1")?.execute([seq])?;
        Ok(gone as u64)
    }

    fn is_frugal(&self, _answer: &u64) -> bool {
        true
    }
}

/// Whether `text` can be a hash of the chain.
#[must_use]
pub fn is_chain_hash(text: &str) -> bool {
    Digest::parse(&format!("sha256:{}", text.to_ascii_lowercase())).is_ok()
}

#[cfg(test)]
mod tests;
