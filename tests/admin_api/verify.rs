//! Verifying one reference where its bytes lie, and the state of things.

use mcr_tests::{Image, Random, damage, push};
use serde_json::{Value, json};

use crate::scene::{Scene, refused};

#[test]
fn a_sound_reference_is_sound_and_a_broken_one_names_what_is_broken() {
    let scene = Scene::filled();
    let verify = |repository: &str, reference: &str| {
        scene.send("POST", "/v1/integrity/verify", &json!({"repository": repository, "reference": reference}))
    };
    let report = verify("team/app", "multi").expect(200).json();
    assert_eq!((&report["sound"], &report["references"][0]["sound"]), (&json!(true), &json!(true)));
    assert_eq!(report["references"][0]["reference"], "team/app:multi");
    assert!(report["references"][0]["checked"]["indexes"] == 1, "{report}");
    let digest = report["references"][0]["digest"].as_str().unwrap();
    assert_eq!(verify("team/app", digest).expect(200).json()["sound"], true);

    let image = Image::random(&mut Random::new(99), 1, 5000);
    push::image(&scene.client, "broken", "v1", &image);
    damage::truncate(scene.server.data(), &image.layers[0].digest, 10);
    let report = verify("broken", "v1").expect(200).json();
    assert_eq!(report["sound"], false, "{report}");
    let finding = &report["references"][0]["findings"][0];
    assert_eq!(finding["digest"], image.layers[0].digest.to_string());
    assert_eq!((&finding["repository"], &finding["tag"]), (&json!("broken"), &json!("v1")));

    let _ = refused(verify("app", "nothing"), 404);
    let _ = refused(verify("nothing", "v1"), 404);
    let _ = refused(verify("BAD", "v1"), 400);
    let _ = refused(verify("app", "-"), 400);
    let _ = refused(verify("app", "sha256:0"), 400);
}

#[test]
fn the_state_of_things_is_shown_and_asked_for_in_pages() {
    let scene = Scene::filled();
    let state = scene.get("/v1/integrity");
    let tags: Vec<&Value> = state["tags"].as_array().unwrap().iter().map(|tag| &tag["tag"]).collect();
    assert_eq!(tags, ["v1", "v2", "history", "multi"]);
    assert_eq!(scene.get("/v1/integrity?n=0")["tags"], json!([]));
    assert_eq!(scene.get("/v1/integrity?repository=app")["tags"].as_array().unwrap().len(), 2);
    let first = scene.get("/v1/integrity?n=1");
    assert_eq!(first["next"], "app:v1");
    for query in ["n=x", "state=fine", "last=app", "n=1&n=2", "tag=v1"] {
        let _ = refused(scene.client.get(&format!("/v1/integrity?{query}")), 400);
    }
    assert!(scene.client.head("/v1/integrity").expect(200).body.is_empty());
}
