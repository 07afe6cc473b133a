//! What may be removed and in which order, found in strides; read only: the removal itself looks at everything again.
//!
//! Manifests first: tombstones whose time is past, each once no manifest that stays names it, so that parents come
//! before children; and with each the live untagged manifests whose subject it is. Then links and blobs that only
//! such manifests name. What waits is counted on the way.

use mcr_oci::Digest;
use rusqlite::{Connection, OptionalExtension as _};

use crate::Metadata;
use crate::collect;
use crate::collect_links;
use crate::collect_requests::Due;
use crate::error::Error;
use crate::id_set::IdSet;
use crate::plan_rows::StepAction;
use crate::sql;

/// Rows that one stride looks at: some milliseconds, since the log cannot begin anew while a read lasts.
pub(crate) const STRIDE: usize = 1000;

/// Rows that one stride passes over where most are of no interest.
pub(crate) const LONG_STRIDE: usize = 5000;

/// Something that may be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// How.
    pub action: StepAction,
    /// Where; none for a blob.
    pub repository: Option<String>,
    /// What.
    pub digest: Digest,
    /// Bytes of its file.
    pub bytes: u64,
    /// Why.
    pub why: Why,
}

/// Why something may be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// It was deleted then, in Unix milliseconds.
    Deleted(i64),
    /// The manifest it is about goes.
    SubjectGone,
    /// It has no tag, and nothing names it since then, in Unix milliseconds.
    Untagged(i64),
    /// No manifest that stays names it, in any of so many repositories; since then, in Unix milliseconds.
    Unnamed {
        /// When the last live reference or promise ended.
        since_ms: i64,
        /// Repositories that hold it.
        repositories: u64,
    },
    /// No repository holds it.
    Unlinked,
}

/// What waits: nothing live names it, and its time has not come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Bytes of blobs.
    pub bytes: u64,
    /// Blobs and manifests.
    pub digests: u64,
    /// When the last one's time comes, in Unix milliseconds.
    pub until_ms: Option<i64>,
}

/// A live manifest without a tag that no live index names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UntaggedManifest {
    /// Its row.
    pub id: i64,
    /// Where.
    pub repository: String,
    /// Which.
    pub digest: Digest,
    /// Since when, in Unix milliseconds.
    pub since_ms: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Tombstones,
    Manifests,
    Links,
    Blobs,
    Over,
}

/// A search under way. Its memory is some bits for each manifest that may go.
#[derive(Debug)]
pub struct CollectSearch {
    pub(crate) due: Due,
    phase: Phase,
    pub(crate) after: (i64, i64),
    /// Manifests whose own time is past.
    eligible: IdSet,
    /// Manifests that go.
    pub(crate) gone: IdSet,
    /// Live ones whose subject goes.
    orphans: IdSet,
    /// Orphans that stay as tombstones for now.
    buried: IdSet,
    /// Manifests to look at next.
    stack: Vec<i64>,
    waiting: Waiting,
    pub(crate) blob_bytes: u64,
}

impl CollectSearch {
    /// A search for what may go at `due`.
    #[must_use]
    pub fn new(due: Due) -> Self {
        Self {
            due,
            phase: Phase::Tombstones,
            after: (i64::MIN, i64::MIN),
            eligible: IdSet::default(),
            gone: IdSet::default(),
            orphans: IdSet::default(),
            buried: IdSet::default(),
            stack: Vec::new(),
            waiting: Waiting::default(),
            blob_bytes: 0,
        }
    }

    /// Takes a manifest that will be a tombstone whose time is past once the plan comes to it.
    pub fn take(&mut self, untagged: &UntaggedManifest) {
        self.eligible.insert(untagged.id);
    }

    /// What waits, once the search is over.
    #[must_use]
    pub const fn waiting(&self) -> Waiting {
        self.waiting
    }

    /// The bytes of all blobs, once the search is over.
    #[must_use]
    pub const fn blob_bytes(&self) -> u64 {
        self.blob_bytes
    }

