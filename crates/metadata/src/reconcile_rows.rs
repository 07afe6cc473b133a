//! What a comparison of rows with files needs: which digests have rows, which blobs should have files, whether one is wanted; never a file.

use mcr_oci::Digest;
use rusqlite::Connection;

use crate::Metadata;
use crate::error::Error;
use crate::job::{Done, Write, job};
use crate::sql;

/// The key in `meta` that stands while files are known to have been left without a row.
const WANTED: &str = "reconcile_wanted";

/// A blob whose file should be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpectedFile {
    /// Its row.
    pub id: i64,
    /// Its digest.
    pub digest: Digest,
    /// The length its file must have.
    pub size: u64,
}

impl Metadata {
    /// Whether each of `digests` has a row of a blob, whatever its state.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn have_blobs(&self, digests: &[Digest]) -> Result<Vec<bool>, Error> {
        self.readers.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT 1 FROM blobs WHERE digest = ?1")?;
            let found = digests.iter().map(|digest| statement.exists([digest.as_str()]));
            Ok(found.collect::<Result<_, _>>()?)
        })
    }

    /// A page of the blobs that are held to be sound, behind row `after` (0: from the first).
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn expected_files(&self, after: i64, limit: usize) -> Result<Vec<ExpectedFile>, Error> {
        self.readers.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT id, digest, size FROM blobs WHERE id > ?1 AND state = 'sound' ORDER BY id LIMIT ?2",
            )?;
            let mut rows = statement.query([after, sql::limit(limit)])?;
            let mut found = Vec::new();
            while let Some(row) = rows.next()? {
                found.push(ExpectedFile {
                    id: row.get(0)?,
                    digest: sql::digest(row, 1)?,
                    size: sql::unsigned(row, 2)?,
                });
            }
            Ok(found)
        })
    }

    /// Whether files are known to have been left without a row.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn reconcile_wanted(&self) -> Result<bool, Error> {
        self.readers
            .read(|connection| Ok(connection.prepare_cached("SELECT 1 FROM meta WHERE key = ?1")?.exists([WANTED])?))
    }

    /// Notes that files were left without a row, or that none are any more.
    pub fn want_reconcile(&self, wanted: bool, done: Done<()>) {
        self.submit(job(Want(wanted), done));
    }
}

struct Want(bool);

impl Write for Want {
    type Answer = ();

    fn apply(&self, tx: &Connection) -> Result<(), Error> {
        want(tx, self.0)
    }

    fn is_frugal(&self, _answer: &()) -> bool {
        true
    }
}

/// Notes whether files are known to have been left without a row.
pub(crate) fn want(tx: &Connection, wanted: bool) -> Result<(), Error> {
    let sql = if wanted {
        "INSERT INTO meta (key, value) VALUES (?1, '1') ON CONFLICT (key) DO NOTHING"
    } else {
        "DELETE FROM meta WHERE key = ?1"
    };
    tx.prepare_cached(sql)?.execute([WANTED])?;
    Ok(())
}
