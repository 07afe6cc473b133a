//! Tokens that nobody gave: other algorithms, other keys, other services, wider scopes, other times.

use std::time::{SystemTime, UNIX_EPOCH};

use mcr_tests::accounts::{ADMIN, Mode, Registry, USER};
use mcr_tests::{Image, Random, push};
use serde_json::{Value, json};

use super::minted::{Key, Token};

/// What the token at hand is good for.
const SCOPE: &str = "repository:mine/app:pull";

fn registry(mode: Mode) -> Registry {
    let registry = Registry::start(mode);
    let admin = registry.admin();
    let image = Image::random(&mut Random::new(601), 1, 100);
    for repository in ["mine/app", "secret/app"] {
        push::image(&admin, repository, "v1", &image);
    }
    let _ = registry.rule(&json!({
        "priority": 5, "description": "the secret", "effect": "deny", "repositories": ["secret/**"],
        "actions": ["registry:pull", "registry:push", "registry:delete"], "roles": ["user", "guest"],
    }));
    registry
}

/// Insists that nothing at all is opened by `token`.
#[track_caller]
fn opens_nothing(registry: &Registry, what: &str, token: &str) {
    registry.is_secret(token);
    let client = registry.nobody().with_bearer(token);
    for (method, target) in [
        ("GET", "/v2/"),
        ("GET", "/v2/mine/app/manifests/v1"),
        ("GET", "/v2/secret/app/manifests/v1"),
        ("POST", "/v2/mine/app/blobs/uploads/"),
        ("DELETE", "/v2/mine/app/manifests/v1"),
        ("GET", "/v2/_catalog"),
        ("GET", "/v1/policy/rules"),
        ("GET", "/v1/audit"),
        ("GET", "/v1/auth/whoami"),
        ("POST", "/v1/tokens"),
    ] {
        let answer = client.request(method, target).body(b"").call();
        // The throttle of the identity service's questions may answer first.
        assert!(matches!(answer.status, 401 | 429), "{what}: {method} {target}: {} {}", answer.status, answer.text());
    }
    let grant = format!("grant_type=refresh_token&service=mcr&client_id=x&refresh_token={token}");
    let post = registry.nobody();
    let post = post.request("POST", "/v2/token").header("Content-Type", "application/x-www-form-urlencoded");
    let answer = post.body(grant.as_bytes()).call();
    assert!(matches!(answer.status, 400 | 401 | 429), "{what}: as refresh token: {}", answer.status);
}

/// Every way to sign `token` without the registry's key.
fn unsigned(token: &Token, registrys: &Key) -> Vec<(String, String)> {
    let own = Key::own();
    let mut forged = Vec::new();
    let mut add = |what: &str, text: String| forged.push((what.to_owned(), text));
    for none in ["none", "None", "NONE", "nOnE", ""] {
        let bare = token.with_head("alg", json!(none));
        add("alg none, no signature", format!("{}.", bare.body()));
        add("alg none, old signature", bare.text());
        add("alg none, two parts", bare.body());
    }
    for algorithm in ["HS256", "HS384", "HS512"] {
        let shared = token.with_head("alg", json!(algorithm));
        for secret in registrys.public_forms().iter().map(Vec::as_slice).chain([&b""[..], b"secret"]) {
            add("the public key as a shared secret", shared.hmac(secret));
        }
    }
    for algorithm in ["RS256", "ES256", "PS256", "EdDSA2", "eddsa"] {
        add("another algorithm over our own signature", token.with_head("alg", json!(algorithm)).text());
    }
    add("signed with a stranger's key under the right name", own.sign(token));
    add("a stranger's key in the head", own.sign(&token.with_head("jwk", own.jwk())));
    let elsewhere = token.with_head("jku", json!("https://evil.example/keys"));
    add("a stranger's key by address", own.sign(&elsewhere.with_head("x5u", json!("https://evil.example/x5u"))));
    for name in ["", "../../../../dev/null", "0", "' OR 1=1 --"] {
        add("a stranger's key under another name", own.sign(&token.with_head("kid", json!(name))));
    }
    add("claims that must be understood", own.sign(&token.with_head("crit", json!(["exp"]))));
    add("no signature", format!("{}.", token.body()));
    add("half a signature", token.text()[..token.text().len() - 40].to_owned());
    add("four parts", format!("{}.{}", token.text(), token.signature));
    forged
}

/// The same token, wanting more than it was given.
fn widened(token: &Token) -> Vec<Token> {
    let all = json!([{"type": "repository", "name": "secret/app", "actions": ["pull", "push", "delete", "*"]}]);
    vec![
        token.with_claim("access", all.clone()),
        token.without_claim("access"),
        token.with_claim("roles", json!(["admin"])),
        token.with_claim("sub", json!(ADMIN)).with_claim("name", json!(ADMIN)).with_claim("access", all),
        token.with_claim("exp", json!(9_999_999_999_u64)),
        token.with_claim("typ", json!("session")),
    ]
}

