//! A scan's report in words: a heading, findings, information and repairs for each registry; never its form as JSON.

use std::fmt::Write as _;
use std::time::Duration;

use mcr_oci::{Finding, FindingKind};
use mcr_scanner::{Action, Information, Outcome, Registry, Repaired, Report};

use crate::print::printable;

/// Findings of one registry that are printed; `--json` has more.
const LINES_MAX: usize = 1_000;

/// The whole text, with a line break at its end.
pub(crate) fn text(report: &Report, took: Duration) -> String {
    let mut lines = Vec::new();
    for registry in &report.registries {
        lines.push(printable(&heading(registry)));
        lines.extend(registry.findings.iter().take(LINES_MAX).map(|finding| printable(&finding_line(finding))));
        let more = registry.findings.len().saturating_sub(LINES_MAX) as u64 + registry.information.findings_not_listed;
        if more > 0 {
            lines.push(format!("  … and {more} more; --json has {} of them", registry.findings.len()));
        }
        lines.extend(information(&registry.information).into_iter().map(|line| format!("  {}", printable(&line))));
        lines.extend(registry.repaired.iter().map(|repaired| printable(&repaired_line(repaired))));
    }
    lines.push(summary(report, took));
    lines.join("\n") + "\n"
}

fn heading(registry: &Registry) -> String {
    let Registry { name, path, layout, kind, kind_reason, .. } = registry;
    format!("{name} ({}): layout {}, {}: {kind_reason}", path.display(), layout.as_str(), kind.as_str())
}

fn finding_line(finding: &Finding) -> String {
    let mut line = format!("  {}", finding.kind);
    let place = [finding.repository.as_deref(), finding.tag.as_deref()];
    let place: Vec<&str> = place.into_iter().flatten().collect();
    if !place.is_empty() {
        let _ = write!(line, " {}", place.join(":"));
    }
    for step in &finding.path {
        let _ = write!(line, " {step} →");
    }
    if let Some(digest) = &finding.digest {
        let _ = write!(line, " {digest}");
    }
    if let Some(platform) = &finding.platform {
        let _ = write!(line, " {platform}");
    }
    if let Some(detail) = &finding.detail {
        let _ = write!(line, ": {detail}");
    }
    line
}

fn information(information: &Information) -> Vec<String> {
    let Information {
        unreferenced_blobs,
        unreferenced_bytes,
        unreferenced_corrupt,
        uploads,
        stale_uploads,
        stale_upload_bytes,
        temporary_files,
        untagged_manifests,
        untagged_damaged,
        quarantined_files,
        suggestion,
        findings_not_listed: _,
    } = information;
    let mut lines = Vec::new();
    if let (Some(blobs @ 1..), Some(bytes)) = (unreferenced_blobs, unreferenced_bytes) {
        lines.push(format!("{} that no manifest names, {bytes} bytes", count(*blobs, "blob")));
    }
    if let Some(corrupt @ 1..) = unreferenced_corrupt {
        lines.push(format!("{} among them do not hash to their digest", count(*corrupt, "blob")));
    }
    if *uploads > 0 {
        let stale = format!("{stale_uploads} of them untouched for a day ({stale_upload_bytes} bytes)");
        lines.push(format!("{} under way, {stale}", count(*uploads, "upload")));
    }
    if *temporary_files > 0 {
        lines.push(format!("{} that no registry looks for", count(*temporary_files, "file")));
    }
    if *untagged_manifests > 0 {
        lines.push(format!("{}, {untagged_damaged} of them damaged", count(*untagged_manifests, "untagged manifest")));
    }
    if let Some(files @ 1..) = quarantined_files {
        lines.push(format!("{} in quarantine", count(*files, "file")));
    }
    lines.extend(suggestion.clone());
    lines
}

fn repaired_line(repaired: &Repaired) -> String {
    let Repaired { action, path, outcome, detail, .. } = repaired;
    let action = match action {
        Action::RemoveLink => "remove",
        Action::WriteRevision => "write back",
    };
    let outcome = match outcome {
        Outcome::Planned => "would be done",
        Outcome::Done => "done",
        Outcome::NotNeeded => "not needed any more",
        Outcome::Failed => "failed",
    };
    let detail = detail.as_deref().map_or_else(String::new, |detail| format!(": {detail}"));
    format!("  {action} {path}: {outcome}{detail}")
}

/// One line with what was looked at and how it is.
fn summary(report: &Report, took: Duration) -> String {
    let sum = |what: fn(&Registry) -> u64| report.registries.iter().map(what).sum::<u64>();
    let found = sum(|registry| {
        let unreachable = registry.findings.iter().filter(|finding| finding.kind == FindingKind::Unreachable);
        registry.findings.len() as u64 - unreachable.count() as u64 + registry.information.findings_not_listed
    });
    let unreachable = sum(|registry| {
        registry.findings.iter().filter(|finding| finding.kind == FindingKind::Unreachable).count() as u64
    });
    let verdict = match (found, unreachable) {
        (0, 0) => "sound".to_owned(),
        (0, _) => format!("{unreachable} places could not be looked at"),
        (_, 0) => count(found, "finding"),
        (_, _) => format!("{}, and {unreachable} places could not be looked at", count(found, "finding")),
    };
    format!(
        "scan: {}, {}, {}, {}, {}, {}, {}: {verdict} ({:.2} s)",
        count(sum(|registry| registry.scanned.repositories), "repository"),
        count(sum(|registry| registry.scanned.tags), "tag"),
        count(sum(|registry| registry.scanned.indexes), "index"),
        count(sum(|registry| registry.scanned.manifests), "image"),
        count(sum(|registry| registry.scanned.links), "link"),
        count(sum(|registry| registry.scanned.blobs), "blob"),
        count(sum(|registry| registry.scanned.bytes), "byte"),
        took.as_secs_f64()
    )
}

/// `1 blob`, `2 blobs`, `3 repositories`, `4 indexes`.
fn count(number: u64, what: &str) -> String {
    match (number, what.strip_suffix('y')) {
        (1, _) => format!("1 {what}"),
        (_, Some(stem)) => format!("{number} {stem}ies"),
        (_, None) if what.ends_with('x') => format!("{number} {what}es"),
        (_, None) => format!("{number} {what}s"),
    }
}
