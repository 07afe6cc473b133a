//! Who refers to a row, and since when nobody does: the one place that keeps `unreferenced_since`; never a delete.
//!
//! Only what is live refers: tags, and the edges of manifests without a tombstone.

use rusqlite::Connection;

use crate::error::Error;

/// Where an edge leads: rows of the edge's own repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// `manifests.id`.
    Manifest(i64),
    /// `blobs.id`, through the repository's link.
    Blob(i64),
}

/// Whether a live manifest of the repository names the blob.
pub(crate) fn blob_is_named(connection: &Connection, repository: i64, blob: i64) -> Result<bool, Error> {
    let named = connection
        .prepare_cached(
            "SELECT 1 FROM edges e CROSS JOIN manifests m ON m.id = e.manifest_id
             WHERE e.repository_id = ?1 AND e.target_blob = ?2 AND m.deleted_at IS NULL",
        )?
        .exists([repository, blob])?;
    Ok(named)
}

/// Whether a tag or a live index of the repository names the manifest.
pub(crate) fn manifest_is_named(connection: &Connection, repository: i64, manifest: i64) -> Result<bool, Error> {
    let tagged = connection
        .prepare_cached("SELECT 1 FROM tags WHERE repository_id = ?1 AND manifest_id = ?2")?
        .exists([repository, manifest])?;
    if tagged {
        return Ok(true);
    }
    let named = connection
        .prepare_cached(
            "SELECT 1 FROM edges e CROSS JOIN manifests m ON m.id = e.manifest_id
             WHERE e.repository_id = ?1 AND e.target_manifest = ?2 AND m.deleted_at IS NULL",
        )?
        .exists([repository, manifest])?;
    Ok(named)
}

/// Notes that something live refers to `target` now.
pub(crate) fn hold(tx: &Connection, repository: i64, target: Target) -> Result<(), Error> {
    match target {
        Target::Manifest(id) => tx
            .prepare_cached(
                "UPDATE manifests SET unreferenced_since = NULL WHERE id = ?1 AND unreferenced_since IS NOT NULL",
            )?
            .execute([id])?,
        Target::Blob(id) => tx
            .prepare_cached(
                "UPDATE repository_blobs SET unreferenced_since = NULL
                 WHERE repository_id = ?1 AND blob_id = ?2 AND unreferenced_since IS NOT NULL",
            )?
            .execute([repository, id])?,
    };
    Ok(())
}

/// Notes that a manifest that nothing refers to was pushed again at `at_ms`.
pub(crate) fn renew(tx: &Connection, manifest: i64, at_ms: i64) -> Result<(), Error> {
    tx.prepare_cached("UPDATE manifests SET unreferenced_since = ?2 WHERE id = ?1 AND unreferenced_since < ?2")?
        .execute([manifest, at_ms])?;
    Ok(())
}

/// Notes that a live reference to `target` went at `at_ms`, if it was the last.
pub(crate) fn release(tx: &Connection, repository: i64, target: Target, at_ms: i64) -> Result<(), Error> {
    match target {
        Target::Manifest(id) if !manifest_is_named(tx, repository, id)? => {
            tx.prepare_cached(
                "UPDATE manifests SET unreferenced_since = max(coalesce(unreferenced_since, ?2), ?2) WHERE id = ?1",
            )?
            .execute([id, at_ms])?;
        }
        Target::Blob(id) if !blob_is_named(tx, repository, id)? => {
            tx.prepare_cached(
                "UPDATE repository_blobs SET unreferenced_since = max(coalesce(unreferenced_since, ?3), ?3)
                 WHERE repository_id = ?1 AND blob_id = ?2",
            )?
            .execute([repository, id, at_ms])?;
        }
        Target::Manifest(_) | Target::Blob(_) => {}
    }
    Ok(())
}

/// Notes that the edges of `manifest`, which has just become a tombstone, went at `at_ms`.
pub(crate) fn release_targets(tx: &Connection, repository: i64, manifest: i64, at_ms: i64) -> Result<(), Error> {
    for target in targets(tx, manifest)? {
        release(tx, repository, target, at_ms)?;
    }
    Ok(())
}

/// Notes that the edges of `manifest`, which has just come back, refer to what they lead to.
pub(crate) fn hold_all(tx: &Connection, repository: i64, manifest: i64) -> Result<(), Error> {
    targets(tx, manifest)?.into_iter().try_for_each(|target| hold(tx, repository, target))
}

/// Where the edges of `manifest` lead, each target once.
fn targets(tx: &Connection, manifest: i64) -> Result<Vec<Target>, Error> {
    let mut statement = tx.prepare_cached(
        "SELECT DISTINCT target_manifest, target_blob FROM edges
         WHERE manifest_id = ?1 AND (target_manifest IS NOT NULL OR target_blob IS NOT NULL)",
    )?;
    let mut rows = statement.query([manifest])?;
    let mut targets = Vec::new();
    while let Some(row) = rows.next()? {
        let manifest: Option<i64> = row.get(0)?;
        let blob: Option<i64> = row.get(1)?;
        targets.extend(manifest.map(Target::Manifest));
        targets.extend(blob.map(Target::Blob));
    }
    Ok(targets)
}

#[cfg(test)]
mod tests;
