//! Tests of counted refusals: one row at once, one for the rest of the minute, and nothing lost.

use std::sync::Arc;

use serde_json::json;

use super::{Admitted, REPEATS_MAX, Repeats};
use crate::audit::AuditEvent;
use crate::rows::Actor;
use crate::testing::{Bed, actor};

fn refusal(event: &'static str, actor: Actor, at_ms: i64) -> AuditEvent {
    AuditEvent {
        event,
        actor,
        repository: None,
        tag: Some("v1".to_owned()),
        digest: None,
        details: json!({ "kind": "blob-missing" }),
        at_ms,
    }
}

fn record(bed: &Bed, event: AuditEvent) {
    bed.wait(|metadata, done| metadata.record_event(event, done)).unwrap();
}

#[test]
fn repeats_of_a_minute_become_one_row() {
    let bed = Bed::new();
    for at_ms in 0..50 {
        record(&bed, refusal("push_refused", actor(), at_ms));
    }
    assert_eq!(bed.count("SELECT count(*) FROM audit"), 1);
    // Another minute, another account, another event: each its own.
    record(&bed, refusal("push_refused", actor(), 60_000));
    record(&bed, refusal("push_refused", Actor { name: "bob".to_owned(), address: None }, 5));
    record(&bed, refusal("policy_deny", actor(), 5));
    assert_eq!(bed.count("SELECT count(*) FROM audit"), 4);
    let bed = bed.reopen();
    assert_eq!(bed.audited(), 5);
    assert_eq!(bed.count("SELECT at FROM audit WHERE seq = 5"), 49);
    assert_eq!(
        bed.count(r#"SELECT details = '{"count":49,"since_ms":0}' AND tag IS NULL FROM audit WHERE seq = 5"#),
        1
    );
    assert_eq!(bed.count("SELECT event = 'push_refused' AND actor = 'ann' FROM audit WHERE seq = 5"), 1);
}

#[test]
fn other_events_are_never_merged() {
    let bed = Bed::new();
    for _ in 0..3 {
        record(&bed, refusal("login", actor(), 7));
    }
    assert_eq!(bed.audited(), 3);
}

#[test]
fn the_table_is_bounded_and_what_is_beyond_it_is_said_not_to_be_written() {
    let repeats = Arc::new(Repeats::default());
    let many = REPEATS_MAX + 50;
    for number in 0..many {
        let actor = Actor { name: format!("account {number}"), address: None };
        for _ in 0..2 {
            let admitted = repeats.admit(refusal("login_failed", actor.clone(), 1));
            assert_eq!(matches!(admitted, Admitted::TooMany), number >= REPEATS_MAX);
        }
    }
    assert_eq!(repeats.lock().len(), REPEATS_MAX);
    assert!(repeats.take_due(false).is_empty());
    assert_eq!(repeats.take_due(true).len(), REPEATS_MAX);
}

#[test]
fn a_count_that_cannot_be_written_is_kept() {
    let repeats = Arc::new(Repeats::default());
    for _ in 0..3 {
        repeats.admit(refusal("push_refused", actor(), 1));
    }
    assert!(repeats.take_due(false).is_empty());
    // Dropped unrun, as when the writer has gone: it answers an error.
    drop(repeats.take_due(true));
    assert!(!repeats.is_empty());
    // A repeat meanwhile is counted onto it.
    assert!(matches!(repeats.admit(refusal("push_refused", actor(), 1)), Admitted::Counted));
    let counts: Vec<u64> = repeats.lock().values().map(|count| count.repeats).collect();
    assert_eq!(counts, [3]);
}
