//! Names and paths that lead elsewhere: none reaches a file or a repository that the plain name would not.

use std::collections::BTreeSet;
use std::path::Path;

use mcr_tests::accounts::{MACHINE, Mode, Registry, USER};
use mcr_tests::{Client, Image, Random, push};

/// Ways to write `secret/app` from within `mine`, and worse.
const NAMES: [&str; 26] = [
    "mine/../secret/app",
    "mine/..%2fsecret/app",
    "mine/%2e%2e/secret/app",
    "mine%2f..%2fsecret%2fapp",
    "mine/%252e%252e/secret/app",
    "mine/.%2e/secret/app",
    "mine/..;/secret/app",
    "mine/..\\secret\\app",
    "mine/..%5csecret%5capp",
    "mine//../secret/app",
    "./secret/app",
    "/secret/app",
    "//secret/app",
    "secret%2fapp",
    "secret%2Fapp",
    "SECRET/APP",
    "secret/app%00",
    "secret/app%00/mine",
    "mine/app%00/../../secret/app",
    "secret/app%20",
    "secret/app.",
    "secret/app%0a",
    "%73ecret/app",
    "secret/%61pp",
    "s\u{435}cret/app",
    "..%c0%af..%c0%afsecret/app",
];

fn files(root: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(&directory).unwrap().flatten() {
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() {
                waiting.push(path);
            } else {
                found.insert(path.strip_prefix(root).unwrap().display().to_string());
            }
        }
    }
    found
}

/// A raw request, since names here are not for a client library to repair.
fn status(client: &Client, method: &str, target: &str) -> (u16, String) {
    match client.request(method, target).body(b"").send() {
        Ok(answer) => (answer.status, answer.text()),
        // Closing without an answer is a refusal too.
        Err(_) => (0, String::new()),
    }
}

#[test]
fn no_spelling_of_a_name_reaches_another_repository_or_a_file() {
    for mode in Mode::ALL {
        let registry = Registry::start(mode);
        let image = Image::random(&mut Random::new(631), 1, 300);
        push::image(&registry.admin(), "secret/app", "v1", &image);
        let _ = registry.allow(MACHINE, &["pull", "push", "delete"], "mine/**");
        let _ = registry.rule(&serde_json::json!({
            "priority": 5, "description": "secret", "effect": "deny", "repositories": ["secret/**"],
        }));
        let before = files(registry.home());
        let layer = &image.layers[0].digest;
        for client in [registry.account(MACHINE), registry.account(USER), registry.nobody()] {
            let long = format!("mine/{}", "a".repeat(300));
            let longer = format!("mine/{}", "a/".repeat(4000));
            for name in NAMES.iter().copied().chain([long.as_str(), longer.as_str()]) {
                for (method, rest) in [
                    ("GET", "manifests/v1".to_owned()),
                    ("GET", format!("manifests/{}", image.digest())),
                    ("GET", format!("blobs/{layer}")),
                    ("GET", "tags/list".to_owned()),
                    ("POST", "blobs/uploads/".to_owned()),
                    ("PUT", "manifests/v2".to_owned()),
                    ("DELETE", "manifests/v1".to_owned()),
                ] {
                    let (code, text) = status(&client, method, &format!("/v2/{name}/{rest}"));
                    let refused = matches!(code, 0 | 400 | 401 | 403 | 404 | 405 | 414 | 431);
                    assert!(refused, "{method} {name}/{rest}: {code} {text}");
                }
                let (code, text) = status(&client, "GET", &format!("/v1/repositories/{name}"));
                assert!(matches!(code, 0 | 400 | 401 | 403 | 404 | 405 | 414 | 431), "{name}: {code} {text}");
                assert!(!text.contains(layer.as_str()), "{text}");
            }
        }
        let after = files(registry.home());
        let strange =
            |name: &&String| !name.ends_with("-wal") && !name.ends_with("-shm") && !name.starts_with("uploads/");
        let new: Vec<&String> = after.difference(&before).filter(strange).collect();
        assert!(new.is_empty(), "files that nobody may make: {new:?}");
        let _ = mcr_tests::pull::assert_whole(&registry.admin(), "secret/app", "v1");
    }
}

#[test]
fn no_reference_digest_or_session_names_a_file() {
    let registry = Registry::start(Mode::Htpasswd);
    let admin = registry.admin();
    push::image(&admin, "mine/app", "v1", &Image::random(&mut Random::new(632), 1, 300));
    let passwords = std::fs::read_to_string(registry.home().join("htpasswd")).unwrap();
    for reference in [
        "../../../htpasswd",
        "..%2f..%2f..%2fhtpasswd",
        "%2e%2e%2f%2e%2e%2fhtpasswd",
        "sha256:../../../../htpasswd",
        "sha256:..%2f..%2f..%2fhtpasswd",
        "sha256:%2fetc%2fpasswd",
        "%00",
        "v1%00.json",
        "/etc/passwd",
        "file:%2f%2f%2fetc%2fpasswd",
    ] {
        for kind in ["manifests", "blobs", "blobs/uploads", "referrers"] {
            for method in ["GET", "HEAD", "PUT", "PATCH", "DELETE"] {
                let (code, text) = status(&admin, method, &format!("/v2/mine/app/{kind}/{reference}"));
                assert!(code == 0 || (400..500).contains(&code), "{method} {kind}/{reference}: {code} {text}");
                assert!(!text.contains("$2y$") && !text.contains("root:"), "{text}");
            }
        }
    }
    assert_eq!(std::fs::read_to_string(registry.home().join("htpasswd")).unwrap(), passwords);
    // Names in queries and scopes are read by the same rules.
    for name in ["..%2f..%2fetc", "%00", "secret/../mine/app", "/etc/passwd"] {
        let target = format!("/v2/mine/app/blobs/uploads/?mount=sha256:{}&from={name}", "0".repeat(64));
        let (code, text) = status(&admin, "POST", &target);
        assert!(matches!(code, 202 | 400), "{name}: {code} {text}");
        let (code, _) = status(&admin, "GET", &format!("/v2/token?service=mcr&scope=repository:{name}:pull"));
        assert!(matches!(code, 200 | 400), "{name}: {code}");
    }
}
