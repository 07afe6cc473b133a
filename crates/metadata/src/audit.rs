//! The audit trail: rows appended in the transaction of what they tell, each chained to the one before; never changed.
//!
//! `hash = sha256(previous ‖ row)` in lower-case hex, where `previous` is the hash of the row before (64 zeros for
//! the first) as text and `row` is the row as canonical JSON: keys sorted, no spaces, null columns left out, and
//! `"v":1` for the form itself, so that a later column can join without breaking older rows.

use mcr_oci::{Digest, RepositoryName};
use rusqlite::{Connection, OptionalExtension as _, Row};
use serde_json::{Map, Value};

use crate::Metadata;
use crate::error::Error;
use crate::job::{Done, Write, job};
use crate::repeats::{self, Admitted};
use crate::rows::Actor;

/// What stands for the hash before the first row.
const NO_PREVIOUS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// The form of the JSON that is hashed.
const FORM: i64 = 1;

/// The name that the registry's own deeds stand under.
pub(crate) const SYSTEM: &str = "mcrsrv";

/// The event that tells how many others could not be written.
const GAP: &str = "audit_gap";

/// One event for the audit trail, beside those that the writes record themselves.
#[derive(Clone, Debug)]
pub struct AuditEvent {
    /// One of the contract's event names, such as `push_refused`.
    pub event: &'static str,
    /// Who did it.
    pub actor: Actor,
    /// The repository it is about.
    pub repository: Option<RepositoryName>,
    /// The tag it is about, as it was asked for.
    pub tag: Option<String>,
    /// The digest it is about.
    pub digest: Option<Digest>,
    /// Anything else worth keeping; an object. Never a secret.
    pub details: Value,
    /// When, in Unix milliseconds.
    pub at_ms: i64,
}

impl Metadata {
    /// Appends an event. Repeats of a refusal (same event, address, account and minute) are counted and stand in
    /// one further row with `details.count`, written when the minute is over; `done` is then called at once. Of more
    /// than a few thousand different refusals a minute the rest is answered [`Error::TooManyRefusals`].
    pub fn record_event(&self, event: AuditEvent, done: Done<()>) {
        match self.repeats.admit(event) {
            Admitted::Append(event) => self.submit(job(Append(event), done)),
            Admitted::Counted => done(Ok(())),
            Admitted::TooMany => done(Err(Error::TooManyRefusals)),
        }
    }

    /// Appends events in one transaction, none of them a refusal.
    pub fn record_events(&self, events: Vec<AuditEvent>, done: Done<()>) {
        self.submit(job(AppendAll(events), done));
    }
}

/// A row to append; `seq` and the hashes are given to it.
pub(crate) struct Audit<'a> {
    pub(crate) at_ms: i64,
    pub(crate) event: &'a str,
    pub(crate) actor: &'a str,
    pub(crate) address: Option<&'a str>,
    pub(crate) repository: Option<&'a str>,
    pub(crate) tag: Option<&'a str>,
    pub(crate) digest: Option<&'a str>,
    pub(crate) details: Value,
}

impl<'a> Audit<'a> {
    /// An event of `actor`, about nothing yet.
    pub(crate) fn by(actor: &'a Actor, event: &'a str, at_ms: i64) -> Self {
        Self {
            at_ms,
            event,
            actor: &actor.name,
            address: actor.address.as_deref(),
            repository: None,
            tag: None,
            digest: None,
            details: Value::Null,
        }
    }

    /// An event of the registry itself.
    pub(crate) fn by_system(event: &'a str, at_ms: i64) -> Self {
        Self {
            at_ms,
            event,
            actor: SYSTEM,
            address: None,
            repository: None,
            tag: None,
            digest: None,
            details: Value::Null,
        }
    }
}

/// Content of a repository, somebody, and a time: what most events have in common.
pub(crate) struct About<'a> {
    pub(crate) repository: &'a RepositoryName,
    pub(crate) digest: &'a Digest,
    pub(crate) actor: &'a Actor,
    pub(crate) at_ms: i64,
}

impl About<'_> {
    /// Appends that `event` happened to it.
    pub(crate) fn tell(&self, tx: &Connection, event: &str, details: Value) -> Result<(), Error> {
        let audit = Audit {
            repository: Some(self.repository.as_str()),
            digest: Some(self.digest.as_str()),
            details,
            ..Audit::by(self.actor, event, self.at_ms)
        };
        append(tx, audit)
    }
}

