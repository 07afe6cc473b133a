//! `/v2/token` and the challenges that lead to it, as clients ask and read them (`clients.md` section 1.2).

use mcr_tests::accounts::{ADMIN, GUEST, Mode, Registry, USER};
use mcr_tests::{Client, Image, Random, Response, push};

fn registry() -> Registry {
    Registry::start(Mode::Htpasswd)
}

fn post(client: &Client, kind: &str, form: &str) -> Response {
    client.request("POST", "/v2/token").header("Content-Type", kind).body(form.as_bytes()).call()
}

const FORM: &str = "application/x-www-form-urlencoded";

#[track_caller]
fn granted(answer: &Response) -> Vec<String> {
    let scope = answer.json()["scope"].as_str().expect("a scope").to_owned();
    scope.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn an_answer_has_what_every_client_reads() {
    let registry = registry();
    let answer = registry.ask_token(&registry.account(USER), &["repository:a/b:pull"]).expect(200);
    let token = answer.json();
    assert_eq!((&token["token"], token["token_type"].as_str()), (&token["access_token"], Some("Bearer")));
    assert!((60..=300).contains(&token["expires_in"].as_u64().unwrap()), "{token}");
    assert!(token["issued_at"].as_str().unwrap().ends_with('Z'), "{token}");
    assert!(token.get("refresh_token").is_none(), "nobody asked for one");
    assert_eq!(answer.required("cache-control"), "no-store");
    assert_eq!(answer.required("content-type"), "application/json");
    let offline =
        registry.account(USER).get("/v2/token?account=ursula&client_id=docker&offline_token=true&service=mcr");
    assert!(offline.expect(200).json()["refresh_token"].is_string());
    // A client that was told another service by somebody gets a token for this one.
    let _ = registry.account(USER).get("/v2/token?service=elsewhere").expect(200);
    registry.assert_nothing_secret_logged();
}

#[test]
fn scopes_come_repeated_and_joined_and_are_cut_to_what_is_allowed() {
    let registry = registry();
    let admin = registry.admin();
    let both = ["repository:a:pull,push", "repository:b:pull"];
    for target in [
        "/v2/token?scope=repository:a:pull,push&scope=repository:b:pull",
        "/v2/token?scope=repository:a:pull,push+repository:b:pull",
        "/v2/token?scope=repository%3Aa%3Apull%2Cpush%20repository%3Ab%3Apull",
    ] {
        assert_eq!(granted(&admin.get(target).expect(200)), both, "{target}");
    }
    let user = registry.account(USER);
    assert_eq!(granted(&user.get("/v2/token?scope=repository:a:pull,push,delete").expect(200)), ["repository:a:pull"]);
    assert_eq!(granted(&admin.get("/v2/token?scope=repository:a:*").expect(200)), ["repository:a:pull,push,delete"]);
    let catalog = granted(&user.get("/v2/token?scope=registry:catalog:*").expect(200));
    assert_eq!(catalog, ["registry:catalog:*"]);
    // Nobody gets none where there is nothing to give, and learns here that a login is needed.
    let _ = registry.ask_token(&registry.nobody(), &["repository:a:pull"]).expect_error(401, "UNAUTHORIZED");
}

#[test]
fn the_grants_of_oauth_are_known_and_no_others() {
    let registry = registry();
    let nobody = registry.nobody();
    let pair = format!("username={USER}&password={}", registry.password(USER));
    let asked = format!(
        "grant_type=password&client_id=containerd-client&access_type=offline&service=mcr&scope=repository%3Aa%3Apull+repository%3Ab%3Apull&{pair}"
    );
    let given = post(&nobody, "application/x-www-form-urlencoded; charset=utf-8", &asked).expect(200);
    assert_eq!(granted(&given), ["repository:a:pull", "repository:b:pull"]);
    let refresh = given.json()["refresh_token"].as_str().expect("it was asked for").to_owned();
    registry.is_secret(&refresh);
    let again = format!(
        "grant_type=refresh_token&client_id=docker&service=mcr&scope=repository%3Aa%3Apull&refresh_token={refresh}"
    );
    let again = post(&nobody, FORM, &again).expect(200);
    assert_eq!(granted(&again), ["repository:a:pull"]);
    let token = again.json()["access_token"].as_str().unwrap().to_owned();
    let _ = nobody.with_bearer(&token).get("/v2/").expect(200);
    let _ = nobody.with_bearer(&refresh).get("/v2/").expect(401);
    for (kind, form, status, error) in [
        (FORM, "grant_type=client_credentials&client_id=x", 400, "unsupported_grant_type"),
        (FORM, "", 400, "invalid_request"),
        (FORM, "grant_type=password&username=x", 400, "invalid_request"),
        (FORM, "grant_type=refresh_token", 400, "invalid_request"),
        (FORM, "grant_type=password&username=x&username=y&password=z", 400, "invalid_request"),
        (FORM, "grant_type=password&username=nobody&password=wrong", 401, "invalid_grant"),
        (FORM, "grant_type=refresh_token&refresh_token=wrong", 401, "invalid_grant"),
        ("application/json", "{\"grant_type\":\"password\"}", 400, "invalid_request"),
        ("", "grant_type=password", 400, "invalid_request"),
    ] {
        let refused = post(&nobody, kind, form).expect(status);
        assert_eq!(refused.json()["error"], error, "{form}");
        assert!(refused.json()["errors"][0]["message"].is_string(), "docker reads this one: {form}");
    }
    registry.assert_nothing_secret_logged();
}

#[test]
fn a_form_is_bounded_whether_its_length_is_told_or_not() {
    let registry = registry();
    let nobody = registry.nobody();
    let large = format!("grant_type=password&username=a&password={}", "x".repeat(70_000));
    let _ = post(&nobody, FORM, &large).expect(413);
    let request = nobody.request("POST", "/v2/token").header("Content-Type", FORM);
    let _ = request.chunked(large.as_bytes(), 1000).call().expect(413);
    for method in ["PUT", "DELETE", "HEAD", "PATCH"] {
        let refused = nobody.request(method, "/v2/token").body(b"").call().expect(405);
        assert_eq!(refused.required("allow"), "GET, POST", "{method}");
    }
}

#[test]
fn wrong_credentials_are_never_nobody() {
    let registry = registry();
    let nobody = registry.nobody();
    let refused = nobody.with_basic(USER, "wrong").get("/v2/token").expect_error(401, "UNAUTHORIZED");
    assert!(refused.required("www-authenticate").starts_with("Basic "));
    let bearer = nobody.with_bearer("x.y.z").get("/v2/token");
    assert_eq!(bearer.status, 401);
    // Two programs might each believe another one of two headers.
    let good = registry.token(ADMIN, &["repository:a:pull"]);
    let two = nobody.request("GET", "/v2/").header("Authorization", &format!("Bearer {good}"));
    let _ = two.header("Authorization", "Basic eDp5").call().expect_error(401, "UNAUTHORIZED");
}

#[track_caller]
fn challenge(client: &Client, method: &str, target: &str) -> String {
    let answer = client.request(method, target).body(b"").call().expect_error(401, "UNAUTHORIZED");
    let challenge = answer.required("www-authenticate").to_owned();
    challenge.split_once(",service=\"mcr\"").unwrap_or_else(|| panic!("{challenge}")).1.to_owned()
}

#[test]
fn a_challenge_asks_for_what_the_request_needs() {
    let registry = registry();
    let nobody = registry.nobody();
    let digest = format!("sha256:{}", "0".repeat(64));
    for (method, target, expected) in [
        ("GET", "/v2/".to_owned(), ""),
        ("GET", "/v2/nothing/here/".to_owned(), ""),
        ("GET", "/v2/_catalog".to_owned(), ",scope=\"registry:catalog:*\""),
        ("GET", "/v2/a/tags/list".to_owned(), ",scope=\"repository:a:pull\""),
        ("HEAD", format!("/v2/a/blobs/{digest}"), ",scope=\"repository:a:pull\""),
        ("PUT", "/v2/a/manifests/x".to_owned(), ",scope=\"repository:a:pull,push\""),
        ("DELETE", "/v2/a/manifests/x".to_owned(), ",scope=\"repository:a:delete\""),
        ("POST", "/v2/a/blobs/uploads/".to_owned(), ",scope=\"repository:a:pull,push\""),
        (
            "POST",
            format!("/v2/a/blobs/uploads/?mount={digest}&from=b/c"),
            ",scope=\"repository:a:pull,push repository:b/c:pull\"",
        ),
    ] {
        if method == "HEAD" {
            let answer = nobody.head(&target).expect(401);
            assert!(answer.required("www-authenticate").ends_with(expected));
        } else {
            assert_eq!(challenge(&nobody, method, &target), expected, "{method} {target}");
        }
    }
    let garbage = nobody.with_bearer("garbage");
    assert_eq!(challenge(&garbage, "GET", "/v2/"), ",error=\"invalid_token\"");
    let narrow = registry.bearer(ADMIN, &["repository:a:pull"]);
    let asked = ",scope=\"repository:a:pull,push\",error=\"insufficient_scope\"";
    assert_eq!(challenge(&narrow, "POST", "/v2/a/blobs/uploads/"), asked);
    let other = ",scope=\"repository:b:pull\",error=\"insufficient_scope\"";
    assert_eq!(challenge(&narrow, "GET", "/v2/b/tags/list"), other);
}

#[test]
fn a_refusal_does_not_tell_what_exists() {
    let registry = registry();
    let image = Image::random(&mut Random::new(611), 1, 1000);
    push::image(&registry.admin(), "there", "v1", &image);
    let put = |client: &Client, repository: &str| {
        let answer = client.request("PUT", &format!("/v2/{repository}/manifests/v2")).body(b"{}").call();
        (
            answer.status,
            answer.text().replace(repository, "X"),
            answer.header("www-authenticate").map(|text| text.replace(repository, "X")),
        )
    };
    for client in [registry.account(USER), registry.account(GUEST), registry.nobody()] {
        assert_eq!(put(&client, "there"), put(&client, "nowhere"));
    }
    let refused = registry.account(USER).request("PUT", "/v2/there/manifests/v2").body(b"{}").call();
    let refused = refused.expect_error(403, "DENIED");
    assert_eq!(refused.messages(), format!("{USER} may not push there"));
    assert!(refused.header("www-authenticate").is_none());
    let log = registry.server().log();
    assert!(
        log.lines().any(|line| line.contains("refused")
            && line.contains("repository=there ")
            && line.contains("default deny")),
        "{log}"
    );
}

#[test]
fn nobodys_token_opens_the_door_that_rules_open_and_no_other() {
    let registry = registry();
    let image = Image::random(&mut Random::new(612), 1, 1000);
    push::image(&registry.admin(), "open/a", "v1", &image);
    push::image(&registry.admin(), "shut/a", "v1", &image);
    let _ = registry.open_to_all("open/**");
    // Still challenged: a client that meets 200 here never logs in.
    assert_eq!(challenge(&registry.nobody(), "GET", "/v2/"), "");
    let stranger = registry.stranger(&["repository:open/a:pull", "repository:shut/a:pull"]);
    let _ = stranger.get("/v2/").expect(200);
    let _ = stranger.get("/v2/open/a/manifests/v1").expect(200);
    let shut = ",scope=\"repository:shut/a:pull\",error=\"insufficient_scope\"";
    assert_eq!(challenge(&stranger, "GET", "/v2/shut/a/manifests/v1"), shut);
    // And without any token, as the rules say.
    let _ = registry.nobody().get("/v2/open/a/manifests/v1").expect(200);
}

#[test]
fn figures_tell_of_logins() {
    let registry = registry();
    let _ = registry.nobody().with_basic(USER, "wrong").get("/v2/").expect(401);
    let _ = registry.account(USER).get("/v2/").expect(200);
    let text = registry.nobody().get("/metrics").expect(200).text();
    for line in [
        "mcr_auth_logins_total{outcome=\"ok\"} 1",
        "mcr_auth_logins_total{outcome=\"failed\"} 1",
        "mcr_client_limited_total{what=\"connection\"} 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(!text.contains("mcr_auth_identity_up"), "there is no identity service");
    let end = text.lines().find_map(|line| line.strip_prefix("mcr_tls_certificate_not_after_seconds "));
    assert!(end.and_then(|end| end.parse::<f64>().ok()).is_some_and(|end| end > 1.0e9), "{text}");
}
