//! The stand-in of the identity service itself: that it speaks as documented, and can fail in every way asked for.

use std::time::Duration;

use mcr_tests::identity::{Flaws, Identity, Mood, Person};
use mcr_tests::{Client, tls};
use serde_json::{Value, json};

fn ask(client: &Client, path: &str, body: &Value) -> mcr_tests::Response {
    let text = body.to_string();
    client.request("POST", path).header("Content-Type", "application/json").body(text.as_bytes()).call()
}

fn known() -> (Identity, Client) {
    let identity = Identity::start();
    identity.add(Person {
        name: "ann".to_owned(),
        password: Some("right".to_owned()),
        kind: "human",
        roles: vec!["user"],
        subject: "u-1".to_owned(),
    });
    let address = identity.url().trim_start_matches("https://").parse().unwrap();
    let client = Client::new(address, Some(tls::trusting(&identity.ca())));
    (identity, client)
}

fn log_in(client: &Client, password: &str) -> mcr_tests::Response {
    let body = json!({"username": "ann", "password": password, "service_name": "mcr", "tags": ["a"]});
    ask(client, "/v1/auth/login", &body)
}

#[test]
fn it_logs_in_validates_and_revokes() {
    let (identity, client) = known();
    let _ = log_in(&client, "wrong").expect(401);
    let token = log_in(&client, "right").expect(200).json()["token"].as_str().unwrap().to_owned();
    assert_eq!(identity.last_login(), json!({"service_name": "mcr", "tags": ["a"]}));
    let validate = || ask(&client, "/v1/token/validate", &json!({"token": token})).expect(200).json();
    let said = validate();
    assert_eq!((&said["valid"], &said["username"], &said["sub"]), (&json!(true), &json!("ann"), &json!("u-1")));
    let _ = client.with_bearer(&token).post("/v1/auth/logout").expect(204);
    assert_eq!(validate(), json!({"valid": false}));
    let counts = identity.counts();
    assert_eq!((counts.logins, counts.validations, counts.logouts, counts.others), (2, 2, 1, 0));
}

#[test]
fn it_fails_as_it_is_told_and_recovers() {
    let (identity, client) = known();
    identity.mood(Mood::Status(429));
    assert_eq!(log_in(&client, "right").expect(429).required("retry-after"), "7");
    identity.mood(Mood::Says("text/html", "<html>".to_owned()));
    assert_eq!(log_in(&client, "right").expect(200).text(), "<html>");
    identity.mood(Mood::Floods(1 << 20));
    assert!(log_in(&client, "right").expect(200).body.len() >= 1 << 20);
    for mood in [Mood::Breaks, Mood::Resets, Mood::Stalls(Duration::from_millis(1))] {
        identity.mood(mood.clone());
        let sent = client.fresh().request("POST", "/v1/auth/login").body(b"{}").send();
        assert!(sent.is_err(), "{mood:?}: {sent:?}");
    }
    identity.mood(Mood::Well);
    identity.down();
    assert!(client.request("GET", "/v1/health").send().is_err());
    identity.up();
    let _ = client.get("/v1/health").expect(200);
    let _ = log_in(&client, "right").expect(200);
}

#[test]
fn its_flaws_are_refused_by_a_careful_client() {
    for flaws in [Flaws { tls_1_2: true, foreign: false }, Flaws { tls_1_2: false, foreign: true }] {
        let identity = Identity::flawed(flaws);
        let address = identity.url().trim_start_matches("https://").parse().unwrap();
        let client = Client::new(address, Some(tls::trusting(&identity.ca())));
        // The client of the suites speaks 1.2 too.
        assert_eq!(client.request("GET", "/v1/health").send().is_err(), flaws.foreign, "{flaws:?}");
    }
}
