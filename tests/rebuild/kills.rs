//! A server killed under load before its database is lost, and a restore that is killed.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mcr_tests::{Image, Random, Server, long, pull, push};

use crate::loss::{Slowness, listed, lose_database, restore, restore_with, told, wait_tagged, wait_whole};

/// Clients at once.
const CLIENTS: usize = 3;

#[test]
fn killed_under_load_only_the_last_second_may_be_missing() {
    let random = &mut Random::announced("killed under load");
    for round in 0..if long() { 15 } else { 2 } {
        let mut server = Server::start();
        wait_whole(&server);
        let slowness = Slowness::measure(&server);
        let client = server.client();
        let (stop, pushed) = (AtomicBool::new(false), Mutex::new(BTreeMap::new()));
        std::thread::scope(|scope| {
            for number in 0..CLIENTS {
                let (mut random, client, stop, pushed) = (random.fork(number), &client, &stop, &pushed);
                scope.spawn(move || {
                    for count in 0.. {
                        let image = Image::random(&mut random, 2, 2000);
                        let tag = format!("c{number}-{count}");
                        let blobs = image
                            .blobs()
                            .all(|blob| push::try_blob(client, "load/app", blob).is_ok_and(|a| a.status == 201));
                        let put =
                            push::try_manifest(client, "load/app", &tag, &image.media_type, &image.manifest.bytes);
                        if stop.load(Ordering::Relaxed) || !blobs || !put.is_ok_and(|answer| answer.status == 201) {
                            return;
                        }
                        pushed.lock().unwrap().insert(tag, (Instant::now(), image.digest().clone()));
                    }
                });
            }
            std::thread::sleep(Duration::from_millis(2000 + u64::try_from(random.below(1000)).unwrap()));
            server.kill();
            stop.store(true, Ordering::Relaxed);
        });
        let (killed, promise, told) = (Instant::now(), slowness.promised(), told(&server));
        drop(slowness);
        lose_database(&server);
        let said = restore(&server, &["--accept-default-policy", "--deep"]).ok();
        server.restart();
        let client = server.client();
        let (mut promised, mut kept) = (0, 0);
        for (tag, (at, digest)) in pushed.into_inner().unwrap() {
            let got = client.get(&format!("/v2/load/app/manifests/{tag}"));
            let is_there = got.status == 200 && got.digest() == digest;
            promised += usize::from(killed.duration_since(at) > promise);
            kept += usize::from(is_there);
            assert!(is_there || killed.duration_since(at) <= promise, "{tag} is lost: {}", said.text());
            assert!(is_there || !told.contains(&format!("\"tag\":\"{tag}\"")), "{tag} was told: {}", said.text());
        }
        pull::assert_all_whole(&client);
        eprintln!("round {round}: {promised} pushes were older than {promise:?}, {kept} of all are there");
        assert!(promised > 3, "hardly anything was pushed");
    }
}

#[test]
fn a_restore_that_is_killed_leaves_no_database_or_the_new_one() {
    let random = &mut Random::announced("killed restore");
    let mut server = Server::start();
    wait_whole(&server);
    for number in 0..5 {
        push::image(&server.client(), "demo/app", &format!("t{number}"), &Image::random(random, 1, 2000));
    }
    let before = listed(&server.client());
    wait_tagged(&server, "t4");
    server.kill();
    for point in ["rebuild.synced", "restore.log_removed", "restore.renamed", "restore.switched"] {
        lose_database(&server);
        let killed = restore_with(&server, &["--accept-default-policy"], &format!("{point}=kill@1"));
        assert_eq!(killed.code, None, "{point} is not on the way: {}", killed.all());
        let database = server.data().join("mcr.db");
        if !database.exists() {
            let _ = restore(&server, &["--accept-default-policy"]).ok();
        }
        server.restart();
        assert_eq!(listed(&server.client()), before, "killed at {point}");
        // The new database is told anew.
        wait_whole(&server);
        server.kill();
        let left: Vec<_> = std::fs::read_dir(server.data()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert!(!left.iter().any(|name| name.to_string_lossy().contains("rebuilding")), "{point}: {left:?}");
    }
}
