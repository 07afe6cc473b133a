//! `GET /v1/integrity`: pages, filters, and what it refuses.

use mcr_tests::{Image, Random, Server, damage, push};
use serde_json::Value;

use crate::scene::{RARELY, first_run, mcrctl, probing};

fn names(document: &Value) -> Vec<String> {
    let tags = document["tags"].as_array().unwrap().iter();
    tags.map(|tag| format!("{}:{}", tag["repository"].as_str().unwrap(), tag["tag"].as_str().unwrap())).collect()
}

#[test]
fn tags_come_in_pages_and_filters_hold() {
    let server = Server::with(probing().env("MCR_PROBE_SCHEDULE", RARELY));
    let client = server.client();
    let random = &mut Random::new(331);
    let broken = Image::random(random, 1, 500);
    push::image(&client, "b/c", "v2", &broken);
    for (repository, tag) in [("a", "v1"), ("a", "v2"), ("b/c", "v1")] {
        push::image(&client, repository, tag, &Image::random(random, 1, 500));
    }
    damage::remove(server.data(), &broken.layers[0].digest);
    let all = names(&first_run(&client));
    assert_eq!(all, ["a:v1", "a:v2", "b/c:v1", "b/c:v2"]);
    for n in 1..=5 {
        let mut target = format!("/v1/integrity?n={n}");
        let mut seen = Vec::new();
        loop {
            let answer = client.get(&target).expect(200);
            let page = answer.json();
            assert!(names(&page).len() <= n);
            seen.extend(names(&page));
            let Some(next) = page["next"].as_str() else {
                assert_eq!(answer.header("link"), None);
                break;
            };
            assert_eq!(Some(next), names(&page).last().map(String::as_str));
            let link = answer.required("link");
            target = link[1..link.find('>').unwrap()].to_owned();
        }
        assert_eq!(seen, all, "n={n}");
    }
    let of = |query: &str| client.get(&format!("/v1/integrity?{query}")).expect(200).json();
    assert_eq!(names(&of("state=broken")), ["b/c:v2"]);
    assert_eq!(names(&of("state=sound")), ["a:v1", "a:v2", "b/c:v1"]);
    assert_eq!(names(&of("repository=b%2Fc")), ["b/c:v1", "b/c:v2"]);
    assert_eq!(names(&of("repository=a&state=broken")), [""; 0]);
    assert_eq!(of("repository=a")["findings"], Value::Array(Vec::new()));
    assert!(!of("repository=b/c")["findings"].as_array().unwrap().is_empty());
    assert_eq!(names(&of("last=a:v2")), ["b/c:v1", "b/c:v2"]);
    assert_eq!(names(&of("n=0")), [""; 0]);

    assert_eq!(mcrctl(&server, &["--repository", "a"]).code, Some(0));
    assert_eq!(mcrctl(&server, &["--repository", "b/c"]).code, Some(1));
    let json = mcrctl(&server, &["--json"]);
    assert_eq!(json.code, Some(1));
    let json: Value = serde_json::from_str(&json.text()).unwrap();
    assert_eq!(names(&json), all);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let server = Server::start();
    let client = server.client();
    for query in ["n=x", "n=-1", "state=fine", "last=nocolon"] {
        let refused = client.get(&format!("/v1/integrity?{query}")).expect(400);
        assert!(refused.json()["error"].as_str().is_some(), "{query}: {}", refused.text());
    }
    for method in ["POST", "PUT", "DELETE"] {
        let _ = client.request(method, "/v1/integrity").body(b"").call().expect(405);
    }
    let head = client.head("/v1/integrity").expect(200);
    assert!(head.body.is_empty() && head.required("content-type").starts_with("application/json"));
}
