//! The figures of the server, under the names of contract section 14; never what they are figures of.

use std::time::Duration;

use http::Method;
use http_body::Body as _;
use mcr_oci::FindingKind;
use mcr_registry::Registry;
use prometheus::core::{AtomicU64, GenericCounterVec};
use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{Encoder as _, HistogramOpts, HistogramVec, Opts, TextEncoder};

use crate::http::body::OutBody;
use crate::http::edge::Edge;

mod access;
mod keeping;

/// Bounds of the latency histogram, in seconds.
const BOUNDS: [f64; 10] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0];

/// Counters of the HTTP edge, and gauges read when they are asked for.
#[derive(Debug)]
pub struct Metrics {
    registry: prometheus::Registry,
    requests: GenericCounterVec<AtomicU64>,
    seconds: HistogramVec,
    bytes: GenericCounterVec<AtomicU64>,
    calls: GenericCounterVec<AtomicU64>,
    call_seconds: HistogramVec,
}

impl Metrics {
    /// Makes the figures; names are registered once.
    ///
    /// # Errors
    /// A name registered twice, which would be a defect.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = prometheus::Registry::new();
        let requests = GenericCounterVec::new(
            Opts::new("mcr_http_requests_total", "Requests answered, by method, route and status."),
            &["method", "route", "status"],
        )?;
        let seconds = HistogramVec::new(
            HistogramOpts::new("mcr_http_request_duration_seconds", "Time to the head of the answer.")
                .buckets(BOUNDS.to_vec()),
            &["route"],
        )?;
        let bytes = GenericCounterVec::new(
            Opts::new("mcr_http_response_bytes_total", "Bytes of the bodies of answers begun."),
            &["route"],
        )?;
        let calls = GenericCounterVec::new(
            Opts::new("mcr_grpc_requests_total", "gRPC calls answered, by method and code."),
            &["method", "code"],
        )?;
        let call_seconds = HistogramVec::new(
            HistogramOpts::new("mcr_grpc_request_duration_seconds", "Time to the head of the answer.")
                .buckets(BOUNDS.to_vec()),
            &["method"],
        )?;
        registry.register(Box::new(calls.clone()))?;
        registry.register(Box::new(call_seconds.clone()))?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        registry.register(Box::new(bytes.clone()))?;
        Ok(Self { registry, requests, seconds, bytes, calls, call_seconds })
    }

    /// Counts one answered request.
    pub fn request(&self, method: &Method, route: &'static str, status: u16, elapsed: Duration, body: &OutBody) {
        let mut text = [0_u8; 3];
        self.requests.with_label_values(&[method_label(method), route, digits(status, &mut text)]).inc();
        self.seconds.with_label_values(&[route]).observe(elapsed.as_secs_f64());
        if let Some(length) = body.size_hint().exact().filter(|n| *n > 0) {
            self.bytes.with_label_values(&[route]).inc_by(length);
        }
    }

    /// Counts one answered gRPC call.
    pub fn call(&self, method: &'static str, code: &'static str, elapsed: Duration) {
        self.calls.with_label_values(&[method, code]).inc();
        self.call_seconds.with_label_values(&[method]).observe(elapsed.as_secs_f64());
    }

    /// Everything, what the probe has to show included, in the text format of Prometheus.
    pub async fn render(&self, edge: &Edge) -> String {
        let mut families = self.registry.gather();
        families.extend(edge.probe.gather());
        families.extend(registry_families(&edge.registry).await);
        families.extend(keeping::families(&edge.registry));
        families.extend(access::families(edge));
        families.extend(process_families());
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&families, &mut text) {
            tracing::error!(%error, "the figures could not be written out");
        }
        String::from_utf8(text).unwrap_or_default()
    }
}

/// Methods as a closed set, whatever clients send.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "PUT" => "PUT",
        "POST" => "POST",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        _ => "other",
    }
}

fn digits(status: u16, text: &mut [u8; 3]) -> &str {
    let digit = |n: u16| b'0' + u8::try_from(n % 10).unwrap_or(0);
    *text = [digit(status / 100), digit(status / 10), digit(status)];
    std::str::from_utf8(text).unwrap_or("000")
}

