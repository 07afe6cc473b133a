//! Plans: what runs of garbage collection and retention would take, and took; confirming and discarding; never a run.

use mcr_access::Administer;
use mcr_registry as rows;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{ApiError, Caller, Page, Time, page, words};

/// Which plans.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Selection {
    /// Only those of this job: `gc` or `retention`.
    #[param(value_type = Option<words::PlanJob>)]
    pub job: Option<String>,
    /// Only those in this state.
    #[param(value_type = Option<words::PlanState>)]
    pub state: Option<String>,
}

/// What a run intends to delete, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Plan {
    /// 32 hex digits. Tombstones and tag histories of the run name it as `run_id`.
    pub id: String,
    /// `gc` or `retention`.
    #[schema(value_type = words::PlanJob)]
    pub job: String,
    /// `planning`, `needs_confirmation`, `running`, `done`, `failed` or `discarded`.
    #[schema(value_type = words::PlanState)]
    pub state: String,
    /// Only to be looked at, never applied.
    pub dry_run: bool,
    /// The account that asked for it; `mcrsrv` for the schedule.
    pub actor: String,
    /// When it was begun.
    pub created_at: Time,
    /// When it began to be applied.
    pub started_at: Option<Time>,
    /// When it ended.
    pub completed_at: Option<Time>,
    /// When it is discarded, where it waits for confirmation.
    pub expires_at: Option<Time>,
    /// Why it waits, failed or was discarded.
    pub reason: Option<String>,
    /// What was asked for.
    #[schema(value_type = Object)]
    pub settings: serde_json::Value,
    /// What it would take, and what waits.
    pub totals: PlanTotals,
    /// How far it came.
    pub progress: PlanProgress,
    /// The plan in a sentence, for a reader.
    pub message: String,
}

/// What a plan would take, and what waits.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PlanTotals {
    /// Manifests, blobs and files that would go, each once.
    pub digests: u64,
    /// Tags that would go.
    pub tags: u64,
    /// Bytes that would go.
    pub bytes: u64,
    /// Of all bytes.
    pub percent_bytes: f64,
    /// Of all tags.
    pub percent_tags: f64,
    /// Bytes that nothing refers to and whose time has not come.
    pub waiting_bytes: u64,
    /// Manifests and blobs of that kind.
    pub waiting_digests: u64,
    /// When the last of them may go.
    pub waiting_until: Option<Time>,
    /// Of the waiting bytes, those that only a snapshot holds.
    pub held_bytes: u64,
    /// Steps written.
    pub steps: u64,
}

/// What a run took so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PlanProgress {
    /// Steps done.
    pub done: u64,
    /// Steps that no longer applied when their turn came.
    pub skipped: u64,
    /// Blobs removed.
    pub blobs_removed: u64,
    /// Manifests removed for good.
    pub manifests_removed: u64,
    /// Manifests that were deleted and can be restored.
    pub manifests_buried: u64,
    /// Tags deleted.
    pub tags_removed: u64,
    /// Bytes freed.
    pub bytes_freed: u64,
    /// Files without rows that were removed.
    pub files_removed: u64,
    /// Rows without files that it met.
    pub findings: u64,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct PlanStep {
    /// What it does.
    #[schema(value_type = words::StepAction)]
    pub action: String,
    /// Where; null where it concerns no single repository.
    pub repository: Option<String>,
    /// The tag that goes.
    pub tag: Option<String>,
    /// To what.
    pub digest: String,
    /// Bytes on disk that go with it.
    pub bytes: u64,
    /// Why.
    pub reason: String,
    /// What became of it.
    #[schema(value_type = words::StepState)]
    pub state: String,
    /// Why it was skipped.
    pub detail: Option<String>,
}

/// A page of plans.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PlanList {
    /// Newest first.
    pub plans: Vec<Plan>,
    /// Where the next page begins; null on the last one.
    pub next: Option<String>,
}

/// A plan with a page of its steps.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct PlanDetail {
    /// The plan.
    #[serde(flatten)]
    pub plan: Plan,
    /// Its steps, in the order of execution.
    pub steps: Vec<PlanStep>,
    /// Where the next page of steps begins; null on the last one.
    pub next: Option<String>,
}

/// The number of a run that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Started {
    /// The plan's.
    pub id: String,
}

