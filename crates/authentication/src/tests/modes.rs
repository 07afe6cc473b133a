//! Without logins, with `--dev`, the probe: who gets in with what.

use std::sync::Arc;

use mcr_access::{AccountKind, PROBE_ACCOUNT, probe_bearer};

use super::{anonymous, asked};
use crate::settings::Denied;
use crate::testing::{House, One, basic, bearer, peer};

#[tokio::test]
async fn without_logins_everyone_is_administrator_whatever_is_sent() {
    let house = House::open();
    assert!(!house.gate.needs_login() && house.gate.identity_up().is_none());
    assert!(house.gate.identify(None, &peer()).await.unwrap().is_admin());
    for header in [basic("left", "over"), bearer("left-over"), "Digest x".to_owned(), "Basic !".to_owned(), "x".into()]
    {
        let identity = house.identify(&header).await.unwrap();
        assert!(identity.is_admin() && identity.address() == Some("192.0.2.1"), "{header}");
    }
    let token = house.gate.token(anonymous(&["repository:a:*"]), &peer()).await.unwrap();
    assert_eq!(token.scope, "repository:a:pull,push,delete");
    assert!(house.gate.token(asked("x", "y", &[]), &peer()).await.unwrap().refresh_token.is_none());
    let session = house.gate.login("any", "thing", &peer()).await.unwrap();
    assert!(house.identify(&bearer(&session.token)).await.unwrap().is_admin());
    house.gate.logout(&session.token, &peer()).await.unwrap();
}

#[tokio::test]
async fn the_account_of_dev_is_the_only_one() {
    let house = House::dev();
    assert!(house.gate.needs_login());
    assert_eq!(house.gate.identify(None, &peer()).await.unwrap().kind(), AccountKind::Anonymous);
    assert!(house.identify(&basic("admin", "right")).await.unwrap().is_admin());
    for header in [basic("admin", "wrong"), basic("root", "right"), bearer("right"), "Basic".into(), String::new()] {
        assert_eq!(house.identify(&header).await, Err(Denied::Wrong), "{header}");
    }
    let token = house.gate.token(asked("admin", "right", &["repository:a:pull"]), &peer()).await.unwrap();
    let identity = house.identify(&bearer(&token.token)).await.unwrap();
    assert!(identity.is_admin() && identity.scope().is_some_and(|scope| scope.to_string() == "repository:a:pull"));
    assert_eq!(house.gate.token(asked("admin", "no", &[]), &peer()).await, Err(Denied::Wrong));
}

#[tokio::test]
async fn the_probe_is_known_by_its_credential_in_every_mode_and_by_nothing_else() {
    for house in [House::open(), House::dev(), House::file(), House::service()] {
        let headers = [basic(PROBE_ACCOUNT, "drawn"), bearer(&probe_bearer("drawn"))];
        for header in &headers {
            assert_eq!(house.identify(header).await, Err(Denied::Wrong), "no probe: {:?}", house.gate);
        }
        let house = House { gate: house.gate.clone().with_probe(Arc::new(One(PROBE_ACCOUNT, "drawn"))), ..house };
        for header in &headers {
            let probe = house.identify(header).await.unwrap();
            assert!(probe.is_probe() && !probe.is_admin(), "{:?}", house.gate);
        }
        for header in [
            basic(PROBE_ACCOUNT, "guessed"),
            basic(PROBE_ACCOUNT, "right"),
            bearer(&probe_bearer("guessed")),
            bearer(PROBE_ACCOUNT),
            format!("bearer {}", probe_bearer("drawn")),
        ] {
            assert_eq!(house.identify(&header).await, Err(Denied::Wrong), "{header} {:?}", house.gate);
        }
        assert_eq!(house.gate.token(asked(PROBE_ACCOUNT, "drawn", &[]), &peer()).await, Err(Denied::Wrong));
        if house.gate.needs_login() {
            assert_eq!(house.gate.login(PROBE_ACCOUNT, "right", &peer()).await, Err(Denied::Wrong));
        }
        assert_eq!(house.service.asked(), (0, 0), "nobody else was shown it");
        assert!(house.ledger.told().iter().all(|event| !event.contains("login ")), "{:?}", house.ledger.told());
    }
}

#[tokio::test]
async fn tokens_made_in_one_mode_are_nothing_in_another() {
    let (open, dev, file, service) = (House::open(), House::dev(), House::file(), House::service());
    let of_open = open.gate.token(anonymous(&["repository:a:*"]), &peer()).await.unwrap().token;
    let of_dev = dev.gate.token(asked("admin", "right", &["repository:a:*"]), &peer()).await.unwrap().token;
    for house in [&dev, &file, &service] {
        // The same keys, as when the configuration is changed.
        *house.gate.inner.keys.write().unwrap() = open.gate.inner.ring();
        let identity = house.identify(&bearer(&of_open)).await.unwrap();
        assert!(identity.kind() == AccountKind::Anonymous && !identity.is_admin(), "{:?}", house.gate);
    }
    for house in [&file, &service] {
        *house.gate.inner.keys.write().unwrap() = dev.gate.inner.ring();
        assert_eq!(house.identify(&bearer(&of_dev)).await, Err(Denied::Wrong), "{:?}", house.gate);
    }
}
