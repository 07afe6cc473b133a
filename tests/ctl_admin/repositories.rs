//! `repo` and `tag`: lists, what is shown, and what is asked before something goes.

use mcr_tests::accounts::{GUEST, USER};
use serde_json::json;

use crate::scene::{Shell, push_index, registry, words};

#[test]
fn repositories_are_listed_as_a_table_and_as_json() {
    let registry = registry();
    let admin = Shell::admin(&registry);
    assert_eq!(words(&admin.says(&["repo", "list"])), [["REPOSITORY", "TAGS", "MANIFESTS", "SIZE", "UPDATED"]]);
    push_index(&registry, "infra/ci", "latest", 1);
    push_index(&registry, "infra/ci", "v1", 2);
    push_index(&registry, "tools/x", "v1", 3);

    // As the runbook writes it.
    let url = registry.server().url();
    let text = admin.says(&["repo", "list", "--addr", &url]);
    let lines = words(&text);
    assert_eq!(lines[0], ["REPOSITORY", "TAGS", "MANIFESTS", "SIZE", "UPDATED"]);
    assert_eq!(lines[1][..3], ["infra/ci", "2", "6"]);
    assert_eq!(lines[2][..3], ["tools/x", "1", "3"]);
    assert!(!text.contains('─') && !text.contains('│'), "no frames without a terminal");

    let (code, all) = admin.json(&["repo", "list"]);
    assert_eq!((code, all["repositories"].as_array().unwrap().len()), (0, 2));
    assert_eq!(all["repositories"][0]["tag_count"], 2);
    let (_, some) = admin.json(&["repo", "list", "--filter", "tools/*"]);
    assert_eq!(some["repositories"][0]["name"], "tools/x");
    let (_, one) = admin.json(&["repo", "list", "--limit", "1"]);
    assert_eq!(one["repositories"].as_array().unwrap().len(), 1);
    assert_eq!(admin.exits(0, &["repo", "list", "--quiet"]), "");
    assert!(admin.exits(2, &["repo", "list", "--limit", "0"]).contains("1 or more"));
}

#[test]
fn long_lists_are_whole() {
    let registry = registry();
    let index = push_index(&registry, "many", "t0000", 1);
    for number in 1..1_010 {
        let client = registry.admin();
        let target = format!("/v2/many/manifests/t{number:04}");
        let put = client.request("PUT", &target).header("Content-Type", "application/vnd.oci.image.index.v1+json");
        let _ = put.body(&index.manifest.bytes).call().expect(201);
    }
    let text = Shell::admin(&registry).says(&["tag", "list", "many"]);
    assert_eq!(text.lines().count(), 1_010);
    assert_eq!(text.lines().last(), Some("t1009"));
    let shown = Shell::admin(&registry).says(&["repo", "show", "many"]);
    assert!(shown.starts_with("many: 1010 tags, 3 manifests"), "{}", shown.lines().next().unwrap());
    assert!(shown.contains("t1009"), "tags of every page");
}

#[test]
fn a_repository_is_shown_with_whole_digests() {
    let registry = registry();
    let index = push_index(&registry, "infra/ci", "latest", 1);
    let shell = Shell::of(&registry, USER);
    let text = shell.says(&["repo", "show", "infra/ci"]);
    assert!(text.starts_with("infra/ci: 1 tag, 3 manifests"), "{text}");
    assert!(text.contains(index.digest().as_str()) && text.contains(index.images[1].digest().as_str()), "{text}");
    let (_, json) = shell.json(&["repo", "show", &format!("{}/infra/ci", registry.authority())]);
    assert_eq!(json["tags"][0]["digest"], index.digest().as_str());
    assert_eq!(json["manifests"].as_array().unwrap().len(), 3);

    // What is not there, and what one may not see, are told apart by nobody.
    assert!(Shell::admin(&registry).exits(1, &["repo", "show", "no/such"]).contains("no/such"));
    let guest = Shell::of(&registry, GUEST);
    let hidden = guest.exits(3, &["repo", "show", "infra/ci"]);
    assert_eq!(hidden.replace("infra/ci", "no/such"), guest.exits(3, &["repo", "show", "no/such"]));
    assert!(shell.exits(2, &["repo", "show", "infra/ci:latest"]).contains("[HOST/]REPO"));
    assert!(shell.exits(2, &["repo", "show", "Infra"]).contains("is no reference"));
}

