//! `audit`: the log listed, followed, exported and verified.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use mcr_tests::accounts::{ADMIN, USER};
use mcr_tests::{Blob, process, push};
use serde_json::Value;

use crate::scene::{Shell, push_index, registry, words};

#[test]
fn the_newest_entries_come_last() {
    let registry = registry();
    push_index(&registry, "infra/ci", "latest", 1);
    let _ = push::try_blob(&registry.account(USER), "infra/ci", &Blob::new("no")).unwrap();
    let admin = Shell::admin(&registry);
    // As the runbook writes it.
    let text = admin.says(&["audit", "tail", "--n", "20", "--addr", &registry.server().url()]);
    let lines = words(&text);
    assert_eq!(lines[0], ["SEQ", "AT", "EVENT", "ACTOR", "ADDRESS", "WHAT", "DETAILS"]);
    let numbers: Vec<i64> = lines[1..].iter().map(|line| line[0].parse().unwrap()).collect();
    assert!(numbers.is_sorted() && numbers.len() > 3, "{text}");
    assert!(text.contains("manifest_pushed") && text.contains("infra/ci"), "{text}");
    assert!(text.contains("policy_deny") && text.contains(USER), "{text}");
    let (_, two) = admin.json(&["audit", "tail", "--n", "2"]);
    let two = two["events"].as_array().unwrap().clone();
    assert_eq!(two.len(), 2);
    assert!(two[0]["seq"].as_i64() < two[1]["seq"].as_i64());
    let _ = Shell::of(&registry, USER).exits(3, &["audit", "tail"]);
}

#[test]
fn entries_are_chosen() {
    let registry = registry();
    push_index(&registry, "infra/ci", "latest", 1);
    push_index(&registry, "tools/x", "v1", 2);
    let admin = Shell::admin(&registry);
    let of = |arguments: &[&str]| {
        let (code, json) = admin.json(&[&["audit", "list"], arguments].concat());
        assert_eq!(code, 0, "{json}");
        json["events"].as_array().unwrap().clone()
    };
    let tags = of(&["--event", "tag_moved"]);
    assert_eq!(tags.len(), 2);
    assert!(tags[0]["seq"].as_i64() > tags[1]["seq"].as_i64(), "newest first");
    assert_eq!(of(&["--event", "tag_moved", "--repository", "tools/x"]).len(), 1);
    assert!(of(&["--actor", ADMIN, "--since", "1h"]).len() > 4);
    assert_eq!(of(&["--until", "1h"]).len(), 0);
    assert_eq!(of(&["--since", "2000-01-01", "--until", "2000-01-02T00:00:00Z"]).len(), 0);
    assert_eq!(of(&["--limit", "3"]).len(), 3);
    assert!(of(&["--limit", "0"]).len() >= 6);
    assert!(admin.exits(2, &["audit", "list", "--since", "yesterday"]).contains("2h"));
    assert_eq!(of(&["--event", "sunrise"]).len(), 0);
}

#[test]
fn what_comes_is_followed() {
    let registry = registry();
    let admin = Shell::admin(&registry);
    let mut command = admin.mcrctl(&["audit", "tail", "--follow", "--n", "0", "--json", "--event", "tag_moved"]);
    push_index(&registry, "infra/ci", "before", 1);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // It must have seen the end of the log before something comes behind it.
    std::thread::sleep(std::time::Duration::from_secs(2));
    for tag in ["one", "two"] {
        push_index(&registry, "infra/ci", tag, 1);
        let event: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!((event["event"].as_str(), event["tag"].as_str()), (Some("tag_moved"), Some(tag)));
    }
    process::terminate(&child);
    child.wait().unwrap();
}

#[test]
fn the_log_is_exported_whole() {
    let registry = registry();
    push_index(&registry, "infra/ci", "latest", 1);
    let admin = Shell::admin(&registry);
    let text = admin.says(&["audit", "export"]);
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(events.len() >= 3);
    assert!(events.iter().map(|event| event["seq"].as_i64()).is_sorted());
    let csv = admin.says(&["audit", "export", "--format", "csv", "--event", "tag_moved"]);
    assert_eq!(csv.lines().count(), 2, "{csv}");
    assert!(csv.starts_with("seq,at,event,"), "{csv}");
    let (code, json) = admin.json(&["audit", "export", "--output", "log.jsonl", "--since", "1h"]);
    let written = std::fs::read_to_string(admin.home().join("log.jsonl")).unwrap();
    assert_eq!((code, json["bytes"].as_u64()), (0, Some(written.len() as u64)));
    assert!(written.lines().count() >= events.len());
    // A refusal leaves no file behind, nor spoils one.
    let user = Shell::of(&registry, USER);
    let _ = user.exits(3, &["audit", "export", "--output", "log.jsonl"]);
    assert_eq!(std::fs::read_dir(user.home()).unwrap().count(), 0);
    assert!(admin.exits(3, &["audit", "export", "--output", "/nonexistent/log"]).contains("/nonexistent/log"));
}

#[test]
fn the_chain_is_verified_and_a_head_is_found_again() {
    let registry = registry();
    push_index(&registry, "infra/ci", "latest", 1);
    let admin = Shell::admin(&registry);
    let text = admin.says(&["audit", "verify"]);
    assert!(text.starts_with("sound: "), "{text}");
    let head = text.lines().nth(1).unwrap().strip_prefix("head: ").unwrap().to_owned();
    assert_eq!(head.len(), 64, "{text}");
    push_index(&registry, "infra/ci", "v2", 2);
    let (code, json) = admin.json(&["audit", "verify", "--expect-head", &head]);
    assert_eq!((code, json["expected_found"].as_bool()), (0, Some(true)));
    let missing = admin.exits(1, &["audit", "verify", "--expect-head", &"0".repeat(64)]);
    assert!(missing.contains("NOT FOUND"), "{missing}");
    let _ = Shell::of(&registry, USER).exits(3, &["audit", "verify"]);
}
