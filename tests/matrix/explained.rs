//! `policy explain` tells what really happens: random rules and questions, each asked both ways; no fixed rule.

use mcr_tests::accounts::{ADMIN, GUEST, MACHINE, Mode, OTHER, Registry, Setup, USER};
use mcr_tests::{Client, Image, Random, push};
use serde_json::{Value, json};

use crate::world::send_json;

const REPOSITORIES: [&str; 5] = ["a/x", "a/x/y", "b/x", "ab/x", "top"];
const PATTERNS: [&str; 8] = ["a/*", "a/**", "**", "*/x", "**/y", "top", "a*/x", "none/**"];
const ACTIONS: [&str; 6] = [
    "registry:pull",
    "registry:push",
    "registry:delete",
    "registry:catalog",
    "registry:version_check",
    "policy:manage",
];
/// Whom rules and questions are about; the empty name is nobody.
const ACCOUNTS: [&str; 6] = [ADMIN, USER, OTHER, GUEST, MACHINE, ""];
/// Rule sets, and questions to each.
const SETS: usize = 12;
const QUESTIONS: usize = 18;

fn some<'a>(random: &mut Random, choices: &[&'a str], times: usize) -> Vec<&'a str> {
    let mut chosen: Vec<&str> = (0..random.below(times + 1)).map(|_| *random.pick(choices)).collect();
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}

fn rule(random: &mut Random, registry: &Registry) -> Value {
    let effect = if random.once_in(4) { "deny" } else { "allow" };
    let mut rule = json!({
        "priority": 1 + random.below(4), "effect": effect, "actions": some(random, &ACTIONS, 3),
        "enabled": !random.once_in(6),
    });
    if !random.once_in(3) {
        rule["repositories"] = json!(some(random, &PATTERNS, 2));
    }
    match random.below(5) {
        0 => rule["roles"] = json!(some(random, &["user", "guest", "other"], 2)),
        1 => rule["account_types"] = json!(some(random, &["human", "system", "anonymous"], 2)),
        // One that denies everybody everything would make all that follows dull.
        _ => rule["subject_uuid"] = json!(registry.subject(ACCOUNTS[random.below(5)])),
    }
    rule
}

/// What the account is, as an administrator who asks would say it where the registry cannot know.
fn question(registry: &Registry, account: &str, action: &str, repository: Option<&str>) -> Value {
    let mut question = json!({"subject": "anonymous", "action": action});
    if let Some(repository) = repository {
        question["repository"] = json!(repository);
    }
    if !account.is_empty() {
        question["subject"] = json!(registry.subject(account));
        if registry.mode() == Mode::Mcias {
            let role = match account {
                ADMIN => vec!["admin"],
                GUEST => vec!["guest"],
                MACHINE => vec![],
                _ => vec!["user"],
            };
            question["roles"] = json!(role);
            question["account_type"] = json!(if account == MACHINE { "system" } else { "human" });
        }
    }
    question
}

/// What really happens: whether the registry does it, refusing with 401 or 403 or not.
fn happens(client: &Client, action: &str, repository: Option<&str>) -> (bool, String) {
    let name = repository.unwrap_or_default();
    let (method, target, done) = match action {
        "registry:pull" => ("GET", format!("/v2/{name}/manifests/v1"), 200),
        "registry:push" => ("POST", format!("/v2/{name}/blobs/uploads/"), 202),
        // There is no such tag: who may delete is told so.
        "registry:delete" => ("DELETE", format!("/v2/{name}/manifests/none"), 404),
        "registry:catalog" => ("GET", "/v2/_catalog".to_owned(), 200),
        "registry:version_check" => ("GET", "/v2/".to_owned(), 200),
        "policy:manage" => ("GET", "/v1/policy/rules".to_owned(), 200),
        other => panic!("{other}"),
    };
    let request = client.request(method, &target);
    let answer = if method == "POST" { request.body(b"").call() } else { request.call() };
    let what = format!("{method} {target}: {} {}", answer.status, answer.text());
    assert!(answer.status == done || [401, 403].contains(&answer.status), "{what}");
    (answer.status == done, what)
}

fn agrees(mode: Mode, seed: u64) {
    let registry = start(mode);
    let (admin, mut random) = (registry.admin(), Random::new(seed));
    let clients = ACCOUNTS.map(|name| if name.is_empty() { registry.nobody() } else { registry.account(name) });
    let (mut allowed, mut refused, mut differ) = (0, 0, Vec::new());
    for _ in 0..SETS {
        let made: Vec<i64> = (0..3 + random.below(5)).map(|_| registry.rule(&rule(&mut random, &registry))).collect();
        for _ in 0..QUESTIONS {
            let (who, action) = (random.below(ACCOUNTS.len()), *random.pick(&ACTIONS));
            // Nobody is asked to log in at /v2/, whatever the rules say.
            let action =
                if ACCOUNTS[who].is_empty() && action == "registry:version_check" { ACTIONS[0] } else { action };
            let placed = matches!(action, "registry:pull" | "registry:push" | "registry:delete");
            let repository = placed.then(|| *random.pick(&REPOSITORIES));
            let asked = question(&registry, ACCOUNTS[who], action, repository);
            let said = send_json(&admin, "POST", "/v1/policy/explain", &asked).expect(200).json();
            let (done, what) = happens(&clients[who], action, repository);
            if said["allowed"] != json!(done) {
                differ.push(format!("{asked}\n  explained: {said}\n  happened:  {what}"));
            }
            // The rule that is named decides: it has that effect, and is one of those there are.
            let named = &said["rule"];
            if !named.is_null() {
                assert_eq!(named["effect"] == "allow", said["allowed"] == true, "{said}");
                assert_eq!(named["enabled"], true, "{said}");
                let id = named["id"].as_i64().unwrap();
                assert!(id < 0 || made.contains(&id), "{said}");
            }
            *(if done { &mut allowed } else { &mut refused }) += 1;
        }
        for id in made {
            let _ = admin.delete(&format!("/v1/policy/rules/{id}")).expect(204);
        }
    }
    assert!(differ.is_empty(), "{mode:?}, seed {seed}: explain and the registry disagree:\n{}", differ.join("\n"));
    assert!(allowed > 40 && refused > 40, "{mode:?}, seed {seed}: dull rules: {allowed} allowed, {refused} refused");
    println!("{mode:?}, seed {seed}: {allowed} allowed, {refused} refused");
}

/// A registry with the repositories that questions are about.
fn start(mode: Mode) -> Registry {
    let registry = Registry::with(mode, &Setup::default());
    let (admin, image) = (registry.admin(), Image::random(&mut Random::new(5), 1, 100));
    for repository in REPOSITORIES {
        push::image(&admin, repository, "v1", &image);
    }
    registry
}

#[test]
fn explain_agrees_with_a_password_file() {
    agrees(Mode::Htpasswd, 4101);
}

#[test]
fn explain_agrees_with_the_identity_service() {
    agrees(Mode::Mcias, 4102);
}
