//! Garbage collection: beginning a run, and how runs stand; never what is collected.

use std::time::Duration;

use mcr_access::Administer;
use mcr_registry::{GcOptions, PlanRecord, plan_sentence};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::plans::{Plan, PlanProgress, Started, plan};
use super::{ApiError, Caller, Time, shown};
use crate::config::value;

/// What a run shall do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GcRequest {
    /// How long unreferenced content is kept, such as `0s` or `24h`; as configured where it is not given.
    #[schema(max_length = 32, example = "24h")]
    pub grace: Option<String>,
    /// How long what was deleted can be restored, likewise.
    #[schema(max_length = 32, example = "7d")]
    pub undo: Option<String>,
    /// Also removes files without rows, and reports rows without files.
    pub reconcile: bool,
    /// Only makes the plan.
    pub dry_run: bool,
    /// Applies the plan however much it takes.
    pub yes: bool,
}

/// How garbage collection stands.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct GcStatus {
    /// Whether a run is under way.
    pub running: bool,
    /// That run.
    pub current: Option<Plan>,
    /// What that run has done so far.
    pub progress: Option<PlanProgress>,
    /// The last run that ended, dry ones not counted.
    pub last_run: Option<GcRun>,
    /// The last run in a sentence, for a reader.
    pub message: String,
    /// When it runs by itself; null where it is switched off.
    pub schedule: Option<String>,
    /// When it runs next.
    pub next_run: Option<Time>,
}

/// A run that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct GcRun {
    /// The plan's.
    pub id: String,
    /// `done` or `failed`.
    pub state: String,
    /// Why it failed.
    pub reason: Option<String>,
    /// The account that asked for it; `mcrsrv` for the schedule.
    pub actor: String,
    /// When it began.
    pub started_at: Time,
    /// When it ended.
    pub completed_at: Time,
    /// How long it took.
    pub duration_ms: u64,
    /// Blobs removed.
    pub blobs_removed: u64,
    /// Manifests removed for good.
    pub manifests_removed: u64,
    /// Files without rows that were removed.
    pub files_removed: u64,
    /// Bytes freed.
    pub bytes_freed: u64,
    /// Rows without files that it met.
    pub findings: u64,
    /// Bytes that nothing referred to and whose time had not come.
    pub waiting_bytes: u64,
    /// When the last of them may go.
    pub waiting_until: Option<Time>,
}

/// Begins a run.
///
/// # Errors
/// [`ApiError`]; [`ApiError::Conflict`] while one is under way.
pub async fn start(caller: &Caller, request: &GcRequest) -> Result<Started, ApiError> {
    let permit = caller.permit_global::<Administer>()?;
    let options = GcOptions {
        grace: length("grace", request.grace.as_deref())?,
        undo: length("undo", request.undo.as_deref())?,
        reconcile: request.reconcile,
        dry_run: request.dry_run,
        confirmed: request.yes,
    };
    Ok(Started { id: caller.edge.registry.start_gc(&permit, options).await? })
}

/// A length of time as the configuration writes it.
fn length(name: &str, text: Option<&str>) -> Result<Option<Duration>, ApiError> {
    let Some(text) = text else { return Ok(None) };
    let bad = || ApiError::Invalid(format!("{name} is no length of time such as 0s, 30m or 24h: {}", shown(text)));
    value::duration(text).map(Some).ok_or_else(bad)
}

/// How it stands.
///
/// # Errors
/// [`ApiError`].
pub async fn status(caller: &Caller) -> Result<GcStatus, ApiError> {
    let permit = caller.permit_global::<Administer>()?;
    let found = caller.edge.registry.gc_status(&permit).await?;
    let message = match (&found.current, &found.last) {
        (Some(current), _) => format!("a run {}", plan_sentence(current)),
        (None, Some(last)) => plan_sentence(last),
        (None, None) => "it has not run yet".to_owned(),
    };
    let schedule = &caller.edge.schedules.gc;
    let current = found.current.map(plan);
    Ok(GcStatus {
        running: found.running,
        progress: current.as_ref().map(|plan| plan.progress.clone()),
        current,
        last_run: found.last.as_ref().map(ended),
        message,
        schedule: schedule.text(),
        next_run: schedule.next_ms().map(Time),
    })
}

fn ended(of: &PlanRecord) -> GcRun {
    let began = of.started_at_ms.unwrap_or(of.created_at_ms);
    let ended = of.ended_at_ms.unwrap_or(began);
    GcRun {
        id: of.id.clone(),
        state: of.state.as_str().to_owned(),
        reason: of.reason.clone(),
        actor: of.actor.clone(),
        started_at: Time(began),
        completed_at: Time(ended),
        duration_ms: u64::try_from(ended.saturating_sub(began)).unwrap_or(0),
        blobs_removed: of.progress.blobs_removed,
        manifests_removed: of.progress.manifests_removed,
        files_removed: of.progress.files_removed,
        bytes_freed: of.progress.bytes_freed,
        findings: of.progress.findings,
        waiting_bytes: of.totals.waiting_bytes,
        waiting_until: of.totals.waiting_until_ms.map(Time),
    }
}
