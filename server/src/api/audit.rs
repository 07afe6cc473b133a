//! The audit log: looked through, exported, verified; never written.

use mcr_access::Administer;
use mcr_metadata::{AuditQuery, AuditRow};
use mcr_registry::AuditExport;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::words::Order;
use super::{ApiError, Caller, Page, Time, shown};

/// Events of a page where the client names no number.
const PAGE: usize = 50;

/// Which events. What is not given does not filter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Selection {
    /// Such as `manifest_pushed`; `event_type` is taken too.
    pub event: Option<String>,
    /// The account; `actor_id` is taken too.
    pub actor: Option<String>,
    /// The repository.
    pub repository: Option<String>,
    /// From this time on.
    #[param(value_type = Option<String>, format = DateTime)]
    pub since: Option<Time>,
    /// Up to before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    pub until: Option<Time>,
}

/// Which page of them, and in which order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Listing {
    /// How many: 1 to 1000, 50 where it is not given; more is taken as 1000.
    #[param(value_type = Option<u64>, minimum = 1, default = 50)]
    pub n: Option<u32>,
    /// The `next` of the page before.
    pub last: Option<String>,
    /// Events to pass over first; `last` is quicker for many.
    #[param(maximum = 100_000)]
    pub offset: Option<u64>,
    /// `desc`, newest first, which it is where it is not given; or `asc`.
    #[param(value_type = Option<Order>)]
    pub order: Option<String>,
}

/// One event.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct AuditEvent {
    /// Its place in the chain.
    pub seq: i64,
    /// When.
    pub at: Time,
    /// What.
    pub event: String,
    /// Who.
    pub actor: String,
    /// From where.
    pub address: Option<String>,
    /// In which repository.
    pub repository: Option<String>,
    /// About which tag.
    pub tag: Option<String>,
    /// About which digest.
    pub digest: Option<String>,
    /// What else is to be known.
    #[schema(value_type = Object)]
    pub details: Value,
    /// Of this event and the one before it, in hex.
    pub hash: String,
}

/// A page of events.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct AuditList {
    /// Newest first, unless `order=asc`.
    pub events: Vec<AuditEvent>,
    /// Where the next page begins; null on the last one.
    pub next: Option<String>,
}

/// What to verify the chain against.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyAudit {
    /// A head that was written down earlier, in hex.
    #[serde(default)]
    pub expect_head: Option<String>,
}

/// What became of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AuditCheck {
    /// Rows whose hash was computed again.
    pub rows: u64,
    /// The hash of the newest one, in hex; null while there is none.
    pub head: Option<String>,
    /// The number of that row.
    pub head_seq: i64,
    /// The first row that does not fit; null where all do.
    pub broken_at: Option<i64>,
    /// The last row that was cut off for its age; null while none was.
    pub cut_up_to: Option<i64>,
    /// Whether the signature of where it was cut off is right; null while nothing was.
    pub anchor_signed: Option<bool>,
    /// Whether everything holds.
    pub sound: bool,
    /// Whether `expect_head` is in the chain; null where none was given.
    pub expected_found: Option<bool>,
    /// The number of the row that has it.
    pub expected_at: Option<i64>,
}

/// Refuses those who may not read the log.
///
/// # Errors
/// [`ApiError`].
pub fn may_read(caller: &Caller) -> Result<(), ApiError> {
    caller.permit_global::<Administer>().map(drop)
}

/// A page of events.
///
/// # Errors
/// [`ApiError`].
pub async fn list(caller: &Caller, selection: Selection, listing: &Listing) -> Result<AuditList, ApiError> {
    let permit = caller.permit_global::<Administer>()?;
    let page = Page { n: listing.n, last: listing.last.clone() };
    let newest_first = match listing.order.as_deref() {
        None | Some("" | "desc") => true,
        Some("asc") => false,
        Some(other) => return Err(ApiError::Invalid(format!("order must be desc or asc, not {}", shown(other)))),
    };
    let offset = listing.offset.unwrap_or(0);
    let query = AuditQuery {
        after: page.place()?,
        offset: usize::try_from(offset).unwrap_or(usize::MAX),
        limit: page.limit(PAGE)?,
        newest_first,
        ..query(selection)
    };
    let found = caller.edge.registry.audit(&permit, query).await?;
    Ok(AuditList { events: found.events.into_iter().map(event).collect(), next: found.next.map(|seq| seq.to_string()) })
}

/// Computes the hash chain again.
///
/// # Errors
/// [`ApiError`].
pub async fn verify(caller: &Caller, asked: VerifyAudit) -> Result<AuditCheck, ApiError> {
    let permit = caller.permit_global::<Administer>()?;
    let expected = asked.expect_head.filter(|head| !head.is_empty());
    let found = caller.edge.registry.verify_audit(&permit, expected.as_deref()).await?;
    Ok(AuditCheck {
        rows: found.rows,
        head: found.head,
        head_seq: found.head_seq,
        broken_at: found.broken_at,
        cut_up_to: found.cut_up_to,
        anchor_signed: found.anchor_signed,
        sound: found.sound,
        expected_found: found.expected_found,
        expected_at: found.expected_at,
    })
}

/// All selected events, oldest first, a batch at a time.
#[derive(Debug)]
pub struct Reader(AuditExport);

impl Reader {
    /// Begins with the oldest.
    ///
    /// # Errors
    /// [`ApiError`].
    pub fn new(caller: &Caller, selection: Selection) -> Result<Self, ApiError> {
        let permit = caller.permit_global::<Administer>()?;
        let query = AuditQuery { newest_first: false, ..query(selection) };
        Ok(Self(caller.edge.registry.audit_export(&permit, query)?))
    }

    /// The next ones; none at the end.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn next(&mut self) -> Result<Option<Vec<AuditEvent>>, ApiError> {
        let rows = self.0.next_rows().await?;
        Ok(rows.map(|rows| rows.into_iter().map(event).collect()))
    }
}

fn query(selection: Selection) -> AuditQuery {
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    AuditQuery {
        event: given(selection.event),
        actor: given(selection.actor),
        repository: given(selection.repository),
        since_ms: selection.since.map(|time| time.0),
        until_ms: selection.until.map(|time| time.0),
        ..AuditQuery::default()
    }
}

fn event(row: AuditRow) -> AuditEvent {
    AuditEvent {
        seq: row.seq,
        at: Time(row.at_ms),
        event: row.event,
        actor: row.actor,
        address: row.address,
        repository: row.repository,
        tag: row.tag,
        digest: row.digest,
        details: row.details,
        hash: row.hash,
    }
}
