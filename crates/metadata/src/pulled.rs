//! When manifests were last pulled, for rules that keep what is used; written beside the trail's counts, never waited for.

use mcr_oci::{Digest, RepositoryName};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::Metadata;
use crate::error::Error;
use crate::job::{Done, Write, job};

/// Since when pulls are written down, in `meta`: what was pulled before then is not known.
const RECORDED_SINCE: &str = "pulls_recorded_since";

/// Manifests that were pulled.
#[derive(Clone, Debug)]
pub struct RecordPulls {
    /// Repository, manifest, and when it was pulled last, in Unix milliseconds.
    pub pulls: Vec<(RepositoryName, Digest, i64)>,
    /// Now, in Unix milliseconds.
    pub at_ms: i64,
}

impl Metadata {
    /// Notes when manifests were pulled; older news than what is stored change nothing.
    pub fn record_pulls(&self, request: RecordPulls, done: Done<()>) {
        self.submit(job(request, done));
    }
}

impl Write for RecordPulls {
    type Answer = ();

    fn apply(&self, tx: &Connection) -> Result<(), Error> {
        tx.prepare_cached("INSERT OR IGNORE INTO meta (key, value) VALUES (?1, ?2)")?
            .execute((RECORDED_SINCE, self.at_ms.to_string()))?;
        let mut statement = tx.prepare_cached(
            "INSERT INTO manifest_pulls (manifest_id, pulled_at)
             SELECT m.id, ?3 FROM repositories r CROSS JOIN manifests m ON m.repository_id = r.id
             WHERE r.name = ?1 AND m.digest = ?2 AND r.deleted_at IS NULL AND m.deleted_at IS NULL
             ON CONFLICT (manifest_id) DO UPDATE SET pulled_at = excluded.pulled_at
             WHERE excluded.pulled_at > pulled_at",
        )?;
        for (repository, digest, at_ms) in &self.pulls {
            statement.execute(params![repository.as_str(), digest.as_str(), at_ms])?;
        }
        Ok(())
    }
}

/// Since when pulls are written down, in Unix milliseconds; none: nothing was pulled since.
pub(crate) fn recorded_since(connection: &Connection) -> Result<Option<i64>, Error> {
    let text: Option<String> = connection
        .prepare_cached("SELECT value FROM meta WHERE key = ?1")?
        .query_row([RECORDED_SINCE], |row| row.get(0))
        .optional()?;
    text.map(|text| text.parse().map_err(|_| Error::invalid("a time", &text))).transpose()
}
