//! Snapshots with their blobs: what is copied, what is not copied again, and the proof that it is whole.

use std::os::unix::fs::MetadataExt as _;

use mcr_tests::{Image, Random, Server, damage, pull, push};

use crate::scene::{self, elsewhere, json, names, run, snapshot};

#[test]
fn a_second_copy_brings_only_what_is_new_and_no_file_is_shared() {
    let random = &mut Random::new(1);
    let server = Server::start();
    let _ = scene::filled(&server, random);
    let home = elsewhere();
    let directory = home.path().join("mcr");
    let to = ["--blobs", directory.to_str().unwrap()];
    let first = snapshot(server.data(), &to);
    let copied = first["copy"]["copied"].as_u64().unwrap();
    assert_eq!(first["copy"]["present"], 0, "{first:#}");
    assert_eq!(copied, first["blobs"].as_u64().unwrap());
    assert_eq!(first["copy"]["whole"], true);
    let image = Image::random(random, 3, 2_000);
    push::image(&server.client(), "team/app", "v2", &image);
    let second = snapshot(server.data(), &to);
    // A config and three layers.
    assert_eq!((&second["copy"]["copied"], &second["copy"]["present"]), (&4.into(), &copied.into()), "{second:#}");
    let third = snapshot(server.data(), &to);
    assert_eq!((&third["copy"]["copied"], &third["copy"]["copied_bytes"]), (&0.into(), &0.into()), "{third:#}");
    let digest = &image.layers[0].digest;
    let own = std::fs::metadata(damage::blob_path(server.data(), digest)).unwrap();
    let hex = digest.hex();
    let copy = std::fs::metadata(directory.join("sha256").join(&hex[..2]).join(hex)).unwrap();
    assert_ne!((own.dev(), own.ino()), (copy.dev(), copy.ino()));
    assert_eq!((copy.nlink(), copy.mode() & 0o777), (1, 0o600));
    let check = run("snapshot", server.data(), &["--check", directory.to_str().unwrap(), "--json"]).ok();
    assert_eq!((&json(&check)["whole"], &json(&check)["tags"]), (&true.into(), &4.into()));
}

#[test]
fn a_check_names_every_planted_damage_and_nothing_else() {
    let random = &mut Random::announced("damage to a backup");
    let server = Server::start();
    let client = server.client();
    let images: Vec<Image> = (0..6).map(|_| Image::random(random, 2, 3_000)).collect();
    for (number, image) in images.iter().enumerate() {
        push::image(&client, "team/app", &format!("v{number}"), image);
    }
    let home = elsewhere();
    let directory = home.path().join("layers");
    let path = directory.to_str().unwrap().to_owned();
    let _ = snapshot(server.data(), &["--blobs", &path]);
    // Needs no configuration and no registry: an off-site machine has neither.
    let check = || mcr_tests::process::run(mcr_tests::server::mcrsrv().args(["snapshot", "--check", &path, "--json"]));
    let _ = check().ok();
    let layer = |n: usize| images[n].layers[1].digest.clone();
    damage::remove(home.path(), &layer(0));
    damage::truncate(home.path(), &layer(1), 100);
    damage::lengthen(home.path(), &layer(2));
    damage::flip(home.path(), &layer(3), 1_234);
    damage::truncate(home.path(), &layer(4), 0);
    let output = check();
    assert_eq!(output.code, Some(1), "{}", output.all());
    let report = json(&output);
    let mut found: Vec<(String, String, String)> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| ["tag", "kind", "digest"].map(|key| finding[key].as_str().unwrap().to_owned()).into())
        .collect();
    found.sort();
    let kinds = ["blob-missing", "blob-truncated", "blob-size-mismatch", "blob-corrupt", "blob-truncated"];
    let wanted: Vec<(String, String, String)> =
        kinds.iter().enumerate().map(|(n, kind)| (format!("v{n}"), (*kind).to_owned(), layer(n).to_string())).collect();
    assert_eq!(found, wanted);
    for n in 0..5 {
        assert!(output.stderr.contains(layer(n).as_str()), "named on stderr: {}", output.stderr);
    }
}

#[test]
fn a_copy_of_snapshots_and_layers_is_checked_as_it_lies() {
    let random = &mut Random::announced("an off-site copy");
    let server = Server::start();
    let image = Image::random(random, 2, 3_000);
    push::image(&server.client(), "team/app", "v1", &image);
    let _ = snapshot(server.data(), &[]);
    let home = elsewhere();
    for name in ["backups", "layers"] {
        let mut copy = std::process::Command::new("cp");
        let _ = mcr_tests::process::run(copy.arg("-a").arg(server.data().join(name)).arg(home.path())).ok();
    }
    let check = || {
        let mut check = mcr_tests::server::mcrsrv();
        mcr_tests::process::run(check.args(["snapshot", "--json", "--check"]).arg(home.path()))
    };
    let _ = check().ok();
    damage::flip(home.path(), &image.layers[0].digest, 77);
    let said = check();
    assert_eq!(said.code, Some(1), "{}", said.all());
    assert!(said.stderr.contains("blob-corrupt") && said.stderr.contains("team/app:v1"), "{}", said.all());
}

