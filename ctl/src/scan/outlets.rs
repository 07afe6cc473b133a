//! Where the figures of a scan go: a file, a Pushgateway; never what is found.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use mcr_oci::FindingKind;
use mcr_scanner::Report;
use reqwest::{Client, Url};

use crate::failure::Failure;
use crate::{files, runtime};

/// The job that a Pushgateway groups the figures under.
const JOB: &str = "registry_scan";
/// How long a Pushgateway may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where figures go after a scan.
#[derive(Debug)]
pub(crate) struct Outlets {
    textfile: Option<PathBuf>,
    pushgateway: Option<Url>,
}

impl Outlets {
    /// # Errors
    /// [`Failure::Usage`] for an address that no Pushgateway has.
    pub(crate) fn new(textfile: Option<PathBuf>, pushgateway: Option<&Url>) -> Result<Self, Failure> {
        let group = |url: &Url| {
            let mut group = url.clone();
            match group.path_segments_mut() {
                Ok(mut segments) => drop(segments.pop_if_empty().extend(["metrics", "job", JOB])),
                Err(()) => return Err(Failure::Usage(format!("--pushgateway {url}: is no HTTP address"))),
            }
            Ok(group)
        };
        Ok(Self { textfile, pushgateway: pushgateway.map(group).transpose()? })
    }

    /// Tells the figures of `report` everywhere.
    ///
    /// # Errors
    /// What could not be told, in one line.
    pub(crate) fn deliver(&self, report: &Report, now_ms: i64) -> Result<(), String> {
        let text = metrics(report, now_ms);
        let mut told = Vec::new();
        if let Some(path) = &self.textfile
            && let Err(error) = files::replace(path, text.as_bytes())
        {
            told.push(format!("--textfile {}: {error}; its old content stays", path.display()));
        }
        if let Some(url) = &self.pushgateway
            && let Err(error) = push(url, text)
        {
            told.push(format!("--pushgateway {url}: {error}"));
        }
        if told.is_empty() { Ok(()) } else { Err(told.join("; ")) }
    }
}

fn push(url: &Url, text: String) -> Result<(), Failure> {
    runtime::block_on(async {
        let told = |error: reqwest::Error| Failure::Undetermined(innermost(&error));
        let client = Client::builder().timeout(PATIENCE).build().map_err(told)?;
        let asked = client.put(url.clone()).header("content-type", "text/plain; version=0.0.4").body(text);
        let status = asked.send().await.map_err(told)?.status();
        if status.is_success() { Ok(()) } else { Err(Failure::Undetermined(format!("answered {status}"))) }
    })
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

/// The figures (contract section 14): every kind of every registry, also those that nothing was found of, so that an
/// alert clears.
fn metrics(report: &Report, now_ms: i64) -> String {
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
    fn a_pushgateway_keeps_its_path() {
        let url = Url::parse("http://127.0.0.1:9091/prefix/").unwrap();
        let outlets = Outlets::new(None, Some(&url)).unwrap();
        assert_eq!(outlets.pushgateway.unwrap().as_str(), "http://127.0.0.1:9091/prefix/metrics/job/registry_scan");
        assert!(Outlets::new(None, Some(&Url::parse("mailto:x").unwrap())).is_err());
    }

    #[test]
    fn without_registries_the_time_is_told() {
        let report = Report { registries: Vec::new(), sound: true };
        assert!(metrics(&report, 1_500).ends_with("registry_scan_last_run_timestamp 1.500\n"));
        assert_eq!(label("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
