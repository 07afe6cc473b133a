//! Health, liveness, readiness and figures over HTTP: open to all, on every listener (contract section 11).

use bytes::Bytes;
use http::StatusCode;
use serde_json::json;

use super::edge::Edge;
use super::respond::{Answer, full, json as json_answer};

/// `/healthz`: the process answers.
#[must_use]
pub fn alive() -> Answer {
    full(StatusCode::OK, "text/plain; charset=utf-8", Bytes::from_static(b"ok\n"))
}

/// `/v1/health`: 200 `ok`, 200 `degraded` with reasons, 503 only if pulls fail.
pub async fn health(edge: &Edge) -> Answer {
    let health = crate::api::health::health(&edge.registry, &edge.gate).await;
    let status = if health.is_failing() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    json_answer(status, &json!(health))
}

/// `/readyz`: 503 with the failing parts. A full disk or read-only state does not fail it: pulls go on.
pub async fn ready(edge: &Edge) -> Answer {
    let mut failing = Vec::new();
    if edge.stopping.is_cancelled() {
        failing.push("shutting down".to_owned());
    }
    if let Err(error) = edge.registry.volume_present() {
        failing.push(format!("layers: {error}"));
    }
    if let Err(error) = edge.registry.database_answers().await {
        failing.push(format!("database: {error}"));
    }
    if failing.is_empty() {
        return json_answer(StatusCode::OK, &json!({ "status": "ready" }));
    }
    json_answer(StatusCode::SERVICE_UNAVAILABLE, &json!({ "status": "not ready", "failing": failing }))
}

/// `/metrics` in the text format of Prometheus.
pub async fn metrics(edge: &Edge) -> Answer {
    let text = edge.metrics.render(edge).await;
    full(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", Bytes::from(text))
}
