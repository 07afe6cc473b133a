//! Tests of the chain behind a cut: it goes on, what is expected is found, and tampering shows.

use serde_json::json;

use super::{AuditAnchor, AuditCheck, AuditPrefix, is_chain_hash};
use crate::audit::AuditEvent;
use crate::testing::{Bed, actor};

fn record(bed: &Bed, at_ms: i64) {
    let event = AuditEvent {
        event: "login",
        actor: actor(),
        repository: None,
        tag: None,
        digest: None,
        details: json!({}),
        at_ms,
    };
    bed.wait(|metadata, done| metadata.record_event(event, done)).unwrap();
}

fn filled(rows: i64) -> Bed {
    let bed = Bed::new();
    (1..=rows).for_each(|at_ms| record(&bed, at_ms));
    bed
}

fn hash_of(bed: &Bed, seq: i64) -> String {
    bed.sql().query_row("SELECT hash FROM audit WHERE seq = ?1", [seq], |row| row.get(0)).unwrap()
}

fn cut(bed: &Bed, before_ms: i64, limit: usize) -> u64 {
    let AuditPrefix::UpTo { seq, hash } = bed.metadata.audit_prefix(before_ms, limit).unwrap() else { return 0 };
    let anchor = AuditAnchor { seq, hash, at_ms: 99, signature: "signed".to_owned() };
    bed.wait(|metadata, done| metadata.cut_audit(anchor, done)).unwrap()
}

fn check(bed: &Bed) -> AuditCheck {
    bed.metadata.verify_audit(None).unwrap()
}

#[test]
fn a_cut_chain_begins_at_its_anchor_and_goes_on() {
    let bed = filled(9);
    let (third, ninth) = (hash_of(&bed, 3), hash_of(&bed, 9));
    assert_eq!(cut(&bed, 6, 3), 3, "a small step");
    assert_eq!(cut(&bed, 6, 3), 2, "and what is left");
    assert_eq!(cut(&bed, 6, 3), 0);
    record(&bed, 10);
    let checked = check(&bed);
    assert_eq!((checked.rows, checked.broken_at, checked.head_seq), (5, None, 10));
    let anchor = checked.anchor.unwrap();
    assert_eq!((anchor.seq, anchor.signature.as_str()), (5, "signed"));
    assert_eq!(bed.count("SELECT count(*) FROM audit_anchors"), 1, "older anchors go");
    assert_eq!(bed.metadata.verify_audit(Some(&ninth.to_uppercase())).unwrap().expected_at, Some(9));
    assert_eq!(bed.metadata.verify_audit(Some(&anchor.hash)).unwrap().expected_at, Some(5), "the anchor is known");
    assert_eq!(bed.metadata.verify_audit(Some(&third)).unwrap().expected_at, None, "that one is cut off");
}

#[test]
fn the_last_row_stays_however_old() {
    let bed = filled(3);
    assert_eq!(cut(&bed, 1000, 100), 2);
    assert_eq!((check(&bed).rows, check(&bed).broken_at), (1, None));
    assert_eq!(bed.metadata.audit_head().unwrap(), Some((3, hash_of(&bed, 3))));
    assert_eq!(Bed::new().metadata.audit_head().unwrap(), None);
}

#[test]
fn only_a_prefix_goes_also_where_the_clock_was_set_back() {
    let bed = Bed::new();
    for at_ms in [1, 50, 2, 3] {
        record(&bed, at_ms);
    }
    assert_eq!(cut(&bed, 10, 100), 1);
    assert_eq!(check(&bed).rows, 3);
}

#[test]
fn a_broken_prefix_is_not_cut_off() {
    let bed = filled(5);
    bed.sql().execute_batch("DROP TRIGGER audit_is_append_only; UPDATE audit SET actor = 'bob' WHERE seq = 2").unwrap();
    assert_eq!(bed.metadata.audit_prefix(100, 100).unwrap(), AuditPrefix::Broken { seq: 2 });
}

#[test]
fn tampering_behind_a_cut_shows() {
    for (tamper, broken_at) in [
        ("UPDATE audit_anchors SET hash = upper(hash)", Some(4)),
        ("UPDATE audit_anchors SET seq = 4, hash = (SELECT hash FROM audit WHERE seq = 4)", Some(4)),
        ("DELETE FROM audit_anchors", Some(4)),
        ("DELETE FROM audit WHERE seq = 4", Some(5)),
        ("UPDATE audit SET at = 7 WHERE seq = 4", Some(4)),
    ] {
        let bed = filled(6);
        assert_eq!(cut(&bed, 4, 100), 3);
        assert_eq!(check(&bed).broken_at, None);
        let connection = bed.sql();
        connection
            .execute_batch("DROP TRIGGER audit_is_append_only; DROP TRIGGER audit_goes_only_behind_an_anchor")
            .unwrap();
        connection.execute_batch(tamper).unwrap();
        assert_eq!(check(&bed).broken_at, broken_at, "{tamper}");
    }
}

#[test]
fn a_cut_needs_the_row_it_names() {
    let bed = filled(3);
    let anchor = AuditAnchor { seq: 2, hash: "0".repeat(64), at_ms: 9, signature: String::new() };
    assert_eq!(bed.wait(|metadata, done| metadata.cut_audit(anchor, done)), Ok(0));
    assert_eq!(check(&bed).rows, 3);
}

#[test]
fn a_long_chain_is_walked_in_pages_while_it_grows_and_is_cut() {
    let bed = filled(0);
    bed.sql().execute_batch("DROP TRIGGER audit_is_append_only").unwrap();
    let rows = 2 * super::AT_ONCE as i64 + 7;
    // Many at once: one transaction of the test's own, hashed as the crate does.
    let connection = bed.sql();
    connection.execute_batch("BEGIN").unwrap();
    for at_ms in 1..=rows {
        crate::audit::append(&connection, crate::audit::Audit::by_system("login", at_ms)).unwrap();
    }
    connection.execute_batch("COMMIT").unwrap();
    let checked = check(&bed);
    assert_eq!((checked.rows, checked.broken_at, checked.head_seq), (rows as u64, None, rows));
    let mut walk = super::Walk::new(None);
    assert!(bed.metadata.readers.read(|connection| walk.step(connection)).unwrap());
    // While it pauses, more is cut than it has seen.
    assert_eq!(cut(&bed, 12_001, 12_000), 12_000);
    while bed.metadata.readers.read(|connection| walk.step(connection)).unwrap() {}
    assert_eq!((walk.check.broken_at, walk.check.head_seq), (None, rows));
}

#[test]
fn a_hash_is_64_hex_digits() {
    assert!(is_chain_hash(&"a".repeat(64)) && is_chain_hash(&"A".repeat(64)));
    assert!(!is_chain_hash(&"a".repeat(63)) && !is_chain_hash(&"g".repeat(64)) && !is_chain_hash(""));
}