    pub(crate) fn next_phase(&mut self, phase: Phase) {
        self.phase = phase;
        self.after = (i64::MIN, i64::MIN);
    }

    pub(crate) fn wait(&mut self, digests: u64, bytes: u64, until_ms: i64) {
        self.waiting.digests += digests;
        self.waiting.bytes = self.waiting.bytes.saturating_add(bytes);
        self.waiting.until_ms = self.waiting.until_ms.max(Some(until_ms));
    }
}

impl Metadata {
    /// Goes on with a search for one stride, and adds what it found. False once it is over.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn search_collectable(&self, search: &mut CollectSearch, found: &mut Vec<Candidate>) -> Result<bool, Error> {
        self.readers.read(|connection| {
            match search.phase {
                Phase::Tombstones => tombstones(connection, search)?,
                Phase::Manifests => manifests(connection, search, found)?,
                Phase::Links => collect_links::links(connection, search, found)?,
                Phase::Blobs => collect_links::blobs(connection, search, found)?,
                Phase::Over => {}
            }
            Ok(search.phase != Phase::Over)
        })
    }

    /// A page of the live manifests behind row `after` (0: from the first) that neither a tag nor a live index names,
    /// and that follow no subject; with the row to go on from, none at the end. A page may be empty and not the last.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn untagged_manifests(&self, after: i64) -> Result<(Vec<UntaggedManifest>, Option<i64>), Error> {
        self.readers.read(|connection| {
            let mut statement = connection.prepare_cached(
                "SELECT m.id, m.digest, m.unreferenced_since, m.deleted_at IS NULL, m.repository_id, m.subject, r.name
                 FROM manifests m CROSS JOIN repositories r ON r.id = m.repository_id
                 WHERE m.id > ?1 ORDER BY m.id LIMIT ?2",
            )?;
            let mut rows = statement.query([after, sql::limit(STRIDE)])?;
            let (mut found, mut last, mut seen) = (Vec::new(), after, 0);
            while let Some(row) = rows.next()? {
                (last, seen) = (row.get(0)?, seen + 1);
                let since: Option<i64> = row.get(2)?;
                let (live, repository, subject): (bool, i64, Option<String>) = (row.get(3)?, row.get(4)?, row.get(5)?);
                let (true, Some(since_ms)) = (live, since) else { continue };
                if !collect::has_subject(connection, repository, subject.as_deref())? {
                    let digest = sql::digest(row, 1)?;
                    found.push(UntaggedManifest { id: last, repository: row.get(6)?, digest, since_ms });
                }
            }
            Ok((found, (seen == STRIDE).then_some(last)))
        })
    }

    /// How many tags there are.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn count_tags(&self) -> Result<u64, Error> {
        self.readers.read(|connection| {
            let count: i64 = connection.prepare_cached("SELECT count(*) FROM tags")?.query_row([], |row| row.get(0))?;
            Ok(u64::try_from(count).unwrap_or(0))
        })
    }
}

/// Tells tombstones whose time is past from those that wait.
fn tombstones(connection: &Connection, search: &mut CollectSearch) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(
        "SELECT deleted_at, id, unreferenced_since FROM manifests
         WHERE deleted_at IS NOT NULL AND (deleted_at, id) > (?1, ?2) ORDER BY deleted_at, id LIMIT ?3",
    )?;
    let mut rows = statement.query((search.after.0, search.after.1, sql::limit(LONG_STRIDE)))?;
    let mut seen = 0;
    while let Some(row) = rows.next()? {
        let (deleted_at, id): (i64, i64) = (row.get(0)?, row.get(1)?);
        let from = search.due.from(row.get(2)?, Some(deleted_at)).unwrap_or(i64::MAX);
        if search.due.is_past(from) {
            search.eligible.insert(id);
        } else {
            search.wait(1, 0, from);
        }
        search.after = (deleted_at, id);
        seen += 1;
    }
    if seen < LONG_STRIDE {
        search.next_phase(Phase::Manifests);
    }
    Ok(())
}