/// Appends a row; the head is read in the same transaction, which has the database to itself.
///
/// # Errors
/// Whatever SQLite answers.
pub(crate) fn append(tx: &Connection, audit: Audit<'_>) -> Result<(), Error> {
    if cfg!(feature = "without-audit") {
        return Ok(());
    }
    let (seq, previous) = head(tx)?;
    let entry = Entry {
        seq: seq + 1,
        at: audit.at_ms,
        event: audit.event.to_owned(),
        actor: audit.actor.to_owned(),
        address: audit.address.map(str::to_owned),
        repository: audit.repository.map(str::to_owned),
        tag: audit.tag.map(str::to_owned),
        digest: audit.digest.map(str::to_owned),
        details: canonical(&details_object(audit.details)),
    };
    let hash = entry.hash(&previous);
    tx.prepare_cached(
        "INSERT INTO audit (seq, at, event, actor, address, repository, tag, digest, details, previous, hash)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )?
    .execute(rusqlite::params![
        entry.seq,
        entry.at,
        entry.event,
        entry.actor,
        entry.address,
        entry.repository,
        entry.tag,
        entry.digest,
        entry.details,
        previous,
        hash
    ])?;
    Ok(())
}

/// Appends one [`AuditEvent`].
pub(crate) struct Append(pub(crate) AuditEvent);

impl Write for Append {
    type Answer = ();

    fn apply(&self, tx: &Connection) -> Result<(), Error> {
        append_event(tx, &self.0)
    }

    /// Logins go on where a disk is full; telling of every refused push, or every minute of what could not be told,
    /// could wear out what deletes need.
    fn is_frugal(&self, _answer: &()) -> bool {
        !repeats::is_counted(self.0.event) && self.0.event != GAP
    }
}

/// Appends several [`AuditEvent`]s.
struct AppendAll(Vec<AuditEvent>);

impl Write for AppendAll {
    type Answer = ();

    fn apply(&self, tx: &Connection) -> Result<(), Error> {
        self.0.iter().try_for_each(|event| append_event(tx, event))
    }
}

fn append_event(tx: &Connection, event: &AuditEvent) -> Result<(), Error> {
    append(
        tx,
        Audit {
            repository: event.repository.as_ref().map(RepositoryName::as_str),
            tag: event.tag.as_deref(),
            digest: event.digest.as_ref().map(Digest::as_str),
            details: event.details.clone(),
            ..Audit::by(&event.actor, event.event, event.at_ms)
        },
    )
}

/// A row as it is hashed.
pub(crate) struct Entry {
    pub(crate) seq: i64,
    pub(crate) at: i64,
    event: String,
    actor: String,
    address: Option<String>,
    repository: Option<String>,
    tag: Option<String>,
    digest: Option<String>,
    /// Canonical JSON.
    details: String,
}

impl Entry {
    /// A row of `seq, at, event, actor, address, repository, tag, digest, details`.
    pub(crate) fn from_row(row: &Row<'_>) -> Result<Self, rusqlite::Error> {
        Ok(Self {
            seq: row.get(0)?,
            at: row.get(1)?,
            event: row.get(2)?,
            actor: row.get(3)?,
            address: row.get(4)?,
            repository: row.get(5)?,
            tag: row.get(6)?,
            digest: row.get(7)?,
            details: row.get(8)?,
        })
    }

    /// The hash it must have behind `previous`.
    pub(crate) fn hash(&self, previous: &str) -> String {
        // `details` goes in as the text it is stored as: what was written is what is verified.
        let mut json = String::from(previous);
        json.push('{');
        member(&mut json, "actor", Some(&self.actor));
        member(&mut json, "address", self.address.as_deref());
        json.push_str(&format!("\"at\":{},\"details\":{},", self.at, self.details));
        member(&mut json, "digest", self.digest.as_deref());
        member(&mut json, "event", Some(&self.event));
        member(&mut json, "repository", self.repository.as_deref());
        json.push_str(&format!("\"seq\":{},", self.seq));
        member(&mut json, "tag", self.tag.as_deref());
        json.push_str(&format!("\"v\":{FORM}}}"));
        Digest::sha256(json.as_bytes()).hex().to_owned()
    }
}

/// Adds one member, unless it is null.
fn member(json: &mut String, key: &str, value: Option<&str>) {
    if let Some(value) = value {
        json.push_str(&format!("\"{key}\":{},", Value::from(value)));
    }
}

/// The last row's number and hash.
pub(crate) fn head(tx: &Connection) -> Result<(i64, String), Error> {
    let last = tx
        .prepare_cached("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    last.map_or_else(|| anchor(tx), Ok)
}

/// Where the chain begins: behind the last cut, or at nothing.
pub(crate) fn anchor(connection: &Connection) -> Result<(i64, String), Error> {
    let cut = connection
        .prepare_cached("SELECT seq, hash FROM audit_anchors ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(cut.unwrap_or_else(|| (0, NO_PREVIOUS.to_owned())))
}

fn details_object(details: Value) -> Value {
    match details {
        Value::Null => Value::Object(Map::new()),
        other => other,
    }
}

/// `value` as JSON with sorted keys and no spaces.
fn canonical(value: &Value) -> String {
    let mut sorted = value.clone();
    sorted.sort_all_objects();
    sorted.to_string()
}

#[cfg(test)]
mod tests;