#[test]
fn a_token_that_was_signed_by_nobody_we_know_opens_nothing() {
    for mode in Mode::ALL {
        let registry = registry(mode);
        let good = registry.token(USER, &[SCOPE]);
        let _ = registry.nobody().with_bearer(&good).get("/v2/mine/app/manifests/v1").expect(200);
        let key = Key::of(registry.home());
        let token = Token::parse(&good);
        for (what, text) in unsigned(&token, &key) {
            opens_nothing(&registry, &what, &text);
        }
        for wider in widened(&token) {
            opens_nothing(&registry, "edited under our own signature", &wider.text());
            opens_nothing(&registry, "edited, alg none", &format!("{}.", wider.with_head("alg", json!("none")).body()));
        }
        let _ = registry.nobody().with_bearer(&good).get("/v2/mine/app/manifests/v1").expect(200);
        registry.assert_nothing_secret_logged();
    }
}

#[test]
fn a_token_of_another_registry_opens_nothing_here() {
    let [here, there] = [(); 2].map(|()| registry(Mode::Htpasswd));
    for (name, scope) in [(USER, SCOPE), (ADMIN, "repository:secret/app:pull,push,delete")] {
        let token = there.token(name, &[scope]);
        let _ = there.nobody().with_bearer(&token).get("/v2/mine/app/tags/list").status;
        opens_nothing(&here, "a token of another registry", &token);
        // Its key under the name of ours.
        let ours = Token::parse(&here.token(USER, &[SCOPE]));
        let renamed = Token::parse(&token).with_head("kid", ours.head["kid"].clone());
        opens_nothing(&here, "the same under our key's name", &Key::of(there.home()).sign(&renamed));
    }
}

fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

#[test]
fn a_token_of_another_time_or_for_somebody_else_opens_nothing_though_signed_by_us() {
    let registry = registry(Mode::Htpasswd);
    let token = Token::parse(&registry.token(USER, &[SCOPE]));
    let key = Key::of(registry.home());
    // What is signed so is taken: the refusals below are for what was changed.
    let again = key.sign(&token.with_claim("jti", json!("made-by-hand")));
    let _ = registry.nobody().with_bearer(&again).get("/v2/mine/app/manifests/v1").expect(200);
    let changed = |claim: &str, value: Value| token.with_claim(claim, value);
    for (what, forged) in [
        ("expired", changed("exp", json!(now() - 1))),
        ("expired long ago", changed("exp", json!(1))),
        ("never ends", token.without_claim("exp")),
        ("ends in words", changed("exp", json!("tomorrow"))),
        ("begins tomorrow", changed("nbf", json!(now() + 86_400)).with_claim("exp", json!(now() + 90_000))),
        ("for another service", changed("aud", json!("other"))),
        ("for no service", token.without_claim("aud")),
        ("of another issuer", changed("iss", json!("other"))),
        ("of an unknown kind", changed("typ", json!("root"))),
        ("of an unknown kind of account", changed("kind", json!("god"))),
        ("for an account there is not", changed("name", json!("nobody-here")).with_claim("sub", json!("nobody-here"))),
    ] {
        opens_nothing(&registry, what, &key.sign(&forged));
    }
    // A role in a token is not believed: the password file says who is what.
    let promoted = key.sign(&changed("roles", json!(["admin"])).with_claim("jti", json!("promoted")));
    let client = registry.nobody().with_bearer(&promoted);
    let status = client.get("/v2/secret/app/manifests/v1").status;
    assert!(matches!(status, 401 | 403), "{status}");
}

#[test]
fn a_token_is_good_for_its_repository_and_action_alone() {
    for mode in Mode::ALL {
        let registry = registry(mode);
        let _ = registry.allow(USER, &["pull", "push"], "other/**");
        let client = registry.bearer(USER, &[SCOPE]);
        let _ = client.get("/v2/mine/app/manifests/v1").expect(200);
        for (method, target, scope) in [
            ("POST", "/v2/other/app/blobs/uploads/", "repository:other/app:pull,push"),
            ("GET", "/v2/other/app/manifests/v1", "repository:other/app:pull"),
        ] {
            let answer = client.request(method, target).body(b"").call().expect_error(401, "UNAUTHORIZED");
            let challenge = answer.required("www-authenticate");
            assert!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
            assert!(challenge.contains(&format!("scope=\"{scope}\"")), "{challenge}");
        }
        // A token made for what policy refuses is made without it.
        let wide = registry.ask_token(&registry.account(USER), &["repository:secret/app:pull,push"]).expect(200);
        let claims = Token::parse(wide.json()["token"].as_str().unwrap()).claims;
        assert!(!claims["access"].to_string().contains("secret"), "{claims}");
    }
}
