//! Undo of one tag, one manifest, one repository, and of all that one account deleted.

use mcr_tests::{Image, Index, Random, pull, push};
use serde_json::json;

use crate::scene::Living;

const UNDO: &[(&str, &str)] = &[("MCR_GC_UNDO", "7d")];

#[test]
fn a_tag_points_again_where_it_did() {
    let living = Living::with("", UNDO);
    let (client, random) = (living.client(), &mut Random::new(5501));
    let [one, two] = [(); 2].map(|()| Image::random(random, 1, 300));
    push::image(&client, "app", "latest", &one);
    push::image(&client, "app", "latest", &two);
    let restore = |body| living.post("/v1/repositories/app/tags/latest/restore", &body);
    let back = restore(json!({})).expect(200).json();
    let expected = json!({"repository": "app", "tag": "latest", "digest": one.digest().as_str(), "previous": two.digest().as_str()});
    assert_eq!(back, expected);
    let chosen = restore(json!({"to": two.digest().as_str()})).expect(200).json();
    assert_eq!(chosen["digest"], two.digest().as_str());
    let _ = client.delete("/v1/repositories/app/tags/latest").expect(204);
    let deleted = restore(json!({})).expect(200).json();
    assert_eq!((&deleted["digest"], &deleted["previous"]), (&json!(two.digest().as_str()), &json!(null)), "{deleted}");
    assert!(pull::assert_whole(&client, "app", "latest").manifests.contains(two.digest()));
    let events = living.get("/v1/audit?event=tag_restored");
    assert_eq!(events["events"].as_array().unwrap().len(), 3, "{events}");

    let never = Image::random(random, 1, 10);
    let refused = restore(json!({"to": never.digest().as_str()}));
    assert_eq!(refused.status, 404, "{}", refused.text());
    let _ = restore(json!({"to": "sha256:7"})).expect(400);
    let _ = living.post("/v1/repositories/app/tags/never/restore", &json!({})).expect(404);
    let _ = living.post("/v1/repositories/nothing/tags/never/restore", &json!({})).expect(404);
}

#[test]
fn a_manifest_comes_back_with_what_it_reaches() {
    let living = Living::with("", UNDO);
    let (client, index) = (living.client(), Index::random(&mut Random::new(5502), 300));
    push::index(&client, "app", "multi", &index);
    let _ = client.delete(&format!("/v2/app/manifests/{}", index.digest())).expect(202);
    for image in &index.images {
        let _ = client.delete(&format!("/v2/app/manifests/{}", image.digest())).expect(202);
    }
    let target = format!("/v1/repositories/app/manifests/{}/restore", index.digest());
    let back = living.post(&target, &json!({})).expect(200).json();
    assert_eq!((&back["digest"], &back["manifests_restored"]), (&json!(index.digest().as_str()), &json!(3)), "{back}");
    assert_eq!(pull::assert_whole(&client, "app", index.digest().as_str()).manifests.len(), 3);
    assert!(pull::tags(&client, "app").is_empty(), "a manifest comes back without tags");
    let unknown = format!("/v1/repositories/app/manifests/sha256:{}/restore", "0".repeat(64));
    let refused = living.post(&unknown, &json!({})).expect(409).json();
    assert!(refused["error"].as_str().unwrap().contains("push it again"), "{refused}");
}

#[test]
fn a_repository_comes_back_as_it_was() {
    let living = Living::with("", UNDO);
    let client = living.client();
    let _ = living.versions("team/app", 3, 300, &mut Random::new(5503));
    push::index(&client, "team/app", "multi", &Index::random(&mut Random::new(5504), 300));
    let gone = client.delete("/v1/repositories/team/app").expect(200).json();
    assert_eq!(pull::catalog(&client), Vec::<String>::new());
    let back = living.post("/v1/repositories/team/app/restore", &json!({})).expect(200).json();
    assert_eq!(back, json!({"restored": gone["deleted"], "refused": []}));
    assert_eq!(pull::tags(&client, "team/app"), ["multi", "v1", "v2", "v3"]);
    assert_eq!(pull::assert_all_whole(&client), 4);
    let _ = living.post("/v1/repositories/never/restore", &json!({})).expect(404);
}

#[test]
fn everything_since_a_moment_comes_back() {
    let living = Living::with("", UNDO);
    let client = living.client();
    let _ = living.versions("one", 3, 100, &mut Random::new(5505));
    let _ = living.versions("two", 2, 100, &mut Random::new(5506));
    let since = jiff::Timestamp::now().to_string();
    for tag in ["v1", "v2"] {
        let _ = client.delete(&format!("/v1/repositories/one/tags/{tag}")).expect(204);
    }
    let _ = client.delete("/v1/repositories/two").expect(200);
    let other = living.post("/v1/restore", &json!({"since": since, "by": "somebody"})).expect(200).json();
    assert_eq!(other["tags_restored"], 0, "{other}");
    let back = living.post("/v1/restore", &json!({"since": since})).expect(200).json();
    assert_eq!((&back["tags_restored"], &back["repositories"]), (&json!(4), &json!(2)), "{back}");
    assert_eq!(pull::assert_all_whole(&client), 5);
    for body in [json!({}), json!({"run": "x", "since": since}), json!({"since": "yesterday"})] {
        let _ = living.post("/v1/restore", &body).expect(400);
    }
    let _ = living.post("/v1/restore", &json!({"run": "0".repeat(32)})).expect(404);
}

#[test]
fn what_an_account_deleted_comes_back_and_what_it_moved_is_named() {
    let living = Living::with("", UNDO);
    let (client, random) = (living.client(), &mut Random::new(5507));
    let images: Vec<Image> = (0..2).map(|_| Image::random(random, 1, 100)).collect();
    let since = jiff::Timestamp::now().to_string();
    for tag in ["gone", "moved"] {
        images.iter().for_each(|image| push::image(&client, "app", tag, image));
    }
    let _ = client.delete("/v1/repositories/app/tags/gone").expect(204);
    let back = living.post("/v1/restore", &json!({"since": since, "by": "anonymous"})).expect(200).json();
    assert_eq!(back["tags_restored"], 1, "{back}");
    // That `gone` was moved before it was deleted is no news.
    let refused = back["refused"].as_array().unwrap();
    assert_eq!(refused.iter().map(|one| &one["what"]).collect::<Vec<_>>(), ["app:moved"], "{back}");
    assert_eq!(pull::tags(&client, "app"), ["gone", "moved"]);
    assert_eq!(pull::assert_all_whole(&client), 2);
}
