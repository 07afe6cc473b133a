//! With an identity service: half a minute of memory, outages, revocations, its tokens as passwords.

use std::time::Duration;

use mcr_access::AccountKind;

use super::{asked, refresh};
use crate::settings::{Denied, TokenRequest};
use crate::testing::{House, Mood, NOW_MS, basic, bearer, peer, peer_at};

fn is_unavailable<T>(outcome: &Result<T, Denied>) -> bool {
    matches!(outcome, Err(Denied::Unavailable { retry_after, .. }) if *retry_after > 0)
}

#[tokio::test(start_paused = true)]
async fn a_pair_is_asked_for_once_in_half_a_minute() {
    let house = House::service();
    for _ in 0..10 {
        let identity = house.identify(&basic("anna", "right")).await.unwrap();
        assert_eq!((identity.account(), identity.holder().subject.as_str()), ("anna", "uuid-anna"));
        assert!(identity.scope().is_none());
    }
    assert_eq!(house.service.asked(), (1, 1));
    house.pass(30).await;
    house.identify(&basic("anna", "right")).await.unwrap();
    assert_eq!(house.service.asked(), (2, 2));
    assert_eq!(house.ledger.told(), ["login anna", "login anna"]);
}

#[tokio::test]
async fn equal_questions_at_once_are_asked_once() {
    let house = House::service();
    let token = house.service.give("bert", AccountKind::System, &[]);
    for header in [basic("anna", "right"), bearer(&token)] {
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let (gate, header) = (house.gate.clone(), header.clone());
            all.spawn(async move { gate.identify(Some(header.as_bytes()), &peer()).await });
        }
        assert!(all.join_all().await.iter().all(Result::is_ok));
    }
    assert_eq!(house.service.asked(), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_token_of_the_service_is_taken_unscoped_with_the_kind_and_roles_it_tells() {
    let house = House::service();
    for (name, kind, roles, admin) in [
        ("anna", AccountKind::Human, vec!["user"], false),
        ("root", AccountKind::Human, vec!["admin", "user"], true),
        ("ci", AccountKind::System, vec![], false),
    ] {
        let token = house.service.give(name, kind, &roles);
        let identity = house.identify(&bearer(&token)).await.unwrap();
        assert_eq!((identity.account(), identity.kind(), identity.is_admin()), (name, kind, admin));
        assert!(identity.scope().is_none());
        let identity = house.identify(&basic("whatever", &token)).await.unwrap();
        assert_eq!(identity.account(), name, "as a password, too");
    }
}

#[tokio::test(start_paused = true)]
async fn our_token_hides_and_follows_the_one_of_the_service() {
    let house = House::service();
    let request = TokenRequest { offline: true, ..asked("anna", "right", &["repository:a:pull"]) };
    let given = house.gate.token(request, &peer()).await.unwrap();
    let theirs = house.service.claims.lock().unwrap().keys().next().unwrap().clone();
    let decoded: String = given
        .token
        .split('.')
        .map(|part| {
            use base64::Engine as _;
            String::from_utf8_lossy(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap())
                .into_owned()
        })
        .collect();
    assert!(!given.token.contains(&theirs) && !decoded.contains(&theirs), "{decoded}");

    let asked_before = house.service.asked();
    for ours in [&given.token, given.refresh_token.as_ref().unwrap()] {
        assert_eq!(house.identify(&basic("anna", ours)).await, Err(Denied::Wrong), "no password");
        assert_eq!(house.gate.login("anna", ours, &peer()).await, Err(Denied::Wrong));
    }
    assert_eq!(house.service.asked(), asked_before, "and never shown to the service");
    assert_eq!(house.identify(&bearer(&given.token)).await.unwrap().account(), "anna");
    // What it says of her is what counts, not what our token was made with.
    house.service.claims.lock().unwrap().get_mut(&theirs).unwrap().roles = vec!["admin".to_owned()];
    assert!(!house.identify(&bearer(&given.token)).await.unwrap().is_admin(), "remembered");
    house.pass(30).await;
    assert!(house.identify(&bearer(&given.token)).await.unwrap().is_admin());

    house.service.claims.lock().unwrap().clear();
    house.pass(30).await;
    assert_eq!(house.identify(&bearer(&given.token)).await, Err(Denied::Wrong), "revoked");
    let again = refresh(&given.refresh_token.unwrap(), &["repository:a:pull"]);
    assert_eq!(house.gate.token(again, &peer()).await, Err(Denied::Wrong));
}

#[tokio::test(start_paused = true)]
async fn an_outage_lets_known_ones_in_for_half_a_minute_and_then_nobody_and_is_never_a_wrong_password() {
    for mood in [Mood::Away, Mood::Failing] {
        let house = House::service();
        let token = house.service.give("bert", AccountKind::Human, &["user"]);
        let ours = house.gate.token(asked("anna", "right", &["repository:a:pull"]), &peer()).await.unwrap().token;
        let headers = [bearer(&token), bearer(&ours), basic("anna", "right")];
        for header in &headers {
            house.identify(header).await.unwrap();
        }
        assert_eq!(house.gate.identity_up(), Some(true));
        house.service.set(mood);
        house.pass(29).await;
        for header in &headers {
            assert!(house.identify(header).await.is_ok(), "{header}");
        }
        house.pass(1).await;
        for header in &headers {
            assert!(is_unavailable(&house.identify(header).await), "{header}");
        }
        assert_eq!(house.gate.identity_up(), Some(false));
        for header in [basic("new", "right"), basic("anna", "wrong"), bearer("some-other-token")] {
            assert!(is_unavailable(&house.identify(&header).await), "neither wrong nor right: {header}");
        }
        assert!(is_unavailable(&house.gate.login("anna", "right", &peer()).await));
        assert!(is_unavailable(&house.gate.token(asked("anna", "right", &[]), &peer()).await));
        assert!(!house.ledger.told().iter().any(|event| event.starts_with("login_failed")));

        house.service.set(Mood::Well);
        house.pass(2).await;
        for header in &headers {
            assert!(house.identify(header).await.is_ok(), "it is back: {header}");
        }
        assert_eq!(house.gate.identity_up(), Some(true));
    }
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_tries_during_an_outage_lock_nobody_out_after_it() {
    let house = House::service();
    house.service.set(Mood::Failing);
    for n in 0..1000 {
        assert!(is_unavailable(&house.identify(&basic("anna", &format!("try-{n}"))).await));
    }
    house.service.set(Mood::Well);
    assert!(house.identify(&basic("anna", "right")).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_service_that_gives_no_sign_of_life_is_left_alone_for_a_moment() {
    let house = House::service();
    house.service.set(Mood::Away);
    for n in 0..100 {
        assert!(is_unavailable(&house.identify(&basic(&format!("user{n}"), "right")).await));
    }
    assert_eq!(house.service.asked().0, 1);
    house.service.set(Mood::Well);
    house.pass(1).await;
    assert!(house.identify(&basic("anna", "right")).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn wrong_ones_are_wrong_and_limited_and_never_remembered_for_long() {
    let house = House::service();
    assert_eq!(house.identify(&basic("anna", "wrong")).await, Err(Denied::Wrong));
    assert_eq!(house.ledger.told(), ["login_failed anna"]);
    let (_, _, address, details) = house.ledger.events.lock().unwrap().remove(0);
    assert_eq!(
        (address.as_deref(), details),
        (Some("192.0.2.1"), serde_json::json!({"reason": "wrong account or password"}))
    );
    let (mut wrong, before) = (0, house.service.asked());
    for n in 0..1000 {
        match house.identify(&bearer(&format!("unknown-token-{n}"))).await {
            Err(Denied::Wrong) => wrong += 1,
            Err(Denied::Throttled { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((wrong, house.service.asked().1 - before.1), (49, 49), "one went to the wrong password");
    for _ in 0..100 {
        assert_eq!(
            house.identify(&bearer("unknown-token-0")).await,
            Err(Denied::Wrong),
            "the same: to log in, not to wait"
        );
    }
    // A token that was not known a moment ago.
    let house = House::service();
    let token = "identity-token-of-carl-0";
    assert_eq!(house.identify(&bearer(token)).await, Err(Denied::Wrong));
    assert_eq!(house.service.give("carl", AccountKind::Human, &[]), token);
    house.pass(1).await;
    assert!(house.identify(&bearer(token)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_session_is_the_token_of_the_service_and_ends_there_and_here() {
    let house = House::service();
    *house.service.life_ms.lock().unwrap() = Some(NOW_MS + 3_600_000);
    let docker = house.gate.token(asked("anna", "right", &["repository:a:pull"]), &peer()).await.unwrap().token;
    let session = house.gate.login("anna", "right", &peer()).await.unwrap();
    assert_eq!(session.expires_at_ms, NOW_MS + 3_600_000);
    assert!(house.identify(&bearer(&session.token)).await.is_ok());
    house.gate.logout(&session.token, &peer()).await.unwrap();
    assert_eq!(*house.service.revoked.lock().unwrap(), std::slice::from_ref(&session.token));
    assert_eq!(house.identify(&bearer(&session.token)).await, Err(Denied::Wrong));
    assert!(house.identify(&bearer(&docker)).await.is_ok(), "another login's token is its own");
    assert!(house.identify(&basic("anna", "right")).await.is_ok());
    assert_eq!(house.ledger.told(), ["login anna", "login anna", "logout anna"]);

    // The service cannot be told: ended here all the same, and said.
    let session = house.gate.login("anna", "right", &peer()).await.unwrap();
    house.service.set(Mood::Failing);
    assert!(is_unavailable(&house.gate.logout(&session.token, &peer()).await));
    house.service.set(Mood::Well);
    house.pass(60).await;
    assert_eq!(house.identify(&bearer(&session.token)).await, Err(Denied::Wrong));
    assert_eq!(house.gate.logout("unknown", &peer()).await, Err(Denied::Wrong));
}

#[tokio::test(start_paused = true)]
async fn nothing_outlives_the_token_of_the_service() {
    let house = House::service();
    *house.service.life_ms.lock().unwrap() = Some(NOW_MS + 20_000);
    let request = TokenRequest { offline: true, ..asked("anna", "right", &["repository:a:pull"]) };
    let given = house.gate.token(request.clone(), &peer()).await.unwrap();
    assert!(given.refresh_token.is_none() && given.expires_in >= 60, "too short to be kept");
    assert!(house.identify(&bearer(&given.token)).await.is_ok());
    house.pass(20).await;
    assert_eq!(house.identify(&bearer(&given.token)).await, Err(Denied::Wrong), "remembered, but run out");

    *house.service.life_ms.lock().unwrap() = Some(NOW_MS + 120_000);
    let token = house.gate.token(request, &peer()).await.unwrap().refresh_token.unwrap();
    house.pass(99).await;
    assert!(house.gate.token(refresh(&token, &[]), &peer()).await.is_ok());
    house.pass(1).await;
    assert_eq!(house.gate.token(refresh(&token, &[]), &peer()).await, Err(Denied::Wrong));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_while_the_service_hangs_holds_nobody_up() {
    let house = House::service();
    house.service.set(Mood::Hangs);
    let header = basic("anna", "right");
    let first = tokio::time::timeout(Duration::from_secs(1), house.identify(&header)).await;
    assert!(first.is_err(), "given up");
    house.service.set(Mood::Well);
    assert!(house.identify(&header).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_in_line_for_minutes_behind_a_service_that_hangs() {
    let house = House::service();
    house.service.set(Mood::Hangs);
    let mut all = tokio::task::JoinSet::new();
    for n in 0..200 {
        let (gate, from) = (house.gate.clone(), peer_at(&format!("192.0.2.{n}")));
        all.spawn(async move { gate.identify(Some(bearer(&format!("some-token-{n}")).as_bytes()), &from).await });
    }
    // This one never gives up by itself, as the real client does.
    let told = tokio::time::timeout(Duration::from_secs(8), async {
        for _ in 0..200 - 64 {
            assert!(is_unavailable(&all.join_next().await.unwrap().unwrap()));
        }
    });
    assert!(told.await.is_ok() && house.service.asked() == (0, 64));
}
