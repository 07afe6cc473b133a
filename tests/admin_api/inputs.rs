//! What nobody should send, to every endpoint: methods, bodies, sizes, paths.

use serde_json::json;

use crate::scene::{Scene, refused, send};

/// Paths that take a body, with their methods.
const WITH_BODY: [(&str, &str); 7] = [
    ("POST", "/v1/auth/login"),
    ("POST", "/v1/policy/rules"),
    ("PATCH", "/v1/policy/rules/1"),
    ("POST", "/v1/policy/explain"),
    ("POST", "/v1/tokens"),
    ("PUT", "/v1/read-only"),
    ("POST", "/v1/integrity/verify"),
];

#[test]
fn unknown_methods_are_405_with_those_that_are_known() {
    let scene = Scene::empty();
    for (target, allow) in [
        ("/v1/auth/login", "POST"),
        ("/v1/auth/logout", "POST"),
        ("/v1/auth/whoami", "GET, HEAD"),
        ("/v1/repositories", "GET, HEAD"),
        ("/v1/repositories/a/b", "GET, HEAD, DELETE"),
        ("/v1/repositories/a/b/tags", "GET, HEAD"),
        ("/v1/repositories/a/b/tags/c", "DELETE"),
        ("/v1/repositories/a/b/tags/c/history", "GET, HEAD"),
        ("/v1/policy/rules", "GET, HEAD, POST"),
        ("/v1/policy/rules/1", "GET, HEAD, PATCH, DELETE"),
        ("/v1/policy/explain", "POST"),
        ("/v1/audit", "GET, HEAD"),
        ("/v1/audit/export", "GET, HEAD"),
        ("/v1/audit/verify", "POST"),
        ("/v1/tokens", "GET, HEAD, POST"),
        ("/v1/tokens/1", "DELETE"),
        ("/v1/read-only", "GET, HEAD, PUT"),
        ("/v1/integrity", "GET, HEAD"),
        ("/v1/integrity/verify", "POST"),
        ("/v1/openapi.json", "GET, HEAD"),
    ] {
        for method in ["OPTIONS", "TRACE", "BREW"] {
            let answer = scene.client.request(method, target).call();
            assert_eq!(answer.required("allow"), allow, "{method} {target}");
            assert!(refused(answer, 405).contains(allow), "{method} {target}");
        }
    }
}

#[test]
fn bodies_that_are_none_are_refused_with_a_sentence() {
    let scene = Scene::empty();
    for (method, target) in WITH_BODY {
        for body in [&b""[..], b"{", b"null", b"[]", b"7", b"\xff\xfe", b"{} {}", b"{\"a\":1}"] {
            let text = refused(send(&scene.client, method, target, body), 400);
            assert!(text.len() < 500, "{method} {target}: {text}");
        }
        let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
        let _ = refused(send(&scene.client, method, target, deep.as_bytes()), 400);
        let large = format!("{{\"a\":\"{}\"}}", "x".repeat(70_000));
        let _ = refused(send(&scene.client, method, target, large.as_bytes()), 413);
        let chunked = scene.client.request(method, target).header("Content-Type", "application/json");
        let _ = refused(chunked.chunked(large.as_bytes(), 9000).call(), 413);
        let form = scene.client.request(method, target).header("Content-Type", "text/plain").body(b"{}").call();
        assert!(refused(form, 415).contains("application/json"), "{method} {target}");
    }
}

#[test]
fn paths_that_are_none_are_404_and_bad_names_400() {
    let scene = Scene::empty();
    for target in [
        "/v1/",
        "/v1/x",
        "/v1/gc/",
        "/v1/gc/run",
        "/v1/plans/",
        "/v1/plans/1/apply",
        "/v1/retention",
        "/v1/snapshots",
        "/v1/repositories/",
        "/v1/auth",
        "/v1/auth/login/",
        "/v1/policy",
        "/v1/policy/rules/",
        "/v1/tokens/",
        "/v1/tokens/a/b",
        "/v1/integrity/verify/x",
        "/v1/%ff",
    ] {
        let answer = scene.client.get(target);
        assert!(matches!(answer.status, 400 | 404), "{target}: {}", answer.status);
    }
    for name in ["BAD", "a//b", "a/../b", "..%2f..%2fetc", "%00", "a%20b", "-a", &"a".repeat(300)] {
        let _ = refused(scene.client.get(&format!("/v1/repositories/{name}")), 400);
        let _ = refused(scene.client.delete(&format!("/v1/repositories/{name}/")), 400);
    }
    for tag in ["-x", ".x", "a%20b", &"x".repeat(200)] {
        let _ = refused(scene.client.delete(&format!("/v1/repositories/a/tags/{tag}")), 400);
    }
}

#[test]
fn pages_are_bounded_and_garbage_is_refused() {
    let scene = Scene::filled();
    for list in [
        "/v1/repositories",
        "/v1/repositories/app",
        "/v1/repositories/app/tags",
        "/v1/policy/rules",
        "/v1/tokens",
        "/v1/repositories/app/tags/v1/history",
    ] {
        for query in ["n=0", "n=-1", "n=1.5", "n=abc", "n=", "n=1&n=2", "m=3", "n=9223372036854775808"] {
            let _ = refused(scene.client.get(&format!("{list}?{query}")), 400);
        }
        for query in ["n=1", "n=1000", "n=1001", "n=4294967296", "n=9223372036854775807", "last="] {
            let _ = scene.client.get(&format!("{list}?{query}")).expect(200);
        }
        let long = "x".repeat(3000);
        let _ = refused(scene.client.get(&format!("{list}?last={long}")), 400);
    }
}

#[test]
fn what_cannot_be_a_question_is_none() {
    let scene = Scene::empty();
    for question in [
        json!({"subject": "", "action": "pull"}),
        json!({"subject": "x".repeat(300), "action": "pull"}),
        json!({"subject": "a", "action": "fly"}),
        json!({"subject": "a", "action": "pull", "repository": "BAD"}),
        json!({"subject": "a", "action": "pull", "account_type": "robot"}),
        json!({"subject": "a", "action": "pull", "roles": "admin"}),
    ] {
        let _ = refused(scene.send("POST", "/v1/policy/explain", &question), 400);
    }
}
