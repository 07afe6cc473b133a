//! Snapshots beside clients that push, move and delete, and beside the collector: each restores to a registry in which
//! every tag of the snapshot pulls whole.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mcr_tests::{Blob, Client, Image, Options, Random, Server, long, pull, push};

use crate::scene::{copy_of, elsewhere, json, run, snapshot};

/// Clients at once.
const CLIENTS: usize = 4;

/// Pushes images of shared layers under a few tags, and deletes some, until told to stop.
fn work(client: &Client, shared: &[Blob], random: &mut Random, number: usize, stop: &AtomicBool, done: &AtomicUsize) {
    while !stop.load(Ordering::Relaxed) {
        let repository = format!("team/{}", random.below(3));
        let tag = format!("c{number}-t{}", random.below(5));
        if random.once_in(4) {
            let _ = client.request("DELETE", &format!("/v2/{repository}/manifests/{tag}")).send();
            continue;
        }
        let layers = vec![random.pick(shared).clone(), Blob::random(random, 2_000)];
        let image = Image::over("amd64", layers);
        push::blobs_of(client, &repository, &image);
        push::put_image(client, &repository, &tag, &image).expect(201);
        done.fetch_add(1, Ordering::Relaxed);
    }
}

/// The collector without grace, again and again.
fn collect(client: &Client, stop: &AtomicBool, runs: &AtomicUsize) {
    while !stop.load(Ordering::Relaxed) {
        let body = br#"{"grace":"0s","undo":"0s","yes":true}"#;
        let asked = client.request("POST", "/v1/gc").header("Content-Type", "application/json").body(body).send();
        if asked.is_ok_and(|answer| answer.status == 202) {
            runs.fetch_add(1, Ordering::Relaxed);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn snapshots_under_load_restore_to_registries_that_are_whole() {
    let random = &mut Random::announced("snapshots under load");
    let options = Options::default().env("MCR_GC_LEASE", "10s");
    let mut server = Server::with(options);
    let client = server.client();
    let shared: Vec<Blob> = (0..6).map(|_| Blob::random(random, 5_000)).collect();
    let stable = Image::random(random, 2, 4_000);
    push::image(&client, "stable", "v1", &stable);
    let (stop, pushed, collections) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let home = elsewhere();
    let directory = home.path().to_str().unwrap().to_owned();
    let mut taken = Vec::new();
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let mut random = random.fork(number);
            let (client, shared, stop, pushed) = (&client, &shared, &stop, &pushed);
            scope.spawn(move || work(client, shared, &mut random, number, stop, pushed));
        }
        scope.spawn(|| collect(&client, &stop, &collections));
        let start = Instant::now();
        let rounds = if long() { 40 } else { 4 };
        while taken.len() < rounds && start.elapsed() < Duration::from_secs(300) {
            let before = pushed.load(Ordering::Relaxed);
            mcr_tests::clock::wait_until("some pushes", || pushed.load(Ordering::Relaxed) > before + 20);
            // Every second one with its blobs.
            let every = ["--keep", "1000", "--blobs", directory.as_str()];
            let arguments = if taken.len() % 2 == 1 { &every[..] } else { &every[..2] };
            taken.push(snapshot(server.data(), arguments));
        }
        stop.store(true, Ordering::Relaxed);
    });
    let (pushed, collections) = (pushed.into_inner(), collections.into_inner());
    server.kill();
    for snapshot in &taken {
        let (_home, data) = copy_of(server.data());
        let report = json(&run("restore", &data, &[snapshot["name"].as_str().unwrap(), "--json"]).ok());
        assert_eq!(report["left_out"], 0, "{report:#}");
        let registry = Server::with(Options::default().at(&data));
        let whole = pull::assert_all_whole(&registry.client());
        assert_eq!(report["tags"], whole, "every tag of the snapshot is listed and whole");
        let _ = pull::assert_whole(&registry.client(), "stable", "v1");
        let audit = registry.client().get("/v1/audit?event=snapshot_restored").expect(200).json();
        assert_eq!(audit["events"].as_array().unwrap().len(), 1);
    }
    let _ = run("snapshot", server.data(), &["--check", &directory]).ok();
    eprintln!("{} snapshots beside {pushed} pushes and {collections} collections", taken.len());
    assert!(collections > 0, "the collector ran");
}
