//! A copy of a snapshot on its way to become the database: migrated, judged, put right and synced, while the database
//! it shall replace is not touched; never the files it refers to.

#![expect(clippy::disallowed_methods, reason = "the database's files, and copies of it, have their home in this crate")]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use mcr_oci::{Digest, Finding, FindingKind, RepositoryName};
use rusqlite::{Connection, OpenFlags, params};
use serde_json::{Value, json};

use crate::audit::{self, Audit};
use crate::connection;
use crate::error::Error;
use crate::findings;
use crate::judge::{HasConnection, Judge};
use crate::migrate;
use crate::references::{self, Target};
use crate::rows::{Actor, RecordedStat};
use crate::snapshot_folder::{about, is_there, passed, remove, same_file};
use crate::snapshot_read;
use crate::sql;
use crate::switch;
use crate::tagging::{self, Point};

/// Ends the name of the copy, which lies beside the database.
const SUFFIX: &str = ".restoring";

/// Why a run of the snapshot does not go on.
const RESTORED: &str = "the database was restored";

/// A copy of a snapshot that may become the database. Gone with its file unless it is [switched to](Self::switch).
#[derive(Debug)]
pub struct Staging {
    /// None once it is closed.
    connection: Connection,
    path: Removed,
    /// What it is a copy of.
    from: PathBuf,
    database: PathBuf,
}

/// A file that goes when this does.
#[derive(Debug)]
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        // What stays is cleared away by the next one.
        let _ = clear(&self.0);
    }
}

/// What a database that could not be switched to leaves.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct NotSwitched {
    /// Why.
    pub error: Error,
    /// Whether the restored one is in its place all the same, though it is not certain that a power loss leaves it there.
    pub in_place: bool,
}

/// What a restored database tells of where it came from.
#[derive(Clone, Debug)]
pub struct Restored {
    /// Who restores.
    pub actor: Actor,
    /// When, in Unix milliseconds.
    pub at_ms: i64,
    /// The run that left tags out; undoing it brings them back.
    pub run_id: String,
    /// What the audit trail tells besides; an object.
    pub details: Value,
}

impl HasConnection for Staging {
    fn connection(&self) -> &Connection {
        &self.connection
    }
}

impl Judge for Staging {}

