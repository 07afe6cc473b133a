//! What stands in a tar that is saved: the same every time, named as clients want it, whole or not at all; never what
//! loads it.

use mcr_tests::{Blob, Image, layout, process, push};
use serde_json::json;

use crate::scene::{Scene, content, ctl, document};

#[test]
fn a_tar_depends_on_its_content_alone() {
    let scene = Scene::new();
    let authority = scene.server.authority();
    let [single, v1] = ["single", "v1"].map(|tag| format!("{authority}/real:{tag}"));
    let tars = ["one.tar", "two.tar"].map(|name| scene.path(name));
    for tar in &tars {
        let _ = ctl(&["--plain-http", "save", &single, &v1, "-o", &tar.display().to_string()]).ok();
    }
    let [one, two] = tars.map(|tar| std::fs::read(tar).unwrap());
    assert!(one == two, "the same bytes");
    // Beside the running server, and named by hand as the other was.
    let beside = scene.path("beside.tar");
    let _ = process::run(&mut scene.save(&[&single, &v1, "-o", &beside.display().to_string()])).ok();
    assert!(std::fs::read(beside).unwrap() == one, "the same bytes out of files");
    let streamed = ctl(&["--plain-http", "save", &single, &v1, "-o", "-"]).ok();
    assert!(streamed.stdout == one, "the same bytes through a pipe");
    assert!(streamed.stderr.contains("saved"), "{}", streamed.stderr);
}

#[test]
fn images_are_named_for_everybody() {
    let scene = Scene::new();
    let name = format!("{}/real", scene.server.authority());
    let index = layout::real_index();
    let tar = scene.path("f.tar");
    let by_digest = format!("{name}@{}", index.images[1].digest());
    let references = [format!("{name}:v1"), format!("{name}:single"), by_digest.clone()];
    let [v1, single, digest] = references.each_ref().map(String::as_str);
    let said = ctl(&["--plain-http", "--json", "save", v1, single, digest, "-o", &tar.display().to_string()]).ok();
    let said: serde_json::Value = serde_json::from_str(&said.text()).unwrap();
    assert_eq!(said["images"][0]["digest"], index.digest().as_str());
    let content = content(&tar);
    let layout = document(&content, "index.json");
    let named: Vec<_> = layout["manifests"].as_array().unwrap().iter().map(|one| &one["annotations"]).collect();
    assert_eq!(*named[0], json!({"io.containerd.image.name": v1, "org.opencontainers.image.ref.name": "v1"}));
    assert_eq!(*named[1], json!({"io.containerd.image.name": single, "org.opencontainers.image.ref.name": "single"}));
    assert_eq!(*named[2], json!({"io.containerd.image.name": digest}));
    let docker = document(&content, "manifest.json");
    let tags: Vec<_> = docker.as_array().unwrap().iter().map(|one| &one["RepoTags"]).collect();
    // The index's part for this machine is the single image: one entry, both names.
    assert_eq!(tags, [&json!([single, v1]), &serde_json::Value::Null]);
    let blobs = content.keys().filter(|name| name.starts_with("blobs/")).count();
    assert_eq!(blobs, 1 + 2 * 4, "an index; two manifests with a config and two layers each");
}

#[test]
fn two_images_with_the_same_tag_are_told_apart() {
    let scene = Scene::new();
    push::image(&scene.server.client(), "other", "v1", &layout::real_image("arm64"));
    let authority = scene.server.authority();
    let [one, two] = ["real", "other"].map(|name| format!("{authority}/{name}:v1"));
    let tar = scene.path("f.tar");
    let _ = ctl(&["--plain-http", "save", &one, &two, "-o", &tar.display().to_string()]).ok();
    let layout = document(&content(&tar), "index.json");
    for (number, name) in [&one, &two].into_iter().enumerate() {
        assert_eq!(layout["manifests"][number]["annotations"]["org.opencontainers.image.ref.name"], name.as_str());
    }
}

#[test]
fn one_platform_leaves_the_others_out() {
    let scene = Scene::new();
    let tar = scene.path("f.tar");
    let file = tar.display().to_string();
    let _ = process::run(&mut scene.save(&["real:v1", "--platform", "linux/arm64", "-o", &file])).ok();
    let content = content(&tar);
    let index = document(&content, "index.json");
    assert_eq!(index["manifests"][0]["digest"], layout::real_image("arm64").digest().as_str());
    assert_eq!(content.keys().filter(|name| name.starts_with("blobs/")).count(), 4);
    let refused = process::run(&mut scene.save(&["real:v1", "--platform", "linux/s390x", "-o", &file])).failed();
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("linux/amd64, linux/arm64"), "{}", refused.stderr);
    let authority = scene.server.authority();
    let reference = format!("{authority}/real:v1");
    let refused = ctl(&["--plain-http", "save", &reference, "--platform", "windows/amd64", "-o", &file]).failed();
    assert_eq!(refused.code, Some(1));
    assert!(refused.stderr.contains("linux/amd64, linux/arm64"), "{}", refused.stderr);
}

#[test]
fn artifacts_are_saved_and_docker_is_told_nothing_of_them() {
    let scene = Scene::new();
    let client = scene.server.client();
    let subject = layout::real_image("amd64");
    let image = Image::with_config(Blob::new("{}"), vec![Blob::new("a signature")], json!({}));
    let artifact = image.about(&subject.manifest, "application/vnd.example.signature");
    push::image(&client, "real", "signature", &artifact);
    let reference = format!("{}/real:signature", scene.server.authority());
    let tar = scene.path("f.tar");
    let said = ctl(&["--plain-http", "save", &reference, "-o", &tar.display().to_string()]).ok();
    assert!(said.text().contains("note: "), "{}", said.text());
    let content = content(&tar);
    assert!(!content.contains_key("manifest.json"), "{:?}", content.keys());
    assert_eq!(document(&content, "index.json")["manifests"][0]["digest"], artifact.digest().as_str());
}
