//! Real tokens, presented where or when they are not meant: refresh tokens, sessions, API tokens.

use std::time::Duration;

use mcr_tests::accounts::{ADMIN, Mode, OTHER, Registry, USER};
use mcr_tests::{Client, Image, Random, clock, push};
use serde_json::{Value, json};

fn form(client: &Client, body: &str) -> mcr_tests::Response {
    let post = client.request("POST", "/v2/token").header("Content-Type", "application/x-www-form-urlencoded");
    post.body(body.as_bytes()).call()
}

fn json_post(client: &Client, target: &str, body: &Value) -> mcr_tests::Response {
    let text = body.to_string();
    client.request("POST", target).header("Content-Type", "application/json").body(text.as_bytes()).call()
}

#[test]
fn a_refresh_token_is_for_the_token_endpoint_and_an_access_token_is_not() {
    for mode in Mode::ALL {
        let registry = Registry::start(mode);
        let target = "/v2/token?service=mcr&offline_token=true&client_id=docker&account=ursula";
        let answer = registry.account(USER).get(target).expect(200).json();
        let [refresh, access] = ["refresh_token", "token"].map(|name| answer[name].as_str().unwrap().to_owned());
        registry.is_secret(&refresh);
        registry.is_secret(&access);
        let nobody = registry.nobody();
        for target in ["/v2/", "/v2/_catalog", "/v1/auth/whoami"] {
            let _ = nobody.with_bearer(&refresh).get(target).expect(401);
        }
        let as_password = nobody.with_basic(USER, &refresh).get("/v2/");
        assert_eq!(as_password.status, 401, "a refresh token is no password");
        let grant = |token: &str| {
            form(&nobody, &format!("grant_type=refresh_token&service=mcr&client_id=docker&refresh_token={token}"))
        };
        let renewed = grant(&refresh).expect(200).json();
        assert!(renewed["access_token"].as_str().is_some_and(|token| !token.is_empty()), "{renewed}");
        let refused = grant(&access).status;
        assert!(matches!(refused, 400 | 401), "an access token renews nothing: {refused}");
        let refused =
            form(&nobody, &format!("grant_type=password&service=mcr&client_id=x&username=ursula&password={access}"));
        assert!(matches!(refused.status, 400 | 401), "nor is it a password: {}", refused.status);
        registry.assert_nothing_secret_logged();
    }
}

#[test]
fn a_session_ends_with_its_logout_everywhere() {
    for mode in Mode::ALL {
        let mut registry = Registry::start(mode);
        let body = json!({"username": USER, "password": registry.password(USER)});
        let session = json_post(&registry.nobody(), "/v1/auth/login", &body).expect(200).json();
        let session = session["token"].as_str().unwrap().to_owned();
        registry.is_secret(&session);
        let client = registry.nobody().with_bearer(&session);
        assert_eq!(client.get("/v1/auth/whoami").expect(200).json()["account"], USER);
        let _ = client.get("/v2/").expect(200);
        let _ = client.post("/v1/auth/logout").expect(204);
        for target in ["/v1/auth/whoami", "/v2/", "/v2/_catalog"] {
            let _ = client.get(target).expect(401);
        }
        // Also after a restart: what ended stays ended.
        let _ = registry.server_mut().stop();
        registry.server_mut().restart();
        let _ = registry.nobody().with_bearer(&session).get("/v1/auth/whoami").expect(401);
        registry.assert_nothing_secret_logged();
    }
}

