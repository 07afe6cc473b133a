//! Headers that try to be read in two ways: nothing passes a refusal because it was written oddly.

use mcr_tests::accounts::{ADMIN, Mode, Registry, USER};
use mcr_tests::{Image, Random, Response, push};

fn basic(registry: &Registry, name: &str, password: Option<&str>) -> String {
    use base64::Engine as _;
    let password = password.map_or_else(|| registry.password(name), str::to_owned);
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{name}:{password}")))
}

fn registry() -> Registry {
    let registry = Registry::start(Mode::Htpasswd);
    let image = Image::random(&mut Random::new(641), 1, 100);
    for repository in ["mine/app", "secret/app"] {
        push::image(&registry.admin(), repository, "v1", &image);
    }
    let _ = registry.rule(&serde_json::json!({
        "priority": 5, "description": "secret", "effect": "deny", "repositories": ["secret/**"],
    }));
    registry
}

/// Sends `head` as it is; none where the connection was closed without an answer.
fn raw(registry: &Registry, head: &str) -> Option<Response> {
    let mut connection = registry.nobody().connect().unwrap();
    connection.send(head.as_bytes()).ok()?;
    connection.read_response("GET").ok()
}

#[test]
fn two_authorizations_are_none() {
    let registry = registry();
    let right = basic(&registry, ADMIN, None);
    let wrong = basic(&registry, ADMIN, Some("wrong"));
    let other = format!("Bearer {}", registry.token(USER, &["repository:mine/app:pull"]));
    for (first, second) in [(&right, &wrong), (&wrong, &right), (&right, &other), (&other, &right), (&right, &right)] {
        let client = registry.nobody();
        let ask = client.request("GET", "/v2/secret/app/manifests/v1");
        let status = ask.header("Authorization", first).header("Authorization", second).call().status;
        assert!(matches!(status, 400 | 401), "{status}");
    }
    registry.assert_nothing_secret_logged();
}

#[test]
fn the_scheme_is_read_in_any_case_and_nothing_else_is_bent() {
    let registry = registry();
    let right = basic(&registry, ADMIN, None);
    let encoded = right.strip_prefix("Basic ").unwrap();
    for good in [format!("basic {encoded}"), format!("BASIC {encoded}"), format!("Basic {encoded} ")] {
        let client = registry.nobody();
        let _ = client.request("GET", "/v2/").header("aUtHoRiZaTiOn", &good).call().expect(200);
    }
    for bad in [
        encoded.to_owned(),
        format!("Basic{encoded}"),
        format!("Basic {encoded}, Basic {encoded}"),
        format!("Basic realm=\"x\" {encoded}"),
        format!("Bearer {encoded}"),
        format!("Negotiate {encoded}"),
        "Basic".to_owned(),
        "Basic ".to_owned(),
        "Bearer ".to_owned(),
        "Bearer null".to_owned(),
        "Bearer undefined".to_owned(),
        format!("Basic {}", "A".repeat(20_000)),
        "Basic YWxpY2U6".to_owned(),
        "Basic Og==".to_owned(),
        format!("Basic {encoded}\u{1}"),
    ] {
        let client = registry.nobody();
        if let Ok(answer) = client.request("GET", "/v2/").header("Authorization", &bad).send() {
            assert!(matches!(answer.status, 400 | 401 | 431), "{bad:?}: {}", answer.status);
        }
    }
}

#[test]
fn a_malformed_head_is_refused_before_anybody_is_looked_up() {
    let registry = registry();
    let right = basic(&registry, ADMIN, None);
    let host = registry.authority();
    for head in [
        format!("GET /v2/secret/app/manifests/v1 HTTP/1.1\r\nHost: {host}\r\nAuthorization : {right}\r\n\r\n"),
        format!(
            "GET /v2/secret/app/manifests/v1 HTTP/1.1\r\nHost: {host}\r\nX-A: b\r\n Authorization: {right}\r\n\r\n"
        ),
        format!("GET /v2/secret/app/manifests/v1 HTTP/1.1\r\nHost: {host}\r\nX-A: b\0Authorization: {right}\r\n\r\n"),
        format!("GET /v2/secret/app/manifests/v1 HTTP/1.1\nHost: {host}\nX-A: b\rAuthorization: {right}\n\n"),
        format!("GET /v2/ HTTP/1.1 GET /v2/secret/app/manifests/v1 HTTP/1.1\r\nHost: {host}\r\n\r\n"),
    ] {
        let answer = raw(&registry, &head);
        let status = answer.as_ref().map(|answer| answer.status);
        assert!(status.is_none_or(|status| matches!(status, 400 | 401)), "{head:?}: {status:?}");
    }
}

#[test]
fn what_other_programs_take_for_the_path_or_the_method_is_not_listened_to() {
    let registry = registry();
    let user = registry.account(USER);
    for (name, value) in [
        ("X-Original-URL", "/v2/secret/app/manifests/v1"),
        ("X-Rewrite-URL", "/v2/secret/app/manifests/v1"),
        ("X-Forwarded-Prefix", "/v2/secret/app"),
        ("X-HTTP-Method-Override", "DELETE"),
        ("X-Method-Override", "DELETE"),
        ("X-Remote-User", ADMIN),
        ("Remote-User", ADMIN),
        ("X-Forwarded-User", ADMIN),
        ("X-Webauth-User", ADMIN),
        ("X-Ssl-Client-Verify", "SUCCESS"),
        ("Proxy-Authorization", &basic(&registry, ADMIN, None)),
        ("Cookie", "session=admin; mcr=admin"),
    ] {
        let allowed = user.request("GET", "/v2/mine/app/manifests/v1").header(name, value).call().expect(200);
        assert!(!allowed.body.is_empty());
        let _ = user.request("GET", "/v2/secret/app/manifests/v1").header(name, value).call().expect(403);
        let _ = user.request("GET", "/v1/audit").header(name, value).call().expect(403);
        let client = registry.nobody();
        let _ = client.request("GET", "/v2/mine/app/manifests/v1").header(name, value).call().expect(401);
    }
    let _ = mcr_tests::pull::assert_whole(&registry.admin(), "mine/app", "v1");
}

#[test]
fn a_host_that_is_none_is_put_into_no_answer() {
    let registry = registry();
    for host in [
        "evil.example/v2/token\" x=\"",
        "user:password@evil.example",
        "evil.example\\@registry.test",
        "evil example",
        "evil.example#",
        "evil.example?",
        "evil.example:99999",
        "evil.example:80:80",
        "[::1",
        "<script>",
        "evil.example\",error=\"x",
    ] {
        let head = format!("GET /v2/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        if let Some(answer) = raw(&registry, &head) {
            assert_eq!(answer.status, 400, "{host}: {answer:?}");
            let all = format!("{:?} {}", answer.headers, answer.text());
            assert!(!all.contains("evil") && !all.contains("<script>"), "{host}: {all}");
        }
    }
    // Two hosts, or one in the target that differs from the header's.
    let own = registry.authority();
    for head in [
        format!("GET /v2/ HTTP/1.1\r\nHost: {own}\r\nHost: evil.example\r\nConnection: close\r\n\r\n"),
        format!("GET https://evil.example/v2/ HTTP/1.1\r\nHost: {own}\r\nConnection: close\r\n\r\n"),
    ] {
        let answer = raw(&registry, &head);
        let status = answer.as_ref().map(|answer| answer.status);
        assert!(status.is_none_or(|status| status == 400), "{head:?}: {status:?}");
    }
}
