//! The registry written in Go: its images, rules and audit log, and its database in the wrong place.

use mcr_tests::go_mcr::{GoMcr, PASSWORD, USERNAME};
use mcr_tests::{Image, Index, Options, Random, damage, process, pull};
use serde_json::json;

use crate::scene::{LIMIT, command, read, serve};

fn go() -> (GoMcr, Index, Image) {
    let go = GoMcr::start();
    let mut random = Random::new(41);
    let (index, image) = (Index::random(&mut random, 900), Image::random(&mut random, 2, 900));
    go.put_index("team/app", "v1", &index);
    go.put_image("base", Some("1"), &image);
    for (priority, effect, enabled) in
        [(20, "deny", true), (10, "allow", true), (20, "allow", false), (0, "allow", true)]
    {
        go.add_rule(json!({
            "priority": priority, "description": format!("rule {priority} {effect}"), "effect": effect,
            "actions": ["registry:pull"], "roles": null, "account_types": ["system"],
            "subject_uuid": "", "repositories": ["team/*"], "enabled": enabled,
        }));
    }
    for n in 0..7 {
        go.add_event("manifest_pushed", "team/app", &format!("2026-01-01T00:00:0{n}Z"));
    }
    (go, index, image)
}

#[test]
fn images_rules_and_audit_log_come_once() {
    let ((go, _, _), home) = (go(), tempfile::tempdir().unwrap());
    let data = home.path().join("srv");
    let run = || {
        let mut command = command(&data);
        command.args(["--json", "--username", USERNAME, "--with-policy", "--with-audit", &go.url()]);
        read(&process::run_within(command.env("MCR_PASSWORD", PASSWORD), LIMIT))
    };
    let done = run();
    // The rule of priority 0 is none here.
    done.expect(1);
    assert_eq!((done.count("imported"), done.count("broken")), (2, 0), "{done:#?}");
    assert_eq!((&done.json["policy"]["created"], &done.json["audit"]["appended"]), (&json!(3), &json!(7)), "{done:#?}");
    assert!(done.json["policy"]["refused"][0].as_str().unwrap().contains("priority"), "{done:#?}");
    go.add_event("manifest_deleted", "base", "2026-01-02T00:00:00Z");
    let again = run();
    assert_eq!(
        (&again.json["policy"]["created"], &again.json["policy"]["already"]),
        (&json!(0), &json!(3)),
        "{again:#?}"
    );
    assert_eq!(
        (&again.json["audit"]["appended"], &again.json["audit"]["already"]),
        (&json!(1), &json!(7)),
        "{again:#?}"
    );

    let server = serve(&data);
    let client = server.client();
    assert_eq!(pull::assert_all_whole(&client), 2);
    let rules = client.get("/v1/policy/rules").expect(200).json();
    let own: Vec<_> = rules["rules"]
        .as_array()
        .unwrap_or_else(|| panic!("{rules:#}"))
        .iter()
        .filter(|rule| rule["id"].as_i64() > Some(0))
        .collect();
    let order: Vec<_> = own.iter().map(|rule| rule["description"].as_str().unwrap()).collect();
    assert_eq!(order, ["rule 10 allow", "rule 20 deny", "rule 20 allow"]);
    assert_eq!(own.iter().map(|rule| rule["enabled"].as_bool().unwrap()).collect::<Vec<_>>(), [true, true, false]);
    let events = client.get("/v1/audit?event=import_audit").expect(200).json().to_string();
    assert_eq!(events.matches("\"event_type\"").count(), 8, "{events}");
    assert!(events.contains("0c1e-subject-of-ann") && events.contains("2026-01-01T00:00:06Z"), "{events}");
}

#[test]
fn a_rule_that_is_not_understood_switches_off_what_it_may_have_limited() {
    let ((go, _, _), home) = (go(), tempfile::tempdir().unwrap());
    go.add_rule(json!({
        "priority": 5, "description": "secret", "effect": "deny", "actions": [], "repositories": null,
        "repository_globs": ["secret/*"], "enabled": true, "created_at": "2026-01-01T00:00:00Z",
    }));
    let data = home.path().join("srv");
    // The password of stdin is read once, though the login takes two steps.
    let run = r#"printf '%s\n' "$SECRET" | "$@""#;
    let import = command(&data);
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", run, "sh"]).arg(import.get_program()).args(import.get_args()).env("SECRET", PASSWORD);
    for (name, value) in import.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.args(["--json", "--username", USERNAME, "--password-stdin", "--with-policy", &go.url()]);
    let done = read(&process::run_within(&mut shell, LIMIT));
    done.expect(1);
    let policy = &done.json["policy"];
    assert_eq!((&policy["created"], &policy["switched_off"]), (&json!(3), &json!(1)), "{policy:#}");
    assert!(policy["refused"].to_string().contains("repository_globs"), "{policy:#}");
    let rules = serve(&data).client().get("/v1/policy/rules").expect(200).json();
    let allows = |rule: &&serde_json::Value| rule["id"].as_i64() > Some(0) && rule["effect"] == "allow";
    assert!(rules["rules"].as_array().unwrap().iter().filter(allows).all(|rule| rule["enabled"] == false), "{rules:#}");
}

#[test]
fn what_it_cannot_serve_is_left_out() {
    let ((go, _, image), home) = (go(), tempfile::tempdir().unwrap());
    // Its blob deletes remove rows: the image stays listed without a layer.
    go.lose_blob("base", &image.layers[0].digest);
    let data = home.path().join("srv");
    let mut command = command(&data);
    command.args(["--json", "--username", USERNAME, &go.url()]).env("MCR_PASSWORD", PASSWORD);
    let done = read(&process::run_within(&mut command, LIMIT));
    done.expect(1);
    assert_eq!(done.wrong("base", "1"), [("blob-missing".to_owned(), image.layers[0].digest.to_string())]);
    assert_eq!(pull::assert_all_whole(&serve(&data).client()), 1);
}

#[test]
fn its_database_is_not_touched_and_the_command_is_named() {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("srv");
    std::fs::create_dir(&data).unwrap();
    // As its two migrations make it.
    let script = "CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY); CREATE TABLE repositories (id INTEGER PRIMARY KEY, name TEXT); \
                  CREATE TABLE manifests (id INTEGER PRIMARY KEY); CREATE TABLE tags (id INTEGER PRIMARY KEY); CREATE TABLE blobs (digest TEXT); \
                  CREATE TABLE manifest_blobs (m INTEGER); CREATE TABLE uploads (uuid TEXT); CREATE TABLE policy_rules (id INTEGER); CREATE TABLE audit_log (id INTEGER);";
    let python =
        format!("import sqlite3,sys\nc=sqlite3.connect(sys.argv[1])\nc.executescript({script:?})\nc.commit()\n");
    let _ = process::run(std::process::Command::new("python3").args(["-c", &python]).arg(data.join("mcr.db"))).ok();
    let before = damage::tree(&data);
    let output = process::run_within(&mut Options::default().command(&data), LIMIT);
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains("mcrsrv import") && output.stderr.contains("https://"), "{}", output.stderr);
    assert_eq!(output.stderr.trim().lines().count(), 1, "{}", output.stderr);
    assert_eq!(damage::tree(&data), before);
    let output = process::run_within(command(&data).arg(home.path()), LIMIT);
    assert_eq!(output.code, Some(1), "{output:?}");
    assert_eq!(damage::tree(&data), before);
}