/// The plans there are.
///
/// # Errors
/// [`ApiError`].
pub async fn list(caller: &Caller, page: &Page, selection: &Selection) -> Result<PlanList, ApiError> {
    let permit = caller.permit_global::<Administer>()?;
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let invalid = |text: &str| ApiError::Invalid(text.to_owned());
    let job = given(&selection.job).map(|text| rows::Job::parse(&text).ok_or_else(|| invalid(JOBS)));
    let state = given(&selection.state).map(|text| rows::PlanState::parse(&text).ok_or_else(|| invalid(STATES)));
    let (after, limit) = (page.cursor()?, page.limit(page::DEFAULT)?);
    let filter = rows::PlanFilter { job: job.transpose()?, state: state.transpose()?, after };
    let found = caller.edge.registry.plans(&permit, filter, limit).await?;
    Ok(PlanList { plans: found.plans.into_iter().map(plan).collect(), next: found.next })
}

const JOBS: &str = "job must be gc or retention";
const STATES: &str = "state must be planning, needs_confirmation, running, done, failed or discarded";

/// A plan with a page of its steps.
///
/// # Errors
/// [`ApiError`].
pub async fn get(caller: &Caller, id: &str, page: &Page) -> Result<PlanDetail, ApiError> {
    let permit = caller.permit_global::<Administer>()?;
    let (after, limit) = (page.place::<u64>()?, page.limit(page::DEFAULT)?);
    let registry = &caller.edge.registry;
    let found = registry.plan(&permit, id).await?;
    let (steps, next) = registry.plan_steps(&permit, id, after.unwrap_or(0), limit).await?;
    let next = next.map(|position| position.to_string());
    Ok(PlanDetail { plan: plan(found), steps: steps.into_iter().map(step).collect(), next })
}

/// Applies a plan that waits for it.
///
/// # Errors
/// [`ApiError`]; [`ApiError::Conflict`] unless it waits.
pub async fn confirm(caller: &Caller, id: &str) -> Result<Plan, ApiError> {
    let permit = caller.permit_global::<Administer>()?;
    Ok(plan(caller.edge.registry.confirm_plan(&permit, id).await?))
}

/// Gives up a plan that waits.
///
/// # Errors
/// [`ApiError`]; [`ApiError::Conflict`] unless it waits.
pub async fn discard(caller: &Caller, id: &str) -> Result<Plan, ApiError> {
    let permit = caller.permit_global::<Administer>()?;
    Ok(plan(caller.edge.registry.discard_plan(&permit, id).await?))
}

/// A plan as it is shown.
pub(super) fn plan(of: rows::PlanRecord) -> Plan {
    let message = rows::plan_sentence(&of);
    Plan {
        id: of.id,
        job: of.job.as_str().to_owned(),
        state: of.state.as_str().to_owned(),
        dry_run: of.dry_run,
        actor: of.actor,
        created_at: Time(of.created_at_ms),
        started_at: of.started_at_ms.map(Time),
        completed_at: of.ended_at_ms.map(Time),
        expires_at: of.expires_at_ms.map(Time),
        reason: of.reason,
        settings: of.settings,
        totals: PlanTotals {
            digests: of.totals.digests,
            tags: of.totals.tags,
            bytes: of.totals.bytes,
            percent_bytes: of.totals.percent_bytes,
            percent_tags: of.totals.percent_tags,
            waiting_bytes: of.totals.waiting_bytes,
            waiting_digests: of.totals.waiting_digests,
            waiting_until: of.totals.waiting_until_ms.map(Time),
            held_bytes: of.totals.held_bytes,
            steps: of.totals.steps,
        },
        progress: PlanProgress {
            done: of.progress.done,
            skipped: of.progress.skipped,
            blobs_removed: of.progress.blobs_removed,
            manifests_removed: of.progress.manifests_removed,
            manifests_buried: of.progress.manifests_buried,
            tags_removed: of.progress.tags_removed,
            bytes_freed: of.progress.bytes_freed,
            files_removed: of.progress.files_removed,
            findings: of.progress.findings,
        },
        message,
    }
}

fn step(of: rows::PlanStep) -> PlanStep {
    PlanStep {
        action: of.action.as_str().to_owned(),
        repository: of.repository,
        tag: of.tag,
        digest: of.digest.to_string(),
        bytes: of.bytes,
        reason: of.reason,
        state: of.state.as_str().to_owned(),
        detail: of.detail,
    }
}