#[test]
fn an_api_token_does_what_it_was_made_for_until_its_time_or_its_revocation() {
    for mode in Mode::ALL {
        let registry = Registry::start(mode);
        let image = Image::random(&mut Random::new(611), 1, 100);
        for repository in ["mine/app", "other/app"] {
            push::image(&registry.admin(), repository, "v1", &image);
        }
        let user = registry.account(USER);
        let make = |expires: String| {
            let made = json_post(
                &user,
                "/v1/tokens",
                &json!({
                    "name": "ci", "actions": ["pull"], "repositories": ["mine/*"], "expires_at": expires,
                }),
            );
            let made = made.expect(201).json();
            let secret = made["token"].as_str().unwrap().to_owned();
            registry.is_secret(&secret);
            (made["id"].clone(), secret)
        };
        let later = |seconds: i64| (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds)).to_string();
        let (id, secret) = make(later(3600));
        let bearer = registry.nobody().with_bearer(&secret);
        let basic = registry.nobody().with_basic("whatever", &secret);
        for client in [&bearer, &basic] {
            let _ = client.get("/v2/mine/app/manifests/v1").expect(200);
            for (method, target) in [
                ("GET", "/v2/other/app/manifests/v1"),
                ("POST", "/v2/mine/app/blobs/uploads/"),
                ("DELETE", "/v2/mine/app/manifests/v1"),
                ("GET", "/v1/audit"),
            ] {
                let status = client.request(method, target).body(b"").call().status;
                assert!(matches!(status, 401 | 403), "{method} {target}: {status}");
            }
            // It makes no tokens that may more than itself.
            let more = json!({"name": "more", "actions": ["pull", "push"], "repositories": ["**"]});
            let status = json_post(client, "/v1/tokens", &more).status;
            assert!(matches!(status, 400 | 401 | 403), "{status}");
        }
        // Nobody else ends it, and its owner does.
        let number = id.as_i64().map_or_else(|| id.as_str().unwrap_or_default().to_owned(), |id| id.to_string());
        let target = format!("/v1/tokens/{number}");
        let status = registry.account(OTHER).delete(&target).status;
        assert!(matches!(status, 403 | 404), "{status}");
        let _ = user.delete(&target).expect(204);
        for client in [&bearer, &basic] {
            let _ = client.get("/v2/mine/app/manifests/v1").expect(401);
        }
        let (_, short) = make(later(2));
        let client = registry.nobody().with_bearer(&short);
        let _ = client.get("/v2/mine/app/manifests/v1").expect(200);
        clock::wait_until("the token runs out", || client.get("/v2/mine/app/manifests/v1").status == 401);
        registry.assert_nothing_secret_logged();
        registry.assert_audit_sound();
    }
}

#[test]
fn an_account_that_loses_its_password_loses_its_tokens() {
    let registry = Registry::start(Mode::Htpasswd);
    let token = registry.token(USER, &["registry:catalog:*"]);
    let client = registry.nobody().with_bearer(&token);
    let _ = client.get("/v2/_catalog").expect(200);
    let file = registry.home().join("htpasswd");
    let text = std::fs::read_to_string(&file).unwrap();
    let kept: Vec<&str> = text.lines().filter(|line| !line.starts_with("ursula:")).collect();
    std::fs::write(&file, kept.join("\n") + "\n").unwrap();
    registry.server().signal("HUP");
    clock::wait_until("the account is gone", || client.get("/v2/_catalog").status == 401);
    let _ = registry.account(USER).get("/v2/").expect(401);
    let _ = registry.account(ADMIN).get("/v2/").expect(200);
}

#[test]
fn a_token_revoked_at_the_identity_service_is_refused_within_half_a_minute() {
    let registry = Registry::start(Mode::Mcias);
    push::image(&registry.admin(), "mine/app", "v1", &Image::random(&mut Random::new(612), 1, 100));
    let raw = registry.identity().issue(USER, Duration::from_secs(600));
    registry.is_secret(&raw);
    let ours = registry.token(USER, &["repository:mine/app:pull"]);
    let clients = [&raw, &ours].map(|token| registry.nobody().with_bearer(token));
    for client in &clients {
        let _ = client.get("/v2/mine/app/manifests/v1").expect(200);
    }
    let start = std::time::Instant::now();
    registry.identity().revoke(USER);
    for client in &clients {
        while client.get("/v2/mine/app/manifests/v1").status != 401 {
            assert!(start.elapsed() < Duration::from_secs(32), "still good after {:?}", start.elapsed());
            std::thread::sleep(Duration::from_millis(200));
        }
    }
    registry.assert_nothing_secret_logged();
}
