//! Retention: beginning a run; never a rule.

use mcr_access::Administer;
use mcr_registry::RetentionOptions;
use serde::Deserialize;
use utoipa::ToSchema;

use super::plans::Started;
use super::{ApiError, Caller};

/// What a run shall do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionRequest {
    /// Only makes the plan.
    pub dry_run: bool,
    /// Applies the plan however much it takes, and confirms the rules that it shows whole.
    pub yes: bool,
    /// Patterns of repository names: `*` within a segment, `**` across; all repositories where there are none.
    #[schema(max_items = 100)]
    pub repositories: Vec<String>,
}

/// Begins a run.
///
/// # Errors
/// [`ApiError`]; [`ApiError::Conflict`] while one is under way.
pub async fn start(caller: &Caller, request: RetentionRequest) -> Result<Started, ApiError> {
    let permit = caller.permit_global::<Administer>()?;
    let RetentionRequest { dry_run, yes, repositories } = request;
    let options = RetentionOptions { dry_run, confirmed: yes, repositories };
    Ok(Started { id: caller.edge.registry.start_retention(&permit, options).await? })
}
