//! What retention decides on: a repository's tags and how its manifests hang together; and which rules a person confirmed; never the decision.

use std::collections::HashMap;

use mcr_oci::{Digest, RepositoryName};
use rusqlite::{Connection, OptionalExtension as _, Row, params};
use serde_json::Value;

use crate::Metadata;
use crate::error::Error;
use crate::followers;
use crate::id_set::IdSet;
use crate::job::{Done, Write, job};
use crate::plan_rows::{StartRetention, StartedRetention};
use crate::plans;
use crate::pulled;
use crate::repositories;
use crate::sql;

/// Manifests whose blobs one read looks at.
const DOOMED_AT_ONCE: usize = 1000;

/// Manifests that are to go, in any repository. A million that lie close together take some 300 KiB.
#[derive(Debug, Default)]
pub struct Doomed(IdSet);

/// A tag, as rules see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagFacts {
    /// Its name.
    pub name: String,
    /// The row of its manifest.
    pub manifest: i64,
    /// When it came to point there, in Unix milliseconds.
    pub moved_at_ms: i64,
    /// When its manifest, or a child of that, was pulled last, in Unix milliseconds.
    pub pulled_at_ms: Option<i64>,
    /// Whom it follows.
    pub follows: Follows,
}

/// Whom a tag follows: a signature its image, by its name or by its manifest's subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follows {
    /// Nobody: rules count it.
    Nobody,
    /// Something live in this repository.
    Live,
    /// Something that was deleted here and not collected yet.
    Deleted {
        /// When, in Unix milliseconds.
        at_ms: i64,
    },
    /// Something that is not in this repository.
    Absent,
}

/// A live manifest, as rules see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ManifestFacts {
    /// Its row.
    pub id: i64,
    /// The row of its subject, where that is live here.
    pub subject: Option<i64>,
    /// Whether its subject is here and deleted: what follows it goes when it is removed, as for the collector.
    pub of_tombstone: bool,
    /// Since when nothing live names it, and nobody was promised it, in Unix milliseconds; none while something does.
    pub unreferenced_since_ms: Option<i64>,
}

/// A repository, as rules see it, all of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RepositoryFacts {
    /// Its tags, sorted.
    pub tags: Vec<TagFacts>,
    /// Its live manifests.
    pub manifests: Vec<ManifestFacts>,
    /// Which live manifest names which.
    pub children: Vec<(i64, i64)>,
    /// For tags that follow by their name: the row of the live manifest they follow.
    pub followed: HashMap<String, i64>,
    /// Since when pulls are written down, in Unix milliseconds; none: since never.
    pub pulls_since_ms: Option<i64>,
}

/// A rule that was met in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleState {
    /// What it says, as a digest.
    pub fingerprint: String,
    /// When a person confirmed it, in Unix milliseconds.
    pub confirmed_at_ms: Option<i64>,
}

/// Notes rules, and what a person thinks of them.
#[derive(Clone, Debug)]
pub struct NoteRules {
    /// Fingerprint and words of each.
    pub rules: Vec<(String, Value)>,
    /// None: only note that they were met. Some: they are (`true`) or are no longer (`false`) confirmed.
    pub confirmed: Option<bool>,
    /// Who says so.
    pub by: String,
    /// Now, in Unix milliseconds.
    pub at_ms: i64,
}

