//! The edges of a manifest: where each leads at commit, and filling those that waited; never who may push.

use mcr_oci::{Digest, Edge, EdgeKind, EdgeTarget, Manifest};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::error::Error;
use crate::references::{self, Target};
use crate::sql;

/// An edge about to be written.
pub(crate) struct Resolved<'a> {
    edge: &'a Edge,
    target: Option<Target>,
    /// Whether its absence is no finding.
    weak: bool,
}

impl Resolved<'_> {
    /// Where it leads, if it leads anywhere yet.
    pub(crate) const fn target(&self) -> Option<Target> {
        self.target
    }
}

/// What stands behind a digest in a repository.
enum Behind {
    Nothing,
    /// Something that may not be relied on: of another size, or unsound.
    Bad,
    Good(Target),
}

/// Finds where every edge of `manifest` leads. None if one that must lead somewhere does not: to something live,
/// sound and of the size its descriptor says. `repository` is none where there is no such repository yet.
pub(crate) fn resolve<'a>(
    tx: &Connection,
    repository: Option<i64>,
    manifest: &'a Manifest,
    allow_missing_children: bool,
) -> Result<Option<Vec<Resolved<'a>>>, Error> {
    let mut resolved = Vec::with_capacity(manifest.edges.len());
    for edge in &manifest.edges {
        let behind = match repository {
            Some(repository) => behind(tx, repository, edge)?,
            None => Behind::Nothing,
        };
        let may_be_absent = allow_missing_children && edge.kind == EdgeKind::Child;
        let (target, weak) = match behind {
            Behind::Good(target) => (Some(target), !edge.is_required()),
            Behind::Bad | Behind::Nothing if !edge.is_required() => (None, true),
            Behind::Nothing if may_be_absent => (None, true),
            Behind::Bad | Behind::Nothing => return Ok(None),
        };
        resolved.push(Resolved { edge, target, weak });
    }
    Ok(Some(resolved))
}

/// Writes the edges of `manifest`. One that is there already keeps what it leads to where nothing better is known.
pub(crate) fn write(tx: &Connection, repository: i64, manifest: i64, edges: &[Resolved<'_>]) -> Result<(), Error> {
    let mut statement = tx.prepare_cached(
        "INSERT INTO edges (manifest_id, position, repository_id, kind, wants, digest, size, media_type, platform,
                            weak, target_manifest, target_blob)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
         ON CONFLICT (manifest_id, position) DO UPDATE
         SET weak = excluded.weak,
             target_manifest = iif(coalesce(excluded.target_manifest, excluded.target_blob) IS NULL,
                                   target_manifest, excluded.target_manifest),
             target_blob = iif(coalesce(excluded.target_manifest, excluded.target_blob) IS NULL,
                               target_blob, excluded.target_blob)
         WHERE weak <> excluded.weak
            OR (coalesce(excluded.target_manifest, excluded.target_blob) IS NOT NULL
                AND (target_manifest IS NOT excluded.target_manifest OR target_blob IS NOT excluded.target_blob))",
    )?;
    for (position, resolved) in edges.iter().enumerate() {
        let descriptor = &resolved.edge.descriptor;
        let (to_manifest, to_blob) = match resolved.target {
            Some(Target::Manifest(id)) => (Some(id), None),
            Some(Target::Blob(id)) => (None, Some(id)),
            None => (None, None),
        };
        statement.execute(params![
            manifest,
            i64::try_from(position).unwrap_or(i64::MAX),
            repository,
            kind(resolved.edge.kind),
            wants(resolved.edge.target()),
            descriptor.digest.as_str(),
            sql::size(descriptor.size),
            descriptor.media_type,
            descriptor.platform.as_ref().map(ToString::to_string),
            resolved.weak,
            to_manifest,
            to_blob,
        ])?;
    }
    Ok(())
}

/// Removes the edges of `manifest`, before others are written in their place.
pub(crate) fn forget(tx: &Connection, manifest: i64) -> Result<(), Error> {
    tx.prepare_cached("DELETE FROM edges WHERE manifest_id = ?1")?.execute([manifest])?;
    Ok(())
}