#[test]
fn a_copy_that_rotted_is_replaced_by_the_command_that_the_check_names() {
    let random = &mut Random::announced("damage to a copy");
    let server = Server::start();
    let image = Image::random(random, 2, 3_000);
    push::image(&server.client(), "team/app", "v1", &image);
    let home = elsewhere();
    let directory = home.path().join("layers");
    let path = directory.to_str().unwrap().to_owned();
    let _ = snapshot(server.data(), &["--blobs", &path]);
    damage::flip(home.path(), &image.layers[0].digest, 77);
    let again = run("snapshot", server.data(), &["--blobs", &path]).ok();
    assert!(
        again.text().contains("3 blobs of before not read again"),
        "nothing unread is called whole: {}",
        again.all()
    );
    let check = || run("snapshot", server.data(), &["--check", &path]);
    let said = check().failed();
    assert!(
        said.stderr.contains("blob-corrupt") && said.stderr.contains(&format!("--blobs {path} --deep")),
        "{}",
        said.all()
    );
    let deep = snapshot(server.data(), &["--blobs", &path, "--deep"]);
    assert_eq!((&deep["copy"]["healed"], &deep["copy"]["whole"]), (&1.into(), &true.into()), "{deep:#}");
    let _ = check().ok();
    assert_eq!(run("snapshot", server.data(), &["--deep"]).code, Some(2));
}

#[test]
fn a_blob_that_cannot_be_read_is_named_and_the_rest_is_copied() {
    let server = Server::start();
    let _ = scene::filled(&server, &mut Random::new(7));
    let home = elsewhere();
    let path = home.path().to_str().unwrap();
    let mut command = scene::command("snapshot", server.data(), &["--blobs", path, "--json"]);
    let output = mcr_tests::process::run(command.env("MCR_FAULTS", "copy.read=eio@2")).failed();
    let report = json(&output);
    let wanted = report["blobs"].as_u64().unwrap() - 1;
    assert_eq!((&report["copy"]["copied"], &report["copy"]["whole"]), (&wanted.into(), &false.into()), "{report:#}");
    assert!(output.stderr.contains("unreachable") && !output.stderr.contains("blob-missing"), "{}", output.stderr);
    assert_eq!(names(home.path(), "mcr-2").len(), 1, "the new snapshot is there");
    let _ = snapshot(server.data(), &["--blobs", path]);
    let _ = run("snapshot", server.data(), &["--check", path]).ok();
}

#[test]
fn a_server_does_not_start_with_its_copies_among_its_blobs() {
    let server = Server::start();
    let inside = server.data().join("layers/copy");
    let mut other = mcr_tests::server::mcrsrv();
    let data = elsewhere();
    let at = data.path().join("srv");
    other.args(["server", "--dev", "--listen", "127.0.0.1:0", "--grpc-listen", "127.0.0.1:0", "--data"]).arg(&at);
    let output = mcr_tests::process::run(other.env("MCR_BACKUP_BLOBS", at.join("layers/copy"))).failed();
    assert!(
        output.stderr.contains("[backup] blobs") && output.stderr.contains("lie one in the other"),
        "{}",
        output.stderr
    );
    assert!(!inside.exists());
}

#[test]
fn a_backup_alone_makes_the_registry_again() {
    let random = &mut Random::new(3);
    let mut server = Server::start();
    let wanted = scene::filled(&server, random);
    let home = elsewhere();
    let directory = home.path().to_str().unwrap().to_owned();
    let _ = snapshot(server.data(), &["--blobs", &directory]);
    let (code, _) = server.stop();
    assert_eq!(code, Some(0));
    std::fs::remove_dir_all(server.data()).unwrap();
    let report = json(&run("restore", server.data(), &["--latest", "--blobs", &directory, "--json"]).ok());
    assert_eq!((&report["left_out"], &report["brought"]), (&0.into(), &report["blobs"]), "{report:#}");
    server.restart();
    let client = server.client();
    assert_eq!(scene::listed(&client), wanted);
    assert_eq!(pull::assert_all_whole(&client), wanted.len());
    let verified = client.get("/v1/audit?event=snapshot_restored").expect(200).json();
    assert_eq!(verified["events"].as_array().unwrap().len(), 1, "{verified:#}");
}

#[test]
fn directories_that_must_not_be_one_are_refused() {
    let server = Server::start();
    let _ = scene::filled(&server, &mut Random::new(4));
    for inside in ["layers", "layers/copy", "uploads", "."] {
        let directory = server.data().join(inside);
        let output = run("snapshot", server.data(), &["--blobs", directory.to_str().unwrap()]).failed();
        assert!(output.stderr.contains("lie one in the other"), "{inside}: {}", output.stderr);
    }
    // The copies of another registry.
    let other = Server::start();
    let _ = scene::filled(&other, &mut Random::new(5));
    let home = elsewhere();
    let directory = home.path().to_str().unwrap().to_owned();
    let _ = snapshot(other.data(), &["--blobs", &directory]);
    let output = run("snapshot", server.data(), &["--blobs", &directory]).failed();
    assert!(output.stderr.contains("holds the blobs of registry"), "{}", output.stderr);
}

#[test]
fn the_oldest_snapshots_go_here_and_there() {
    let server = Server::start();
    let _ = scene::filled(&server, &mut Random::new(6));
    let home = elsewhere();
    let to = ["--blobs", home.path().to_str().unwrap(), "--keep", "2"];
    for _ in 0..4 {
        let _ = snapshot(server.data(), &to);
    }
    let here = names(&server.data().join("backups"), "mcr-");
    assert_eq!(here.len(), 2, "{here:?}");
    assert_eq!(names(home.path(), "mcr-2"), here);
    let usage = run("snapshot", server.data(), &["--keep", "0"]);
    assert_eq!(usage.code, Some(2));
}
