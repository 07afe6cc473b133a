//! Which tags of a database are whole, given which files are not: for snapshots, beside no server; never a look at a file.
//!
//! What is known to be broken stands in temporary tables, so that it may be any number of rows.

use mcr_oci::{Digest, Finding, FindingKind};
use rusqlite::{Connection, params};

use crate::error::Error;
use crate::rows::{BlobState, RecordedStat};
use crate::sql;

/// Levels that an index may lie above what is broken.
const DEPTH_MAX: usize = 1_000;

/// A blob that a database refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptBlob {
    /// Its row.
    pub id: i64,
    /// Its digest.
    pub digest: Digest,
    /// Its length in bytes.
    pub size: u64,
    /// How it stood when it was last looked at.
    pub state: BlobState,
    /// Its file's stat when it last hashed right.
    pub stat: RecordedStat,
}

/// A blob whose file is not what its row says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadBlob {
    /// Its row.
    pub id: i64,
    /// What is wrong: a kind that begins with `blob-`, or `unreachable` for one that could not be read.
    pub kind: FindingKind,
    /// In words.
    pub detail: String,
}

/// A tag whose closure is not whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IncompleteTag {
    /// Its repository.
    pub repository: String,
    /// Its name.
    pub tag: String,
    /// Where it points.
    pub digest: Digest,
    /// One thing that is wrong below it.
    pub finding: Finding,
}

/// A database whose closures are judged. [`begin_judging`](Judge::begin_judging) comes first.
#[expect(private_bounds, reason = "only this crate's databases can be judged")]
pub trait Judge: HasConnection {
    /// Forgets what was judged before.
    ///
    /// # Errors
    /// Whatever the database answers; so for all below.
    fn begin_judging(&self) -> Result<(), Error> {
        Ok(self.connection().execute_batch(
            "DROP TABLE IF EXISTS temp.bad_blobs;
             DROP TABLE IF EXISTS temp.broken;
             CREATE TEMP TABLE bad_blobs (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, detail TEXT NOT NULL);
             CREATE TEMP TABLE broken (manifest_id INTEGER PRIMARY KEY, repository_id INTEGER NOT NULL,
                                       kind TEXT NOT NULL, digest TEXT NOT NULL, size INTEGER NOT NULL,
                                       parent TEXT, detail TEXT NOT NULL, level INTEGER NOT NULL);",
        )?)
    }

    /// How many blobs there are, and their bytes.
    ///
    /// # Errors
    /// As [`begin_judging`](Judge::begin_judging).
    fn blobs_and_bytes(&self) -> Result<(u64, u64), Error> {
        let mut query = self.connection().prepare_cached("SELECT count(*), coalesce(sum(size), 0) FROM blobs")?;
        query
            .query_row([], |row| Ok((sql::unsigned(row, 0), sql::unsigned(row, 1))))
            .map(|(n, bytes)| Ok((n?, bytes?)))?
    }

    /// Whether there is a row of a blob.
    ///
    /// # Errors
    /// As [`begin_judging`](Judge::begin_judging).
    fn has_blob(&self, digest: &Digest) -> Result<bool, Error> {
        Ok(self.connection().prepare_cached("SELECT 1 FROM blobs WHERE digest = ?1")?.exists([digest.as_str()])?)
    }

