//! Tests of ended logins: known at once and across a restart, until they would have ended.

use crate::testing::{Bed, NOW};
use crate::{Error, Settings};

#[tokio::test]
async fn an_ended_login_is_known_until_it_would_have_ended() {
    let bed = Bed::new();
    assert!(!bed.registry.is_revoked("a"));
    bed.registry.revoke_session("a", NOW + 100).await.unwrap();
    bed.registry.revoke_session("b", NOW + 200).await.unwrap();
    bed.registry.revoke_session("b", NOW + 150).await.unwrap();
    bed.registry.revoke_session("over", NOW).await.unwrap();
    assert!(bed.registry.is_revoked("a") && bed.registry.is_revoked("b") && !bed.registry.is_revoked("over"));
    let bed = bed.reopen(Settings::default()).await;
    assert!(bed.registry.is_revoked("a") && bed.registry.is_revoked("b"));
    bed.clock.advance(160);
    bed.registry.forget_logins().await.unwrap();
    assert!(!bed.registry.is_revoked("a") && bed.registry.is_revoked("b"), "the later end counts");
    let bed = bed.reopen(Settings::default()).await;
    assert!(!bed.registry.is_revoked("a") && bed.registry.is_revoked("b"));
}

#[tokio::test]
async fn what_is_no_login_is_refused() {
    let bed = Bed::new();
    for wrong in [String::new(), "a".repeat(129)] {
        assert!(matches!(bed.registry.revoke_session(&wrong, NOW + 1).await, Err(Error::Invalid(_))));
    }
}
