//! What is unsound below a manifest, on every path that leads there, from rows alone; never a look at a file.

use std::collections::{HashMap, HashSet, VecDeque};

use mcr_oci::{Digest, Finding, FindingKind};
use rusqlite::{Connection, Row};

use crate::closure::MAX_CLOSURE_MANIFESTS;
use crate::error::Error;
use crate::findings;
use crate::rows::BlobState;
use crate::sql;

/// Findings that one look-up reports.
pub const MAX_DAMAGE: usize = 1000;

/// What is unsound at and below a manifest.
#[derive(Default)]
pub(crate) struct Damage {
    /// Each with the path from the root to its parent; at most [`MAX_DAMAGE`].
    pub(crate) findings: Vec<Finding>,
    /// Whether the manifest itself is corrupt, or a config or layer of its own unsound.
    pub(crate) own: bool,
}

/// Whether nothing at all is known to be unsound: one look at two indexes that are then empty.
pub(crate) fn nowhere(connection: &Connection) -> Result<bool, Error> {
    let anything = connection
        .prepare_cached(
            "SELECT 1 FROM blobs WHERE state <> 'sound' UNION ALL SELECT 1 FROM manifests WHERE state <> 'sound'",
        )?
        .exists([])?;
    Ok(!anything)
}

/// Everything unsound at and below the manifest `root` of the repository called `name`.
pub(crate) fn below(connection: &Connection, root: i64, name: &str) -> Result<Damage, Error> {
    let graph = Graph::read(connection, root, name)?;
    let damaged = graph.damaged();
    if !damaged.contains(&root) {
        return Ok(Damage::default());
    }
    let own = graph.nodes.get(&root).is_some_and(|node| node.own);
    Ok(Damage { findings: graph.report(root, &damaged, name), own })
}

/// One manifest of the closure.
struct Node {
    digest: Digest,
    /// Set where the manifest itself is corrupt.
    corrupt: Option<Finding>,
    /// What is wrong with blobs it names; without path and platform.
    blobs: Vec<Finding>,
    /// Child manifests, and the platform that the edge gives.
    children: Vec<(i64, Option<String>)>,
    /// Whether it is corrupt, or a config or layer of its own is unsound.
    own: bool,
}

/// The manifests of a closure, each once, with what is wrong at each.
#[derive(Default)]
struct Graph {
    nodes: HashMap<i64, Node>,
    parents: HashMap<i64, Vec<i64>>,
}

impl Graph {
    fn read(connection: &Connection, root: i64, name: &str) -> Result<Self, Error> {
        let mut graph = Self::default();
        let mut met = HashSet::from([root]);
        let mut queue = VecDeque::from([root]);
        while let Some(id) = queue.pop_front() {
            if graph.nodes.len() >= MAX_CLOSURE_MANIFESTS {
                return Err(Error::ClosureTooLarge(format!("{MAX_CLOSURE_MANIFESTS} manifests")));
            }
            let Some(mut node) = read_node(connection, id, name)? else {
                continue;
            };
            read_edges(connection, id, &mut node)?;
            for (child, _) in &node.children {
                graph.parents.entry(*child).or_default().push(id);
                if met.insert(*child) {
                    queue.push_back(*child);
                }
            }
            graph.nodes.insert(id, node);
        }
        Ok(graph)
    }

    /// The manifests at or below which something is wrong.
    fn damaged(&self) -> HashSet<i64> {
        let hurt = |node: &Node| node.corrupt.is_some() || !node.blobs.is_empty();
        let mut rising: Vec<i64> = self.nodes.iter().filter_map(|(id, node)| hurt(node).then_some(*id)).collect();
        let mut damaged = HashSet::new();
        while let Some(id) = rising.pop() {
            if damaged.insert(id) {
                rising.extend(self.parents.get(&id).into_iter().flatten());
            }
        }
        damaged
    }

    /// Follows every path from the root to something wrong. A stack, not recursion: depth is up to who pushed.
    fn report(&self, root: i64, damaged: &HashSet<i64>, name: &str) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut stack: Vec<(i64, Vec<Digest>, Option<String>)> = vec![(root, Vec::new(), None)];
        while let Some((id, path, platform)) = stack.pop() {
            let Some(node) = self.nodes.get(&id) else {
                continue;
            };
            let place = |finding: &Finding, path: &[Digest]| Finding {
                repository: Some(name.to_owned()),
                path: path.to_vec(),
                platform: platform.clone(),
                ..finding.clone()
            };
            findings.extend(node.corrupt.iter().map(|finding| place(finding, &path)));
            let mut below = path;
            below.push(node.digest.clone());
            findings.extend(node.blobs.iter().map(|finding| place(finding, &below)));
            if findings.len() >= MAX_DAMAGE {
                findings.truncate(MAX_DAMAGE);
                break;
            }
            for (child, of_child) in node.children.iter().rev() {
                if damaged.contains(child) {
                    stack.push((*child, below.clone(), of_child.clone().or_else(|| platform.clone())));
                }
            }
        }
        findings
    }
}

fn read_node(connection: &Connection, id: i64, name: &str) -> Result<Option<Node>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT digest, media_type, size, state = 'corrupt' FROM manifests WHERE id = ?1 AND deleted_at IS NULL",
    )?;
    let mut rows = statement.query([id])?;
    let Some(row) = rows.next()? else {
        return Ok(None);
    };
    let digest = sql::digest(row, 0)?;
    let is_corrupt: bool = row.get(3)?;
    let mut corrupt = None;
    if is_corrupt {
        let known = findings::about_manifest(connection, name, &digest)?;
        corrupt = Some(Finding {
            digest: Some(digest.clone()),
            media_type: row.get(1)?,
            size: Some(sql::unsigned(row, 2)?),
            ..known.unwrap_or_else(|| Finding::new(FindingKind::ManifestCorrupt))
        });
    }
    Ok(Some(Node { digest, own: is_corrupt, corrupt, blobs: Vec::new(), children: Vec::new() }))
}

/// Adds the child manifests and the unsound blobs; sound blobs, the many, are left in the database.
fn read_edges(connection: &Connection, id: i64, node: &mut Node) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(
        "SELECT e.target_manifest, e.platform, e.kind = 'child', e.digest, e.media_type, e.size, b.state
         FROM edges e LEFT JOIN blobs b ON b.id = e.target_blob
         WHERE e.manifest_id = ?1 AND (e.target_manifest IS NOT NULL OR b.state <> 'sound')
         ORDER BY e.position",
    )?;
    let mut rows = statement.query([id])?;
    while let Some(row) = rows.next()? {
        if let Some(child) = row.get::<_, Option<i64>>(0)? {
            node.children.push((child, row.get(1)?));
            continue;
        }
        let is_child: bool = row.get(2)?;
        node.own |= !is_child;
        node.blobs.push(unsound_blob(connection, row)?);
    }
    Ok(())
}

fn unsound_blob(connection: &Connection, row: &Row<'_>) -> Result<Finding, Error> {
    let digest = sql::digest(row, 3)?;
    let state: String = row.get(6)?;
    let known = match findings::about_blob(connection, &digest)? {
        Some(known) => known,
        None if state == BlobState::Missing.as_str() => Finding::new(FindingKind::BlobMissing),
        None => Finding::new(FindingKind::BlobCorrupt),
    };
    Ok(Finding {
        digest: Some(digest),
        media_type: row.get(4)?,
        size: Some(sql::unsigned(row, 5)?),
        tag: None,
        ..known
    })
}

#[cfg(test)]
mod tests;