    /// Blobs behind the row `after`, at most `limit`.
    ///
    /// # Errors
    /// As [`begin_judging`](Judge::begin_judging).
    fn kept_blobs(&self, after: i64, limit: usize) -> Result<Vec<KeptBlob>, Error> {
        let mut statement = self.connection().prepare_cached(
            "SELECT id, digest, size, state, inode, mtime_ns, ctime_ns FROM blobs WHERE id > ?1 ORDER BY id LIMIT ?2",
        )?;
        let mut rows = statement.query(params![after, sql::limit(limit)])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let state = row.get_ref(3)?.as_str().map_err(rusqlite::Error::from)?;
            let (size, inode): (u64, i64) = (sql::unsigned(row, 2)?, row.get(4)?);
            found.push(KeptBlob {
                id: row.get(0)?,
                digest: sql::digest(row, 1)?,
                size,
                state: BlobState::parse(state).ok_or_else(|| Error::invalid("a blob's state", state))?,
                stat: RecordedStat { inode: inode.cast_unsigned(), size, mtime_ns: row.get(5)?, ctime_ns: row.get(6)? },
            });
        }
        Ok(found)
    }

    /// Notes that a blob is bad.
    ///
    /// # Errors
    /// As [`begin_judging`](Judge::begin_judging).
    fn mark_bad(&self, bad: &BadBlob) -> Result<(), Error> {
        self.connection()
            .prepare_cached("INSERT OR REPLACE INTO temp.bad_blobs (id, kind, detail) VALUES (?1, ?2, ?3)")?
            .execute(params![bad.id, bad.kind.as_str(), bad.detail])?;
        Ok(())
    }

    /// Hashes the bytes of every manifest and notes those that are not what their digest says; answers how many there
    /// are, and how many of them are not.
    ///
    /// # Errors
    /// As [`begin_judging`](Judge::begin_judging).
    fn judge_manifests(&self) -> Result<(u64, u64), Error> {
        let connection = self.connection();
        let mut statement = connection.prepare_cached(
            "SELECT m.id, m.repository_id, m.digest, c.bytes FROM manifests m
             LEFT JOIN manifest_contents c ON c.manifest_id = m.id",
        )?;
        let mut rows = statement.query([])?;
        let (mut seen, mut bad) = (0, 0);
        while let Some(row) = rows.next()? {
            let digest = sql::digest(row, 2)?;
            let bytes = row.get_ref(3)?.as_blob_or_null().map_err(rusqlite::Error::from)?;
            seen += 1;
            let (kind, detail) = match bytes {
                Some(bytes) if Digest::of(digest.algorithm(), bytes) == digest => continue,
                Some(_) => (FindingKind::ManifestCorrupt, "its bytes in the database do not hash to its digest"),
                None => (FindingKind::ManifestMissing, "its bytes are not in the database"),
            };
            bad += 1;
            let size = bytes.map_or(0, <[u8]>::len) as u64;
            connection
                .prepare_cached("INSERT OR IGNORE INTO temp.broken VALUES (?1, ?2, ?3, ?4, ?5, NULL, ?6, 0)")?
                .execute(params![
                    row.get::<_, i64>(0)?,
                    row.get::<_, i64>(1)?,
                    kind.as_str(),
                    digest.as_str(),
                    sql::size(size),
                    detail
                ])?;
        }
        Ok((seen, bad))
    }

    /// Climbs from what is bad to the manifests above it.
    ///
    /// # Errors
    /// As [`begin_judging`](Judge::begin_judging).
    fn climb(&self) -> Result<(), Error> {
        let connection = self.connection();
        connection.execute(
            "INSERT OR IGNORE INTO temp.broken
             SELECT m.id, m.repository_id, x.kind, b.digest, b.size, m.digest, x.detail, 0
             FROM temp.bad_blobs x
             CROSS JOIN blobs b ON b.id = x.id
             CROSS JOIN repository_blobs l ON l.blob_id = x.id
             CROSS JOIN edges e ON e.repository_id = l.repository_id AND e.target_blob = l.blob_id
             CROSS JOIN manifests m ON m.id = e.manifest_id
             WHERE e.weak = 0",
            [],
        )?;
        for level in 0..DEPTH_MAX {
            // Also by edges that may be absent: what is there must be whole.
            let more = connection
                .prepare_cached(
                    "INSERT OR IGNORE INTO temp.broken
                     SELECT e.manifest_id, e.repository_id, x.kind, x.digest, x.size, x.parent, x.detail, ?1 + 1
                     FROM temp.broken x
                     CROSS JOIN edges e ON e.repository_id = x.repository_id AND e.target_manifest = x.manifest_id
                     WHERE x.level = ?1",
                )?
                .execute([i64::try_from(level).unwrap_or(i64::MAX)])?;
            if more == 0 {
                return Ok(());
            }
        }
        Err(Error::Corrupt(format!("indexes lie more than {DEPTH_MAX} levels deep")))
    }

    /// Shows every tag above something broken, by repository and name. After [`climb`](Judge::climb).
    ///
    /// # Errors
    /// As [`begin_judging`](Judge::begin_judging), and those of `visit`.
    fn incomplete_tags(&self, visit: &mut dyn FnMut(IncompleteTag) -> Result<(), Error>) -> Result<(), Error> {
        let mut statement = self.connection().prepare_cached(
            "SELECT r.name, t.name, m.digest, x.kind, x.digest, x.size, x.parent, x.detail
             FROM temp.broken x
             CROSS JOIN tags t ON t.repository_id = x.repository_id AND t.manifest_id = x.manifest_id
             CROSS JOIN manifests m ON m.id = x.manifest_id
             CROSS JOIN repositories r ON r.id = x.repository_id
             ORDER BY r.name, t.name",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let (repository, tag): (String, String) = (row.get(0)?, row.get(1)?);
            let root = sql::digest(row, 2)?;
            let kind: String = row.get(3)?;
            let mut finding = Finding::new(FindingKind::parse(&kind).unwrap_or(FindingKind::BlobMissing));
            finding.digest = Some(sql::digest(row, 4)?);
            finding.size = Some(sql::unsigned(row, 5)?);
            finding.repository = Some(repository.clone());
            finding.tag = Some(tag.clone());
            let parent = sql::optional_digest(row, 6)?.filter(|parent| *parent != root);
            if finding.digest.as_ref() != Some(&root) {
                finding.path = std::iter::once(root.clone()).chain(parent).collect();
            }
            finding.detail = Some(row.get(7)?);
            visit(IncompleteTag { repository, tag, digest: root, finding })?;
        }
        Ok(())
    }

    /// Shows a finding for every bad blob that was thought sound and that no tag needs. After [`climb`](Judge::climb).
    ///
    /// # Errors
    /// As [`begin_judging`](Judge::begin_judging), and those of `visit`.
    fn bad_blobs_apart(&self, visit: &mut dyn FnMut(Finding) -> Result<(), Error>) -> Result<(), Error> {
        let mut statement = self.connection().prepare_cached(
            "SELECT b.digest, b.size, x.kind, x.detail
             FROM temp.bad_blobs x CROSS JOIN blobs b ON b.id = x.id
             WHERE b.state = 'sound' AND b.digest NOT IN (
                 SELECT y.digest FROM temp.broken y
                 CROSS JOIN tags t ON t.repository_id = y.repository_id AND t.manifest_id = y.manifest_id)
             ORDER BY b.digest",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let kind: String = row.get(2)?;
            let mut finding = Finding::new(FindingKind::parse(&kind).unwrap_or(FindingKind::BlobMissing));
            finding.digest = Some(sql::digest(row, 0)?);
            finding.size = Some(sql::unsigned(row, 1)?);
            finding.detail = Some(row.get(3)?);
            visit(finding)?;
        }
        Ok(())
    }

    /// Shows a finding for every manifest whose own bytes are bad, that was thought sound and that no tag needs: somebody
    /// may pull it by digest. After [`climb`](Judge::climb).
    ///
    /// # Errors
    /// As [`begin_judging`](Judge::begin_judging), and those of `visit`.
    fn broken_manifests_apart(&self, visit: &mut dyn FnMut(Finding) -> Result<(), Error>) -> Result<(), Error> {
        let mut statement = self.connection().prepare_cached(
            "SELECT r.name, x.digest, x.size, x.kind, x.detail
             FROM temp.broken x
             CROSS JOIN manifests m ON m.id = x.manifest_id
             CROSS JOIN repositories r ON r.id = x.repository_id
             WHERE x.level = 0 AND x.kind GLOB 'manifest-*' AND m.state = 'sound' AND m.deleted_at IS NULL
               AND NOT EXISTS (
                 SELECT 1 FROM temp.broken y
                 CROSS JOIN tags t ON t.repository_id = y.repository_id AND t.manifest_id = y.manifest_id
                 WHERE y.repository_id = x.repository_id AND y.digest = x.digest)
             ORDER BY r.name, x.digest",
        )?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let kind: String = row.get(3)?;
            let mut finding = Finding::new(FindingKind::parse(&kind).unwrap_or(FindingKind::ManifestCorrupt));
            finding.repository = Some(row.get(0)?);
            finding.digest = Some(sql::digest(row, 1)?);
            finding.size = Some(sql::unsigned(row, 2)?);
            finding.detail = Some(row.get(4)?);
            visit(finding)?;
        }
        Ok(())
    }

    /// How many tags there are.
    ///
    /// # Errors
    /// As [`begin_judging`](Judge::begin_judging).
    fn tag_count(&self) -> Result<u64, Error> {
        let count: i64 = self.connection().query_row("SELECT count(*) FROM tags", [], |row| row.get(0))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }
}

/// What has the connection that is asked.
pub(crate) trait HasConnection {
    /// It; temporary tables can be made on it.
    fn connection(&self) -> &Connection;
}

#[cfg(test)]
mod tests;
