//! The audit log of a registry written in Go, appended to our chain; never a change of what it says.

use std::collections::HashSet;

use mcr_access::{Administer, GlobalPermit};
use mcr_client::Client;
use mcr_oci::{Digest, RepositoryName};
use mcr_registry::{Adopter, AuditQuery, ImportedEvent, MAX_IMPORTED_EVENTS, Registry};
use serde::Serialize;
use serde_json::{Value, json};

use super::policy::page;
use crate::cli::Failure;

/// Events asked for at once.
const PAGE: usize = 500;
/// Most events of one log.
const MAX_EVENTS: usize = 5_000_000;
/// The event that ours are.
const EVENT: &str = "import_audit";

/// What became of the log.
#[derive(Debug, Default, Serialize)]
pub(super) struct Done {
    /// Events that were appended.
    pub(super) appended: u64,
    /// Events that an earlier run appended.
    pub(super) already: u64,
}

impl Done {
    pub(super) fn text(&self) -> String {
        format!("audit: {} events appended, {} here already\n", self.appended, self.already)
    }
}

/// Whether the log can be read at all: asked before anything is changed.
pub(super) async fn ask(client: &Client) -> Result<(), Failure> {
    page(client, "v1/audit?n=1&offset=0", "events").await.map(drop)
}

/// Appends every event that is not here yet, page by page as the origin lists them and the oldest of a page first;
/// `done` tells how far it came. Our chain stays append-only: an event stands where it was imported, with everything
/// that the other registry said of it, time and actor included, in its details.
pub(super) async fn import(
    client: &Client,
    registry: &Registry,
    permit: &GlobalPermit<Administer>,
    adopter: &Adopter,
    done: &mut Done,
) -> Result<(), Failure> {
    let earlier = earlier(registry, permit, client.host()).await?;
    let mut met = HashSet::new();
    let mut offset = 0;
    // Until a page brings nothing that was not there before: the log may grow at its newer end meanwhile.
    loop {
        let mut page = page(client, &format!("v1/audit?n={PAGE}&offset={offset}"), "events").await?;
        offset += page.len();
        page.retain(|event| met.insert(key(event)));
        if page.is_empty() {
            return Ok(());
        }
        if met.len() > MAX_EVENTS {
            let why = format!("{} lists more than {MAX_EVENTS} audit events; the rest was left out", client.host());
            return Err(Failure { code: 3, lines: vec![why] });
        }
        page.sort_by_key(order);
        let listed = page.len();
        page.retain(|event| !earlier.contains(&key(event)));
        done.already += (listed - page.len()) as u64;
        for events in page.chunks(MAX_IMPORTED_EVENTS) {
            let rows = events.iter().map(|event| ours(client.host(), event)).collect();
            adopter.tell_imported(rows).await.map_err(Failure::refused)?;
            done.appended += events.len() as u64;
        }
    }
}

/// The keys of the events of this origin that are here.
async fn earlier(
    registry: &Registry,
    permit: &GlobalPermit<Administer>,
    origin: &str,
) -> Result<HashSet<u128>, Failure> {
    let query = AuditQuery { event: Some(EVENT.to_owned()), ..AuditQuery::default() };
    let mut rows = registry.audit_export(permit, query).map_err(Failure::refused)?;
    let mut seen = HashSet::new();
    while let Some(page) = rows.next_rows().await.map_err(Failure::refused)? {
        for row in page {
            let is_of_origin = row.details.get("origin").and_then(Value::as_str) == Some(origin);
            if let Some(event) = row.details.get("event").filter(|_| is_of_origin) {
                seen.insert(key(event));
            }
        }
    }
    Ok(seen)
}

fn ours(origin: &str, event: &Value) -> ImportedEvent {
    let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
    ImportedEvent {
        repository: RepositoryName::parse(text("repository")).ok(),
        digest: Digest::parse(text("digest")).ok(),
        details: json!({ "origin": origin, "event": event }),
    }
}

/// What tells one event from another: all of it, whatever the order of its keys; 128 bits of what it hashes to.
fn key(event: &Value) -> u128 {
    let mut event = event.clone();
    event.sort_all_objects();
    let digest = Digest::sha256(event.to_string().as_bytes());
    digest.hex().get(..32).and_then(|half| u128::from_str_radix(half, 16).ok()).unwrap_or_default()
}

/// By number where there is one, else by time.
fn order(event: &Value) -> (i64, String) {
    let number = event.get("id").and_then(Value::as_i64).unwrap_or(0);
    let times = ["event_time", "created_at", "timestamp", "time", "at"];
    let time = times.iter().find_map(|name| event.get(*name).and_then(Value::as_str)).unwrap_or_default();
    (number, time.to_owned())
}
