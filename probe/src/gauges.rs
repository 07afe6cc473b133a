//! The figures of the last complete run under the names that alerts use; never a run and never a listener.

mod read_back;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mcr_oci::FindingKind;
use prometheus::{Encoder as _, GaugeVec, Opts, Registry, TextEncoder};

/// Most series of broken tags: beyond it an alert is loud enough, and a Prometheus stays well.
pub const MAX_BROKEN_SERIES: usize = 1_000;

const FAILURES: &str = "registry_manifest_integrity_failures";
const UNDETERMINED: &str = "registry_manifest_integrity_undetermined";
const CATALOG: &str = "registry_manifest_integrity_catalog_accessible";
const REPOSITORIES: &str = "registry_manifest_integrity_repos_checked";
const TAGS: &str = "registry_manifest_integrity_tags_checked";
const INDEXES: &str = "registry_manifest_integrity_indexes_checked";
const LAST_RUN: &str = "registry_manifest_integrity_last_run_timestamp";
const BROKEN: &str = "registry_manifest_integrity_broken_tag";
const DURATION: &str = "registry_manifest_integrity_run_duration_seconds";

/// A tag that cannot be pulled whole, and one kind of what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BrokenTag {
    /// The repository's name.
    pub repository: String,
    /// The tag's name.
    pub tag: String,
    /// What is wrong.
    pub kind: FindingKind,
}

/// What the last complete run came to, in figures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Findings except `unreachable`.
    pub failures: u64,
    /// Findings of kind `unreachable`.
    pub undetermined: u64,
    /// Repositories looked at.
    pub repositories: u64,
    /// Tags looked at.
    pub tags: u64,
    /// Distinct indexes looked at, by repository.
    pub indexes: u64,
    /// When the run ended, Unix milliseconds.
    pub ended_at_ms: i64,
    /// How long it took.
    pub duration: Duration,
    /// Every broken tag, once a kind.
    pub broken: Vec<BrokenTag>,
}

/// The figures as Prometheus reads them. What no run has said yet is absent, never 0.
#[derive(Debug)]
pub struct Exposition {
    registry: Registry,
    /// A reader sees the figures of one run, never half of the next one's.
    whole: Mutex<()>,
    failures: GaugeVec,
    undetermined: GaugeVec,
    catalog: GaugeVec,
    repositories: GaugeVec,
    tags: GaugeVec,
    indexes: GaugeVec,
    last_run: GaugeVec,
    duration: GaugeVec,
    broken: GaugeVec,
}

