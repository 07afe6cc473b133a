//! The scrub beside everything else a server goes through: kills, stops, a disk that does not answer, probes, read-only.

use std::time::Duration;

use mcr_tests::clock::wait_until;
use mcr_tests::{Image, Options, Random, Server, damage, pull, push};

use crate::scene::{open_findings, passes, scrubbing, sql, wait_whole_pass};

/// Everything was last hashed longer ago than a pass may take.
const AGED: &str = "UPDATE blobs SET hashed_at = hashed_at - 40 * 86400000;
                    UPDATE manifests SET hashed_at = hashed_at - 40 * 86400000";

/// A server that is off, with an image of `layers` layers that nobody has looked at for long.
fn aged(options: Options, layers: usize, length: usize) -> (Server, Image) {
    let mut server = Server::with(options);
    let image = Image::random(&mut Random::new(701), layers, length);
    push::image(&server.client(), "a", "v1", &image);
    let _ = server.stop();
    let _ = sql(&server, AGED);
    (server, image)
}

/// Flips a bit and lets the database's stat agree, as if the disk had lost it.
fn rot(server: &Server, blob: &mcr_tests::Blob) {
    use std::os::unix::fs::MetadataExt as _;
    damage::flip(server.data(), &blob.digest, 5);
    let stat = std::fs::metadata(damage::blob_path(server.data(), &blob.digest)).unwrap();
    let (mtime, ctime) =
        (stat.mtime() * 1_000_000_000 + stat.mtime_nsec(), stat.ctime() * 1_000_000_000 + stat.ctime_nsec());
    let row = format!("UPDATE blobs SET mtime_ns = {mtime}, ctime_ns = {ctime} WHERE digest = '{}'", blob.digest);
    let _ = sql(server, &row);
}

#[test]
fn a_pass_survives_kills_and_hashes_nothing_twice() {
    // Some two seconds; a small file counts as 64 KiB.
    let (mut server, image) = aged(Options::default().env("MCR_SCRUB_RATE", "2MiB/s"), 63, 1000);
    let done = |server: &Server| -> u64 {
        sql(server, "SELECT coalesce(sum(blobs), 0) FROM scrub_passes")[0].parse().unwrap()
    };
    for _ in 0..2 {
        server.restart();
        let before = done(&server);
        wait_until("some blobs are booked", || done(&server) > before);
        assert_eq!(passes(&server), 0, "it is at work");
        server.kill();
    }
    server.restart();
    wait_until("the pass is complete", || passes(&server) == 1);
    assert_eq!(sql(&server, "SELECT count(*), sum(blobs), sum(manifests) FROM scrub_passes"), ["1 64 1"]);
    assert_eq!(image.blobs().count(), 64);
    assert_eq!(open_findings(&server), []);
}

#[test]
fn a_stop_in_the_middle_of_a_blob_is_prompt() {
    // An hour at this pace.
    let (mut server, image) = aged(Options::default().env("MCR_SCRUB_RATE", "1KiB/s"), 1, 4 << 20);
    server.restart();
    wait_until("it is at work", || server.log().contains("scrub: a pass begins"));
    let _ = server.client().head(&format!("/v2/a/blobs/{}", image.layers[0].digest)).expect(200);
    let (code, took) = server.stop();
    assert_eq!(code, Some(0));
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(sql(&server, "SELECT count(*) FROM scrub_passes WHERE ended_at IS NULL"), ["1"]);
}

#[test]
fn a_disk_that_does_not_answer_is_no_damage_and_is_asked_again() {
    let (mut server, image) = aged(scrubbing().env("MCR_FAULTS", "scrub.read=eio"), 3, 1000);
    let _ = damage::quarantined(server.data());
    server.restart();
    wait_until("a pass that could read nothing", || passes(&server) > 0);
    assert_eq!(open_findings(&server), []);
    assert!(damage::quarantined(server.data()).is_empty());
    assert_eq!(sql(&server, "SELECT blobs, unreadable FROM scrub_passes ORDER BY id LIMIT 1"), ["0 4"]);
    assert!(server.log().contains("scrub: it could not be read"), "{}", server.log());
    let _ = pull::assert_whole(&server.client(), "a", "v1");
    let _ = server.stop();
    *server.options() = scrubbing().at(server.data());
    server.restart();
    wait_until("all of them are read", || {
        let left = "SELECT count(*) FROM blobs WHERE hashed_at < unixepoch() * 1000 - 86400000";
        sql(&server, left) == ["0"]
    });
    assert_eq!(open_findings(&server), []);
    assert_eq!(image.blobs().count(), 4);
}

