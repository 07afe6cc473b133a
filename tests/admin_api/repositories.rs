//! Repositories and tags: listed, shown, deleted; names with slashes, and names that look like something else.

use mcr_tests::pull;
use serde_json::json;

use crate::scene::{Scene, refused};

fn names(list: &serde_json::Value) -> Vec<&str> {
    list["repositories"].as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect()
}

#[test]
fn repositories_are_listed_in_pages_and_filtered() {
    let scene = Scene::filled();
    let list = scene.get("/v1/repositories");
    assert_eq!(names(&list), ["app", "app/tags/v1", "team/app"]);
    assert_eq!(list["next"], json!(null));
    let app = &list["repositories"][0];
    assert_eq!((&app["tag_count"], &app["manifest_count"]), (&json!(2), &json!(2)));
    assert!(app["total_size"].as_u64().unwrap() > 7000, "{app}");
    for time in ["created_at", "updated_at"] {
        assert!(app[time].as_str().unwrap().ends_with('Z'), "{app}");
    }

    let first = scene.client.get("/v1/repositories?n=2").expect(200);
    assert_eq!(names(&first.json()), ["app", "app/tags/v1"]);
    let link = first.required("link").to_owned();
    let target = link.strip_prefix('<').unwrap().split('>').next().unwrap();
    assert!(link.ends_with("rel=\"next\"") && target.contains("n=2"), "{link}");
    assert_eq!(names(&scene.get(target)), ["team/app"]);

    assert_eq!(names(&scene.get("/v1/repositories?filter=*%2Fapp")), ["team/app"]);
    assert_eq!(names(&scene.get("/v1/repositories?filter=app/**")), ["app/tags/v1"]);
    assert!(names(&scene.get("/v1/repositories?filter=nothing")).is_empty());
    // More than there can be is as many as there can be.
    assert_eq!(names(&scene.get("/v1/repositories?n=9223372036854775807")).len(), 3);
}

#[test]
fn a_repository_is_shown_with_tags_and_manifests() {
    let scene = Scene::filled();
    let app = scene.get("/v1/repositories/app");
    let tags: Vec<&str> = app["tags"].as_array().unwrap().iter().map(|tag| tag["name"].as_str().unwrap()).collect();
    assert_eq!(tags, ["v1", "v2"]);
    assert_eq!(app["manifests"].as_array().unwrap().len(), 2);
    assert!(app["manifests"].as_array().unwrap().iter().any(|manifest| manifest["tags"] == json!(["v1"])));
    let multi = scene.get("/v1/repositories/team/app");
    assert_eq!(multi, scene.get("/v1/repositories/team%2Fapp"), "an escaped slash is a slash");
    let kinds: Vec<&serde_json::Value> = multi["manifests"].as_array().unwrap().iter().map(|m| &m["kind"]).collect();
    assert!(kinds.contains(&&json!("index")) && kinds.contains(&&json!("image")), "{kinds:?}");
    assert_eq!(scene.get("/v1/repositories/app/tags")["tags"], json!(["v1", "v2"]));

    // A page at a time, all of both lists is seen once.
    let (mut target, mut seen) = ("/v1/repositories/team/app/?n=1".to_owned(), 0);
    for _ in 0..20 {
        let page = scene.client.get(&target).expect(200);
        seen += page.json()["manifests"].as_array().unwrap().len();
        let Some(link) = page.header("link") else { break };
        target = link.strip_prefix('<').unwrap().split('>').next().unwrap().to_owned();
    }
    assert_eq!(seen, multi["manifests"].as_array().unwrap().len());
}

#[test]
fn names_that_look_like_something_else_are_reached_with_a_slash_at_the_end() {
    let scene = Scene::filled();
    assert_eq!(scene.get("/v1/repositories/app/tags/v1/")["name"], "app/tags/v1");
    assert_eq!(scene.get("/v1/repositories/app%2Ftags%2Fv1/")["name"], "app/tags/v1");
    assert_eq!(scene.get("/v1/repositories/app/tags/v1/tags")["tags"], json!(["history"]));
    assert_eq!(scene.get("/v1/repositories/app/")["name"], "app");
    // Without it the path is the tag's, which cannot be read, and the answer says how to ask for the repository.
    let answer = scene.client.get("/v1/repositories/app/tags/v1");
    assert_eq!(answer.required("allow"), "DELETE");
    assert!(refused(answer, 405).contains("/v1/repositories/app/tags/v1/"));
    // The history of the tag `v1` of `app`; of the tag `history` of `app/tags/v1`.
    let history = scene.get("/v1/repositories/app/tags/v1/history");
    assert_eq!(history["history"].as_array().unwrap().len(), 1);
    let history = scene.get("/v1/repositories/app/tags/v1/tags/history/history");
    assert_eq!(history["history"].as_array().unwrap().len(), 1);

    // Deleting the tag leaves the repository of that name alone, and the other way round.
    let _ = scene.client.delete("/v1/repositories/app/tags/v1").expect(204);
    assert_eq!(scene.get("/v1/repositories/app/tags")["tags"], json!(["v2"]));
    let _ = pull::assert_whole(&scene.client, "app/tags/v1", "history");
    let _ = scene.client.delete("/v1/repositories/app/tags/v1/").expect(200);
    let _ = pull::assert_whole(&scene.client, "app", "v2");
}

#[test]
fn a_tag_has_a_history_also_when_it_is_gone() {
    let scene = Scene::filled();
    let _ = scene.client.delete("/v1/repositories/app/tags/v1").expect(204);
    assert!(refused(scene.client.delete("/v1/repositories/app/tags/v1"), 404).contains("v1"));
    let history = scene.get("/v1/repositories/app/tags/v1/history");
    let entries = history["history"].as_array().unwrap();
    assert_eq!(entries.len(), 2);
    assert_eq!((&entries[0]["current"], &entries[1]["previous"]), (&json!(null), &json!(null)));
    assert_eq!(entries[0]["previous"], entries[1]["current"]);
    assert_eq!(entries[0]["actor"], "admin");
    let first = scene.get("/v1/repositories/app/tags/v1/history?n=1");
    let next = first["next"].as_str().unwrap();
    let second = scene.get(&format!("/v1/repositories/app/tags/v1/history?n=1&last={next}"));
    assert_eq!(second["history"][0], entries[1]);
    let never = scene.client.get("/v1/repositories/app/tags/never/history");
    assert!(refused(never, 404).contains("never"));
}

#[test]
fn a_deleted_repository_is_gone_and_counted() {
    let scene = Scene::filled();
    let gone = scene.client.delete("/v1/repositories/app").expect(200).json();
    assert_eq!(gone, json!({"deleted": {"tags": 2, "manifests": 2, "blobs": 5}}));
    assert!(refused(scene.client.get("/v1/repositories/app"), 404).contains("app"));
    let _ = refused(scene.client.delete("/v1/repositories/app"), 404);
    assert_eq!(scene.client.get("/v2/app/manifests/v1").status, 404);
    assert_eq!(names(&scene.get("/v1/repositories")), ["app/tags/v1", "team/app"]);
    let events = scene.get("/v1/audit?event=repo_deleted");
    assert_eq!(events["events"][0]["repository"], "app");
}
