//! Rules as they are meant: deny wins, patterns, roles, and a change that counts from the next request on; no listing.

use mcr_tests::accounts::{ADMIN, GUEST, MACHINE, Mode, OTHER, Registry, Setup, USER};
use mcr_tests::{Client, Image, Random, push};
use serde_json::{Value, json};

use crate::world::send_json;

/// A registry whose users may nothing but what rules say, with these repositories.
fn strict(mode: Mode, repositories: &[&str]) -> Registry {
    let registry = Registry::with(mode, &Setup::default().set("policy", "user_default = []"));
    let (admin, image) = (registry.admin(), Image::random(&mut Random::new(3), 1, 200));
    for repository in repositories {
        push::image(&admin, repository, "v1", &image);
    }
    registry
}

fn pulls(client: &Client, repository: &str) -> u16 {
    client.get(&format!("/v2/{repository}/manifests/v1")).status
}

fn pushes(client: &Client, repository: &str) -> u16 {
    client.post(&format!("/v2/{repository}/blobs/uploads/")).status
}

fn change(registry: &Registry, id: i64, change: &Value) {
    let _ = send_json(&registry.admin(), "PATCH", &format!("/v1/policy/rules/{id}"), change).expect(200);
}

fn allow(registry: &Registry, name: &str, priority: u32, repositories: &[&str]) -> i64 {
    rule(registry, "allow", name, priority, repositories)
}

fn rule(registry: &Registry, effect: &str, name: &str, priority: u32, repositories: &[&str]) -> i64 {
    registry.rule(&json!({
        "priority": priority, "effect": effect, "actions": ["registry:pull", "registry:push"],
        "subject_uuid": registry.subject(name), "repositories": repositories,
    }))
}

#[test]
fn deny_wins_whatever_stands_before_it() {
    for mode in Mode::ALL {
        let registry = strict(mode, &["a/x", "a/secret"]);
        let user = registry.account(USER);
        assert_eq!((pulls(&user, "a/x"), pulls(&user, "a/secret")), (403, 403));
        let _ = allow(&registry, USER, 1, &["a/**"]);
        assert_eq!((pulls(&user, "a/x"), pulls(&user, "a/secret")), (200, 200));
        let deny = rule(&registry, "deny", USER, 4_000_000, &["a/secret"]);
        let _ = allow(&registry, USER, 2, &["a/secret"]);
        assert_eq!((pulls(&user, "a/x"), pulls(&user, "a/secret")), (200, 403));
        assert_eq!((pushes(&user, "a/x"), pushes(&user, "a/secret")), (202, 403));
        // The refusal names who, what and where, and neither rule nor whether it is there.
        let refused = user.get("/v2/a/secret/manifests/v1").expect_error(403, "DENIED").messages();
        assert!(refused.contains("pull a/secret") && refused.contains(USER), "{refused}");
        assert!(!refused.contains("rule") && !refused.contains("deny"), "{refused}");
        // The rule is in the log.
        let log = registry.server().log();
        assert!(log.contains(&format!("rule {deny} denies it")), "no deciding rule in the log");
        // Administrators are touched by no deny.
        let all = json!({"priority": 1, "effect": "deny", "actions": [], "roles": []});
        let everything = registry.rule(&all);
        assert_eq!((pulls(&registry.admin(), "a/secret"), pulls(&user, "a/x")), (200, 403));
        let _ = registry.admin().delete(&format!("/v1/policy/rules/{everything}")).expect(204);
        assert_eq!(pulls(&user, "a/x"), 200);
        registry.assert_audit_sound();
    }
}

#[test]
fn a_lower_number_decides_first_among_those_of_one_effect() {
    let registry = strict(Mode::Htpasswd, &["a/x"]);
    let explain = || {
        let question = json!({"subject": USER, "action": "registry:pull", "repository": "a/x"});
        let answer = send_json(&registry.admin(), "POST", "/v1/policy/explain", &question).expect(200).json();
        (answer["allowed"].as_bool().unwrap(), answer["rule"]["id"].as_i64())
    };
    assert_eq!(explain(), (false, None));
    let [late, early] = [50, 10].map(|priority| allow(&registry, USER, priority, &["a/**"]));
    assert_eq!(explain(), (true, Some(early)));
    let [last, first] = [90, 70].map(|priority| rule(&registry, "deny", USER, priority, &["a/*"]));
    assert_eq!(explain(), (false, Some(first)));
    change(&registry, first, &json!({"priority": 91}));
    assert_eq!(explain(), (false, Some(last)));
    for id in [first, last] {
        change(&registry, id, &json!({"enabled": false}));
    }
    change(&registry, early, &json!({"priority": 51}));
    assert_eq!(explain(), (true, Some(late)));
}

#[test]
fn patterns_know_segments() {
    let names = ["team/a", "team/a/b", "team/a/b/c", "teams/a", "team-x/a", "x/team/a"];
    let registry = strict(Mode::Mcias, &names);
    let user = registry.account(USER);
    for (pattern, expected) in [
        ("team/*", vec!["team/a"]),
        ("team/**", vec!["team/a", "team/a/b", "team/a/b/c"]),
        ("team*/*", vec!["team/a", "teams/a", "team-x/a"]),
        ("*/a", vec!["team/a", "teams/a", "team-x/a"]),
        ("**/a", vec!["team/a", "teams/a", "team-x/a", "x/team/a"]),
        ("team/*/b", vec!["team/a/b"]),
        ("*", vec![]),
        ("**", names.to_vec()),
        ("team/a", vec!["team/a"]),
    ] {
        let id = allow(&registry, USER, 5, &[pattern]);
        let may: Vec<&str> = names.into_iter().filter(|name| pulls(&user, name) == 200).collect();
        assert_eq!(may, expected, "{pattern}");
        let _ = registry.admin().delete(&format!("/v1/policy/rules/{id}")).expect(204);
    }
}