/// Leads the edges that waited for `digest` to `target`, which has just become live there.
pub(crate) fn fill(tx: &Connection, repository: i64, digest: &Digest, target: Target, size: u64) -> Result<(), Error> {
    let (sql, id) = match target {
        Target::Manifest(id) => (
            "UPDATE edges SET target_manifest = ?4
             WHERE repository_id = ?1 AND digest = ?2 AND target_manifest IS NULL AND target_blob IS NULL
               AND size = ?3 AND wants IN ('manifest', 'either')",
            id,
        ),
        // The size of a foreign layer is not checked: clients write what they like there.
        Target::Blob(id) => (
            "UPDATE edges SET target_blob = ?4
             WHERE repository_id = ?1 AND digest = ?2 AND target_manifest IS NULL AND target_blob IS NULL
               AND (size = ?3 OR kind = 'layer') AND wants IN ('blob', 'either')",
            id,
        ),
    };
    tx.prepare_cached(sql)?.execute(params![repository, digest.as_str(), sql::size(size), id])?;
    Ok(())
}

/// Notes that every edge's target is referred to now.
pub(crate) fn hold_targets(tx: &Connection, repository: i64, edges: &[Resolved<'_>]) -> Result<(), Error> {
    for target in edges.iter().filter_map(Resolved::target) {
        references::hold(tx, repository, target)?;
    }
    Ok(())
}

fn behind(tx: &Connection, repository: i64, edge: &Edge) -> Result<Behind, Error> {
    match edge.target() {
        EdgeTarget::Manifest => manifest_behind(tx, repository, edge),
        EdgeTarget::Blob => blob_behind(tx, repository, edge),
        EdgeTarget::Either => Ok(match manifest_behind(tx, repository, edge)? {
            Behind::Good(target) => Behind::Good(target),
            Behind::Nothing => blob_behind(tx, repository, edge)?,
            Behind::Bad => match blob_behind(tx, repository, edge)? {
                Behind::Good(target) => Behind::Good(target),
                Behind::Bad | Behind::Nothing => Behind::Bad,
            },
        }),
    }
}

fn manifest_behind(tx: &Connection, repository: i64, edge: &Edge) -> Result<Behind, Error> {
    let found: Option<(i64, i64, bool)> = tx
        .prepare_cached(
            "SELECT id, size, state = 'sound' FROM manifests
             WHERE repository_id = ?1 AND digest = ?2 AND deleted_at IS NULL",
        )?
        .query_row((repository, edge.descriptor.digest.as_str()), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    Ok(judge(edge, found, Target::Manifest))
}

fn blob_behind(tx: &Connection, repository: i64, edge: &Edge) -> Result<Behind, Error> {
    let found: Option<(i64, i64, bool)> = tx
        .prepare_cached(
            "SELECT b.id, b.size, b.state = 'sound'
             FROM blobs b CROSS JOIN repository_blobs l ON l.repository_id = ?1 AND l.blob_id = b.id
             WHERE b.digest = ?2 AND l.deleted_at IS NULL",
        )?
        .query_row((repository, edge.descriptor.digest.as_str()), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    Ok(judge(edge, found, Target::Blob))
}

fn judge(edge: &Edge, found: Option<(i64, i64, bool)>, target: fn(i64) -> Target) -> Behind {
    match found {
        None => Behind::Nothing,
        Some((id, size, true)) if !edge.is_required() || size == sql::size(edge.descriptor.size) => {
            Behind::Good(target(id))
        }
        Some(_) => Behind::Bad,
    }
}

const fn kind(kind: EdgeKind) -> &'static str {
    match kind {
        EdgeKind::Child => "child",
        EdgeKind::Config => "config",
        EdgeKind::Layer => "layer",
    }
}

const fn wants(target: EdgeTarget) -> &'static str {
    match target {
        EdgeTarget::Manifest => "manifest",
        EdgeTarget::Blob => "blob",
        EdgeTarget::Either => "either",
    }
}