#[test]
fn a_repository_is_deleted_only_when_that_was_said() {
    let registry = registry();
    push_index(&registry, "old/thing", "v1", 1);
    let admin = Shell::admin(&registry);
    // Nobody can be asked: stdin is no terminal.
    assert!(admin.exits(2, &["repo", "delete", "old/thing"]).contains("--yes"));
    let dry = admin.says(&["repo", "delete", "old/thing", "--dry-run"]);
    assert!(dry.starts_with("would delete old/thing: 1 tag, 3 manifests"), "{dry}");
    let (_, dry) = admin.json(&["repo", "delete", "old/thing", "--dry-run"]);
    assert_eq!(dry["would_delete"], json!({"tags": 1, "manifests": 3}));

    // At a terminal it names what goes, and takes nothing but yes or the name.
    let (code, said) = admin.typed("y\n", &["repo", "delete", "old/thing"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("old/thing: 1 tag, 3 manifests") && said.contains("nothing was changed"), "{said}");
    assert_eq!(admin.says(&["tag", "list", "old/thing"]), "v1\n");

    // People may not, and are told so.
    assert!(Shell::of(&registry, USER).exits(1, &["repo", "delete", "old/thing", "--yes"]).contains("403"));
    assert_eq!(admin.says(&["tag", "list", "old/thing"]), "v1\n");

    let (code, said) = admin.typed("old/thing\n", &["repo", "delete", "old/thing"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("deleted old/thing: 1 tag, 3 manifests"), "{said}");
    let _ = admin.exits(1, &["repo", "show", "old/thing"]);
    let _ = admin.exits(1, &["repo", "delete", "old/thing", "--yes"]);
    push_index(&registry, "old/thing", "v2", 2);
    let (code, json) = admin.json(&["repo", "delete", "old/thing", "--yes"]);
    assert_eq!((code, &json["deleted"]["tags"]), (0, &json!(1)));
}

#[test]
fn tags_are_listed_remembered_and_deleted() {
    let registry = registry();
    let first = push_index(&registry, "infra/ci", "latest", 1);
    let second = push_index(&registry, "infra/ci", "latest", 2);
    push_index(&registry, "infra/ci", "v1", 1);
    let admin = Shell::admin(&registry);
    assert_eq!(admin.says(&["tag", "list", "infra/ci"]), "latest\nv1\n");
    let (_, json) = admin.json(&["tag", "list", "infra/ci"]);
    assert_eq!(json["tags"], json!(["latest", "v1"]));

    let text = admin.says(&["tag", "history", "infra/ci:latest"]);
    let lines = words(&text);
    assert_eq!(lines[0], ["AT", "BY", "TO", "FROM"]);
    assert_eq!(lines[1][1..], ["alice", second.digest().as_str(), first.digest().as_str()]);
    assert_eq!(lines[2][1..], ["alice", first.digest().as_str(), "-"]);
    let (_, json) = admin.json(&["tag", "history", "infra/ci:latest", "--limit", "1"]);
    assert_eq!(json["history"][0]["current"], second.digest().as_str());

    assert!(admin.exits(2, &["tag", "delete", "infra/ci", "--yes"]).contains("names no tag"));
    assert!(admin.exits(2, &["tag", "delete", "infra/ci:v1"]).contains("--yes"));
    assert!(admin.says(&["tag", "delete", "infra/ci:v1", "--dry-run"]).contains(first.digest().as_str()));
    let (code, said) = admin.typed("yes\n", &["tag", "delete", "infra/ci:v1"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!("points at {}", first.digest())), "{said}");
    assert_eq!(admin.says(&["tag", "list", "infra/ci"]), "latest\n");
    let _ = admin.exits(1, &["tag", "delete", "infra/ci:v1", "--yes"]);
    let _ = admin.exits(1, &["tag", "delete", "infra/ci:never", "--yes"]);
    assert!(Shell::of(&registry, USER).exits(1, &["tag", "delete", "infra/ci:latest", "--yes"]).contains("403"));
    let (_, json) = admin.json(&["tag", "delete", "infra/ci:latest", "--yes"]);
    assert_eq!(json["digest"], second.digest().as_str());
    let history = admin.says(&["tag", "history", "infra/ci:latest"]);
    assert_eq!(words(&history)[1][2], "deleted");
}
