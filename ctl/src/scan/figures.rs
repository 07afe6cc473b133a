//! The figures of a scan as Prometheus reads them; never where they go.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use mcr_oci::FindingKind;
use mcr_scanner::Report;

/// The job that a Pushgateway groups the figures under.
pub(crate) const JOB: &str = "registry_scan";

/// The figures (contract section 14): every kind of every registry, also those that nothing was found of, so that an
/// alert clears.
pub(crate) fn metrics(report: &Report, now_ms: i64) -> String {
    let mut text =
        String::from("# HELP registry_scan_findings Findings of the last scan.\n# TYPE registry_scan_findings gauge\n");
    for registry in &report.registries {
        let mut counts: BTreeMap<FindingKind, u64> = FindingKind::ALL.into_iter().map(|kind| (kind, 0)).collect();
        for finding in &registry.findings {
            *counts.entry(finding.kind).or_default() += 1;
        }
        for (kind, count) in counts {
            let name = label(&registry.name);
            let _ = writeln!(text, "registry_scan_findings{{registry=\"{name}\",kind=\"{kind}\"}} {count}");
        }
    }
    text.push_str(
        "# HELP registry_scan_last_run_timestamp When the last scan ended, in seconds since 1970.\n\
         # TYPE registry_scan_last_run_timestamp gauge\n",
    );
    let _ =
        writeln!(text, "registry_scan_last_run_timestamp {}.{:03}", now_ms.div_euclid(1000), now_ms.rem_euclid(1000));
    text
}

/// A label's value in the text format.
fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_registries_the_time_is_told() {
        let report = Report { registries: Vec::new(), sound: true };
        assert!(metrics(&report, 1_500).ends_with("registry_scan_last_run_timestamp 1.500\n"));
        assert_eq!(label("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
