//! Logging in and out, who one is, tokens for programs, read-only.

use mcr_tests::{Client, Image, Random, push, tls};
use serde_json::{Value, json};

use crate::scene::{Scene, refused, send};

fn bearer(scene: &Scene, token: &Value) -> Client {
    scene.client.with_bearer(token.as_str().unwrap())
}

#[test]
fn a_login_gives_a_token_until_the_logout() {
    let scene = Scene::empty();
    let stranger = scene.client.nobody();
    let body = json!({"username": "admin", "password": scene.server.password()}).to_string();
    let session = send(&stranger, "POST", "/v1/auth/login", body.as_bytes()).expect(200).json();
    assert_eq!(session["account"], "admin");
    assert!(session["expires_at"].as_str().unwrap().ends_with('Z'));
    let client = bearer(&scene, &session["token"]);
    let me = client.get("/v1/auth/whoami").expect(200).json();
    assert_eq!((&me["account"], &me["admin"], &me["scope"]), (&json!("admin"), &json!(true), &json!(null)));
    let _ = client.post("/v1/auth/logout").expect(204);
    let after = client.get("/v1/auth/whoami");
    assert!(after.required("www-authenticate").contains("invalid_token"));
    let _ = refused(after, 401);
    assert!(refused(scene.client.post("/v1/auth/logout"), 400).contains("Bearer"), "Basic has nothing to end");
    assert!(!scene.server.log().contains(session["token"].as_str().unwrap()));
}

#[test]
fn a_wrong_login_says_not_what_was_wrong() {
    let scene = Scene::empty();
    let stranger = scene.client.nobody();
    let try_ = |body: Value| send(&stranger, "POST", "/v1/auth/login", body.to_string().as_bytes());
    let wrong = refused(try_(json!({"username": "admin", "password": "x"})), 401);
    assert_eq!(wrong, refused(try_(json!({"username": "nobody", "password": "x"})), 401));
    for bad in [json!({}), json!({"username": "admin"}), json!({"username": 1, "password": "x"}), json!([])] {
        let _ = refused(try_(bad), 400);
    }
}

#[test]
fn who_has_not_logged_in_is_challenged_everywhere_but_where_it_is_open() {
    let scene = Scene::filled();
    let stranger = scene.client.nobody();
    for target in [
        "/v1/auth/whoami",
        "/v1/repositories",
        "/v1/repositories/app",
        "/v1/repositories/app/tags",
        "/v1/policy/rules",
        "/v1/policy/rules/1",
        "/v1/audit",
        "/v1/audit/export",
        "/v1/tokens",
        "/v1/read-only",
        "/v1/integrity",
        "/v1/nothing",
        "/v1/repositories/BAD",
    ] {
        let answer = stranger.get(target);
        let challenge = answer.required("www-authenticate").to_owned();
        assert!(
            challenge.starts_with("Bearer realm=\"https://127.0.0.1:") && challenge.contains("/v2/token\""),
            "{challenge}"
        );
        assert!(refused(answer, 401).contains("authentication required"), "{target}");
    }
    for target in ["/v1/health", "/v1/openapi.json"] {
        let _ = stranger.get(target).expect(200);
        assert!(stranger.head(target).expect(200).body.is_empty());
    }
    let wrong = scene.client.with_basic("admin", "wrong").get("/v1/repositories");
    assert!(refused(wrong, 401).contains("wrong account"));
}