#[test]
fn a_change_counts_from_the_next_request_on() {
    for mode in Mode::ALL {
        let registry = strict(mode, &["a/x"]);
        let id = allow(&registry, USER, 5, &["a/**"]);
        let expires = (jiff::Timestamp::now() + std::time::Duration::from_secs(600)).to_string();
        let new = json!({"name": "t", "actions": ["pull"], "repositories": ["**"], "expires_at": expires});
        let made = send_json(&registry.account(USER), "POST", "/v1/tokens", &new).expect(201).json();
        let base = registry.nobody();
        let login = json!({"username": USER, "password": registry.password(USER)});
        let session = send_json(&base, "POST", "/v1/auth/login", &login).expect(200).json();
        // All of them were given away, and their accounts looked up, before anything changes.
        let hands = [
            ("Basic", registry.account(USER)),
            ("a scoped token", registry.bearer(USER, &["repository:a/x:pull"])),
            ("a session", base.with_bearer(session["token"].as_str().unwrap())),
            ("an API token", base.with_bearer(made["token"].as_str().unwrap())),
        ];
        let expect = |status: u16, why: &str| {
            for (what, client) in &hands {
                assert_eq!(pulls(client, "a/x"), status, "{mode:?}, {what}: {why}");
                assert_eq!(client.head("/v2/a/x/tags/list").status, status, "{mode:?}, {what}: {why}");
            }
        };
        expect(200, "allowed");
        for _ in 0..5 {
            change(&registry, id, &json!({"enabled": false}));
            expect(403, "the rule is disabled");
            change(&registry, id, &json!({"enabled": true}));
            expect(200, "it is enabled again");
        }
        change(&registry, id, &json!({"repositories": ["b/**"]}));
        expect(403, "it is about something else");
        change(&registry, id, &json!({"repositories": ["a/x"], "actions": ["registry:push"]}));
        expect(403, "it is about another action");
        change(&registry, id, &json!({"actions": ["registry:pull"], "subject_uuid": registry.subject(OTHER)}));
        expect(403, "it is about somebody else");
        change(&registry, id, &json!({"subject_uuid": null}));
        expect(200, "it is about everybody");
        change(&registry, id, &json!({"effect": "deny"}));
        expect(403, "it denies");
        let _ = registry.admin().delete(&format!("/v1/policy/rules/{id}")).expect(204);
        expect(403, "it is gone");
        registry.assert_nothing_secret_logged();
    }
}

#[test]
fn rules_are_about_roles_and_kinds_of_accounts() {
    for mode in Mode::ALL {
        let registry = strict(mode, &["r/guests", "r/users", "r/system", "r/human", "r/anonymous"]);
        for (name, field, value) in [
            ("guests", "roles", "guest"),
            ("users", "roles", "user"),
            ("system", "account_types", "system"),
            ("human", "account_types", "human"),
            ("anonymous", "account_types", "anonymous"),
        ] {
            let mut rule = json!({"priority": 5, "effect": "allow", "actions": ["registry:pull"]});
            rule["repositories"] = json!([format!("r/{name}")]);
            rule[field] = json!([value]);
            let _ = registry.rule(&rule);
        }
        let may = |client: &Client| {
            let names = ["guests", "users", "system", "human", "anonymous"];
            names.into_iter().filter(|name| pulls(client, &format!("r/{name}")) == 200).collect::<Vec<_>>()
        };
        assert_eq!(may(&registry.account(GUEST)), ["guests", "human"], "{mode:?}");
        assert_eq!(may(&registry.account(USER)), ["users", "human"], "{mode:?}");
        assert_eq!(may(&registry.account(MACHINE)), ["system"], "{mode:?}");
        assert_eq!(may(&registry.nobody()), ["anonymous"], "{mode:?}");
        assert_eq!(may(&registry.stranger(&["repository:r/anonymous:pull"])), ["anonymous"], "{mode:?}");
        assert_eq!(may(&registry.account(ADMIN)).len(), 5, "{mode:?}");
    }
}

#[test]
fn an_immutable_tag_is_refused_whoever_asks() {
    let text = "[[integrity.rule]]\nrepositories = [\"fixed/**\"]\nimmutable_tags = \"^v[0-9]+$\"";
    let setup = Setup::default().set("integrity", text);
    let registry = Registry::with(Mode::Htpasswd, &setup);
    let mut random = Random::new(21);
    let [first, second] = [(); 2].map(|()| Image::random(&mut random, 1, 100));
    for name in [ADMIN, USER] {
        let client = registry.account(name);
        let repository = format!("fixed/{name}");
        let _ = registry.allow(USER, &["pull", "push", "delete"], "fixed/**");
        push::image(&client, &repository, "v1", &first);
        push::image(&client, &repository, "latest", &first);
        let _ = push::put_image(&client, &repository, "v1", &first).expect(201);
        push::blobs_of(&client, &repository, &second);
        let _ = push::put_image(&client, &repository, "v1", &second).expect_error(403, "DENIED");
        let _ = push::put_image(&client, &repository, "latest", &second).expect(201);
        for reference in ["v1", first.digest().as_str()] {
            let _ = client.delete(&format!("/v2/{repository}/manifests/{reference}")).expect_error(403, "DENIED");
        }
        let _ = client.delete(&format!("/v1/repositories/{repository}/tags/v1")).expect(403);
        let _ = client.delete(&format!("/v1/repositories/{repository}")).expect(403);
        let _ = client.delete(&format!("/v2/{repository}/manifests/latest")).expect(202);
        assert_eq!(client.get(&format!("/v2/{repository}/manifests/v1")).expect(200).digest(), *first.digest());
    }
}
