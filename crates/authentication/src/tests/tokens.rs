//! `/v2/token`, sessions, API tokens: what is given to whom, and what ends it.

use mcr_access::{Account, AccountKind, Binding, Claims, Kind, Use, sign};

use super::{anonymous, asked, refresh};
use crate::settings::{Denied, TokenRequest};
use crate::testing::{House, NOW_MS, basic, bearer, peer, write};

fn offline(request: TokenRequest) -> TokenRequest {
    TokenRequest { offline: true, ..request }
}

#[tokio::test(start_paused = true)]
async fn a_token_gives_what_was_asked_for_and_is_allowed() {
    let house = House::file();
    house.ledger.allow(AccountKind::System, &[Kind::Pull], "ci/**");
    for (name, scope, granted) in [
        ("anna", vec!["repository:a/b:pull,push"], "repository:a/b:pull,push"),
        ("anna", vec!["repository:a:*", "registry:catalog:*"], "repository:a:pull,push,delete registry:catalog:*"),
        ("anna", vec!["repository:x:pull,push repository:y:pull"], "repository:x:pull,push repository:y:pull"),
        ("anna", vec!["repository:x:pull", "repository:x:push"], "repository:x:pull,push"),
        ("anna", vec!["repository:z:pull", "repository:a:pull"], "repository:z:pull repository:a:pull"),
        ("anna", vec!["repository:../etc:pull", "repository:UP:pull", "repository:a**:pull"], ""),
        ("anna", vec![], ""),
        ("guest", vec!["repository:a:pull", "registry:catalog:*"], ""),
        ("ci", vec!["repository:ci/x:pull,push", "repository:other:pull"], "repository:ci/x:pull"),
        ("root", vec!["repository:a:*"], "repository:a:pull,push,delete"),
    ] {
        let issued = house.gate.token(asked(name, "right", &scope), &peer()).await.unwrap();
        assert_eq!(issued.scope, granted, "{name} {scope:?}");
        assert_eq!((issued.expires_in, issued.issued_at_ms, issued.refresh_token), (300, NOW_MS, None));
        let identity = house.identify(&bearer(&issued.token)).await.unwrap();
        assert_eq!(identity.account(), name);
        assert_eq!(identity.scope().unwrap().to_string(), granted);
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_gets_a_token_only_for_what_is_open() {
    let house = House::file();
    let token = async |scope: &[&str]| house.gate.token(anonymous(scope), &peer()).await.map(|token| token.scope);
    for scope in [vec!["repository:open/a:pull"], vec![], vec![""]] {
        assert_eq!(token(&scope).await, Err(Denied::Missing), "nothing is open: {scope:?}");
    }
    house.ledger.allow(AccountKind::Anonymous, &[Kind::Pull], "open/**");
    assert_eq!(token(&["repository:open/a:pull,push"]).await.unwrap(), "repository:open/a:pull");
    assert_eq!(token(&["repository:shut/a:pull"]).await, Err(Denied::Missing));
    assert_eq!(token(&[]).await.unwrap(), "", "for a look at /v2/");
    let issued = house.gate.token(anonymous(&["repository:open/a:pull"]), &peer()).await.unwrap();
    let identity = house.identify(&bearer(&issued.token)).await.unwrap();
    assert_eq!((identity.kind(), identity.is_admin()), (AccountKind::Anonymous, false));
    assert!(
        house
            .gate
            .token(offline(anonymous(&["repository:open/a:pull"])), &peer())
            .await
            .unwrap()
            .refresh_token
            .is_none()
    );
}

#[tokio::test(start_paused = true)]
async fn a_token_runs_out_and_policy_is_asked_anew_for_the_next() {
    let house = House::file();
    let issued = house.gate.token(asked("anna", "right", &["repository:a:pull"]), &peer()).await.unwrap();
    house.pass(299).await;
    assert!(house.identify(&bearer(&issued.token)).await.is_ok());
    house.pass(1).await;
    assert_eq!(house.identify(&bearer(&issued.token)).await, Err(Denied::Wrong));
}

#[tokio::test(start_paused = true)]
async fn a_refresh_token_is_given_for_a_password_and_is_for_nothing_else() {
    let house = House::file();
    assert!(house.gate.token(asked("anna", "right", &[]), &peer()).await.unwrap().refresh_token.is_none());
    let given = house.gate.token(offline(asked("anna", "right", &[])), &peer()).await.unwrap();
    let token = given.refresh_token.unwrap();
    assert_eq!(house.identify(&bearer(&token)).await, Err(Denied::Wrong), "not a bearer token");
    assert_eq!(house.identify(&basic("anna", &token)).await, Err(Denied::Wrong), "not a password");
    for other in [given.token.as_str(), "garbage", "", "mcr_0123456789abcdef_x"] {
        let outcome = house.gate.token(refresh(other, &["repository:a:pull"]), &peer()).await;
        assert_eq!(outcome, Err(Denied::Wrong), "{other}");
    }
    let again = house.gate.token(offline(refresh(&token, &["repository:a:pull"])), &peer()).await.unwrap();
    assert_eq!((again.scope.as_str(), again.refresh_token), ("repository:a:pull", None));
    assert!(house.identify(&bearer(&again.token)).await.is_ok());
    house.pass(30 * 24 * 3600 - 1).await;
    assert!(house.gate.token(refresh(&token, &[]), &peer()).await.is_ok());
    house.pass(1).await;
    assert_eq!(house.gate.token(refresh(&token, &[]), &peer()).await, Err(Denied::Wrong));
}

#[tokio::test(start_paused = true)]
async fn a_session_is_not_limited_by_a_scope_and_ends_when_it_is_ended() {
    let house = House::file();
    let session = house.gate.login("anna", "right", &peer()).await.unwrap();
    assert_eq!(session.expires_at_ms, NOW_MS + 12 * 3_600_000);
    assert_eq!(session.account.name, "anna");
    let other = house.gate.login("anna", "right", &peer()).await.unwrap();
    assert!(house.identify(&bearer(&session.token)).await.unwrap().scope().is_none());
    house.gate.logout(&session.token, &peer()).await.unwrap();
    assert_eq!(house.identify(&bearer(&session.token)).await, Err(Denied::Wrong));
    assert_eq!(house.gate.logout(&session.token, &peer()).await, Err(Denied::Wrong));
    assert!(house.identify(&bearer(&other.token)).await.is_ok());
    assert_eq!(house.ledger.told(), ["login anna", "login anna", "logout anna"]);
    house.pass(12 * 3600).await;
    assert_eq!(house.identify(&bearer(&other.token)).await, Err(Denied::Wrong));
    assert_eq!(house.gate.login("anna", "wrong", &peer()).await, Err(Denied::Wrong));
    for token in ["", "garbage", "eyJ.eyJ.x"] {
        assert_eq!(house.gate.logout(token, &peer()).await, Err(Denied::Wrong));
    }
}

#[tokio::test(start_paused = true)]
async fn an_access_token_and_a_refresh_token_can_be_ended_too() {
    let house = House::file();
    let given = house.gate.token(offline(asked("anna", "right", &["repository:a:pull"])), &peer()).await.unwrap();
    assert!(house.identify(&bearer(&given.token)).await.is_ok());
    house.gate.logout(&given.token, &peer()).await.unwrap();
    assert_eq!(house.identify(&bearer(&given.token)).await, Err(Denied::Wrong));
    let token = given.refresh_token.unwrap();
    house.gate.logout(&token, &peer()).await.unwrap();
    assert_eq!(house.gate.token(refresh(&token, &[]), &peer()).await, Err(Denied::Wrong));
}

#[tokio::test(start_paused = true)]
async fn an_api_token_is_its_owner_within_its_scope_in_every_mode() {
    for house in [House::open(), House::dev(), House::file(), House::service()] {
        let owner = Account::new("anna", "anna", AccountKind::Human, &["admin"]);
        let token = house.ledger.give_token(owner, "team/**");
        for header in [bearer(&token), basic("whoever", &token), basic("", &token)] {
            let identity = house.identify(&header).await.unwrap();
            assert_eq!(identity.account(), "anna");
            let scope = identity.scope().expect("limited");
            assert!(scope.covers(Kind::Push, Some("team/a")) && !scope.covers(Kind::Pull, Some("other")));
        }
        let wanted = ["repository:team/a:*", "repository:other:pull"];
        let issued = house.gate.token(offline(asked("whoever", &token, &wanted)), &peer()).await.unwrap();
        assert_eq!((issued.scope.as_str(), issued.refresh_token), ("repository:team/a:pull,push", None));
        if house.gate.needs_login() {
            assert_eq!(house.identify(&bearer(&issued.token)).await.unwrap().account(), "anna");
        }
        assert!(matches!(house.gate.login("anna", &token, &peer()).await, Err(Denied::BadRequest(_))));
        assert!(matches!(house.gate.logout(&token, &peer()).await, Err(Denied::BadRequest(_))));

        house.ledger.tokens.lock().unwrap().clear();
        for header in [bearer(&token), basic("anna", &token)] {
            assert_eq!(house.identify(&header).await, Err(Denied::Wrong), "{:?}", house.gate);
        }
        if house.gate.needs_login() {
            assert_eq!(house.identify(&bearer(&issued.token)).await, Err(Denied::Wrong), "what it gave falls with it");
        }
        assert_eq!(house.service.asked(), (0, 0), "nobody else was shown it");
        assert_eq!(house.ledger.told(), ["login_failed API token"; 2]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_api_token_has_the_roles_its_owner_has_now() {
    let house = House::file();
    let token = house.ledger.give_token(Account::new("anna", "anna", AccountKind::Human, &["admin"]), "**");
    assert!(!house.identify(&bearer(&token)).await.unwrap().is_admin());
    house.rewrite(&crate::testing::line("root", "right"));
    assert_eq!(house.identify(&bearer(&token)).await, Err(Denied::Wrong), "its owner is gone");
}

/// Signed with the right key for the right service, and still not what we make.
#[tokio::test(start_paused = true)]
async fn tokens_are_taken_for_what_they_are_only() {
    let house = House::file();
    let fingerprint = match house.gate.inner.read_own(&house.gate.login("anna", "right", &peer()).await.unwrap().token)
    {
        Ok(Claims { binding: Binding::Password(fingerprint), .. }) => fingerprint,
        other => panic!("{other:?}"),
    };
    let now = NOW_MS / 1000;
    let claims = |used_for, name: &str, fingerprint: &str| Claims {
        used_for,
        account: Account::new(name, name, AccountKind::Human, &["admin"]),
        scope: None,
        binding: Binding::Password(fingerprint.to_owned()),
        id: "x".to_owned(),
        issued_at: now,
        expires_at: now + 60,
    };
    let signed = |claims: &Claims| sign(&house.gate.inner.ring(), "mcr", claims).unwrap();
    let identity = house.identify(&bearer(&signed(&claims(Use::Session, "anna", &fingerprint)))).await.unwrap();
    assert!(!identity.is_admin(), "roles are looked up, not believed");
    for (used_for, name, fingerprint) in [
        (Use::Access, "anna", fingerprint.as_str()),
        (Use::Refresh, "anna", &fingerprint),
        (Use::Session, "root", &fingerprint),
        (Use::Session, "anna", "other"),
        (Use::Session, "anna", ""),
    ] {
        let token = signed(&claims(used_for, name, fingerprint));
        assert_eq!(house.identify(&bearer(&token)).await, Err(Denied::Wrong), "{used_for:?} {name}");
    }
    let foreign = sign(&house.gate.inner.ring(), "other", &claims(Use::Session, "anna", &fingerprint)).unwrap();
    assert_eq!(house.identify(&bearer(&foreign)).await, Err(Denied::Wrong));
}

#[tokio::test(start_paused = true)]
async fn keys_follow_each_other_without_anybody_noticing() {
    let house = House::file();
    let given = house.gate.token(offline(asked("anna", "right", &[])), &peer()).await.unwrap();
    let token = given.refresh_token.unwrap();
    house.pass(29 * 24 * 3600).await;
    let late = house.gate.token(offline(asked("anna", "right", &[])), &peer()).await.unwrap().refresh_token.unwrap();
    let before = house.gate.inner.ring();
    house.gate.inner.look(true);
    assert!(std::sync::Arc::ptr_eq(&before, &house.gate.inner.ring()), "not due yet");
    house.pass(24 * 3600 + 1).await;
    house.gate.inner.look(true);
    assert_ne!(before.to_text(), house.gate.inner.ring().to_text());
    assert_eq!(house.gate.token(refresh(&token, &[]), &peer()).await, Err(Denied::Wrong), "30 days are over");
    house.pass(27 * 24 * 3600).await;
    house.gate.inner.look(true);
    assert!(house.gate.token(refresh(&late, &[]), &peer()).await.is_ok(), "signed with the key before");
    assert!(house.gate.token(asked("anna", "right", &[]), &peer()).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_scope_of_any_size_makes_a_token_that_fits_a_header() {
    let house = House::file();
    let many: Vec<String> = (0..500).map(|n| format!("repository:{n}/{}:*", "x".repeat(240))).collect();
    let request = TokenRequest { scope: many, ..asked("root", "right", &[]) };
    let issued = house.gate.token(request, &peer()).await.unwrap();
    assert!(issued.token.len() < 8 << 10 && issued.scope.starts_with("repository:0/"), "{}", issued.token.len());
    assert!(house.identify(&bearer(&issued.token)).await.is_ok());
}

#[test]
fn what_is_shown_for_debugging_holds_no_secret() {
    let request = asked("anna", "hunter2", &[]);
    assert!(!format!("{request:?} {:?}", refresh("hunter2", &[])).contains("hunter2"));
    let issued = crate::IssuedToken {
        token: "hunter2".into(),
        expires_in: 60,
        issued_at_ms: 0,
        refresh_token: Some("hunter2".into()),
        scope: String::new(),
    };
    let account = Account::new("anna", "anna", AccountKind::Human, &[]);
    let session = crate::Session { token: "hunter2".into(), expires_at_ms: 0, account };
    assert!(!format!("{issued:?} {session:?}").contains("hunter2"));
}

#[tokio::test(start_paused = true)]
async fn keys_that_cannot_be_believed_keep_the_gate_shut() {
    let house = House::file();
    write(&house.directory.path().join("token-keys.json"), "garbage");
    let ledger: std::sync::Arc<dyn crate::ledger::Ledger> = house.ledger.clone();
    let settings = crate::testing::settings(&house.directory, crate::Mode::Open, &house.clock);
    assert!(matches!(crate::Gate::over(settings, ledger, None), Err(crate::GateError::Keys(_))));
}
