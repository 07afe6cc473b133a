//! Figures of what keeps and what deletes: garbage collection, plans, the scrub, snapshots; never what they are figures of.

use mcr_registry::Registry;
use prometheus::proto::{MetricFamily, MetricType};

use super::{family, single};

/// The families.
pub(super) fn families(registry: &Registry) -> Vec<MetricFamily> {
    let mut families = gc(registry);
    let waiting: Vec<_> =
        registry.plans_waiting().iter().map(|(job, plans)| (Some(("job", job.as_str())), *plans)).collect();
    families.push(family("mcr_plan_waiting", "Plans that wait for confirmation.", MetricType::GAUGE, &waiting));
    families.extend(scrub(registry));
    families.extend(moment(
        "mcr_snapshot_last_success_timestamp",
        "When the newest sound snapshot was taken, unix seconds.",
        registry.last_snapshot_success_ms(),
    ));
    families
}

fn gc(registry: &Registry) -> Vec<MetricFamily> {
    let figures = registry.gc_figures();
    let outcome = |name, count| (Some(("outcome", name)), count);
    let kind = |name, count| (Some(("kind", name)), count);
    let mut families = vec![
        family(
            "mcr_gc_runs_total",
            "Runs of garbage collection that ended, by outcome.",
            MetricType::COUNTER,
            &[outcome("done", figures.runs), outcome("failed", figures.failures)],
        ),
        family(
            "mcr_gc_removed_total",
            "What garbage collection removed, by kind.",
            MetricType::COUNTER,
            &[
                kind("blob", figures.blobs_removed),
                kind("manifest", figures.manifests_removed),
                kind("file", figures.files_removed),
            ],
        ),
        single(
            "mcr_gc_freed_bytes_total",
            "Bytes that garbage collection freed.",
            MetricType::COUNTER,
            figures.bytes_freed,
        ),
        single(
            "mcr_gc_running",
            "Whether a run of garbage collection is under way.",
            MetricType::GAUGE,
            u64::from(figures.running),
        ),
        super::float("mcr_gc_last_duration_seconds", "How long the last run took.", figures.last_seconds),
    ];
    families.extend(moment(
        "mcr_gc_last_success_timestamp",
        "When the last run ended well, unix seconds.",
        figures.last_success_ms,
    ));
    families
}

fn scrub(registry: &Registry) -> Vec<MetricFamily> {
    let figures = registry.scrub_figures();
    let what = |name, count| (Some(("what", name)), count);
    let mut families = vec![
        single("mcr_scrub_bytes_total", "Bytes that the scrub hashed.", MetricType::COUNTER, figures.hashed_bytes),
        family(
            "mcr_scrub_hashed_total",
            "Blobs and manifests that the scrub hashed.",
            MetricType::COUNTER,
            &[what("blob", figures.blobs), what("manifest", figures.manifests)],
        ),
        single("mcr_scrub_findings_total", "What the scrub found damaged.", MetricType::COUNTER, figures.findings),
        single(
            "mcr_scrub_unreadable_total",
            "Times that the disk did not let the scrub read something.",
            MetricType::COUNTER,
            figures.unreadable,
        ),
    ];
    families.extend(moment(
        "mcr_scrub_oldest_verified_timestamp",
        "When what was not looked at for longest was last hashed, unix seconds.",
        figures.oldest_verified_ms,
    ));
    families
}

/// A moment in unix seconds; what has not happened is absent, and never 0.
fn moment(name: &str, help: &str, ms: Option<i64>) -> Option<MetricFamily> {
    let seconds = ms.and_then(|ms| u64::try_from(ms / 1000).ok())?;
    Some(single(name, help, MetricType::GAUGE, seconds))
}