impl Metadata {
    /// What retention decides on, of one repository. None where there is no such repository.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn retention_facts(&self, repository: &RepositoryName) -> Result<Option<RepositoryFacts>, Error> {
        self.readers.read(|connection| {
            let Some(id) = repositories::find(connection, repository)? else { return Ok(None) };
            let mut facts =
                RepositoryFacts { pulls_since_ms: pulled::recorded_since(connection)?, ..RepositoryFacts::default() };
            manifests(connection, id, &mut facts)?;
            tags(connection, id, &mut facts)?;
            Ok(Some(facts))
        })
    }

    /// The digests of manifests, by row; those that went meanwhile are left out.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn manifest_digests(&self, ids: &[i64]) -> Result<HashMap<i64, Digest>, Error> {
        self.readers.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT digest FROM manifests WHERE id = ?1")?;
            let mut digests = HashMap::with_capacity(ids.len());
            for id in ids {
                if let Some(digest) = statement.query_row([id], |row| Ok(sql::digest(row, 0))).optional()? {
                    digests.insert(*id, digest?);
                }
            }
            Ok(digests)
        })
    }

    /// Dooms `more`, rows of live manifests, beside those that are doomed already; gives the bytes of the blobs that
    /// nothing live names any more, in any repository, because of that, by the manifest that is the first of `more` to
    /// name each; and how many blobs that are. So however many go bit by bit, every blob counts once: with the last that
    /// names it.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn doom(&self, doomed: &mut Doomed, more: &[i64]) -> Result<(HashMap<i64, u64>, u64), Error> {
        for id in more {
            doomed.0.insert(*id);
        }
        let mut seen = IdSet::default();
        let (mut bytes, mut count) = (HashMap::new(), 0);
        // In many short reads: the write-ahead log cannot begin anew during one.
        for some in more.chunks(DOOMED_AT_ONCE) {
            self.readers.read(|connection| {
                let mut blobs = connection.prepare_cached(
                    "SELECT DISTINCT e.target_blob, b.size FROM edges e CROSS JOIN blobs b ON b.id = e.target_blob
                     WHERE e.manifest_id = ?1",
                )?;
                for manifest in some {
                    let mut rows = blobs.query([manifest])?;
                    while let Some(row) = rows.next()? {
                        let (blob, size): (i64, u64) = (row.get(0)?, sql::unsigned(row, 1)?);
                        if seen.insert(blob) && !kept(connection, blob, &doomed.0)? {
                            *bytes.entry(*manifest).or_insert(0_u64) += size;
                            count += 1;
                        }
                    }
                }
                Ok(())
            })?;
        }
        Ok((bytes, count))
    }

    /// The rules that were met so far.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub fn retention_rules(&self) -> Result<Vec<RuleState>, Error> {
        self.readers.read(|connection| {
            let mut statement = connection.prepare_cached("SELECT fingerprint, confirmed_at FROM retention_rules")?;
            let rows = statement
                .query_map([], |row| Ok(RuleState { fingerprint: row.get(0)?, confirmed_at_ms: row.get(1)? }))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Brings a plan of retention into state running, with the rules it confirms; or finds that one of its rules is not
    /// confirmed. Both in one transaction, so that a confirmation that was taken back meanwhile is seen.
    pub fn start_retention(&self, request: StartRetention, done: Done<StartedRetention>) {
        self.submit(job(request, done));
    }

    /// Notes rules that were met, confirmed, or are no longer confirmed.
    pub fn note_rules(&self, request: NoteRules, done: Done<()>) {
        self.submit(job(request, done));
    }
}

impl Write for NoteRules {
    type Answer = ();

    fn apply(&self, tx: &Connection) -> Result<(), Error> {
        for (fingerprint, rule) in &self.rules {
            tx.prepare_cached(
                "INSERT OR IGNORE INTO retention_rules (fingerprint, rule, first_seen_at) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![fingerprint, rule.to_string(), self.at_ms])?;
            if let Some(confirmed) = self.confirmed {
                say(tx, fingerprint, confirmed, &self.by, self.at_ms)?;
            }
        }
        Ok(())
    }

    fn is_frugal(&self, _answer: &()) -> bool {
        true
    }
}

/// Writes down that a rule is, or is no longer, confirmed; the first word counts.
fn say(tx: &Connection, fingerprint: &str, confirmed: bool, by: &str, at_ms: i64) -> Result<(), Error> {
    tx.prepare_cached(
        "UPDATE retention_rules SET confirmed_at = ?2, confirmed_by = ?3
         WHERE fingerprint = ?1 AND (confirmed_at IS NULL) = ?4",
    )?
    .execute(params![fingerprint, confirmed.then_some(at_ms), by, confirmed])?;
    Ok(())
}

impl Write for StartRetention {
    type Answer = StartedRetention;

    fn apply(&self, tx: &Connection) -> Result<StartedRetention, Error> {
        let change = &self.change;
        let Some(before) = plans::find(tx, &change.id)?.filter(|plan| change.from.contains(&plan.state)) else {
            return Ok(StartedRetention::Elsewhere);
        };
        let totals = change.totals.as_ref().unwrap_or(&before.totals);
        if !self.yes {
            let mut confirmed =
                tx.prepare_cached("SELECT 1 FROM retention_rules WHERE fingerprint = ?1 AND confirmed_at IS NOT NULL")?;
            for rule in &totals.rules {
                if !confirmed.exists([rule])? {
                    return Ok(StartedRetention::Unconfirmed(rule.clone()));
                }
            }
        }
        let Some(running) = change.apply(tx)? else { return Ok(StartedRetention::Elsewhere) };
        if self.yes {
            for rule in &running.totals.confirms {
                say(tx, rule, true, &change.actor.name, change.at_ms)?;
            }
        }
        Ok(StartedRetention::Running(Box::new(running)))
    }

    fn is_frugal(&self, _answer: &StartedRetention) -> bool {
        true
    }
}

/// Whether a live manifest outside of `doomed` names the blob, in whatever repository.
fn kept(connection: &Connection, blob: i64, doomed: &IdSet) -> Result<bool, Error> {
    let mut naming = connection.prepare_cached(
        "SELECT e.manifest_id
         FROM repository_blobs l CROSS JOIN edges e ON e.repository_id = l.repository_id AND e.target_blob = l.blob_id
         CROSS JOIN manifests m ON m.id = e.manifest_id
         WHERE l.blob_id = ?1 AND l.deleted_at IS NULL AND m.deleted_at IS NULL",
    )?;
    let mut rows = naming.query([blob])?;
    while let Some(row) = rows.next()? {
        if !doomed.contains(row.get(0)?) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn manifests(connection: &Connection, repository: i64, facts: &mut RepositoryFacts) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(
        "SELECT m.id, s.id, m.unreferenced_since, s.deleted_at IS NOT NULL
         FROM manifests m
         LEFT JOIN manifests s ON s.repository_id = m.repository_id AND s.digest = m.subject AND s.id <> m.id
         WHERE m.repository_id = ?1 AND m.deleted_at IS NULL",
    )?;
    let mut rows = statement.query([repository])?;
    while let Some(row) = rows.next()? {
        let (subject, of_tombstone): (Option<i64>, bool) = (row.get(1)?, row.get(3)?);
        facts.manifests.push(ManifestFacts {
            id: row.get(0)?,
            subject: subject.filter(|_| !of_tombstone),
            of_tombstone,
            unreferenced_since_ms: row.get(2)?,
        });
    }
    let mut statement = connection.prepare_cached(
        "SELECT DISTINCT m.id, e.target_manifest FROM manifests m CROSS JOIN edges e ON e.manifest_id = m.id
         WHERE m.repository_id = ?1 AND m.deleted_at IS NULL AND e.target_manifest IS NOT NULL",
    )?;
    let mut rows = statement.query([repository])?;
    while let Some(row) = rows.next()? {
        facts.children.push((row.get(0)?, row.get(1)?));
    }
    Ok(())
}

fn tags(connection: &Connection, repository: i64, facts: &mut RepositoryFacts) -> Result<(), Error> {
    let mut statement = connection.prepare_cached(
        "SELECT t.name, t.manifest_id, t.moved_at,
                max(coalesce((SELECT pulled_at FROM manifest_pulls WHERE manifest_id = t.manifest_id), 0),
                    coalesce((SELECT max(p.pulled_at) FROM edges e
                              CROSS JOIN manifest_pulls p ON p.manifest_id = e.target_manifest
                              WHERE e.manifest_id = t.manifest_id AND e.target_manifest IS NOT NULL), 0)),
                m.subject
         FROM tags t CROSS JOIN manifests m ON m.id = t.manifest_id
         WHERE t.repository_id = ?1 ORDER BY t.name",
    )?;
    let mut rows = statement.query([repository])?;
    while let Some(row) = rows.next()? {
        let tag = tag(connection, repository, row, facts)?;
        facts.tags.push(tag);
    }
    Ok(())
}

fn tag(
    connection: &Connection,
    repository: i64,
    row: &Row<'_>,
    facts: &mut RepositoryFacts,
) -> Result<TagFacts, Error> {
    let name: String = row.get(0)?;
    let (manifest, pulled, subject): (i64, i64, Option<String>) = (row.get(1)?, row.get(3)?, row.get(4)?);
    let mut follows = Follows::Nobody;
    if followers::is_follower(&name) {
        follows = Follows::Absent;
        if let Some(digest) = followers::followed(&name) {
            match leader(connection, repository, &digest)? {
                Some((id, None)) => {
                    follows = Follows::Live;
                    facts.followed.insert(name.clone(), id);
                }
                Some((_, Some(at_ms))) => follows = Follows::Deleted { at_ms },
                None => {}
            }
        }
    } else if let Some(subject) = subject {
        // A tag on what refers to something that is gone is a tag like any other.
        if let Some((id, None)) = leader(connection, repository, &subject)? {
            follows = if id == manifest { Follows::Nobody } else { Follows::Live };
        }
    }
    Ok(TagFacts { manifest, moved_at_ms: row.get(2)?, pulled_at_ms: (pulled > 0).then_some(pulled), follows, name })
}

/// The manifest whose digest begins so, and when it was deleted; a live one before a tombstone.
fn leader(connection: &Connection, repository: i64, digest: &str) -> Result<Option<(i64, Option<i64>)>, Error> {
    let found = connection
        .prepare_cached(
            "SELECT id, deleted_at FROM manifests
             WHERE repository_id = ?1 AND digest >= ?2 AND digest < ?3 ORDER BY deleted_at IS NOT NULL LIMIT 1",
        )?
        .query_row(params![repository, digest, followers::behind(digest)], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(found)
}

#[cfg(test)]
mod tests;
