//! What a day at a registry leaves in the audit log: every deed once, by whom and from where, in a chain that holds.

use mcr_tests::accounts::{ADMIN, GUEST, Mode, Registry, USER};
use mcr_tests::{Image, Random, clock, push};
use serde_json::Value;

#[test]
fn a_day_is_told_and_the_chain_holds() {
    for mode in Mode::ALL {
        let mut registry = Registry::start(mode);
        let _ = registry.allow(USER, &["pull", "push", "delete"], "mine/**");
        let image = Image::random(&mut Random::new(901), 1, 200);
        let user = registry.bearer(USER, &["repository:mine/app:pull,push,delete"]);
        push::image(&user, "mine/app", "v1", &image);
        for _ in 0..5 {
            let _ = user.get("/v2/mine/app/manifests/v1").expect(200);
        }
        let _ = user.delete("/v2/mine/app/manifests/v1").expect(202);
        let _ = registry.account(GUEST).get("/v2/mine/app/manifests/v1").expect(403);
        let _ = registry.nobody().with_basic(USER, "wrong-password").get("/v2/").expect(401);
        let rule = registry.open_to_all("open/**");
        let _ = registry.admin().delete(&format!("/v1/policy/rules/{rule}")).expect(204);
        for (event, actor, repository) in [
            ("login", USER, None),
            ("login", GUEST, None),
            ("login_failed", USER, None),
            ("blob_uploaded", USER, Some("mine/app")),
            ("manifest_pushed", USER, Some("mine/app")),
            ("tag_deleted", USER, Some("mine/app")),
            ("policy_deny", GUEST, Some("mine/app")),
            ("policy_rule_created", ADMIN, None),
            ("policy_rule_deleted", ADMIN, None),
        ] {
            let fits = |event: &Value| {
                event["actor"] == actor && repository.is_none_or(|repository| event["repository"] == repository)
            };
            // Logins and refusals are written beside their answers, deeds before them.
            let found = || registry.events(event).into_iter().find(fits);
            clock::wait_until(&format!("{mode:?}: {event} by {actor}"), || found().is_some());
            assert_eq!(found().unwrap()["address"], "127.0.0.1");
        }
        registry.assert_audit_sound();
        let head = |registry: &Registry| {
            let admin = registry.admin();
            let post = admin.request("POST", "/v1/audit/verify").header("Content-Type", "application/json");
            post.body(b"{}").call().expect(200).json()["head"].as_str().unwrap().to_owned()
        };
        let noted = head(&registry);
        // Pulls are added up, and written at the latest when the registry stops.
        let _ = registry.server_mut().stop();
        registry.server_mut().restart();
        let pulled = || registry.events("manifest_pulled").into_iter().find(|event| event["actor"] == USER);
        clock::wait_until("the pulls are written", || pulled().is_some());
        let pulls = pulled().unwrap();
        assert_eq!(pulls["repository"], "mine/app");
        assert!(pulls["details"].to_string().contains('5'), "five of them in one row: {pulls}");
        // What was noted before is still in the chain, and nobody but administrators reads it.
        let admin = registry.admin();
        let body = serde_json::json!({"expect_head": noted}).to_string();
        let post = admin.request("POST", "/v1/audit/verify").header("Content-Type", "application/json");
        let said = post.body(body.as_bytes()).call().expect(200).json();
        assert_eq!((&said["sound"], &said["expected_found"]), (&Value::from(true), &Value::from(true)), "{said}");
        let _ = registry.account(USER).get("/v1/audit").expect(403);
        let _ = registry.nobody().get("/v1/audit").expect(401);
        registry.assert_nothing_secret_logged();
    }
}

#[test]
fn a_row_that_somebody_changed_is_found() {
    let mut registry = Registry::start(Mode::Htpasswd);
    push::image(&registry.admin(), "mine/app", "v1", &Image::random(&mut Random::new(902), 1, 200));
    registry.assert_audit_sound();
    let _ = registry.server_mut().stop();
    // Behind the registry's back, past the trigger that keeps everybody else from it.
    let change = "DROP TRIGGER audit_is_append_only; UPDATE audit SET actor = 'mallory' WHERE seq = \
                  (SELECT max(seq) - 1 FROM audit);";
    let mut sqlite = mcr_tests::tools::command("sqlite3");
    let _ = mcr_tests::process::run(sqlite.arg(registry.home().join("mcr.db")).arg(change)).ok();
    registry.server_mut().restart();
    let admin = registry.admin();
    let post = admin.request("POST", "/v1/audit/verify").header("Content-Type", "application/json");
    let said = post.body(b"{}").call().expect(200).json();
    assert_eq!(said["sound"], false, "{said}");
    assert!(!said["broken_at"].is_null(), "{said}");
}
