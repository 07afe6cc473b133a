//! Snapshots that are no good: refused, with what to do, and nothing changed.

use mcr_tests::damage::tree;
use mcr_tests::{Image, Random, Server, push};

use crate::scene::{self, run, snapshot};

#[test]
fn damaged_and_foreign_snapshots_are_refused_and_nothing_changes() {
    let random = &mut Random::announced("damage to a snapshot");
    let mut server = Server::start();
    let _ = scene::filled(&server, random);
    let taken = snapshot(server.data(), &[]);
    let whole = std::fs::read(taken["path"].as_str().unwrap()).unwrap();
    let _ = server.stop();
    let home = scene::elsewhere();
    let path = home.path().join("mcr-20260101-000000.db");
    let before = tree(server.data());
    let refused = |what: &str, bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let output = run("restore", server.data(), &[path.to_str().unwrap()]);
        assert_eq!(output.code, Some(1), "{what}: {}", output.all());
        assert!(output.stderr.contains("nothing was changed"), "{what}: {}", output.stderr);
        assert!(output.stderr.lines().count() == 1, "{what}: {}", output.stderr);
        let mut after = tree(server.data());
        // Who held the lock last is told in it.
        after.retain(|name, _| !name.ends_with("mcr.lock"));
        let mut before = before.clone();
        before.retain(|name, _| !name.ends_with("mcr.lock"));
        assert!(after == before, "{what}: {:?} became {:?}", before.keys(), after.keys());
    };
    refused("empty", b"");
    refused("a text", b"this is no database at all");
    refused("cut to a page", &whole[..4096]);
    refused("cut by a page", &whole[..whole.len() - 4096]);
    for number in 0..6 {
        // Behind the first page: what is in it is partly unused.
        let page = 1 + random.below(whole.len() / 4096 - 1);
        let mut bytes = whole.clone();
        let at = page * 4096;
        let wrong = random.bytes(64);
        bytes[at..at + 64].copy_from_slice(&wrong);
        refused(&format!("page {page} overwritten ({number})"), &bytes);
    }
    let mut newer = whole.clone();
    // user_version, big-endian at offset 60 of the header.
    newer[60..64].copy_from_slice(&99_u32.to_be_bytes());
    refused("a newer schema", &newer);
    let mut foreign = whole.clone();
    foreign[68..72].copy_from_slice(&7_u32.to_be_bytes());
    refused("another program's", &foreign);
    let other = Server::start();
    let _ = scene::filled(&other, random);
    let of_other = snapshot(other.data(), &[]);
    refused("another registry's", &std::fs::read(of_other["path"].as_str().unwrap()).unwrap());
    // The whole one is taken.
    std::fs::write(&path, &whole).unwrap();
    let _ = run("restore", server.data(), &[path.to_str().unwrap()]).ok();
}

#[test]
fn a_manifest_that_no_tag_names_is_judged_as_well() {
    let random = &mut Random::new(10);
    let mut server = Server::start();
    let image = Image::random(random, 1, 900);
    push::image(&server.client(), "team/app", "v1", &image);
    // Pinned by its digest.
    server.client().delete("/v2/team/app/manifests/v1").expect(202);
    let taken = snapshot(server.data(), &[]);
    let _ = server.stop();
    let path = taken["path"].as_str().unwrap();
    let _ = run("snapshot", server.data(), &["--check", path]).ok();
    let mut sqlite = mcr_tests::tools::command("sqlite3");
    let _ = mcr_tests::process::run(sqlite.arg(path).arg("UPDATE manifest_contents SET bytes = x'7b7d'")).ok();
    let digest = image.digest().to_string();
    let named = format!("manifest-corrupt {digest}");
    let check = run("snapshot", server.data(), &["--check", path]).failed();
    assert!(check.stderr.contains(&named) && !check.text().contains("is whole"), "{}", check.all());
    let restored = run("restore", server.data(), &[path]).failed();
    assert!(restored.stderr.contains(&named) && restored.text().contains("restored; start"), "{}", restored.all());
}

#[test]
fn a_running_server_is_named_and_left_alone() {
    let server = Server::start();
    let _ = scene::filled(&server, &mut Random::new(8));
    let _ = snapshot(server.data(), &[]);
    let output = run("restore", server.data(), &["--latest"]);
    assert_eq!(output.code, Some(1), "{}", output.all());
    let holder = format!("mcrsrv server (pid {}", server.pid());
    assert!(output.stderr.contains(&holder), "{}", output.stderr);
}

#[test]
fn what_is_not_there_is_told_with_what_is() {
    let mut server = Server::start();
    let _ = scene::filled(&server, &mut Random::new(9));
    let none = run("restore", server.data(), &["--latest"]);
    assert_eq!(none.code, Some(1));
    let name = snapshot(server.data(), &[])["name"].as_str().unwrap().to_owned();
    let _ = server.stop();
    let wrong = run("restore", server.data(), &["mcr-20000101-000000.db"]);
    assert!(wrong.code == Some(1) && wrong.stderr.contains(&name), "{}", wrong.all());
    let usage = run("restore", server.data(), &[]);
    assert_eq!(usage.code, Some(2), "{}", usage.all());
    // A name alone is one in backups/.
    let _ = run("restore", server.data(), &[&name, "--dry-run"]).ok();
}
