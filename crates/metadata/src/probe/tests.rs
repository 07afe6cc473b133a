//! Tests of recorded runs: what replaces what, what is news, what is kept and for how long.

use mcr_oci::{Digest, Finding, FindingKind};

use crate::testing::Bed;
use crate::{BrokenTag, Error, ProbeRun, ProbedTag, RecordProbeRun, RecordProbedTags, TagState};

const DAY_MS: i64 = 24 * 3600 * 1000;

pub(crate) fn run(ended_at_ms: i64) -> ProbeRun {
    ProbeRun {
        started_at_ms: ended_at_ms - 3,
        ended_at_ms,
        duration_ms: 3,
        level: "tail".to_owned(),
        reason: None,
        catalog_accessible: Some(true),
        repositories: 1,
        tags: 2,
        indexes: 0,
        findings: 0,
        broken_tags: 0,
        undetermined: 0,
    }
}

pub(crate) fn finding(repository: &str, tag: &str, kind: FindingKind) -> Finding {
    Finding {
        digest: Some(Digest::sha256(tag.as_bytes())),
        repository: Some(repository.to_owned()),
        tag: Some(tag.to_owned()),
        path: vec![Digest::sha256(b"index")],
        detail: Some("HEAD answered 404".to_owned()),
        ..Finding::new(kind)
    }
}

pub(crate) fn probed(repository: &str, tag: &str, state: TagState) -> ProbedTag {
    let findings = u64::from(state == TagState::Broken);
    ProbedTag { repository: repository.to_owned(), tag: tag.to_owned(), digest: None, state, findings }
}

impl Bed {
    pub(crate) fn record(&self, run: ProbeRun, findings: Vec<Finding>, tags: Vec<ProbedTag>) -> Vec<BrokenTag> {
        self.try_record(run, findings, tags).unwrap()
    }

    fn try_record(&self, run: ProbeRun, findings: Vec<Finding>, tags: Vec<ProbedTag>) -> Result<Vec<BrokenTag>, Error> {
        let request = RecordProbeRun { run, findings, tags };
        self.wait(|metadata, done| metadata.record_probe_run(request, done))
    }

    fn told(&self) -> i64 {
        self.count("SELECT count(*) FROM audit WHERE event = 'integrity_finding'")
    }
}

#[test]
fn a_finding_is_news_once_and_again_when_it_comes_back() {
    let bed = Bed::new();
    let missing = finding("a/b", "v1", FindingKind::BlobMissing);
    let cut = finding("a/b", "v1", FindingKind::BlobTruncated);
    let news = bed.record(run(10), vec![missing.clone(), missing.clone()], Vec::new());
    let place = BrokenTag { repository: "a/b".into(), tag: Some("v1".into()), kind: FindingKind::BlobMissing };
    assert_eq!(news.first(), Some(&place));
    assert_eq!(news.len(), 1);
    assert_eq!(bed.record(run(20), vec![missing.clone()], Vec::new()), []);
    let news = bed.record(run(30), vec![missing.clone(), cut], Vec::new());
    assert_eq!(news.iter().map(|place| place.kind).collect::<Vec<_>>(), [FindingKind::BlobTruncated]);
    let kept = bed.metadata.probe_findings(10).unwrap();
    assert_eq!(kept.iter().map(|found| found.since_ms).collect::<Vec<_>>(), [10, 30]);
    assert_eq!(kept[0].finding, missing, "every key survives");
    assert_eq!(bed.record(run(40), Vec::new(), Vec::new()), []);
    assert_eq!(bed.record(run(50), vec![missing], Vec::new()), [place]);
    assert_eq!(bed.told(), 3);
    assert_eq!(bed.count("SELECT count(*) FROM audit WHERE tag = 'v1' AND repository = 'a/b' AND digest <> ''"), 3);
    assert_eq!(bed.audited(), 3);
}

#[test]
fn what_could_not_be_determined_is_no_finding() {
    let bed = Bed::new();
    let news = bed.record(run(10), vec![finding("a", "v1", FindingKind::Unreachable)], Vec::new());
    assert_eq!((news.len(), bed.told()), (0, 0));
    assert_eq!(bed.metadata.probe_findings(10).unwrap(), []);
}

