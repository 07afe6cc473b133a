//! Is what was found still so: findings about tags that went or moved while the run was under way are none; never a walk.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use mcr_metadata::TagState;
use mcr_oci::{Finding, FindingKind};
use mcr_probe::Run;

use super::seen::{Seen, Stood};

/// The tags of some repositories, each with when it came to point where it does, in Unix milliseconds. A repository
/// that is not listed any more is not among them.
pub(super) type Standing = BTreeMap<String, HashMap<String, i64>>;

/// The repositories that something was found in.
pub(super) fn in_question(run: &Run) -> BTreeSet<String> {
    run.findings.iter().filter_map(|finding| finding.repository.clone()).collect()
}

/// Leaves only what was found of tags that stood before `before_ms` and stand as they did. What went is forgotten;
/// what moved is undetermined until the next run.
pub(super) fn settle(run: &mut Run, seen: &mut Seen, standing: &Standing, before_ms: i64) {
    let (kept, dropped): (Vec<Finding>, Vec<Finding>) =
        std::mem::take(&mut run.findings).into_iter().partition(|finding| stands(finding, standing, before_ms));
    run.findings = kept;
    for finding in dropped {
        let counter = if finding.kind == FindingKind::Unreachable { &mut run.undetermined } else { &mut run.failures };
        *counter = counter.saturating_sub(1);
        let (Some(repository), Some(tag)) = (finding.repository, finding.tag) else { continue };
        tracing::debug!(repository, tag, "probe: this tag changed while it was being looked at");
        if standing.get(&repository).is_some_and(|tags| tags.contains_key(&tag)) {
            seen.tag(&repository, &tag, Stood { digest: None, state: TagState::Undetermined, findings: 0 });
        } else {
            seen.forget(&repository, &tag);
        }
    }
}

fn stands(finding: &Finding, standing: &Standing, before_ms: i64) -> bool {
    let Some(tags) = finding.repository.as_ref().and_then(|repository| standing.get(repository)) else {
        return finding.repository.is_none();
    };
    finding.tag.as_ref().is_none_or(|tag| tags.get(tag).is_some_and(|moved_at_ms| *moved_at_ms < before_ms))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn finding(kind: FindingKind, repository: &str, tag: Option<&str>) -> Finding {
        Finding { repository: Some(repository.to_owned()), tag: tag.map(str::to_owned), ..Finding::new(kind) }
    }

    fn run_with(findings: Vec<Finding>) -> Run {
        let mut run = Run {
            started_at_ms: 100,
            duration: Duration::ZERO,
            repositories: 1,
            tags: 3,
            indexes: 0,
            findings: Vec::new(),
            failures: 0,
            undetermined: 0,
        };
        findings.into_iter().for_each(|finding| run.push(finding));
        run
    }

    #[test]
    fn only_what_stood_before_and_stands_as_it_did_is_judged() {
        let missing = |repository, tag| finding(FindingKind::BlobMissing, repository, Some(tag));
        let mut run = run_with(vec![
            missing("a", "stands"),
            missing("a", "stands"),
            missing("a", "moved"),
            missing("a", "gone"),
            finding(FindingKind::Unreachable, "a", Some("gone")),
            missing("b", "stands"),
            finding(FindingKind::Unreachable, "a", None),
            finding(FindingKind::Unreachable, "b", None),
        ]);
        assert_eq!(in_question(&run).into_iter().collect::<Vec<_>>(), ["a", "b"]);
        let mut seen = Seen::default();
        for tag in ["stands", "moved", "gone"] {
            seen.tag("a", tag, Stood { digest: None, state: TagState::Broken, findings: 1 });
        }
        let tags = HashMap::from([("stands".to_owned(), 99), ("moved".to_owned(), 100)]);
        // The repository b has gone as a whole.
        settle(&mut run, &mut seen, &Standing::from([("a".to_owned(), tags)]), 100);
        assert_eq!((run.failures, run.undetermined), (2, 1));
        let left: Vec<Option<&str>> = run.findings.iter().map(|finding| finding.tag.as_deref()).collect();
        assert_eq!(left, [Some("stands"), Some("stands"), None]);
        let mut rows = seen.into_rows();
        rows.sort_by(|one, other| one.tag.cmp(&other.tag));
        let rows: Vec<(&str, TagState)> = rows.iter().map(|row| (row.tag.as_str(), row.state)).collect();
        assert_eq!(rows, [("moved", TagState::Undetermined), ("stands", TagState::Broken)]);
    }
}
