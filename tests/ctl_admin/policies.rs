//! `policy`: rules made, changed, deleted, and what they decide, as the registry then does it.

use mcr_tests::accounts::USER;
use mcr_tests::{Image, Random, push};
use serde_json::json;

use crate::scene::{Shell, registry, words};

#[test]
fn the_rules_are_listed_with_the_built_in_ones_first() {
    let registry = registry();
    let admin = Shell::admin(&registry);
    let text = admin.says(&["policy", "list", "--addr", &registry.server().url()]);
    let lines = words(&text);
    assert_eq!(lines[0], ["ID", "PRIORITY", "EFFECT", "ACTIONS", "WHO", "REPOSITORIES", "DESCRIPTION"]);
    assert_eq!(lines[1][..6], ["-1", "0", "allow", "*", "role", "admin"]);
    let (_, json) = admin.json(&["policy", "list"]);
    assert!(json["rules"].as_array().unwrap().iter().all(|rule| rule["id"].as_i64().unwrap() < 0));
    assert_eq!(admin.json(&["policy", "show", "-1"]).1["id"], -1);
    // Who may not see them learns nothing of them.
    assert!(Shell::of(&registry, USER).exits(3, &["policy", "list"]).contains("403"));
    assert!(Shell::nobody(&registry).exits(3, &["policy", "list"]).contains("mcrctl login"));
}

#[test]
fn a_rule_opens_a_repository_and_its_end_closes_it() {
    let registry = registry();
    let admin = Shell::admin(&registry);
    let image = Image::random(&mut Random::new(1), 1, 300);
    let ask = ["policy", "explain", "--subject", USER, "--action", "push", "--repository", "team/app"];
    let refused = admin.exits(1, &ask);
    assert!(refused.starts_with("refused: no rule allows it"), "{refused}");
    assert_eq!(push::try_blob(&registry.account(USER), "team/app", &image.config).unwrap().status, 403);

    let made = admin.says(&[
        "policy",
        "create",
        "--effect",
        "allow",
        "--subject",
        USER,
        "--actions",
        "pull,push",
        "--repositories",
        "team/*",
        "--priority",
        "7",
        "--description",
        "the team",
    ]);
    let id = made.trim().strip_prefix("created rule ").unwrap().to_owned();
    let (code, rule) = admin.json(&["policy", "show", &id]);
    assert_eq!(code, 0);
    assert_eq!(rule["actions"], json!(["registry:pull", "registry:push"]));
    assert_eq!((&rule["subject_uuid"], &rule["priority"], &rule["enabled"]), (&json!(USER), &json!(7), &json!(true)));
    let allowed = admin.says(&ask);
    assert!(allowed.starts_with(&format!("allowed: rule {id} allows it (the team)\n")), "{allowed}");
    push::image(&registry.account(USER), "team/app", "v1", &image);

    // Changed in part; taken away in part.
    assert_eq!(admin.says(&["policy", "update", &id, "--repositories", "other/*"]), format!("updated rule {id}\n"));
    assert_eq!(admin.json(&["policy", "show", &id]).1["description"], "the team");
    let _ = admin.exits(1, &ask);
    admin.says(&["policy", "update", &id, "--repositories", "", "--disabled"]);
    assert_eq!(admin.json(&["policy", "show", &id]).1["repositories"], json!([]));
    let _ = admin.exits(1, &ask);
    admin.says(&["policy", "update", &id, "--enabled"]);
    let _ = admin.exits(0, &ask);
    assert!(admin.exits(2, &["policy", "update", &id]).contains("say what to change"));

    // A deny wins, and is named.
    let (_, deny) =
        admin.json(&["policy", "create", "--effect", "deny", "--actions", "push", "--repositories", "team/app"]);
    let said = admin.exits(1, &ask);
    assert!(said.contains(&format!("rule {} denies it", deny["id"])), "{said}");
    let (code, explained) = admin.json(&ask);
    assert_eq!((code, &explained["allowed"], &explained["rule"]["id"]), (1, &json!(false), &deny["id"]));

    let deny = deny["id"].to_string();
    assert!(admin.exits(2, &["policy", "delete", &deny]).contains("--yes"));
    let (code, said) = admin.typed("no\n", &["policy", "delete", &deny]);
    assert_eq!(code, Some(1), "{said}");
    let (code, said) = admin.typed(&format!("{deny}\n"), &["policy", "delete", &deny]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("team/app") && said.contains(&format!("deleted rule {deny}")), "{said}");
    let _ = admin.exits(0, &ask);
    assert_eq!(admin.says(&["policy", "delete", &id, "--yes"]), format!("deleted rule {id}\n"));
    let _ = admin.exits(1, &["policy", "delete", &id, "--yes"]);
    let _ = admin.exits(1, &ask);
}

#[test]
fn rules_come_from_files_and_from_stdin() {
    let registry = registry();
    let admin = Shell::admin(&registry);
    let rule = json!({"effect": "allow", "actions": ["registry:pull"], "account_types": ["anonymous"],
        "repositories": ["public/**"], "description": "open"});
    std::fs::write(admin.home().join("rule.json"), rule.to_string()).unwrap();
    let (code, made) = admin.json(&["policy", "create", "--file", "rule.json"]);
    assert_eq!((code, &made["priority"]), (0, &json!(100)));
    let (code, said) = admin.given(&rule.to_string(), &["policy", "create", "--file", "-", "--priority", "3"]);
    assert_eq!(code, Some(0), "{said}");
    let (_, all) = admin.json(&["policy", "list"]);
    let own: Vec<_> = all["rules"].as_array().unwrap().iter().filter(|rule| rule["id"].as_i64() > Some(0)).collect();
    assert_eq!((own.len(), &own[0]["priority"]), (2, &json!(3)));

    // What was printed can be given back.
    let shown = admin.json(&["policy", "show", &made["id"].to_string()]).1;
    std::fs::write(admin.home().join("again.json"), shown.to_string()).unwrap();
    assert_eq!(admin.json(&["policy", "create", "--file", "again.json"]).1["repositories"], rule["repositories"]);

    let anonymous = ["policy", "explain", "--subject", "anonymous", "--action", "pull", "--repository", "public/x"];
    assert!(admin.says(&anonymous).contains("(open)"));
    let nobody = Shell::nobody(&registry);
    assert!(nobody.exits(1, &["repo", "show", "public/x"]).contains("public/x"), "it may be looked for");
    assert!(nobody.exits(3, &["repo", "show", "private/x"]).contains("mcrctl login"));

    std::fs::write(admin.home().join("bad.json"), "{").unwrap();
    assert!(admin.exits(2, &["policy", "create", "--file", "bad.json"]).contains("not JSON"));
    assert!(admin.exits(2, &["policy", "create", "--file", "none.json"]).contains("none.json"));
    assert!(admin.exits(2, &["policy", "create"]).contains("--effect"));
    // What the registry does not take is refused by it, with its words.
    assert!(admin.exits(1, &["policy", "create", "--effect", "allow", "--actions", "fly"]).contains("fly"));
    assert!(admin.exits(1, &["policy", "update", "-1", "--disabled"]).contains("-1"));
    assert!(admin.exits(1, &["policy", "show", "4711"]).contains("4711"));
    let wrong = ["policy", "explain", "--subject", "x", "--action", "fly"];
    assert!(admin.exits(2, &wrong).contains("fly"), "a question that makes no sense is wrong usage");
}