#[test]
fn a_token_for_programs_does_what_it_was_made_for() {
    let scene = Scene::filled();
    let body = json!({"name": "ci", "actions": ["pull"], "repositories": ["app"], "expires_at": in_days(30)});
    let answer = scene.send("POST", "/v1/tokens", &body).expect(201);
    assert_eq!(answer.required("cache-control"), "no-store");
    let made = answer.json();
    assert_eq!(answer.required("location"), format!("/v1/tokens/{}", made["id"].as_str().unwrap()));
    let client = bearer(&scene, &made["token"]);
    let _ = client.get("/v2/app/manifests/v1").expect(200);
    let me = client.get("/v1/auth/whoami").expect(200).json();
    assert_eq!(me["scope"], "repository:app:pull");
    let _ = client.get("/v1/repositories/app").expect(200);
    for target in ["/v1/repositories/team/app", "/v1/audit", "/v1/policy/rules"] {
        let answer = client.get(target);
        assert!(answer.required("www-authenticate").contains("insufficient_scope"), "{target}");
        let _ = refused(answer, 401);
    }
    let listed = scene.get("/v1/tokens");
    let mut shown = made.clone();
    shown.as_object_mut().unwrap().remove("token");
    shown["last_used_at"] = listed["tokens"][0]["last_used_at"].clone();
    assert_eq!(listed["tokens"], json!([shown]), "the secret is not shown again");
    let target = format!("/v1/tokens/{}", made["id"].as_str().unwrap());
    let _ = scene.client.delete(&target).expect(204);
    let _ = refused(scene.client.delete(&target), 404);
    assert_eq!(client.get("/v2/app/manifests/v1").status, 401);
    assert!(scene.get("/v1/tokens")["tokens"][0]["revoked_at"].is_string());
}

#[test]
fn tokens_that_make_no_sense_are_refused() {
    let scene = Scene::empty();
    let good = json!({"name": "ci", "actions": ["pull"], "repositories": ["app"], "expires_at": in_days(30)});
    for (key, value, said) in [
        ("name", json!(""), "name"),
        ("actions", json!([]), "actions"),
        ("actions", json!(["fly"]), "fly"),
        ("repositories", json!([]), "repositories"),
        ("expires_at", json!("2001-01-01T00:00:00Z"), "expires_at"),
        ("expires_at", json!("2999-01-01T00:00:00Z"), "expires_at"),
        ("expires_at", json!(null), "expires_at"),
        ("expires_at", json!("soon"), "RFC 3339"),
        ("scope", json!("x"), "unknown field"),
    ] {
        let mut body = good.clone();
        body[key] = value.clone();
        let text = refused(scene.send("POST", "/v1/tokens", &body), 400);
        assert!(text.contains(said), "{key} {value}: {text}");
    }
    for id in ["x", "0000000000000000", "%00", "..%2f.."] {
        assert_eq!(scene.client.delete(&format!("/v1/tokens/{id}")).status, 404, "{id}");
    }
}

#[test]
fn read_only_is_switched_with_a_reason() {
    let scene = Scene::empty();
    assert_eq!(scene.get("/v1/read-only"), json!({"read_only": false, "reason": null}));
    let on = scene.send("PUT", "/v1/read-only", &json!({"read_only": true, "reason": "moving house"})).expect(200);
    assert_eq!(on.json(), json!({"read_only": true, "reason": "moving house"}));
    let image = Image::random(&mut Random::new(7), 1, 100);
    let push = push::try_blob(&scene.client, "a", &image.config).unwrap();
    assert_eq!(push.status, 405);
    assert!(push.messages().contains("moving house"), "{}", push.text());
    let delete = refused(scene.client.delete("/v1/repositories/a"), 405);
    assert!(delete.contains("moving house"), "{delete}");
    // Tokens and rules are no content, and an operator may need them just then.
    let off = scene.send("PUT", "/v1/read-only", &json!({"read_only": false})).expect(200);
    assert_eq!(off.json()["read_only"], false);
    push::image(&scene.client, "a", "v1", &image);
    let _ = refused(scene.send("PUT", "/v1/read-only", &json!({"read_only": "yes"})), 400);
    let _ = refused(scene.send("PUT", "/v1/read-only", &json!({"read_only": true, "reason": "x".repeat(600)})), 400);
}

#[test]
fn a_host_that_cannot_be_named_gets_no_challenge() {
    let scene = Scene::empty();
    let stranger = Client::new(scene.client.address(), Some(tls::trusting(&scene.server.certificate())));
    let answer = stranger.request("GET", "/v1/repositories").header("Host", "a\"b").send();
    // It may be refused before it comes here; it is not answered with what was sent.
    if let Ok(answer) = answer {
        assert_eq!(answer.status, 400);
        assert!(answer.header("www-authenticate").is_none());
    }
}

fn in_days(days: u64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    mcr_seams::rfc3339(i64::try_from(now).unwrap() + i64::try_from(days).unwrap() * 86_400_000)
}