#[test]
fn what_a_probe_asks_for_is_looked_at_soon_although_no_pass_is_due() {
    let mut server = Server::with(Options::default().env("MCR_INTEGRITY_FRESH_FOR", "1s"));
    let image = Image::random(&mut Random::new(702), 2, 300_000);
    push::image(&server.client(), "a", "v1", &image);
    let _ = server.stop();
    rot(&server, &image.layers[0]);
    let _ = sql(&server, "UPDATE blobs SET hashed_at = hashed_at - 3600000");
    server.restart();
    let client = server.client();
    let target = format!("/v2/a/blobs/{}", image.layers[0].digest);
    let _ = client.head(&target).expect(200);
    wait_until("the scrub has looked", || client.head(&target).status == 404);
    assert_eq!(open_findings(&server), [(image.layers[0].digest.to_string(), "blob-corrupt".to_owned())]);
    assert_eq!(sql(&server, "SELECT count(*) FROM blobs WHERE scrub_requested_at IS NOT NULL"), ["0"]);
    assert_eq!(sql(&server, "SELECT count(*) FROM scrub_passes"), ["0"]);
    let other = format!("/v2/a/blobs/{}", image.layers[1].digest);
    let _ = client.head(&other).expect(200);
    wait_until("a sound one is fresh again", || {
        let fresh = "SELECT hashed_at > unixepoch() * 1000 - 60000 FROM blobs WHERE digest = ";
        sql(&server, &format!("{fresh}'{}'", image.layers[1].digest)) == ["1"]
    });
    let _ = client.head(&other).expect(200);
}

#[test]
fn a_read_only_registry_is_scrubbed_too() {
    let (mut server, image) = aged(scrubbing(), 2, 100_000);
    rot(&server, &image.layers[0]);
    *server.options() = scrubbing().env("MCR_SERVER_READ_ONLY", "true").at(server.data());
    server.restart();
    wait_until("it is found", || !open_findings(&server).is_empty());
    wait_whole_pass(&server);
    assert_eq!(open_findings(&server), [(image.layers[0].digest.to_string(), "blob-corrupt".to_owned())]);
    let _ = server.client().get("/v2/a/manifests/v1").expect_error(404, "MANIFEST_UNKNOWN");
}

#[test]
fn what_is_damaged_is_told_once_however_often_it_is_passed() {
    let server = Server::with(scrubbing());
    let image = Image::random(&mut Random::new(703), 2, 50_000);
    push::image(&server.client(), "a", "v1", &image);
    damage::remove(server.data(), &image.layers[0].digest);
    wait_until("it is found", || !open_findings(&server).is_empty());
    for _ in 0..3 {
        wait_whole_pass(&server);
    }
    assert_eq!(server.log().matches("scrub: a blob is damaged").count(), 1, "{}", server.log());
    assert_eq!(sql(&server, "SELECT count(*) FROM audit WHERE event = 'blob_quarantined'"), ["1"]);
}

#[test]
fn passes_beside_pushes_and_pulls_disturb_nobody() {
    let server = Server::with(scrubbing());
    let client = server.client();
    let image = |n: u64| Image::random(&mut Random::new(710 + n), 3, 40_000);
    std::thread::scope(|scope| {
        for n in 0..4 {
            let client = client.fresh();
            scope.spawn(move || {
                for round in 0..12 {
                    let tag = format!("t{}", round % 3);
                    push::image(&client, &format!("r{n}"), &tag, &image(n * 100 + round));
                    let _ = pull::assert_whole(&client, &format!("r{n}"), &tag);
                }
            });
        }
    });
    wait_whole_pass(&server);
    assert_eq!(open_findings(&server), []);
    assert!(damage::quarantined(server.data()).is_empty());
    assert_eq!(pull::assert_all_whole(&client), 12);
}
