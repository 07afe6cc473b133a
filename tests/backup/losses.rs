//! Restores of registries that lost blobs: what is left out is named, kept in history, and comes back.

use mcr_tests::damage::{self, quarantined};
use mcr_tests::{Image, Random, Server, pull, push};

use crate::scene::{self, elsewhere, json, listed, names, run, snapshot};

/// Three images, a snapshot, a backup; then the server is stopped.
fn scene() -> (Server, Vec<Image>, tempfile::TempDir) {
    let random = &mut Random::new(20);
    let mut server = Server::start();
    let images: Vec<Image> = (0..3).map(|_| Image::random(random, 2, 3_000)).collect();
    for (number, image) in images.iter().enumerate() {
        push::image(&server.client(), "team/app", &format!("v{number}"), image);
    }
    let home = elsewhere();
    let _ = snapshot(server.data(), &["--blobs", home.path().to_str().unwrap()]);
    push::image(&server.client(), "team/app", "later", &Image::random(random, 1, 900));
    let _ = server.stop();
    (server, images, home)
}

#[test]
fn tags_whose_blobs_are_lost_are_left_out_named_and_kept_in_history() {
    let (mut server, images, _backup) = scene();
    damage::remove(server.data(), &images[0].layers[0].digest);
    damage::truncate(server.data(), &images[1].layers[1].digest, 10);
    let strict = run("restore", server.data(), &["--latest", "--strict"]);
    assert_eq!(strict.code, Some(1));
    assert!(strict.text().contains("nothing was changed: --strict"), "{}", strict.all());
    let dry = run("restore", server.data(), &["--latest", "--dry-run", "--json"]);
    assert_eq!((dry.code, &json(&dry)["switched"]), (Some(1), &false.into()), "{}", dry.all());
    assert!(names(server.data(), "mcr.db.before").is_empty() && names(server.data(), "mcr.db.restoring").is_empty());
    let output = run("restore", server.data(), &["--latest", "--json"]);
    assert_eq!(output.code, Some(1), "{}", output.all());
    let report = json(&output);
    assert_eq!((&report["switched"], &report["left_out"], &report["tags"]), (&true.into(), &2.into(), &3.into()));
    // A config and a layer of the image that was pushed after the snapshot.
    assert_eq!(report["files_without_rows"], 2, "{report:#}");
    for (tag, digest) in [("v0", &images[0].layers[0].digest), ("v1", &images[1].layers[1].digest)] {
        let line = output.stderr.lines().find(|line| line.contains(&format!("team/app:{tag}")));
        assert!(line.is_some_and(|line| line.contains(digest.as_str())), "{}", output.stderr);
    }
    assert_eq!(quarantined(server.data()).len(), 1, "what was cut is kept for whoever looks into it");
    server.restart();
    let client = server.client();
    assert_eq!(pull::tags(&client, "team/app"), ["v2"]);
    assert_eq!(pull::assert_all_whole(&client), 1);
    let history = client.get("/v1/repositories/team/app/tags/v0/history").expect(200).json();
    assert!(history.to_string().contains(images[0].digest().as_str()), "{history:#}");
    let health = client.get("/v1/health").expect(200).json();
    assert_eq!(health["status"], "degraded", "{health:#}");
    // Pushing again heals; the run brings the other tag back.
    push::image(&client, "team/app", "v0", &images[0]);
    push::blobs_of(&client, "team/app", &images[1]);
    let run_id = report["run_id"].as_str().unwrap();
    let body = format!(r#"{{"run":"{run_id}"}}"#);
    let restored =
        client.request("POST", "/v1/restore").header("Content-Type", "application/json").body(body.as_bytes());
    let restored = restored.call().expect(200).json();
    assert_eq!(restored["tags_restored"], 1, "{restored:#}");
    assert_eq!(pull::tags(&client, "team/app"), ["v0", "v1", "v2"]);
    assert_eq!(pull::assert_all_whole(&client), 3);
}

#[test]
fn a_backup_brings_back_what_is_lost_cut_or_flipped() {
    let (mut server, images, backup) = scene();
    let backup = backup.path().to_str().unwrap().to_owned();
    damage::remove(server.data(), &images[0].layers[0].digest);
    damage::truncate(server.data(), &images[1].layers[1].digest, 10);
    damage::flip(server.data(), &images[2].layers[0].digest, 7);
    // What is flipped has the right length: only --deep reads it now, else the first read does.
    let shallow = json(&run("restore", server.data(), &["--latest", "--blobs", &backup, "--dry-run", "--json"]).ok());
    assert_eq!((&shallow["brought"], &shallow["to_hash"]), (&2.into(), &1.into()), "{shallow:#}");
    let report = json(&run("restore", server.data(), &["--latest", "--blobs", &backup, "--deep", "--json"]).ok());
    assert_eq!((&report["brought"], &report["left_out"]), (&3.into(), &0.into()), "{report:#}");
    server.restart();
    assert_eq!(pull::assert_all_whole(&server.client()), 3);
}

#[test]
fn a_backup_that_is_damaged_itself_brings_nothing_damaged() {
    let (mut server, images, backup) = scene();
    let layer = &images[0].layers[0].digest;
    damage::remove(server.data(), layer);
    let hex = layer.hex();
    let copy = backup.path().join("sha256").join(&hex[..2]).join(hex);
    let mut bytes = std::fs::read(&copy).unwrap();
    bytes[5] ^= 1;
    std::fs::write(&copy, bytes).unwrap();
    let output = run("restore", server.data(), &["--latest", "--blobs", backup.path().to_str().unwrap(), "--json"]);
    assert_eq!((output.code, &json(&output)["left_out"]), (Some(1), &1.into()), "{}", output.all());
    server.restart();
    assert_eq!(pull::tags(&server.client(), "team/app"), ["v1", "v2"]);
    assert_eq!(pull::assert_all_whole(&server.client()), 2);
}

#[test]
fn files_that_were_copied_back_are_believed_only_after_they_were_hashed() {
    let (mut server, images, _backup) = scene();
    let (home, copy) = scene::copy_of(server.data());
    // Another inode for every file, and one that is not what it says.
    damage::flip(&copy, &images[0].layers[0].digest, 3);
    let report = json(&run("restore", &copy, &["--latest", "--json"]).ok());
    assert_eq!(report["to_hash"], report["blobs"], "{report:#}");
    server.options().data = Some(copy.clone());
    let mut restored = Server::with(server.options().clone());
    let client = restored.client();
    let target = format!("/v2/team/app/blobs/{}", images[0].layers[0].digest);
    assert_eq!(
        client.request("HEAD", &target).send().unwrap().status,
        404,
        "nothing was said of it before it was hashed"
    );
    let _ = pull::assert_whole(&client, "team/app", "v1");
    let _ = restored.stop();
    drop(home);
}

#[test]
fn an_unmounted_volume_is_not_taken_for_a_loss() {
    let (server, _, _backup) = scene();
    let layers = server.data().join("layers");
    std::fs::rename(&layers, server.data().join("away")).unwrap();
    let before = listed_files(server.data());
    let output = run("restore", server.data(), &["--latest"]);
    assert_eq!(output.code, Some(1), "{}", output.all());
    assert!(output.stderr.contains("probably not mounted"), "{}", output.stderr);
    assert_eq!(listed_files(server.data()), before);
    let _ = listed;
}

fn listed_files(data: &std::path::Path) -> Vec<String> {
    names(data, "mcr.db")
}
