//! Catalogs: those that lost their repositories, repositories without tags, globs and caches.

use std::collections::HashSet;
use std::fs;
use std::sync::Mutex;

use mcr_tests::distribution::Distribution;
use mcr_tests::proxy::{Action, Proxy};
use tempfile::tempdir;

use crate::push_index;
use crate::said::{judged, run};

#[test]
fn a_catalog_that_lost_its_repositories_is_not_sound() {
    let registry = Distribution::start();
    push_index(&registry.client(), "infra/ci", "latest", 3);
    let home = tempdir().unwrap();
    let file = home.path().join("probe.prom");
    let file = file.to_str().unwrap();
    let url = registry.url();
    let probe = ["--addr", &url, "probe", "--textfile", file];
    assert_eq!(run(&probe).code, Some(0));
    let before = fs::read_to_string(file).unwrap();
    assert!(before.contains("registry_manifest_integrity_catalog_accessible 1\n"), "{before}");
    assert!(before.contains("registry_manifest_integrity_tags_checked 1\n"), "{before}");

    fs::remove_dir_all(registry.root().join("docker/registry/v2/repositories")).unwrap();
    let output = run(&probe);
    assert_eq!(output.code, Some(3), "{output:?}");
    assert!(output.stderr.contains("0 repositories"), "{output:?}");
    let after = fs::read_to_string(file).unwrap();
    let expected = before.replace("catalog_accessible 1\n", "catalog_accessible 0\n");
    assert_eq!(after, expected, "all but the catalog stays as the last complete run left it");
    // Who says that nothing need be there gets an answer.
    assert_eq!(run(&["--addr", &url, "probe", "--min-repositories", "0"]).code, Some(0));
    assert_eq!(run(&["--addr", &url, "probe", "--min-repositories", "2"]).code, Some(3));
}

#[test]
fn repositories_without_tags_and_globs() {
    let registry = Distribution::start();
    let client = registry.client();
    push_index(&client, "infra/ci", "latest", 3);
    push_index(&client, "other", "latest", 4);
    // Only layers: the catalog lists it, its tags are 404.
    mcr_tests::push::blob(&client, "empty/one", &mcr_tests::Blob::new("x"));
    let url = registry.url();
    let (code, kinds, json) = judged(&["--addr", &url, "probe"]);
    assert_eq!((code, kinds), (0, vec![]));
    assert_eq!(json["checked"]["repositories"], 3);
    let (code, _, json) = judged(&["--addr", &url, "probe", "--repositories", "infra/*", "oth*"]);
    assert_eq!((code, &json["checked"]["repositories"]), (0, &serde_json::json!(2)));
    for tag in ["1", "2", "3"] {
        push_index(&client, "infra/ci", tag, 9);
    }
    let (_, _, json) = judged(&["--addr", &url, "probe", "--repositories", "infra/ci", "--tags-per-repository", "2"]);
    assert_eq!(json["checked"]["tags"], 2);
}

#[test]
fn one_failing_tag_or_repository_never_ends_a_run() {
    let registry = Distribution::start();
    let client = registry.client();
    for (repository, seed) in [("a/one", 1), ("a/two", 2), ("b/three", 3)] {
        push_index(&client, repository, "latest", seed);
    }
    let lost = push_index(&client, "a/two", "broken", 5);
    fs::remove_file(registry.revision("a/two", &lost.images[0].manifest.digest)).unwrap();
    let proxy = Proxy::start(registry.address(), |_, target, _| match target {
        target if target.starts_with("/v2/a/one/tags/") => Action::status(403, "", "{}"),
        target if target.starts_with("/v2/b/three/manifests/latest") => Action::status(401, "", "{}"),
        _ => Action::Forward,
    });
    let (code, kinds, json) = judged(&["--addr", &proxy.url(), "probe"]);
    assert_eq!((code, kinds), (1, ["manifest-missing", "unreachable", "unreachable"].map(str::to_owned).to_vec()));
    assert_eq!((&json["failures"], &json["undetermined"]), (&serde_json::json!(1), &serde_json::json!(2)));
    assert_eq!(json["checked"]["repositories"], 3);
}

#[test]
fn tags_that_go_or_move_while_a_run_is_under_way_are_not_broken() {
    let registry = Distribution::start();
    let client = registry.client();
    push_index(&client, "infra/ci", "latest", 1);
    let lost = push_index(&client, "infra/old", "latest", 2);
    let before = lost.images[0].manifest.bytes.clone();
    fs::remove_file(registry.data(&lost.images[0].layers[0].digest)).unwrap();
    fs::remove_dir_all(registry.repository("infra/old")).unwrap();
    let seen: Mutex<HashSet<String>> = Mutex::default();
    let proxy = Proxy::start(registry.address(), move |method, target, _| {
        let first = seen.lock().unwrap().insert(format!("{method} {target}"));
        let json = "Content-Type: application/json\r\n";
        let oci = "Content-Type: application/vnd.oci.image.manifest.v1+json\r\n";
        match target {
            // A tag that was deleted after it was listed.
            _ if first && target.contains("/tags/list") => {
                Action::status(200, json, "{\"tags\":[\"gone\",\"latest\"]}")
            }
            // A tag that was moved away from an image that then went.
            _ if first && target.ends_with("/manifests/latest") => {
                Action::status(200, oci, std::str::from_utf8(&before).unwrap())
            }
            _ => Action::Forward,
        }
    });
    let (code, kinds, json) = judged(&["--addr", &proxy.url(), "probe"]);
    assert_eq!((code, kinds), (0, vec![]), "{json:#}");
    assert_eq!(json["checked"]["tags"], 1);
    let asked = proxy.requests();
    assert_eq!(asked.iter().filter(|request| request.ends_with("/manifests/latest")).count(), 2, "{asked:#?}");
}

#[test]
fn a_cache_that_holds_one_platform_is_sound_as_a_cache() {
    let registry = Distribution::start();
    let content = push_index(&registry.client(), "mirror/app", "latest", 3);
    push_index(&registry.client(), "infra/ci", "latest", 4);
    let missing = &content.images[1];
    fs::remove_file(registry.revision("mirror/app", &missing.manifest.digest)).unwrap();
    let url = registry.url();
    let (code, kinds, _) = judged(&["--addr", &url, "probe"]);
    assert_eq!((code, kinds), (1, vec!["manifest-missing".to_owned()]));
    for kind in ["mirror/**=pull-through", "pull-through"] {
        let (code, kinds, _) = judged(&["--addr", &url, "probe", "--kind", kind]);
        assert_eq!((code, kinds), (0, vec![]), "{kind}");
    }
    let (code, _, _) = judged(&["--addr", &url, "probe", "--kind", "infra/*=pull-through"]);
    assert_eq!(code, 1);
}
