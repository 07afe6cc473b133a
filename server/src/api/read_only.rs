//! Switching writes off and on; never what a write is.

use mcr_access::Administer;
use mcr_registry::ReadOnlyState;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ApiError, Caller};

/// How it is to be.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetReadOnly {
    /// Whether writes are refused.
    pub read_only: bool,
    /// Shown to those whose writes are refused.
    #[serde(default)]
    #[schema(max_length = 500)]
    pub reason: Option<String>,
}

/// How it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReadOnly {
    /// Whether writes are refused.
    pub read_only: bool,
    /// Why, where an operator said so.
    pub reason: Option<String>,
}

/// Refuses those who may not switch it.
///
/// # Errors
/// [`ApiError`].
pub fn may_set(caller: &Caller) -> Result<(), ApiError> {
    caller.permit_global::<Administer>().map(drop)
}

/// How it is.
///
/// # Errors
/// [`ApiError`].
pub fn get(caller: &Caller) -> Result<ReadOnly, ApiError> {
    may_set(caller)?;
    Ok(shown(caller.edge.registry.read_only_state()))
}

/// Refuses writes, or takes them again.
///
/// # Errors
/// [`ApiError`].
pub async fn set(caller: &Caller, wanted: SetReadOnly) -> Result<ReadOnly, ApiError> {
    let permit = caller.permit_global::<Administer>()?;
    let state = caller.edge.registry.switch_read_only(&permit, wanted.read_only, wanted.reason.as_deref()).await?;
    Ok(shown(state))
}

fn shown(state: ReadOnlyState) -> ReadOnly {
    ReadOnly { read_only: state.read_only, reason: state.reason }
}