impl Exposition {
    /// Figures without a run; `instance` becomes a label of each, for scrapes that honour labels.
    ///
    /// # Errors
    /// A name registered twice, which would be a defect.
    pub fn new(instance: Option<&str>) -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let gauge = |name: &str, help: &str, labels: &[&str]| {
            let opts = Opts::new(name, help);
            let opts = instance.map_or(opts.clone(), |instance| opts.const_label("instance", instance));
            let gauge = GaugeVec::new(opts, labels)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok::<_, prometheus::Error>(gauge)
        };
        Ok(Self {
            failures: gauge(FAILURES, "Findings of the last complete run, except unreachable.", &[])?,
            undetermined: gauge(UNDETERMINED, "What the last complete run could not look at.", &[])?,
            catalog: gauge(CATALOG, "Whether the catalog could be relied on, at the last attempt.", &[])?,
            repositories: gauge(REPOSITORIES, "Repositories looked at by the last complete run.", &[])?,
            tags: gauge(TAGS, "Tags looked at by the last complete run.", &[])?,
            indexes: gauge(INDEXES, "Indexes looked at by the last complete run.", &[])?,
            last_run: gauge(LAST_RUN, "When the last complete run ended, Unix seconds.", &[])?,
            duration: gauge(DURATION, "How long the last complete run took.", &[])?,
            broken: gauge(BROKEN, "1 for every tag that cannot be pulled whole.", &["repository", "tag", "kind"])?,
            whole: Mutex::new(()),
            registry,
        })
    }

    /// Shows the figures of a complete run, which also means that the catalog could be relied on.
    #[expect(clippy::cast_precision_loss, reason = "counts and times stay far below 2⁵³")]
    pub fn show(&self, gauges: &Gauges) {
        let _whole = self.whole.lock().unwrap_or_else(PoisonError::into_inner);
        let set = |gauge: &GaugeVec, value: f64| gauge.with_label_values::<&str>(&[]).set(value);
        set(&self.failures, gauges.failures as f64);
        set(&self.undetermined, gauges.undetermined as f64);
        set(&self.repositories, gauges.repositories as f64);
        set(&self.tags, gauges.tags as f64);
        set(&self.indexes, gauges.indexes as f64);
        set(&self.last_run, gauges.ended_at_ms as f64 / 1000.0);
        set(&self.duration, gauges.duration.as_secs_f64());
        self.broken.reset();
        for broken in gauges.broken.iter().take(MAX_BROKEN_SERIES) {
            self.broken.with_label_values(&[&broken.repository, &broken.tag, broken.kind.as_str()]).set(1.0);
        }
        self.catalog_accessible(true);
    }

    /// Shows whether the catalog could be relied on; the figures of the last complete run stay.
    pub fn catalog_accessible(&self, accessible: bool) {
        self.catalog.with_label_values::<&str>(&[]).set(f64::from(u8::from(accessible)));
    }

    /// The families, to be encoded together with others.
    #[must_use]
    pub fn gather(&self) -> Vec<prometheus::proto::MetricFamily> {
        let _whole = self.whole.lock().unwrap_or_else(PoisonError::into_inner);
        self.registry.gather()
    }

    /// Everything in the text format of Prometheus.
    ///
    /// # Errors
    /// Those of the encoder.
    pub fn encode(&self) -> Result<String, prometheus::Error> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.gather(), &mut text)?;
        String::from_utf8(text).map_err(|error| prometheus::Error::Msg(error.to_string()))
    }
}

impl Gauges {
    /// Reads the figures back from what [`Exposition::encode`] wrote; `None` where it holds no complete run.
    #[must_use]
    pub fn read_back(text: &str) -> Option<Self> {
        read_back::gauges(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Gauges {
        Gauges {
            failures: 3,
            undetermined: 1,
            repositories: 14,
            tags: 120,
            indexes: 37,
            ended_at_ms: 1_790_000_000_250,
            duration: Duration::from_millis(3_100),
            broken: vec![
                BrokenTag { repository: "a/b".into(), tag: "1.0".into(), kind: FindingKind::BlobTruncated },
                BrokenTag { repository: "a/b".into(), tag: "od\"d\\".into(), kind: FindingKind::TagDangling },
            ],
        }
    }

    #[test]
    fn before_the_first_run_nothing_is_claimed() {
        let exposition = Exposition::new(None).unwrap();
        assert_eq!(exposition.encode().unwrap(), "");
        exposition.catalog_accessible(false);
        let text = exposition.encode().unwrap();
        assert!(text.contains("registry_manifest_integrity_catalog_accessible 0\n"), "{text}");
        assert!(!text.contains("failures"), "{text}");
        assert_eq!(Gauges::read_back(&text), None);
    }

    #[test]
    fn what_was_written_is_read_back() {
        for instance in [None, Some("prod \"1\"")] {
            let exposition = Exposition::new(instance).unwrap();
            exposition.show(&some());
            let text = exposition.encode().unwrap();
            assert_eq!(Gauges::read_back(&text), Some(some()), "{text}");
            assert_eq!(text.contains("instance="), instance.is_some());
        }
    }

    #[test]
    fn a_healed_tag_goes() {
        let exposition = Exposition::new(None).unwrap();
        exposition.show(&some());
        exposition.show(&Gauges { broken: Vec::new(), ..some() });
        assert!(!exposition.encode().unwrap().contains("broken_tag{"));
    }

    #[test]
    fn a_file_of_something_else_holds_no_run() {
        for text in ["", "# HELP x\nx 1\n", "registry_manifest_integrity_failures", "\u{0}{{{}}} 1"] {
            assert_eq!(Gauges::read_back(text), None, "{text:?}");
        }
    }
}
