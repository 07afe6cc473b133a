//! Figures of who comes in: logins, tokens, caches, refusals, the certificate; never what they are figures of.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus::proto::{MetricFamily, MetricType};

use super::{family, single};
use crate::http::edge::Edge;

/// The families of the edge.
pub(super) fn families(edge: &Edge) -> Vec<MetricFamily> {
    let mut families = logins(edge);
    let (connections, requests) = edge.clients.refused();
    families.push(family(
        "mcr_client_limited_total",
        "Connections closed and requests answered 429 because one client had too many.",
        MetricType::COUNTER,
        &[(Some(("what", "connection")), connections), (Some(("what", "request")), requests)],
    ));
    let end = edge.certificate.as_ref().and_then(|certificate| certificate.not_after());
    if let Some(end) = end.and_then(|end| u64::try_from(end).ok()) {
        families.push(single(
            "mcr_tls_certificate_not_after_seconds",
            "When the certificate that is served ends, unix seconds.",
            MetricType::GAUGE,
            end,
        ));
    }
    families
}

fn logins(edge: &Edge) -> Vec<MetricFamily> {
    let figures = edge.gate.figures();
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let outcome = |name, counter| (Some(("outcome", name)), load(counter));
    let cache = |name, counter| (Some(("cache", name)), load(counter));
    let mut families = vec![
        family(
            "mcr_auth_logins_total",
            "Passwords and tokens shown as such, by outcome.",
            MetricType::COUNTER,
            &[
                outcome("ok", &figures.logins_ok),
                outcome("failed", &figures.logins_failed),
                outcome("throttled", &figures.logins_throttled),
                outcome("unavailable", &figures.unavailable),
            ],
        ),
        single(
            "mcr_auth_tokens_issued_total",
            "Access tokens given.",
            MetricType::COUNTER,
            load(&figures.tokens_issued),
        ),
        family(
            "mcr_auth_cache_hits_total",
            "Credentials that were known from shortly before.",
            MetricType::COUNTER,
            &[
                cache("bearer", &figures.bearer_hits),
                cache("password", &figures.password_hits),
                cache("identity", &figures.validation_hits),
            ],
        ),
        family(
            "mcr_auth_cache_misses_total",
            "Credentials that had to be looked at.",
            MetricType::COUNTER,
            &[cache("bearer", &figures.bearer_misses), cache("identity", &figures.validation_misses)],
        ),
    ];
    if let Some(up) = edge.gate.identity_up() {
        families.push(single(
            "mcr_auth_identity_up",
            "Whether the identity service answered when it was last asked.",
            MetricType::GAUGE,
            u64::from(up),
        ));
    }
    families
}
