//! Tokens as clients ask for them: challenges, scopes, grants, anonymous ones (`clients.md` 1.2, regressions 11 and 12).

use mcr_tests::accounts::{GUEST, MACHINE, Mode, Registry, USER};
use mcr_tests::{Client, Image, Random, Response, push};
use serde_json::Value;

use crate::programs::{Place, Program, Skopeo};

fn form(client: &Client, kind: &str, body: &str) -> Response {
    client.request("POST", "/v2/token").header("Content-Type", kind).body(body.as_bytes()).call()
}

const FORM: &str = "application/x-www-form-urlencoded";

fn registry(mode: Mode) -> Registry {
    let registry = Registry::start(mode);
    let _ = registry.open_to_all("open/**");
    let _ = registry.allow(USER, &["pull", "push"], "mine/**");
    let image = Image::random(&mut Random::new(801), 1, 100);
    for repository in ["open/app", "mine/app"] {
        push::image(&registry.admin(), repository, "v1", &image);
    }
    registry
}

/// The token of an answer that has everything clients look for.
#[track_caller]
fn token(answer: Response) -> String {
    let answer = answer.expect(200);
    assert_eq!(answer.required("content-type"), "application/json");
    let json = answer.json();
    assert_eq!(json["token"], json["access_token"]);
    let lives = json["expires_in"].as_u64().unwrap();
    assert!((60..=300).contains(&lives), "{json}");
    assert!(json["issued_at"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok(), "{json}");
    json["token"].as_str().unwrap().to_owned()
}

#[test]
fn the_base_challenges_although_everybody_may_pull_something() {
    // Regression 11: clients that meet 200 there never log in, and their push fails.
    for mode in Mode::ALL {
        let registry = registry(mode);
        let challenge = registry.nobody().get("/v2/").expect_error(401, "UNAUTHORIZED");
        let wanted = format!("Bearer realm=\"https://{}/v2/token\",service=\"mcr\"", registry.authority());
        assert!(challenge.required("www-authenticate").starts_with(&wanted), "{challenge:?}");
        // Nobody gets a token for what is open, and no more.
        let stranger = registry.stranger(&["repository:open/app:pull,push", "repository:mine/app:pull"]);
        let _ = stranger.get("/v2/open/app/manifests/v1").expect(200);
        let _ = stranger.get("/v2/mine/app/manifests/v1").expect(401);
        let _ = stranger.post("/v2/open/app/blobs/uploads/").expect(401);
        // The authenticated push of a program that reads only this challenge.
        let place = Place { authority: registry.authority(), trust: registry.trust() };
        let skopeo = Skopeo::new(&place);
        let _ = skopeo.pull("mine/app").failed();
        let _ = skopeo.log_in(USER, &registry.password(USER)).ok();
        let _ = skopeo.push("mine/real").ok();
        let _ = skopeo.pull("mine/real").ok();
    }
}

#[test]
fn a_login_of_docker_gets_a_refresh_token_that_post_takes() {
    // Regression 12.
    for mode in Mode::ALL {
        let registry = registry(mode);
        let user = registry.account(USER);
        let login = "/v2/token?account=ursula&client_id=docker&offline_token=true&service=mcr";
        let answer = user.get(login).expect(200).json();
        let refresh = answer["refresh_token"].as_str().expect("a refresh token").to_owned();
        registry.is_secret(&refresh);
        let _ = registry.nobody().with_bearer(answer["token"].as_str().unwrap()).get("/v2/").expect(200);
        let scope = "repository%3Amine%2Fapp%3Apull%2Cpush";
        let body =
            format!("client_id=docker&grant_type=refresh_token&refresh_token={refresh}&scope={scope}&service=mcr");
        let pushing = registry.nobody().with_bearer(&token(form(&registry.nobody(), FORM, &body)));
        push::image(&pushing, "mine/app", "v2", &Image::random(&mut Random::new(802), 1, 100));
        // It is not asked for: none is given.
        assert!(user.get("/v2/token?service=mcr").expect(200).json().get("refresh_token").is_none());
        registry.assert_nothing_secret_logged();
    }
}

#[test]
fn every_form_in_which_a_client_asks_is_understood() {
    for mode in Mode::ALL {
        let registry = registry(mode);
        let password = registry.password(USER);
        let user = registry.account(USER);
        let can = |token: &str, what: &str| {
            let client = registry.nobody().with_bearer(token);
            let _ = client.get("/v2/mine/app/manifests/v1").expect(200);
            let status = client.post("/v2/mine/app/blobs/uploads/").status;
            assert_eq!(status == 202, what.contains("push"), "{what}: {status}");
        };
        for (target, what) in [
            ("/v2/token?service=mcr&scope=repository:mine/app:pull,push", "crane: pull,push"),
            ("/v2/token?account=ursula&scope=repository%3Amine%2Fapp%3Apull%2Cpush&service=mcr", "skopeo: pull,push"),
            ("/v2/token?scope=repository:mine/app:pull&scope=repository:other/app:pull&service=mcr", "two scopes"),
            ("/v2/token?scope=repository:mine/app:pull+repository:other/app:pull&service=mcr", "space-joined"),
            ("/v2/token?scope=repository:mine/app:pull%20repository:other/app:pull&service=mcr", "space-joined"),
            ("/v2/token?scope=repository:mine/app:*&service=mcr", "everything, push too"),
        ] {
            can(&token(user.get(target)), what);
        }
        // containerd: a password grant, scopes joined by spaces, a charset behind the type.
        let body = format!(
            "client_id=containerd-client&grant_type=password&password={password}&username={USER}&service=mcr\
             &scope=repository%3Amine%2Fapp%3Apull%2Cpush+repository%3Aother%2Fapp%3Apull"
        );
        let kind = format!("{FORM}; charset=utf-8");
        can(&token(form(&registry.nobody(), &kind, &body)), "containerd: push");
        // What is no grant here is one that clients know how to leave: 400 of OAuth2, or 401 for a wrong pair.
        let refused = form(&registry.nobody(), FORM, "grant_type=client_credentials&service=mcr");
        assert_eq!((refused.status, &refused.json()["error"]), (400, &Value::from("unsupported_grant_type")));
        let wrong = body.replace(&password, "wrong-password");
        assert!(matches!(form(&registry.nobody(), FORM, &wrong).status, 400 | 401));
        let _ = registry.nobody().with_basic(USER, "wrong-password").get("/v2/token?service=mcr").expect(401);
    }
}

#[test]
fn accounts_without_a_right_still_get_a_token_for_nothing() {
    // Clients report a 401 there as a wrong password.
    for mode in Mode::ALL {
        let registry = registry(mode);
        for name in [GUEST, MACHINE] {
            let client = registry.bearer(name, &["repository:mine/app:pull,push"]);
            let _ = client.get("/v2/").expect(200);
            let refused = client.get("/v2/mine/app/manifests/v1").expect_error(403, "DENIED");
            assert!(refused.messages().contains("mine/app"), "{}", refused.text());
            assert!(refused.messages().contains("pull"), "{}", refused.text());
        }
    }
}
