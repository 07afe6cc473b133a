//! What every handler shares: the registry, the gate, the limits, the figures; no handler itself.

use std::sync::Arc;
use std::time::Duration;

use mcr_authentication::Gate;
use mcr_registry::Registry;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::clients::Clients;
use crate::config::{Live, ProxyProtocol};
use crate::metrics::Metrics;
use crate::probe::Probe;
use crate::schedule::Schedules;
use crate::tls::Reloader;

/// The edge of one server.
#[derive(Debug)]
pub struct Edge {
    /// The use cases.
    pub registry: Registry,
    /// Who is let in.
    pub gate: Gate,
    /// What of the configuration changes while the server runs: names clients come by, networks of proxies.
    pub live: Arc<Live>,
    /// What each client has open.
    pub clients: Arc<Clients>,
    /// Whether connections begin with a PROXY protocol header.
    pub proxy_protocol: ProxyProtocol,
    /// The certificate that is served.
    pub certificate: Option<Arc<Reloader>>,
    /// Whether a proxy in front ends TLS.
    pub behind_tls_proxy: bool,
    /// Figures.
    pub metrics: Metrics,
    /// The registry's probe of itself.
    pub probe: Arc<Probe>,
    /// What the server does by itself, and when.
    pub schedules: Schedules,
    /// Most silence within a request's head or body.
    pub read_timeout: Duration,
    /// Whether `/metrics` is answered here: it has no listener of its own.
    pub metrics_here: bool,
    /// Work that outlives an answer: draining what a client still sends.
    pub tasks: TaskTracker,
    /// Raised when the server is to stop.
    pub stopping: CancellationToken,
    /// Random text that makes request ids of this process unlike those of another.
    pub id_prefix: String,
}
