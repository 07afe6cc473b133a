//! The OpenAPI document is one, says what is really answered, and what it lets anybody send finds no 500.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use mcr_tests::{process, tools};
use serde_json::Value;

use crate::scene::Scene;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn document(scene: &Scene, home: &Path) -> Value {
    let document = scene.client.nobody().get("/v1/openapi.json").expect(200);
    std::fs::write(home.join("openapi.json"), &document.body).unwrap();
    document.json()
}

#[test]
fn the_document_is_valid() {
    let Some(validator) = tools::optional("openapi-spec-validator", "openapi-spec-validator") else { return };
    let (scene, home) = (Scene::empty(), tempfile::tempdir().unwrap());
    assert_eq!(document(&scene, home.path())["openapi"], "3.1.0");
    let said = process::run(Command::new(validator).arg(home.path().join("openapi.json"))).ok().text();
    assert!(said.contains("OK"), "{said}");
}

#[test]
fn what_is_documented_is_answered_and_nothing_else() {
    let (scene, home) = (Scene::filled(), tempfile::tempdir().unwrap());
    let document = document(&scene, home.path());
    let paths = document["paths"].as_object().unwrap();
    assert_eq!(paths.len(), 33);
    for (path, item) in paths {
        let target =
            path.replace("{name}", "app").replace("{tag}", "none").replace("{id}", "77").replace("{digest}", DIGEST);
        let known: BTreeSet<String> = item.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            if method == "DELETE" && target == "/v1/repositories/app" {
                continue;
            }
            let answer = scene.client.request(method, &target).body(b"").call();
            let is_refused = answer.status == 405 && answer.header("allow").is_some();
            assert_eq!(!is_refused, known.contains(method), "{method} {path}: {} {}", answer.status, answer.text());
        }
    }
}

/// Schemathesis makes requests from the document, right and wrong ones, and compares the answers with it.
#[test]
fn schemathesis_finds_nothing() {
    let Some(schemathesis) = tools::optional("schemathesis", "schemathesis") else { return };
    let (scene, home) = (Scene::filled(), tempfile::tempdir().unwrap());
    let _ = document(&scene, home.path());
    let mut command = Command::new(schemathesis);
    command.current_dir(home.path()).args(["run", "openapi.json", "--url"]).arg(scene.server.url());
    command.arg("--tls-verify").arg(scene.server.certificate());
    command.arg("--auth").arg(format!("admin:{}", scene.server.password()));
    // What the document cannot say (which cursors there are, that a name must exist) makes some valid requests fail,
    // and Basic is taken where only Bearer makes sense.
    command.args(["--checks", "all", "--exclude-checks", "positive_data_acceptance,ignored_auth"]);
    // It would switch everything else off.
    command.args(["--exclude-operation-id", "setReadOnly", "--phases", "examples,coverage,fuzzing"]);
    command.args(["--max-examples", "10", "--seed", "20261121", "--no-color", "--continue-on-failure"]);
    let _ = process::run_within(&mut command, Duration::from_secs(300)).ok();
    assert!(!scene.server.log().contains("panicked"), "{}", scene.server.log());
    assert_eq!(scene.client.get("/v1/health").expect(200).json()["status"], "ok");
}
