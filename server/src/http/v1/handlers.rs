//! One handler for each path and method: a request to arguments, the result to an answer; no business.

pub(super) mod admin;
pub(super) mod audit;
pub(super) mod integrity;
pub(super) mod plans;
pub(super) mod policy;
pub(super) mod repositories;
pub(super) mod session;
pub(super) mod snapshots;
pub(super) mod tokens;
pub(super) mod undo;

/// The body of every error.
#[derive(Debug, serde::Serialize, utoipa::ToSchema)]
pub(super) struct ErrorBody {
    /// What is wrong, and what to do about it.
    pub(super) error: String,
}
