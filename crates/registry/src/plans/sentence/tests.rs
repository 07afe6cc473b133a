//! What plans say of themselves.

use super::*;

fn plan(job: Job, state: PlanState) -> PlanRecord {
    PlanRecord {
        id: "ab".repeat(16),
        job,
        state,
        dry_run: false,
        actor: "admin".to_owned(),
        created_at_ms: 1_000,
        started_at_ms: Some(2_000),
        ended_at_ms: Some(6_149),
        expires_at_ms: None,
        reason: None,
        settings: serde_json::json!({}),
        totals: PlanTotals::default(),
        progress: PlanProgress::default(),
    }
}

/// 2026-11-22T03:11:30Z.
const UNTIL: i64 = 1_795_317_090_000;

#[test]
fn a_run_says_what_it_freed_and_what_waits() {
    let mut done = plan(Job::Gc, PlanState::Done);
    assert_eq!(of(&done), "freed 0 B; nothing waits");
    done.totals.waiting_bytes = 44_238_163_149;
    done.totals.waiting_digests = 7;
    done.totals.waiting_until_ms = Some(UNTIL);
    let now = "now: mcrctl gc run --grace 0s --undo 0s --yes";
    assert_eq!(of(&done), format!("freed 0 B; 41.2 GiB wait until 2026-11-22 03:12; {now}"));
    done.progress = PlanProgress {
        done: 322,
        blobs_removed: 310,
        manifests_removed: 12,
        bytes_freed: 1_288_490_188,
        ..PlanProgress::default()
    };
    let freed = "freed 1.2 GiB (310 blobs, 12 manifests) in 4.1 s";
    assert_eq!(of(&done), format!("{freed}; 41.2 GiB wait until 2026-11-22 03:12; {now}"));
    done.totals.held_bytes = done.totals.waiting_bytes;
    assert_eq!(of(&done), format!("{freed}; 41.2 GiB wait until 2026-11-22 03:12 (41.2 GiB of it held by snapshots)"));
    done.progress.findings = 1;
    done.progress.files_removed = 2;
    assert!(of(&done).starts_with("freed 1.2 GiB (310 blobs, 12 manifests, 2 files, 1 finding) in"), "{}", of(&done));
}

#[test]
fn a_dry_run_says_what_it_would() {
    let mut dry = plan(Job::Gc, PlanState::Done);
    dry.dry_run = true;
    dry.totals.digests = 1;
    dry.totals.bytes = 512;
    assert_eq!(of(&dry), "would free 512 B (1 digest); nothing waits");
}

#[test]
fn retention_says_how_it_is_undone() {
    let mut done = plan(Job::Retention, PlanState::Done);
    assert_eq!(of(&done), "deleted 0 tags");
    done.progress = PlanProgress { done: 3, tags_removed: 1, manifests_buried: 2, ..PlanProgress::default() };
    let id = "ab".repeat(16);
    let said = format!("deleted 1 tag and 2 manifests in 4.1 s; to undo it: mcrctl tag restore --run {id}");
    assert_eq!(of(&done), said);
}

#[test]
fn a_run_that_was_cut_or_failed_says_so_and_what_it_did() {
    let mut cut = plan(Job::Gc, PlanState::Done);
    cut.totals.cut = Some("the database's disk is full: run it again".to_owned());
    assert_eq!(of(&cut), "freed 0 B; the database's disk is full: run it again; nothing waits");
    cut.state = PlanState::Waiting;
    cut.reason = Some("it would take much".to_owned());
    let said = of(&cut);
    let start =
        "it would take much; would free 0 B (0 digests); the database's disk is full: run it again; to apply it";
    assert!(said.starts_with(start), "{said}");
    let mut failed = plan(Job::Retention, PlanState::Failed);
    failed.reason = Some("the registry is read-only".to_owned());
    assert_eq!(of(&failed), "failed: the registry is read-only");
    failed.progress = PlanProgress { done: 3, tags_removed: 1, manifests_buried: 2, ..PlanProgress::default() };
    let said = of(&failed);
    assert!(
        said.starts_with("failed: the registry is read-only; before that it deleted 1 tag and 2 manifests"),
        "{said}"
    );
    assert!(said.ends_with(&format!("; to undo it: mcrctl tag restore --run {}", "ab".repeat(16))), "{said}");
}

#[test]
fn a_clock_that_was_set_back_takes_no_time_away() {
    let mut done = plan(Job::Gc, PlanState::Done);
    done.progress = PlanProgress { done: 1, blobs_removed: 1, ..PlanProgress::default() };
    done.ended_at_ms = Some(700);
    assert!(of(&done).starts_with("freed 0 B (1 blob, 0 manifests) in 0.0 s"), "{}", of(&done));
}

#[test]
fn what_waits_says_why_and_how_to_confirm_it() {
    let mut waiting = plan(Job::Retention, PlanState::Waiting);
    waiting.reason = Some("rule 1 is new".to_owned());
    let (said, id) = (of(&waiting), "ab".repeat(16));
    let expected =
        format!("rule 1 is new; would delete 0 tags (0 digests, 0 B); to apply it: mcrctl plan confirm {id}");
    assert_eq!(said, expected);
}

#[test]
fn sizes_have_one_digit_behind_the_point() {
    for (count, text) in [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (44_238_163_149, "41.2 GiB"),
        (u64::MAX, "16.0 EiB"),
    ] {
        assert_eq!(bytes(count), text);
    }
}
