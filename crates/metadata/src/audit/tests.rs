//! Tests of the audit trail: the chain holds, and every kind of tampering shows.

use mcr_oci::Digest;
use serde_json::json;

use super::{AuditEvent, NO_PREVIOUS, canonical};
use crate::testing::{Bed, actor, repository};

fn event(name: &'static str, at_ms: i64) -> AuditEvent {
    AuditEvent {
        event: name,
        actor: actor(),
        repository: Some(repository("a/b")),
        tag: Some("v\"1\u{7}ü".to_owned()),
        digest: None,
        details: json!({ "z": 1, "a": { "d": null, "c": [true, "\\"] } }),
        at_ms,
    }
}

fn record(bed: &Bed, event: AuditEvent) {
    bed.wait(|metadata, done| metadata.record_event(event, done)).unwrap();
}

#[test]
fn the_chain_is_what_the_contract_says() {
    let bed = Bed::new();
    record(&bed, event("login", 5));
    record(&bed, event("logout", 6));
    let connection = bed.sql();
    let row = |seq: i64| -> (String, String, String) {
        connection
            .query_row("SELECT previous, hash, details FROM audit WHERE seq = ?1", [seq], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .unwrap()
    };
    let (previous, hash, details) = row(1);
    assert_eq!(previous, NO_PREVIOUS);
    assert_eq!(details, r#"{"a":{"c":[true,"\\"],"d":null},"z":1}"#);
    // Written out by hand: what an outsider would compute.
    let text = [
        NO_PREVIOUS,
        r#"{"actor":"ann","address":"127.0.0.1","at":5,"details":{"a":{"c":[true,"\\"],"d":null},"z":1},"#,
        r#""event":"login","repository":"a/b","seq":1,"tag":"v\"1\u0007ü","v":1}"#,
    ]
    .concat();
    assert_eq!(hash, Digest::sha256(text.as_bytes()).hex());
    assert_eq!(row(2).0, hash);
    let check = bed.metadata.verify_audit(None).unwrap();
    assert_eq!((check.rows, check.head, check.broken_at), (2, Some(row(2).1), None));
}

#[test]
fn an_empty_trail_has_no_head() {
    let check = Bed::new().metadata.verify_audit(None).unwrap();
    assert_eq!((check.rows, check.head, check.broken_at), (0, None, None));
}

#[test]
fn the_database_refuses_to_change_it() {
    let bed = Bed::new();
    record(&bed, event("login", 5));
    let connection = bed.sql();
    let error = connection.execute_batch("UPDATE audit SET actor = 'bob'").unwrap_err();
    assert!(error.to_string().contains("never changed"), "{error}");
    let error = connection.execute_batch("DELETE FROM audit").unwrap_err();
    assert!(error.to_string().contains("behind an anchor"), "{error}");
}

#[test]
fn tampering_shows() {
    for (tamper, broken_at) in [
        ("UPDATE audit SET actor = 'bob' WHERE seq = 2", 2),
        ("UPDATE audit SET details = '{}' WHERE seq = 3", 3),
        ("UPDATE audit SET address = NULL WHERE seq = 1", 1),
        ("UPDATE audit SET hash = (SELECT hash FROM audit WHERE seq = 1) WHERE seq = 3", 3),
        ("DELETE FROM audit WHERE seq = 2", 3),
        ("DELETE FROM audit WHERE seq = 1", 2),
    ] {
        let bed = Bed::new();
        for at_ms in 0..4 {
            record(&bed, event("login", at_ms));
        }
        // Somebody who goes round the triggers.
        let connection = bed.sql();
        connection
            .execute_batch("DROP TRIGGER audit_is_append_only; DROP TRIGGER audit_goes_only_behind_an_anchor")
            .unwrap();
        connection.execute_batch(tamper).unwrap();
        let check = bed.metadata.verify_audit(None).unwrap();
        assert_eq!(check.broken_at, Some(broken_at), "{tamper}");
    }
}

#[test]
fn a_prefix_may_go_behind_an_anchor_and_the_chain_goes_on() {
    let bed = Bed::new();
    for at_ms in 0..3 {
        record(&bed, event("login", at_ms));
    }
    let connection = bed.sql();
    connection
        .execute_batch(
            "INSERT INTO audit_anchors SELECT seq, hash, 9, 'signed' FROM audit WHERE seq = 3;
             DELETE FROM audit WHERE seq <= 3",
        )
        .unwrap();
    record(&bed, event("login", 10));
    assert_eq!(bed.count("SELECT seq FROM audit"), 4);
    assert_eq!(bed.audited(), 1);
}

#[test]
fn canonical_json_sorts_every_object() {
    let value = json!({ "b": [{ "y": 1, "x": 2 }], "a": "é/" });
    assert_eq!(canonical(&value), r#"{"a":"é/","b":[{"x":2,"y":1}]}"#);
}
