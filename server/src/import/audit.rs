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

/// Appends every event that is not here yet, the oldest first. Our chain stays append-only: an event stands where it
/// was imported, with everything that the other registry said of it, time and actor included, in its details.
pub(super) async fn import(
    client: &Client,
    registry: &Registry,
    permit: &GlobalPermit<Administer>,
    adopter: &Adopter,
) -> Result<Done, Failure> {
    let mut seen = earlier(registry, permit, client.host()).await?;
    let mut events = list(client).await?;
    events.sort_by_key(order);
    let mut done = Done::default();
    let mut waiting = Vec::new();
    for event in events {
        if !seen.insert(key(&event)) {
            done.already += 1;
            continue;
        }
        waiting.push(ours(client.host(), &event));
        done.appended += 1;
        if waiting.len() >= MAX_IMPORTED_EVENTS {
            adopter.tell_imported(std::mem::take(&mut waiting)).await.map_err(Failure::refused)?;
        }
    }
    if !waiting.is_empty() {
        adopter.tell_imported(waiting).await.map_err(Failure::refused)?;
    }
    Ok(done)
}

/// The keys of the events of this origin that are here.
async fn earlier(
    registry: &Registry,
    permit: &GlobalPermit<Administer>,
    origin: &str,
) -> Result<HashSet<Digest>, Failure> {
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

/// Pages until one brings nothing that was not there before: the log may grow at its newer end meanwhile.
async fn list(client: &Client) -> Result<Vec<Value>, Failure> {
    let mut all = Vec::new();
    let mut seen = HashSet::new();
    let mut offset = 0;
    while all.len() < MAX_EVENTS {
        let page = page(client, &format!("v1/audit?n={PAGE}&offset={offset}"), "events").await?;
        offset += page.len();
        let before = all.len();
        all.extend(page.into_iter().filter(|event| seen.insert(key(event))));
        if all.len() == before {
            break;
        }
    }
    Ok(all)
}

fn ours(origin: &str, event: &Value) -> ImportedEvent {
    let text = |name: &str| event.get(name).and_then(Value::as_str).unwrap_or_default();
    ImportedEvent {
        repository: RepositoryName::parse(text("repository")).ok(),
        digest: Digest::parse(text("digest")).ok(),
        details: json!({ "origin": origin, "event": event }),
    }
}

/// What tells one event from another: all of it, whatever the order of its keys.
fn key(event: &Value) -> Digest {
    let mut event = event.clone();
    event.sort_all_objects();
    Digest::sha256(event.to_string().as_bytes())
}

/// By number where there is one, else by time.
fn order(event: &Value) -> (i64, String) {
    let number = event.get("id").and_then(Value::as_i64).unwrap_or(0);
    let times = ["event_time", "created_at", "timestamp", "time", "at"];
    let time = times.iter().find_map(|name| event.get(*name).and_then(Value::as_str)).unwrap_or_default();
    (number, time.to_owned())
}
