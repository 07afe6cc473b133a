//! Names with passwords from a file: checked, remembered, limited, told.

use std::sync::atomic::Ordering;

use mcr_access::AccountKind;

use super::asked;
use crate::settings::{Denied, Mode, Peer};
use crate::testing::{House, basic, bearer, file_settings, line, peer, peer_at, settings, write};
use crate::{Gate, MAX_PASSWORD};

#[tokio::test(start_paused = true)]
async fn an_account_of_the_file_is_who_the_configuration_says() {
    let house = House::file();
    for (name, kind, role) in [
        ("root", AccountKind::Human, Some("admin")),
        ("anna", AccountKind::Human, Some("user")),
        ("guest", AccountKind::Human, Some("guest")),
        ("ci", AccountKind::System, None),
    ] {
        let identity = house.identify(&basic(name, "right")).await.unwrap();
        assert_eq!((identity.account(), identity.kind()), (name, kind));
        assert_eq!(identity.holder().roles.first().map(String::as_str), role, "{name}");
        assert!(identity.scope().is_none());
        assert_eq!(house.gate.account_for(name).as_ref(), Some(&**identity.holder()));
    }
    assert!(house.gate.account_for("nobody").is_none());
}

#[tokio::test(start_paused = true)]
async fn whatever_is_not_right_is_wrong_and_says_not_what() {
    let house = House::file();
    let long = "x".repeat(9000);
    for (name, password) in [
        ("anna", "wrong"),
        ("anna", ""),
        ("", "right"),
        ("nobody", "right"),
        ("Anna", "right"),
        ("anna\n", "right"),
        ("anna", &long),
    ] {
        assert_eq!(house.identify(&basic(name, password)).await, Err(Denied::Wrong), "{name}:{password}");
    }
    assert_eq!(house.identify("Bearer eyJ.eyJ.x").await, Err(Denied::Wrong));
    assert_eq!(house.identify(&format!("Bearer {}", "x".repeat(100_000))).await, Err(Denied::Wrong));
    assert!(house.ledger.told().iter().all(|event| event.starts_with("login_failed")));
    assert!(house.ledger.told().iter().all(|event| !event.chars().any(char::is_control)), "no line is forged");
}

#[tokio::test(start_paused = true)]
async fn a_password_that_bcrypt_would_cut_is_refused() {
    let house = House::file();
    let whole = "x".repeat(MAX_PASSWORD);
    house.rewrite(&(line("root", "right") + &line("anna", &whole)));
    assert!(house.identify(&basic("anna", &whole)).await.is_ok());
    assert_eq!(house.identify(&basic("anna", &format!("{whole}y"))).await, Err(Denied::Wrong));
}

#[tokio::test(start_paused = true)]
async fn a_pair_is_checked_and_told_once_in_half_a_minute() {
    let house = House::file();
    let figures = house.gate.figures();
    for _ in 0..50 {
        house.identify(&basic("anna", "right")).await.unwrap();
    }
    assert_eq!(house.ledger.told(), ["login anna"]);
    assert_eq!(figures.password_hits.load(Ordering::Relaxed), 49);
    house.pass(30).await;
    house.identify(&basic("anna", "right")).await.unwrap();
    assert_eq!(house.ledger.told(), ["login anna", "login anna"]);
}

#[tokio::test]
async fn equal_pairs_at_once_are_checked_once() {
    let house = House::file();
    let mut all = tokio::task::JoinSet::new();
    for n in 0..100 {
        let (gate, from) = (house.gate.clone(), peer_at(&format!("192.0.2.{}", n % 7)));
        all.spawn(async move { gate.identify(Some(basic("anna", "right").as_bytes()), &from).await });
    }
    assert!(all.join_all().await.iter().all(Result::is_ok));
    assert_eq!(house.ledger.told(), ["login anna"]);
}

