//! Whether pulls are served; never a look at a disk of its own.

use mcr_authentication::Gate;
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

/// Asks. Without the identity service pulls that need no login go on, and so do those of the last half minute.
pub async fn health(registry: &Registry, gate: &Gate) -> Health {
    let mut health = registry.health().await;
    if gate.identity_up() == Some(false) {
        health.degraded.push("the identity service does not answer: what needs it is answered 503".to_owned());
    }
    let status = match (health.failing.is_empty(), health.degraded.is_empty()) {
        (false, _) => FAILING,
        (true, false) => "degraded",
        (true, true) => "ok",
    };
    let reasons = health.failing.into_iter().chain(health.degraded).collect();
    Health { status: status.to_owned(), reasons }
}
