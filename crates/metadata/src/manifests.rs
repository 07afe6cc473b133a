//! Looking manifests up by tag or digest, and noting that stored bytes are corrupt; never how one comes to be.

use mcr_oci::{Digest, Finding, FindingKind, Reference, RepositoryName};
use rusqlite::{Connection, OptionalExtension as _, Row};
use serde_json::json;

use crate::Metadata;
use crate::audit::{self, Audit};
use crate::damage;
use crate::error::Error;
use crate::findings;
use crate::job::{Done, Write, job};
use crate::references;
use crate::repositories;
use crate::requests::SetManifestCorrupt;
use crate::rows::{Lookup, ManifestRow};
use crate::sql;

impl Metadata {
    /// The live manifest that `reference` names, with everything unsound in its closure.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn manifest(&self, repository: &RepositoryName, reference: &Reference) -> Result<Lookup<ManifestRow>, Error> {
        self.readers.read(|connection| {
            let Some(id) = repositories::find(connection, repository)? else {
                return Ok(Lookup::NoRepository);
            };
            let Some(mut found) = find(connection, id, reference)? else {
                return Ok(Lookup::NotFound);
            };
            found.complete(connection, id, repository, reference)?;
            Ok(Lookup::Found(found.row))
        })
    }

    /// Notes that a manifest's stored bytes are corrupt; a push of the same digest heals it. `done` learns whether
    /// there is such a live manifest.
    pub fn set_manifest_corrupt(&self, request: SetManifestCorrupt, done: Done<bool>) {
        self.submit(job(request, done));
    }
}

struct Found {
    id: i64,
    row: ManifestRow,
}

impl Found {
    /// Adds what needs more than the row itself.
    fn complete(
        &mut self,
        connection: &Connection,
        repository: i64,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Result<(), Error> {
        self.row.referenced =
            matches!(reference, Reference::Tag(_)) || references::manifest_is_named(connection, repository, self.id)?;
        if damage::nowhere(connection)? {
            return Ok(());
        }
        let damage = damage::below(connection, self.id, name.as_str())?;
        self.row.own_damage = damage.own;
        self.row.damage = damage.findings;
        Ok(())
    }
}

fn find(connection: &Connection, repository: i64, reference: &Reference) -> Result<Option<Found>, Error> {
    let sql = match reference {
        Reference::Tag(_) => {
            "SELECT m.id, m.digest, m.media_type, m.size, m.subject, m.unreferenced_since, m.state = 'corrupt', c.bytes
             FROM tags t
             CROSS JOIN manifests m ON m.id = t.manifest_id
             CROSS JOIN manifest_contents c ON c.manifest_id = m.id
             WHERE t.repository_id = ?1 AND t.name = ?2 AND m.deleted_at IS NULL"
        }
        Reference::Digest(_) => {
            "SELECT m.id, m.digest, m.media_type, m.size, m.subject, m.unreferenced_since, m.state = 'corrupt', c.bytes
             FROM manifests m
             CROSS JOIN manifest_contents c ON c.manifest_id = m.id
             WHERE m.repository_id = ?1 AND m.digest = ?2 AND m.deleted_at IS NULL"
        }
    };
    let found =
        connection.prepare_cached(sql)?.query_row((repository, reference.as_str()), |row| Ok(found(row))).optional()?;
    found.transpose()
}

fn found(row: &Row<'_>) -> Result<Found, Error> {
    Ok(Found {
        id: row.get(0)?,
        row: ManifestRow {
            digest: sql::digest(row, 1)?,
            media_type: row.get(2)?,
            size: sql::unsigned(row, 3)?,
            bytes: row.get(7)?,
            subject: sql::optional_digest(row, 4)?,
            referenced: false,
            unreferenced_since_ms: row.get(5)?,
            corrupt: row.get(6)?,
            damage: Vec::new(),
            own_damage: false,
        },
    })
}

impl Write for SetManifestCorrupt {
    type Answer = bool;

    fn apply(&self, tx: &Connection) -> Result<bool, Error> {
        let Some(repository) = repositories::find(tx, &self.repository)? else {
            return Ok(false);
        };
        let changed: Option<(String, u64)> = tx
            .prepare_cached(
                "UPDATE manifests SET state = 'corrupt'
                 WHERE repository_id = ?1 AND digest = ?2 AND deleted_at IS NULL
                 RETURNING media_type, size",
            )?
            .query_row((repository, self.digest.as_str()), |row| {
                let size: i64 = row.get(1)?;
                Ok((row.get(0)?, u64::try_from(size).unwrap_or(0)))
            })
            .optional()?;
        let Some((media_type, size)) = changed else {
            return Ok(false);
        };
        let finding = Finding {
            digest: Some(self.digest.clone()),
            media_type: Some(media_type),
            size: Some(size),
            repository: Some(self.repository.as_str().to_owned()),
            detail: Some(self.detail.clone()),
            ..Finding::new(FindingKind::ManifestCorrupt)
        };
        if findings::open(tx, &finding, self.at_ms)? {
            audit_finding(tx, &self.repository, &self.digest, &self.detail, self.at_ms)?;
        }
        Ok(true)
    }

    fn is_frugal(&self, _answer: &bool) -> bool {
        true
    }
}

fn audit_finding(
    tx: &Connection,
    repository: &RepositoryName,
    digest: &Digest,
    detail: &str,
    at_ms: i64,
) -> Result<(), Error> {
    audit::append(
        tx,
        Audit {
            repository: Some(repository.as_str()),
            digest: Some(digest.as_str()),
            details: json!({ "kind": FindingKind::ManifestCorrupt.as_str(), "detail": detail }),
            ..Audit::by_system("integrity_finding", at_ms)
        },
    )
}

#[cfg(test)]
mod tests;