#[tokio::test(start_paused = true)]
async fn a_changed_password_ends_what_was_remembered_and_what_was_given() {
    let house = House::file();
    let request = crate::TokenRequest { offline: true, ..asked("anna", "right", &["repository:a:pull"]) };
    let given = house.gate.token(request, &peer()).await.unwrap();
    let session = house.gate.login("anna", "right", &peer()).await.unwrap();
    let again = |lines: String| house.rewrite(&(line("root", "right") + &lines));

    // Somebody else's line changes: nothing of hers does.
    let kept = hash_line(&house, "anna");
    again(format!("{kept}\n{}", line("bert", "x")));
    for header in [basic("anna", "right"), bearer(&given.token), bearer(&session.token)] {
        assert_eq!(house.identify(&header).await.unwrap().account(), "anna");
    }

    again(line("anna", "new"));
    for header in [basic("anna", "right"), bearer(&given.token), bearer(&session.token)] {
        assert_eq!(house.identify(&header).await, Err(Denied::Wrong), "{header}");
    }
    let refresh = super::refresh(&given.refresh_token.unwrap(), &["repository:a:pull"]);
    assert_eq!(house.gate.token(refresh, &peer()).await, Err(Denied::Wrong));
    assert!(house.identify(&basic("anna", "new")).await.is_ok());

    again(String::new());
    assert_eq!(house.identify(&basic("anna", "new")).await, Err(Denied::Wrong), "the account is gone");
}

