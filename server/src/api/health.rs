//! Whether pulls are served; never a look at a disk of its own.

use mcr_registry::Registry;
use serde::Serialize;
use utoipa::ToSchema;

/// What is known of the registry's health.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Health {
    /// `ok`; `degraded`: pulls go on; `failing`: pulls fail.
    pub status: String,
    /// What is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

impl Health {
    /// Whether pulls fail.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        self.status == FAILING
    }
}

const FAILING: &str = "failing";

/// Asks.
pub async fn health(registry: &Registry) -> Health {
    let health = registry.health().await;
    let status = match (health.failing.is_empty(), health.degraded.is_empty()) {
        (false, _) => FAILING,
        (true, false) => "degraded",
        (true, true) => "ok",
    };
    let reasons = health.failing.into_iter().chain(health.degraded).collect();
    Health { status: status.to_owned(), reasons }
}
