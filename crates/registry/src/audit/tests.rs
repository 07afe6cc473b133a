//! Tests of the audit trail as administrators use it: whole exports, what verification says, ageing and its anchor.

use std::sync::Arc;
use std::time::Duration;

use mcr_metadata::AuditQuery;
use serde_json::json;

use super::SignAnchor;
use crate::testing::{Bed, NOW, admin};
use crate::{Error, LoginEvent, Settings};

/// Signs with a word, and so can be tampered with by who does not know it.
struct Word(&'static str);

impl SignAnchor for Word {
    fn sign(&self, statement: &[u8]) -> Option<String> {
        Some(mcr_oci::Digest::sha256(&[self.0.as_bytes(), statement].concat()).to_string())
    }

    fn verify(&self, statement: &[u8], signature: &str) -> bool {
        self.sign(statement).as_deref() == Some(signature)
    }
}

const DAY: i64 = 24 * 3_600_000;

fn ageing() -> Settings {
    Settings { audit_keep: Some(Duration::from_secs(24 * 3600)), ..Settings::default() }
}

/// Five events, one a day, the last of them today.
async fn filled() -> Bed {
    let bed = Bed::with(ageing());
    for day in 0..5 {
        bed.clock.set(NOW + day * DAY);
        bed.registry.record_login(LoginEvent::Login, &format!("ann{day}"), Some("10.0.0.1"), json!({}));
        // The one writer takes them in order.
        bed.registry.log_audit_head().await.unwrap();
        bed.registry.forget_logins().await.unwrap();
    }
    bed
}

#[tokio::test]
async fn an_export_is_whole_whatever_the_page() {
    let bed = filled().await;
    for newest_first in [true, false] {
        let query = AuditQuery { newest_first, offset: 1, ..AuditQuery::default() };
        let mut export = bed.registry.audit_export(&bed.global(), query).unwrap();
        let mut seqs = Vec::new();
        while let Some(rows) = export.next_rows().await.unwrap() {
            seqs.extend(rows.iter().map(|row| row.seq));
        }
        assert_eq!(seqs, if newest_first { [4, 3, 2, 1] } else { [2, 3, 4, 5] });
    }
    let wrong = AuditQuery { actor: Some("a\n".to_owned()), ..AuditQuery::default() };
    assert!(matches!(bed.registry.audit(&bed.global(), wrong).await, Err(Error::Invalid(_))));
    let far = AuditQuery { offset: 100_001, ..AuditQuery::default() };
    assert!(matches!(bed.registry.audit(&bed.global(), far).await, Err(Error::Invalid(_))));
}

#[tokio::test]
async fn verification_finds_an_expected_head_or_says_that_it_is_not_there() {
    let bed = filled().await;
    let check = bed.registry.verify_audit(&bed.global(), None).await.unwrap();
    assert!(check.sound && check.rows == 5 && check.head_seq == 5 && check.anchor_signed.is_none());
    let head = check.head.unwrap();
    bed.registry.switch_read_only(&bed.global(), true, None).await.unwrap();
    let check = bed.registry.verify_audit(&bed.global(), Some(&head)).await.unwrap();
    assert!(check.sound && check.expected_found == Some(true) && check.expected_at == Some(5));
    assert_ne!(check.head.unwrap(), head, "it grew");
    let check = bed.registry.verify_audit(&bed.global(), Some(&"0".repeat(64))).await.unwrap();
    assert!(!check.sound && check.expected_found == Some(false) && check.broken_at.is_none());
    assert!(matches!(bed.registry.verify_audit(&bed.global(), Some("abc")).await, Err(Error::Invalid(_))));
}

#[tokio::test]
async fn what_is_old_goes_behind_a_signed_anchor() {
    let bed = filled().await;
    assert_eq!(bed.registry.age_audit().await.unwrap(), 0, "nobody signs");
    bed.registry.set_anchor_signer(Arc::new(Word("right")));
    assert_eq!(bed.registry.age_audit().await.unwrap(), 3);
    assert_eq!(bed.registry.age_audit().await.unwrap(), 0);
    let check = bed.registry.verify_audit(&bed.global(), None).await.unwrap();
    assert!(check.sound && check.rows == 2 && check.anchor_signed == Some(true) && check.cut_up_to == Some(3));
    // Somebody else's signature, as of one who wrote an anchor of his own.
    let bed = bed.reopen(ageing()).await;
    bed.registry.set_anchor_signer(Arc::new(Word("wrong")));
    let check = bed.registry.verify_audit(&bed.global(), None).await.unwrap();
    assert!(!check.sound && check.anchor_signed == Some(false) && check.broken_at.is_none());
}

#[tokio::test]
async fn everything_stays_where_nothing_is_said() {
    let bed = filled().await.reopen(Settings::default()).await;
    bed.registry.set_anchor_signer(Arc::new(Word("right")));
    assert_eq!(bed.registry.age_audit().await.unwrap(), 0);
}

#[tokio::test]
async fn logins_refusals_and_switches_are_told() {
    let bed = Bed::new();
    bed.registry.record_login(LoginEvent::Failed, &"x".repeat(1000), None, json!({ "why": "password" }));
    bed.registry.record_login(LoginEvent::Logout, "ann", Some("::1"), json!({}));
    bed.registry.record_config_reloaded(&["log.level".to_owned()]);
    let machine = crate::testing::system("ci");
    let refused = bed.registry.permit::<mcr_access::Pull>(&machine, &crate::testing::name("a")).unwrap_err();
    for _ in 0..3 {
        bed.registry.record_denied(&refused, Some("10.0.0.9"));
    }
    let narrow = crate::testing::scoped(&admin(), "repository:b:pull");
    let refused = bed.registry.permit::<mcr_access::Pull>(&narrow, &crate::testing::name("a")).unwrap_err();
    bed.registry.record_denied(&refused, None);
    bed.registry.switch_read_only(&bed.global(), true, Some("disk")).await.unwrap();
    assert_eq!(bed.told("login_failed").await[0].actor.len(), 255);
    assert_eq!(bed.told("logout").await[0].address.as_deref(), Some("::1"));
    let denied = bed.told("policy_deny").await;
    assert_eq!(denied.len(), 1, "repeats come when the minute is over; what another token could do is no refusal");
    assert_eq!((denied[0].actor.as_str(), denied[0].repository.as_deref()), ("ci", Some("a")));
    assert_eq!(denied[0].details, json!({ "action": "registry:pull", "rule": "no rule allows it (default deny)" }));
    let reloaded = bed.told("config_reloaded").await;
    assert_eq!(reloaded[0].details, json!({ "keys": ["log.level"] }));
    assert_eq!(reloaded[1].details, json!({ "read_only": true, "reason": "disk" }));
    let bed = bed.reopen(Settings::default()).await;
    let denied = bed.told("policy_deny").await;
    assert_eq!((denied.len(), &denied[1].details["count"]), (2, &json!(2)));
}