/// Puts eligible manifests in order: each once everything that names it goes.
fn manifests(connection: &Connection, search: &mut CollectSearch, found: &mut Vec<Candidate>) -> Result<(), Error> {
    for _ in 0..STRIDE {
        let next = search.stack.pop().or_else(|| {
            let next = search.eligible.next(search.after.1)?;
            search.after.1 = next;
            Some(next)
        });
        let Some(id) = next else {
            search.next_phase(Phase::Links);
            return Ok(());
        };
        if !search.gone.contains(id) {
            visit(connection, search, id, found)?;
        }
    }
    Ok(())
}

struct Node {
    repository: i64,
    name: String,
    digest: Digest,
    unreferenced_since: Option<i64>,
    deleted_at: Option<i64>,
}

fn visit(
    connection: &Connection,
    search: &mut CollectSearch,
    id: i64,
    found: &mut Vec<Candidate>,
) -> Result<(), Error> {
    let Some(node) = node(connection, id)? else {
        return Ok(());
    };
    let mut candidate = Candidate {
        action: StepAction::Manifest,
        repository: Some(node.name.clone()),
        digest: node.digest.clone(),
        bytes: 0,
        why: match node.deleted_at {
            Some(at) => Why::Deleted(at),
            None if search.orphans.contains(id) => Why::SubjectGone,
            None => Why::Untagged(node.unreferenced_since.unwrap_or(search.due.now_ms)),
        },
    };
    let referrers = collect::referrers(connection, node.repository, &node.digest, id)?;
    let leased = |since: i64| !search.due.is_past(since.saturating_add(search.due.lease_ms));
    let ready = search.eligible.contains(id)
        && !referrers.iter().any(|(_, _, since)| leased(*since))
        && all_gone(connection, search, node.repository, id)?;
    if !ready {
        if search.orphans.contains(id) && search.buried.insert(id) {
            candidate.action = StepAction::Bury;
            found.push(candidate);
        }
        return Ok(());
    }
    search.gone.insert(id);
    found.push(candidate);
    for child in children(connection, id)? {
        if search.eligible.contains(child) {
            search.stack.push(child);
        }
    }
    for (referrer, _, since) in referrers {
        search.orphans.insert(referrer);
        if search.due.is_past(since.saturating_add(search.due.wait_ms)) {
            search.eligible.insert(referrer);
        }
        search.stack.push(referrer);
    }
    Ok(())
}

/// Whether every manifest that names it goes.
fn all_gone(connection: &Connection, search: &CollectSearch, repository: i64, id: i64) -> Result<bool, Error> {
    let mut statement =
        connection.prepare_cached("SELECT manifest_id FROM edges WHERE repository_id = ?1 AND target_manifest = ?2")?;
    let mut rows = statement.query([repository, id])?;
    while let Some(row) = rows.next()? {
        if !search.gone.contains(row.get(0)?) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn node(connection: &Connection, id: i64) -> Result<Option<Node>, Error> {
    let found = connection
        .prepare_cached(
            "SELECT m.repository_id, r.name, m.digest, m.unreferenced_since, m.deleted_at
             FROM manifests m CROSS JOIN repositories r ON r.id = m.repository_id WHERE m.id = ?1",
        )?
        .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, sql::digest(row, 2), row.get(3)?, row.get(4)?)))
        .optional()?;
    let Some((repository, name, digest, unreferenced_since, deleted_at)) = found else {
        return Ok(None);
    };
    Ok(Some(Node { repository, name, digest: digest?, unreferenced_since, deleted_at }))
}

fn children(connection: &Connection, id: i64) -> Result<Vec<i64>, Error> {
    let mut statement = connection.prepare_cached(
        "SELECT DISTINCT target_manifest FROM edges WHERE manifest_id = ?1 AND target_manifest IS NOT NULL",
    )?;
    let found = statement.query_map([id], |row| row.get(0))?;
    Ok(found.collect::<Result<_, _>>()?)
}
