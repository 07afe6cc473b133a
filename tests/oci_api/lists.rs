//! Tag lists and the catalogue: sorted, in pages, whole.

use mcr_tests::push::location;
use mcr_tests::{Client, Image, Random, Response, Server, pull, push};
use serde_json::json;

/// A server whose repository `a` has these tags, all on one image.
fn with_tags(tags: &[&str]) -> (Server, Image) {
    let server = Server::start();
    let client = server.client();
    let image = Image::random(&mut Random::new(71), 1, 100);
    push::blobs_of(&client, "a", &image);
    for tag in tags {
        let _ = push::put_image(&client, "a", tag, &image).expect(201);
    }
    (server, image)
}

/// The target of `Link: <…>; rel="next"`.
fn next(answer: &Response) -> Option<String> {
    let link = answer.header("link")?;
    let (target, relation) = link.strip_prefix('<').unwrap().split_once('>').unwrap();
    assert_eq!(relation.trim_start_matches([';', ' ']), "rel=\"next\"");
    assert!(target.starts_with("/v2/"), "a relative link: {target}");
    Some(target.to_owned())
}

/// Follows the links from `target` to the end and returns everything under `key`.
fn pages(client: &Client, target: &str, key: &str, size: usize) -> Vec<String> {
    let mut all = Vec::new();
    let mut target = Some(target.to_owned());
    while let Some(page) = target {
        let answer = client.get(&page).expect(200);
        let items = answer.json()[key].as_array().unwrap().clone();
        assert!(items.len() <= size, "{} on one page", items.len());
        all.extend(items.iter().map(|item| item.as_str().unwrap().to_owned()));
        target = next(&answer);
        assert!(all.len() < 10_000, "the links go in circles");
    }
    all
}

#[test]
fn tags_are_listed_sorted_with_the_name() {
    let (server, _) = with_tags(&["b", "a", "v10", "v9", "Z", "_x", "a.1"]);
    let answer = server.client().get("/v2/a/tags/list").expect(200);
    assert_eq!(answer.required("content-type"), "application/json");
    assert_eq!(answer.json(), json!({"name": "a", "tags": ["Z", "_x", "a", "a.1", "b", "v10", "v9"]}));
    assert_eq!(answer.header("link"), None);
}

#[test]
fn tags_come_in_pages() {
    let (server, _) = with_tags(&["t1", "t2", "t3", "t4", "t5"]);
    let client = server.client();
    let first = client.get("/v2/a/tags/list?n=2").expect(200);
    assert_eq!(first.json()["tags"], json!(["t1", "t2"]));
    let link = next(&first).unwrap();
    assert!(link.contains("last=t2") && link.contains("n=2"), "{link}");
    let wanted = ["t1", "t2", "t3", "t4", "t5"];
    for size in [1, 2, 3, 5, 100] {
        let target = format!("/v2/a/tags/list?n={size}");
        assert_eq!(pages(&client, &target, "tags", size), wanted);
    }
    let from = |query: &str| client.get(&format!("/v2/a/tags/list?{query}")).expect(200).json()["tags"].clone();
    assert_eq!(from("last=t3"), json!(["t4", "t5"]));
    assert_eq!(from("last=t3&n=1"), json!(["t4"]));
    // A tag that is not there, or no longer: what follows it in order.
    assert_eq!(from("last=t33"), json!(["t4", "t5"]));
    assert_eq!(from("last=zzz"), json!([]));
}

#[test]
fn no_items_asked_are_none_given() {
    let (server, _) = with_tags(&["t1"]);
    let client = server.client();
    for target in ["/v2/a/tags/list?n=0", "/v2/_catalog?n=0"] {
        let answer = client.get(target).expect(200);
        assert_eq!(answer.header("link"), None, "{target}");
        let json = answer.json();
        let list = json.get("tags").or_else(|| json.get("repositories"));
        assert_eq!(list, Some(&json!([])), "{target}");
    }
}

#[test]
fn an_unreadable_number_is_400() {
    let (server, _) = with_tags(&["t1"]);
    let client = server.client();
    for list in ["/v2/a/tags/list", "/v2/_catalog"] {
        for n in ["-1", "x", "1.5", "99999999999999999999999"] {
            let _ = client.get(&format!("{list}?n={n}")).expect_error(400, "UNSUPPORTED");
        }
    }
}

#[test]
fn a_repository_without_tags_has_none_and_an_unknown_one_is_404() {
    let (server, image) = with_tags(&[]);
    let client = server.client();
    let _ = push::put_image(&client, "a", image.digest().as_str(), &image).expect(201);
    let none = client.get("/v2/a/tags/list").expect(200);
    assert_eq!(none.json()["tags"], json!([]));
    let _ = client.get("/v2/never/tags/list").expect_error(404, "NAME_UNKNOWN");
}

#[test]
fn many_tags_pushed_at_once_are_all_listed() {
    let (server, image) = with_tags(&[]);
    let client = server.client();
    let tags: Vec<String> = (0..600).map(|number| format!("v{number:04}")).collect();
    for some in tags.chunks(50) {
        let query: Vec<String> = some.iter().map(|tag| format!("tag={tag}")).collect();
        let reference = format!("{}?{}", image.digest(), query.join("&"));
        let put = push::put_image(&client, "a", &reference, &image).expect(201);
        assert!(location(&put).contains("/v2/a/manifests/"));
    }
    assert_eq!(pull::tags(&client, "a"), tags, "whole without being asked for pages");
    assert_eq!(pages(&client, "/v2/a/tags/list?n=77", "tags", 77), tags);
}

#[test]
fn the_catalogue_lists_what_has_a_manifest() {
    let server = Server::start();
    let client = server.client();
    let image = Image::random(&mut Random::new(72), 1, 100);
    for repository in ["b/two", "a", "b/one", "c-1", "b"] {
        push::image(&client, repository, "v1", &image);
    }
    push::blob(&client, "only-a-blob", &image.config);
    let wanted = ["a", "b", "b/one", "b/two", "c-1"];
    assert_eq!(pull::catalog(&client), wanted);
    for size in [1, 2, 3, 5, 50] {
        let target = format!("/v2/_catalog?n={size}");
        assert_eq!(pages(&client, &target, "repositories", size), wanted);
    }
    let rest = client.get("/v2/_catalog?last=b").expect(200).json();
    assert_eq!(rest["repositories"], json!(["b/one", "b/two", "c-1"]));
    let _ = client.delete(&format!("/v2/b/manifests/{}", image.digest())).expect(202);
    assert_eq!(pull::catalog(&client), ["a", "b/one", "b/two", "c-1"]);
}