impl Staging {
    /// Copies the snapshot at `from` beside `database`, with the log that lies beside it: a database that was kept, or that
    /// a file system's snapshot caught, has its last commits there. The caller holds the lock on the data directory.
    ///
    /// # Errors
    /// Whatever the files answer; nothing is left behind.
    pub fn of(from: &Path, database: &Path) -> Result<Self, Error> {
        let path = switch::beside(database, SUFFIX);
        clear(&path)?;
        let path = Removed(path);
        copy(from, &path.0)?;
        let log = switch::beside(from, "-wal");
        if is_there(&log)? {
            copy(&log, &switch::beside(&path.0, "-wal"))?;
        }
        passed("restore.copied")?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path.0, flags)?;
        Ok(Self { connection, path, from: from.to_owned(), database: database.to_owned() })
    }

    /// Proves the copy whole, page by page, and answers the schema it has. Before everything that follows.
    ///
    /// # Errors
    /// `NotOurs` (another program's, empty, no database at all), `NewerSchema`, `Corrupt`; else whatever the files answer.
    pub fn check(&self) -> Result<i64, Error> {
        let connection = &self.connection;
        connection.busy_timeout(connection::BUSY_TIMEOUT)?;
        let schema = migrate::recognise(connection, &self.from)?;
        if schema == 0 {
            let reason = "it is empty".to_owned();
            return Err(Error::NotOurs { path: self.from.display().to_string(), reason });
        }
        // Nobody needs it after a crash: it is made again. At the end it is synced as a whole. A log is folded in here.
        let _: String = connection.pragma_update_and_check(None, "journal_mode", "MEMORY", |row| row.get(0))?;
        connection.pragma_update(None, "synchronous", "OFF")?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        if is_there(&switch::beside(&self.path.0, "-wal"))? {
            return Err(Error::Io(format!("{}: its log could not be folded into the copy", self.from.display())));
        }
        snapshot_read::check(connection)?;
        Ok(schema)
    }

    /// Brings the copy to the schema of this program.
    ///
    /// # Errors
    /// Whatever the database answers.
    pub fn migrate(&mut self) -> Result<(), Error> {
        migrate::migrate(&mut self.connection, &self.path.0)
    }

    /// The registry it is of.
    ///
    /// # Errors
    /// Whatever the database answers.
    pub fn registry_id(&self) -> Result<Option<String>, Error> {
        snapshot_read::registry_id(&self.connection)
    }

    /// Begins the one transaction of everything that follows; [`settle`](Self::settle) ends it.
    ///
    /// # Errors
    /// Whatever the database answers; so for all below.
    pub fn begin(&self) -> Result<(), Error> {
        if self.connection.is_autocommit() { Ok(self.connection.execute_batch("BEGIN IMMEDIATE")?) } else { Ok(()) }
    }

    /// Forgets what was written since [`begin`](Self::begin), for another look.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub fn begin_anew(&self) -> Result<(), Error> {
        if !self.connection.is_autocommit() {
            self.connection.execute_batch("ROLLBACK")?;
        }
        self.begin()
    }

    /// Notes that a blob's file hashed right just now.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub fn record_file(&self, blob: i64, digest: &Digest, stat: RecordedStat, at_ms: i64) -> Result<(), Error> {
        self.connection
            .prepare_cached(
                "UPDATE blobs SET inode = ?2, mtime_ns = ?3, ctime_ns = ?4, hashed_at = ?5, scrub_requested_at = NULL,
                                  state_since = CASE state WHEN 'sound' THEN state_since ELSE ?5 END, state = 'sound'
                 WHERE id = ?1",
            )?
            .execute(params![blob, stat.inode.cast_signed(), stat.mtime_ns, stat.ctime_ns, at_ms])?;
        findings::close_blob(&self.connection, digest, at_ms)
    }

    /// Asks the scrub for a look at a blob whose file was not hashed; its recorded stat stays, so that a read hashes it.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub fn request_scrub(&self, blob: i64, at_ms: i64) -> Result<(), Error> {
        self.connection
            .prepare_cached("UPDATE blobs SET scrub_requested_at = coalesce(scrub_requested_at, ?2) WHERE id = ?1")?
            .execute([blob, at_ms])?;
        Ok(())
    }

    /// Writes down what was judged: what is bad is booked as that, tags above it go (their history stays), what was under
    /// way when the snapshot was taken is given up, and the trail tells of the restore.
    ///
    /// # Errors
    /// As [`begin`](Self::begin).
    pub fn settle(&self, restored: &Restored) -> Result<(), Error> {
        self.begin()?;
        self.book_blobs(restored.at_ms)?;
        self.book_manifests(restored.at_ms)?;
        self.leave_out(restored)?;
        self.give_up_runs(restored.at_ms)?;
        let details = restored.details.clone();
        audit::append(
            &self.connection,
            Audit { details, ..Audit::by(&restored.actor, "snapshot_restored", restored.at_ms) },
        )?;
        Ok(self.connection.execute_batch("COMMIT")?)
    }

    /// Makes the copy durable and puts it in the place of the database, which is kept beside it; answers under which
    /// name, where there was one.
    ///
    /// # Errors
    /// Whatever the files answer: then the old database is in force, or the new one, as the error says.
    pub fn switch(self, now_ms: i64) -> Result<Option<PathBuf>, NotSwitched> {
        let Self { connection, path, database, .. } = self;
        let before = |error| NotSwitched { error, in_place: false };
        connection.close().map_err(|(_, error)| before(error.into()))?;
        let file = File::open(&path.0).map_err(|error| before(about(&path.0, &error)))?;
        file.sync_all().map_err(|error| before(about(&path.0, &error)))?;
        passed("restore.synced").map_err(before)?;
        switch::switch(&path.0, &database, now_ms)
            .map_err(|error| NotSwitched { error, in_place: same_file(&file, &database).unwrap_or(false) })
    }

    /// Ends the runs that were under way when the snapshot was taken, and what was planned: they were about another
    /// moment. A run would go on by itself at the next start, and take what the restore just brought back. Nor are files
    /// without a row looked for unasked: those pushed after the snapshot are such files, and the database that is kept
    /// still refers to them.
    fn give_up_runs(&self, at_ms: i64) -> Result<(), Error> {
        let mut statement = self.connection.prepare(
            "SELECT id, job, state FROM plans WHERE state IN ('planning', 'waiting', 'running') ORDER BY created_at, id",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (id, job, was): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let (state, event) = match (was.as_str(), job.as_str()) {
                ("running", "gc") => ("failed", "gc_failed"),
                ("running", _) => ("failed", "retention_failed"),
                _ => ("discarded", "plan_discarded"),
            };
            self.connection
                .prepare_cached(
                    "UPDATE plans SET state = ?2, reason = ?3, expires_at = NULL, ended_at = ?4 WHERE id = ?1",
                )?
                .execute(params![id, state, RESTORED, at_ms])?;
            let details = json!({ "run_id": id, "job": job, "reason": RESTORED });
            audit::append(&self.connection, Audit { details, ..Audit::by_system(event, at_ms) })?;
        }
        self.connection.execute("DELETE FROM meta WHERE key = 'reconcile_wanted'", [])?;
        Ok(())
    }

    fn book_blobs(&self, at_ms: i64) -> Result<(), Error> {
        let mut statement = self.connection.prepare(
            "SELECT b.id, b.digest, b.size, b.state, x.kind, x.detail
             FROM temp.bad_blobs x CROSS JOIN blobs b ON b.id = x.id",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let digest = sql::digest(row, 1)?;
            let (was, kind): (String, String) = (row.get(3)?, row.get(4)?);
            let kind = FindingKind::parse(&kind).unwrap_or(FindingKind::BlobMissing);
            let state = if kind == FindingKind::BlobMissing { "missing" } else { "quarantined" };
            self.connection
                .prepare_cached(
                    "UPDATE blobs SET state = ?2, state_since = ?3, scrub_requested_at = NULL WHERE id = ?1 AND state <> ?2",
                )?
                .execute(params![row.get::<_, i64>(0)?, state, at_ms])?;
            let mut finding = Finding::new(kind);
            finding.digest = Some(digest.clone());
            finding.size = Some(sql::unsigned(row, 2)?);
            finding.detail = Some(row.get(5)?);
            findings::open(&self.connection, &finding, at_ms)?;
            if was != state {
                let details = json!({ "state": state, "kind": kind.as_str(), "detail": finding.detail });
                let told = Audit::by_system("blob_quarantined", at_ms);
                audit::append(&self.connection, Audit { digest: Some(digest.as_str()), details, ..told })?;
            }
        }
        Ok(())
    }

    fn book_manifests(&self, at_ms: i64) -> Result<(), Error> {
        let mut statement = self.connection.prepare(
            "SELECT x.manifest_id, r.name, x.digest, x.size, x.kind, x.detail
             FROM temp.broken x CROSS JOIN repositories r ON r.id = x.repository_id
             WHERE x.level = 0 AND x.kind GLOB 'manifest-*'",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            self.connection
                .prepare_cached("UPDATE manifests SET state = 'corrupt' WHERE id = ?1")?
                .execute([row.get::<_, i64>(0)?])?;
            let kind: String = row.get(4)?;
            let mut finding = Finding::new(FindingKind::parse(&kind).unwrap_or(FindingKind::ManifestCorrupt));
            finding.repository = Some(row.get(1)?);
            finding.digest = Some(sql::digest(row, 2)?);
            finding.size = Some(sql::unsigned(row, 3)?);
            finding.detail = Some(row.get(5)?);
            findings::open(&self.connection, &finding, at_ms)?;
        }
        Ok(())
    }

    fn leave_out(&self, restored: &Restored) -> Result<(), Error> {
        let mut statement = self.connection.prepare(
            "SELECT r.id, r.name, t.name, m.id, m.digest
             FROM temp.broken x
             CROSS JOIN tags t ON t.repository_id = x.repository_id AND t.manifest_id = x.manifest_id
             CROSS JOIN manifests m ON m.id = x.manifest_id
             CROSS JOIN repositories r ON r.id = x.repository_id
             ORDER BY r.name, t.name",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (name, tag): (String, String) = (row.get(1)?, row.get(2)?);
            let name = RepositoryName::parse(&name).map_err(|_| Error::invalid("a repository's name", &name))?;
            let (repository, manifest): (i64, i64) = (row.get(0)?, row.get(3)?);
            let point = Point {
                repository,
                name: &name,
                manifest,
                digest: &sql::digest(row, 4)?,
                run_id: Some(&restored.run_id),
                actor: &restored.actor,
                at_ms: restored.at_ms,
            };
            tagging::drop_one(&self.connection, &point, &tag)?;
            references::release(&self.connection, repository, Target::Manifest(manifest), restored.at_ms)?;
        }
        Ok(())
    }
}

/// The last row of the audit trail of a database that nobody owns now: number and hash. None where it cannot be read.
#[must_use]
pub fn audit_head_of(database: &Path) -> Option<(i64, String)> {
    // Without a log beside it nothing is made beside it; with one, a reader sees what is in it.
    let open = |path: &Path| match is_there(&switch::beside(path, "-wal")) {
        Ok(true) => connection::open_reader(path),
        _ => connection::open_immutable(path),
    };
    let head = open(database).and_then(|connection| audit::head(&connection));
    head.ok().filter(|(seq, _)| *seq > 0)
}

/// Removes what an earlier restore left.
fn clear(path: &Path) -> Result<(), Error> {
    ["", "-journal", "-wal", "-shm"].iter().try_for_each(|end| remove(&switch::beside(path, end)))
}

/// Copies a file to one that is not there, for its owner alone.
fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    let mut source = File::open(from).map_err(|error| about(from, &error))?;
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to);
    let mut target = made.map_err(|error| about(to, &error))?;
    // Shares the bytes where the file system can.
    io::copy(&mut source, &mut target).map_err(|error| about(to, &error))?;
    Ok(())
}

#[cfg(test)]
mod tests;