#[expect(clippy::disallowed_methods, reason = "a test looks at the file behind the code's back")]
fn hash_line(house: &House, name: &str) -> String {
    let text = std::fs::read_to_string(house.directory.path().join("htpasswd")).unwrap();
    text.lines().find(|line| line.starts_with(name)).unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_bad_file_is_refused_at_the_start_and_passed_over_later() {
    let house = House::file();
    house.rewrite("root:plain\n");
    assert!(house.identify(&basic("anna", "right")).await.is_ok(), "the last good one goes on");
    let file = file_settings(&house.directory);
    let opened = |file| {
        let ledger: std::sync::Arc<dyn crate::ledger::Ledger> = house.ledger.clone();
        Gate::over(settings(&house.directory, Mode::Htpasswd(file), &house.clock), ledger, None)
            .unwrap_err()
            .to_string()
    };
    let error = opened(file.clone());
    assert!(error.contains("htpasswd: line 1") && !error.contains('\n'), "{error}");
    write(&file.file, &line("anna", "right"));
    assert!(opened(file).contains("[auth] admins"));
}

#[tokio::test(start_paused = true)]
async fn a_file_that_changes_is_read_without_being_told() {
    let house = House::file();
    let path = house.directory.path().join("htpasswd");
    let whole = line("root", "right") + &line("carl", "new");
    write(&path, &line("root", "right"));
    house.gate.inner.look(false);
    assert!(house.identify(&basic("anna", "right")).await.is_ok(), "half of it is not taken");
    write(&path, &whole);
    house.gate.inner.look(false);
    house.gate.inner.look(false);
    assert!(house.identify(&basic("carl", "new")).await.is_ok());
    assert_eq!(house.identify(&basic("anna", "right")).await, Err(Denied::Wrong));
}

#[tokio::test(start_paused = true)]
async fn guessing_gets_nowhere_and_says_when_to_come_back() {
    let house = House::file();
    let (mut wrong, mut throttled) = (0, 0);
    for n in 0..10_000 {
        match house.identify(&basic("anna", &format!("guess-{n}"))).await {
            Err(Denied::Wrong) => wrong += 1,
            Err(Denied::Throttled { retry_after }) => {
                assert!((1..=11).contains(&retry_after));
                throttled += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((wrong, throttled), (10, 9990));
    let figures = house.gate.figures();
    assert_eq!(figures.logins_failed.load(Ordering::Relaxed), 10, "the others were not looked at");
    assert_eq!(figures.logins_throttled.load(Ordering::Relaxed), 9990);
    let elsewhere = peer_at("198.51.100.7");
    let right = basic("anna", "right");
    assert!(house.gate.identify(Some(right.as_bytes()), &elsewhere).await.is_ok(), "she gets in from elsewhere");
    assert!(house.identify(&right).await.is_ok(), "and then from there, too");
    house.pass(3600).await;
    assert!(house.identify(&right).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_loop_with_an_old_password_is_limited_itself_and_nobody_behind_the_same_address() {
    let house = House::file();
    let outcomes = async || {
        let mut wrong = 0;
        for _ in 0..200 {
            match house.identify(&basic("ci", "old")).await {
                Err(Denied::Wrong) => wrong += 1,
                Err(Denied::Throttled { .. }) => {}
                other => panic!("{other:?}"),
            }
        }
        wrong
    };
    assert_eq!(outcomes().await, 6);
    for name in ["anna", "guest", "ci", "root"] {
        assert!(house.identify(&basic(name, "right")).await.is_ok(), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn behind_a_proxy_that_names_no_client_only_accounts_are_limited() {
    let house = House::file();
    let proxy = Peer { is_shared: true, ..peer() };
    for n in 0..200 {
        let header = basic(&format!("user{n}"), "guess");
        assert_eq!(house.gate.identify(Some(header.as_bytes()), &proxy).await, Err(Denied::Wrong));
    }
}

#[tokio::test]
async fn a_crowd_of_strangers_does_not_keep_waiting_who_was_right_lately() {
    let house = House::file();
    let right = basic("anna", "right");
    house.identify(&right).await.unwrap();
    house.gate.inner.good.clear();
    // Every place and the whole line are taken for as long as this lasts.
    let (release, held) = std::sync::mpsc::channel::<()>();
    let held = std::sync::Arc::new(std::sync::Mutex::new(held));
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let (gate, held) = (house.gate.clone(), held.clone());
        crowd.spawn(async move { gate.inner.checks.run(move || held.lock().unwrap().recv().is_ok()).await });
    }
    assert!(crowd.join_next().await.unwrap().unwrap().is_err(), "the line is full");
    assert!(matches!(house.identify(&basic("bert", "x")).await, Err(Denied::Unavailable { .. })));
    assert_eq!(house.identify(&right).await.unwrap().account(), "anna");
    drop(release);
    let _ = crowd.join_all().await;
}

/// That the work is the same is shown where it is shared out; here, that it is done. A machine with other work to do
/// only makes it longer.
#[tokio::test]
async fn an_unknown_account_costs_what_a_wrong_password_does() {
    use std::time::{Duration, Instant};
    let house = House::file();
    house.rewrite(&(line("root", "right") + &format!("anna:{}\n", bcrypt::hash("right", 9).unwrap())));
    let mut least = Duration::MAX;
    for _ in 0..9 {
        let start = Instant::now();
        let _ = std::hint::black_box(bcrypt::hash("x", 6));
        least = least.min(start.elapsed());
    }
    for (name, n) in [("anna", 1), ("nora", 2), ("root", 3)] {
        let (header, from) = (basic(name, "wrong"), peer_at(&format!("192.0.2.{n}")));
        let start = Instant::now();
        assert_eq!(house.gate.identify(Some(header.as_bytes()), &from).await, Err(Denied::Wrong));
        assert!(start.elapsed() > least, "{name} took {:?}, an eighth of the work {least:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn tries_that_no_limit_counts_cannot_choose_the_name_they_are_told_under() {
    let house = House::file();
    for n in 0..100 {
        for header in [basic(&format!("user{n}"), ""), bearer(&format!("mcr_{n:016x}_{}", "x".repeat(43)))] {
            assert_eq!(house.identify(&header).await, Err(Denied::Wrong));
        }
    }
    let told = house.ledger.told();
    assert_eq!(told.len(), 50);
    // Equal names from one address are one row of the audit trail a minute.
    assert!(told.iter().all(|event| event == "login_failed nobody" || event == "login_failed API token"), "{told:?}");
    // Nor is each address of one customer's network a row.
    for n in 0..200 {
        let header = basic("anna", "");
        let from = peer_at(&format!("2001:db8::{n:x}"));
        assert_eq!(house.gate.identify(Some(header.as_bytes()), &from).await, Err(Denied::Wrong));
    }
    assert_eq!(house.ledger.told().len(), 100);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_token_in_a_loop_is_one_login_in_half_a_minute() {
    let house = House::file();
    let request = crate::TokenRequest { offline: true, ..asked("anna", "right", &["repository:a:pull"]) };
    let given = house.gate.token(request, &peer()).await.unwrap().refresh_token.unwrap();
    for _ in 0..100 {
        house.gate.token(super::refresh(&given, &["repository:a:pull"]), &peer()).await.unwrap();
    }
    assert_eq!(house.ledger.told(), ["login anna"; 2]);
    house.pass(30).await;
    house.gate.token(super::refresh(&given, &["repository:a:pull"]), &peer()).await.unwrap();
    assert_eq!(house.ledger.told(), ["login anna"; 3]);
}
