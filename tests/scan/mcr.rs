//! This registry's own layout, scanned beside the running server and without it; never what the server says of it.

use std::path::Path;

use mcr_oci::Digest;
use mcr_tests::{Image, Index, Random, Server, damage, push};

use crate::scan::{scan, text};

fn pushed(seed: u64) -> (Server, Index, Image) {
    let server = Server::start();
    let mut random = Random::new(seed);
    let (index, image) = (Index::random(&mut random, 700), Image::random(&mut random, 2, 700));
    push::index(&server.client(), "team/app", "v1", &index);
    push::image(&server.client(), "base", "1", &image);
    (server, index, image)
}

/// Everything but the shared memory, where readers say what they read.
fn files(data: &Path) -> Vec<(std::path::PathBuf, Digest)> {
    let tree = damage::tree(data).into_iter();
    let mut files: Vec<_> = tree.map(|(path, bytes)| (path, Digest::sha256(&bytes))).collect();
    files.retain(|(path, _)| !path.ends_with("mcr.db-shm"));
    files
}

#[test]
fn a_sound_registry_gives_no_finding_running_or_not_and_nothing_is_written() {
    let (mut server, index, _) = pushed(71);
    let before = damage::settled(|| files(server.data()));
    for path in [server.data().to_owned(), server.data().join("mcr.db")] {
        let found = scan([path]);
        let registry = found.expect_sound().registry(None);
        assert_eq!(registry["layout"], "mcr");
        let scanned = &registry["scanned"];
        assert_eq!((&scanned["repositories"], &scanned["tags"]), (&2.into(), &2.into()));
        assert_eq!((&scanned["indexes"], &scanned["manifests"], &scanned["blobs"]), (&1.into(), &3.into(), &9.into()));
        assert_eq!(registry["information"]["unreferenced_blobs"], 0);
    }
    assert_eq!(files(server.data()), before, "the database and its log are as they were");
    // What was just committed lies in the log, and is seen.
    push::put_index(&server.client(), "team/app", "v2", &index.manifest).expect(201);
    assert_eq!(scan([server.data()]).registry(None)["scanned"]["tags"], 3);
    server.stop();
    let before = files(server.data());
    scan(["--deep".as_ref(), server.data().as_os_str()]).expect_sound();
    assert_eq!(files(server.data()), before);
    server.restart();
    let _ = mcr_tests::pull::assert_whole(&server.client(), "team/app", "v1");
}

#[test]
fn damage_is_named_by_its_kind_beside_the_running_server() {
    let (server, index, image) = pushed(72);
    let child = &index.images[0];
    damage::remove(server.data(), &image.layers[0].digest);
    damage::truncate(server.data(), &image.layers[1].digest, 0);
    damage::lengthen(server.data(), &child.layers[0].digest);
    damage::flip(server.data(), &child.layers[1].digest, 5);
    let shallow = [
        ("blob-missing", &image.layers[0].digest),
        ("blob-truncated", &image.layers[1].digest),
        ("blob-size-mismatch", &child.layers[0].digest),
    ];
    let found = scan([server.data()]);
    found.expect(&shallow);
    let missing = found.one("blob-missing");
    assert_eq!((&missing["repository"], &missing["tag"]), (&"base".into(), &"1".into()));
    let deep: Vec<_> = shallow.into_iter().chain([("blob-corrupt", &child.layers[1].digest)]).collect();
    scan(["--deep".as_ref(), server.data().as_os_str()]).expect(&deep);
    // The server sets one aside: it stays a loss, of bytes that are now in quarantine.
    let _ = server.client().get(&format!("/v2/base/blobs/{}", image.layers[1].digest)).expect(404);
    let found = scan([server.data()]);
    let kinds: Vec<String> = found.found().into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, ["blob-missing", "blob-missing", "blob-size-mismatch"]);
    assert_eq!(found.registry(None)["information"]["quarantined_files"], 1);
    // Pushing again heals, and the scan agrees.
    push::image(&server.client(), "base", "1", &image);
    push::blobs_of(&server.client(), "team/app", child);
    scan(["--deep".as_ref(), server.data().as_os_str()]).expect_sound();
}

#[test]
fn untagged_manifests_and_lone_blobs_are_information() {
    let (server, _, image) = pushed(73);
    let mut random = Random::new(74);
    let untagged = Image::random(&mut random, 1, 300);
    push::image(&server.client(), "base", untagged.digest().as_str(), &untagged);
    let lone = mcr_tests::Blob::random(&mut random, 444);
    push::blob(&server.client(), "base", &lone);
    damage::remove(server.data(), &untagged.layers[0].digest);
    let _ = push::open_upload(&server.client(), "base");
    let found = scan([server.data()]);
    let information = &found.expect_sound().registry(None)["information"];
    let number = |key: &str| information[key].as_u64().unwrap();
    assert_eq!((number("untagged_manifests"), number("untagged_damaged")), (1, 1), "{information:#}");
    assert_eq!((number("unreferenced_blobs"), number("unreferenced_bytes")), (1, 444), "{information:#}");
    assert_eq!((number("uploads"), number("stale_uploads")), (1, 0), "{information:#}");
    // A tag that goes leaves an untagged manifest.
    let _ = server.client().delete("/v2/base/manifests/1").expect(202);
    assert_eq!(scan([server.data()]).registry(None)["information"]["untagged_manifests"], 2, "{}", image.digest());
}

#[test]
fn a_database_is_scanned_with_its_own_blobs_only() {
    let (server, _, _) = pushed(75);
    let (other, _, _) = pushed(76);
    let database = server.data().join("mcr.db");
    let [own, others] = [server.data().join("layers"), other.data().join("layers")];
    scan(["--layers".as_ref(), own.as_os_str(), database.as_os_str()]).expect_sound();
    let said = text(["--layers".as_ref(), others.as_os_str(), database.as_os_str()]);
    assert_eq!(said.code, Some(3), "{said:?}");
    assert!(said.stderr.contains("--layers DIR"), "{said:?}");
    let said = text(["--repair".as_ref(), "links".as_ref(), server.data().as_os_str()]);
    assert_eq!(said.code, Some(2), "{said:?}");
    // A database that is garbage cannot be looked at.
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("mcr.db"), b"SQLite format 3\0garbage").unwrap();
    assert_eq!(text([home.path()]).code, Some(3));
}