async fn registry_families(registry: &Registry) -> Vec<MetricFamily> {
    let health = registry.health().await;
    let counters = registry.counters();
    let load = |c: &std::sync::atomic::AtomicU64| c.load(std::sync::atomic::Ordering::Relaxed);
    let refused = counters.refused().map(|(kind, n)| (Some(("kind", kind.as_str())), n)).collect::<Vec<_>>();
    let mut families = vec![
        family("mcr_push_refused_total", "Findings that pushes were refused for.", MetricType::COUNTER, &refused),
        single(
            "mcr_blobs_healed_total",
            "Damaged blobs replaced by a push.",
            MetricType::COUNTER,
            load(&counters.healed),
        ),
        single(
            "mcr_read_hashed_bytes_total",
            "Bytes hashed by reads.",
            MetricType::COUNTER,
            load(&counters.hashed_bytes),
        ),
        single(
            "mcr_records_dropped_total",
            "Records beside reads that could not be written.",
            MetricType::COUNTER,
            registry.records_dropped(),
        ),
        single("mcr_uploads_open", "Upload sessions that exist.", MetricType::GAUGE, registry.uploads_open()),
        single("mcr_storage_free_bytes", "Free bytes on the blob volume.", MetricType::GAUGE, health.available),
    ];
    if let Some(summary) = health.summary {
        families.extend([
            single("mcr_quarantined_blobs", "Blobs in quarantine.", MetricType::GAUGE, summary.quarantined),
            single("mcr_blob_bytes", "Bytes of all blobs.", MetricType::GAUGE, summary.blob_bytes),
            single("mcr_repositories", "Repositories with a live manifest.", MetricType::GAUGE, summary.repositories),
            single("mcr_tags", "Tags.", MetricType::GAUGE, summary.tags),
        ]);
        // Every kind, so that an alert can tell "none" from "not looked at".
        let findings: Vec<_> = FindingKind::ALL
            .iter()
            .map(|kind| {
                let open = summary.findings_by_kind.iter().find(|(found, _)| found == kind);
                (Some(("kind", kind.as_str())), open.map_or(0, |(_, open)| *open))
            })
            .collect();
        families.push(family("mcr_integrity_findings", "Open findings by kind.", MetricType::GAUGE, &findings));
    }
    families
}

fn process_families() -> Vec<MetricFamily> {
    let build = family(
        "mcr_build_info",
        "The version that runs.",
        MetricType::GAUGE,
        &[(Some(("version", env!("CARGO_PKG_VERSION"))), 1)],
    );
    let mut families = vec![build];
    if let Some(process) = crate::process::figures() {
        families.push(single(
            "process_resident_memory_bytes",
            "Memory in use.",
            MetricType::GAUGE,
            process.resident_bytes,
        ));
        families.push(single("process_open_fds", "Open file descriptors.", MetricType::GAUGE, process.open_files));
        families.push(single("process_threads", "Threads.", MetricType::GAUGE, process.threads));
        families.push(single(
            "process_start_time_seconds",
            "When the process began, unix seconds.",
            MetricType::GAUGE,
            process.started,
        ));
    }
    families
}

fn single(name: &str, help: &str, kind: MetricType, value: u64) -> MetricFamily {
    family(name, help, kind, &[(None, value)])
}

/// A gauge that is no whole number.
fn float(name: &str, help: &str, value: f64) -> MetricFamily {
    let mut family = family(name, help, MetricType::GAUGE, &[(None, 0)]);
    for metric in family.mut_metric() {
        let mut gauge = prometheus::proto::Gauge::default();
        gauge.set_value(value);
        metric.set_gauge(gauge);
    }
    family
}

fn family(name: &str, help: &str, kind: MetricType, values: &[(Option<(&str, &str)>, u64)]) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    let metrics = values.iter().map(|(label, value)| metric(kind, *label, *value)).collect::<Vec<_>>();
    family.set_metric(metrics);
    family
}

fn metric(kind: MetricType, label: Option<(&str, &str)>, value: u64) -> Metric {
    // Figures are shown as floats (the format's own type); counts beyond 2^53 lose their last digits.
    #[expect(clippy::cast_precision_loss, reason = "the exposition format has floats only")]
    let value = value as f64;
    let mut metric = Metric::default();
    if let Some((name, text)) = label {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(text.to_owned());
        metric.set_label(vec![pair]);
    }
    if kind == MetricType::COUNTER {
        let mut counter = prometheus::proto::Counter::default();
        counter.set_value(value);
        metric.set_counter(counter);
    } else {
        let mut gauge = prometheus::proto::Gauge::default();
        gauge.set_value(value);
        metric.set_gauge(gauge);
    }
    metric
}