#[test]
fn an_incomplete_run_leaves_what_the_last_complete_one_found() {
    let bed = Bed::new();
    bed.record(
        run(10),
        vec![finding("a", "v1", FindingKind::BlobMissing)],
        vec![probed("a", "v1", TagState::Broken), probed("a", "v2", TagState::Sound)],
    );
    let cut_off = ProbeRun { reason: Some("the catalog: 503".to_owned()), catalog_accessible: Some(false), ..run(20) };
    assert_eq!(bed.record(cut_off.clone(), Vec::new(), Vec::new()), []);
    let state = bed.metadata.probe_state(10).unwrap();
    assert_eq!(state.last_complete.as_ref(), Some(&run(10)));
    assert_eq!(state.catalog_accessible, Some(false));
    assert_eq!(state.history, [cut_off, run(10)]);
    assert_eq!(bed.metadata.probe_findings(10).unwrap().len(), 1);
    assert_eq!(bed.count("SELECT count(*) FROM probe_tags WHERE checked_at = 10"), 2);
    // One that ended before it asked for the catalog says nothing about it.
    let stopped = ProbeRun { reason: Some("stopped".to_owned()), catalog_accessible: None, ..run(30) };
    bed.record(stopped, Vec::new(), Vec::new());
    assert_eq!(bed.metadata.probe_state(1).unwrap().catalog_accessible, Some(false));
    let bed = bed.reopen();
    assert_eq!(bed.metadata.probe_state(10).unwrap().last_complete, Some(run(10)));
}

#[test]
fn tags_of_one_run_come_in_batches_and_gone_ones_are_forgotten() {
    let bed = Bed::new();
    bed.record(run(10), Vec::new(), vec![probed("a", "gone", TagState::Sound), probed("a", "v1", TagState::Sound)]);
    let first = RecordProbedTags { tags: vec![probed("a", "v1", TagState::Broken)], at_ms: 20 };
    bed.wait(|metadata, done| metadata.record_probed_tags(first, done)).unwrap();
    bed.record(run(20), Vec::new(), vec![probed("b", "v1", TagState::Sound)]);
    assert_eq!(bed.count("SELECT count(*) FROM probe_tags"), 2);
    // Broken now, and last seen whole by the run before.
    assert_eq!(bed.count("SELECT last_seen_whole FROM probe_tags WHERE repository = 'a' AND state = 'broken'"), 10);
    assert_eq!(bed.count("SELECT last_seen_whole FROM probe_tags WHERE repository = 'b'"), 20);
}

#[test]
fn history_is_bounded_and_never_loses_what_a_restart_shows() {
    let bed = Bed::new();
    bed.record(run(DAY_MS), Vec::new(), Vec::new());
    let failed = |at_ms| ProbeRun { reason: Some("refused".into()), catalog_accessible: Some(false), ..run(at_ms) };
    bed.record(failed(2 * DAY_MS), Vec::new(), Vec::new());
    bed.record(failed(3 * DAY_MS), Vec::new(), Vec::new());
    bed.record(failed(40 * DAY_MS), Vec::new(), Vec::new());
    assert_eq!(bed.count("SELECT count(*) FROM probe_runs"), 2, "thirty days, and the last complete one");
    assert_eq!(bed.metadata.probe_state(5).unwrap().last_complete, Some(run(DAY_MS)));
    bed.sql()
        .execute_batch(
            "WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)
             INSERT INTO probe_runs SELECT i, started_at, ended_at, duration_ms, level, outcome, reason,
                 catalog_accessible, repositories, tags, indexes, findings, broken_tags, undetermined
             FROM n CROSS JOIN (SELECT * FROM probe_runs ORDER BY id DESC LIMIT 1)",
        )
        .unwrap();
    bed.record(failed(41 * DAY_MS), Vec::new(), Vec::new());
    assert_eq!(bed.count("SELECT count(*) FROM probe_runs"), super::KEEP_RUNS + 1);
    assert_eq!(bed.metadata.probe_state(5).unwrap().last_complete, Some(run(DAY_MS)));
}

#[test]
fn many_new_findings_fill_the_audit_only_so_far() {
    let bed = Bed::new();
    let many: Vec<Finding> =
        (0..super::MAX_NEWS + 5).map(|n| finding("a", &format!("v{n}"), FindingKind::BlobMissing)).collect();
    assert_eq!(bed.record(run(10), many, Vec::new()).len(), super::MAX_NEWS + 5);
    assert_eq!(bed.told(), super::MAX_NEWS as i64 + 1);
    assert_eq!(bed.count("SELECT json_extract(details, '$.count') FROM audit ORDER BY seq DESC LIMIT 1"), 5);
    assert_eq!(bed.audited(), super::MAX_NEWS as u64 + 1);
}

#[test]
fn the_schema_refuses_what_is_no_run() {
    let bed = Bed::new();
    let strange = ProbeRun { level: "deep".to_owned(), ..run(10) };
    assert!(matches!(bed.try_record(strange, Vec::new(), Vec::new()), Err(Error::Constraint { .. })));
    assert_eq!(bed.count("SELECT count(*) FROM probe_runs"), 0);
}
