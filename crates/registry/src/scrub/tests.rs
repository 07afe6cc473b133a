//! Tests of the scrub on a registry without a server: what it finds, what it leaves alone, when it goes on.
#![expect(clippy::disallowed_methods, reason = "tests do to files what a failing disk and a careless hand do")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use mcr_metadata::{Lookup, OpenFinding};
use mcr_oci::{Digest, FindingKind};

use super::run::{Next, Runner};
use crate::testing::{Bed, NOW, name};
use crate::{ScrubActivity, ScrubSettings, Settings};

const DAY_MS: i64 = 24 * 3600 * 1000;

fn settings() -> Settings {
    let scrub = ScrubSettings { rate: 1 << 30, full_pass: Duration::from_secs(10 * 24 * 3600), ..Default::default() };
    Settings { scrub, ..Settings::default() }
}

fn path(bed: &Bed, digest: &Digest) -> PathBuf {
    bed.directory.path().join("layers/sha256").join(&digest.hex()[..2]).join(digest.hex())
}

/// Writes to a file and puts its modification time back, as rot would leave it.
fn rot(path: &Path, bytes: &[u8]) {
    let before = std::fs::metadata(path).unwrap().modified().unwrap();
    std::fs::write(path, bytes).unwrap();
    std::fs::File::options().write(true).open(path).unwrap().set_modified(before).unwrap();
}

/// Lets it work until it rests.
async fn until_idle(runner: &mut Runner) {
    for _ in 0..1000 {
        if runner.turn().await != Next::Wait(Duration::ZERO) {
            return;
        }
    }
    panic!("it never rests");
}

fn findings(bed: &Bed) -> Vec<(FindingKind, Digest)> {
    let open: Vec<OpenFinding> = bed.registry.parts.metadata.integrity(1000).unwrap();
    open.into_iter().map(|open| (open.finding.kind, open.finding.digest.unwrap())).collect()
}

/// Changes the database behind the registry's back.
fn bed_sql(bed: &Bed, sql: &str) {
    let program = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.executescript(sys.argv[2])";
    let mut python = std::process::Command::new("python3");
    let done = python.args(["-c", program]).arg(bed.database()).arg(sql).status().unwrap();
    assert!(done.success());
}

/// The clock goes on to where everything is due.
fn much_later(bed: &Bed) {
    bed.clock.set(bed.clock.now_ms() + 9 * DAY_MS);
}

#[tokio::test]
async fn every_fault_is_found_and_nothing_else() {
    let bed = Bed::with(settings());
    let contents: Vec<String> = (0..9).map(|n| format!("content number {n}")).collect();
    let mut digests = Vec::new();
    for (at, content) in contents.iter().enumerate() {
        let _ = bed.push("a", content, &format!("v{at}")).await;
        digests.push(Digest::sha256(content.as_bytes()));
    }
    let at = |n: usize| path(&bed, &digests[n]);
    // As rot is: the file's stat is the recorded one.
    rot(&at(0), b"content nvmber 0");
    let stat = bed.registry.parts.blobs.stat(&digests[0]).unwrap().unwrap();
    let stat = format!("mtime_ns = {}, ctime_ns = {}", stat.mtime_ns, stat.ctime_ns);
    bed_sql(&bed, &format!("UPDATE blobs SET {stat} WHERE digest = '{}'", digests[0]));
    rot(&at(1), b"content");
    rot(&at(2), b"");
    rot(&at(3), b"content number 3 and more");
    std::fs::remove_file(at(4)).unwrap();
    // Two blobs exchanged, of the same length.
    let aside = bed.directory.path().join("aside");
    std::fs::rename(at(5), &aside).unwrap();
    std::fs::rename(at(6), at(5)).unwrap();
    std::fs::rename(&aside, at(6)).unwrap();
    std::fs::remove_file(at(7)).unwrap();
    std::fs::create_dir(at(7)).unwrap();
    let mut runner = Runner::new(bed.registry.clone());
    until_idle(&mut runner).await;
    assert_eq!(findings(&bed), [], "nothing was due yet");
    much_later(&bed);
    until_idle(&mut runner).await;
    let mut found = findings(&bed);
    found.sort_by_key(|(_, digest)| digests.iter().position(|known| known == digest));
    let kinds: Vec<_> = found.iter().map(|(kind, _)| kind.as_str()).collect();
    let expected = [
        "blob-corrupt",
        "blob-truncated",
        "blob-truncated",
        "blob-size-mismatch",
        "blob-missing",
        "blob-corrupt",
        "blob-corrupt",
        "blob-missing",
    ];
    assert_eq!(kinds, expected);
    assert_eq!(found.iter().map(|(_, digest)| digest.clone()).collect::<Vec<_>>(), digests[..8]);
    let state = bed.registry.scrub_state(10).await.unwrap();
    let pass = state.last_pass.unwrap();
    assert_eq!((pass.blobs, pass.manifests, pass.findings, pass.unreadable), (1, 9, 8, 0));
    assert_eq!((state.activity, state.unsound, state.blobs_total), (ScrubActivity::Idle, 8, 1));
    assert_eq!(state.oldest_verified_ms, Some(NOW + 9 * DAY_MS));
    // Known damage is not told again, and a push heals it.
    for content in &contents {
        let _ = bed.push_blob("a", content).await;
    }
    much_later(&bed);
    until_idle(&mut runner).await;
    assert_eq!(findings(&bed), []);
    assert_eq!(bed.registry.scrub_state(10).await.unwrap().last_pass.unwrap().blobs, 9);
    assert_eq!(bed.count("blob_quarantined").await, 8);
    assert_eq!(bed.count("blob_healed").await, 8);
}

#[tokio::test]
async fn a_manifest_whose_bytes_changed_in_the_database_is_found() {
    let bed = Bed::with(settings());
    let digest = bed.push("a", "content", "v1").await;
    bed_sql(&bed, "UPDATE manifest_contents SET bytes = CAST(replace(CAST(bytes AS TEXT), 'octet', 'octat') AS BLOB)");
    much_later(&bed);
    let mut runner = Runner::new(bed.registry.clone());
    until_idle(&mut runner).await;
    assert_eq!(findings(&bed), [(FindingKind::ManifestCorrupt, digest.clone())]);
    let reference = mcr_oci::Reference::Digest(digest);
    let Lookup::Found(row) = bed.registry.parts.metadata.manifest(&name("a"), &reference).unwrap() else { panic!() };
    assert!(row.corrupt);
    let _ = bed.push("a", "content", "v1").await;
    assert_eq!(findings(&bed), [], "a push heals it");
}

#[tokio::test]
async fn what_a_read_asked_for_comes_first_and_a_pass_goes_on_after_a_restart() {
    let bed = Bed::with(settings());
    let mut digests = Vec::new();
    for n in 0..600 {
        digests.push(bed.push_blob("a", &format!("blob {n}")).await);
        bed.clock.advance(1);
    }
    let last = digests[599].clone();
    std::fs::remove_file(path(&bed, &last)).unwrap();
    much_later(&bed);
    let asked = mcr_metadata::RequestScrub { digest: last.clone(), at_ms: bed.clock.now_ms() };
    bed.registry.parts.writes.durable(|m, done| m.request_scrub(asked, done), |()| ()).await.unwrap();
    let mut runner = Runner::new(bed.registry.clone());
    assert_eq!(runner.turn().await, Next::Wait(Duration::ZERO));
    assert_eq!(findings(&bed), [(FindingKind::BlobMissing, last)], "though it is the youngest");
    let state = bed.registry.scrub_state(10).await.unwrap();
    let (begun, done) = (state.pass.clone().unwrap(), state.pass.unwrap().blobs);
    assert!(done > 0 && done < 599, "{done}");
    assert_eq!((state.activity, state.last_pass), (ScrubActivity::Running, None));
    drop(runner);
    let bed = bed.reopen(settings()).await;
    let mut runner = Runner::new(bed.registry.clone());
    until_idle(&mut runner).await;
    let state = bed.registry.scrub_state(10).await.unwrap();
    let pass = state.last_pass.unwrap();
    assert_eq!((pass.id, pass.started_at_ms, pass.blobs), (begun.id, begun.started_at_ms, 599));
    assert_eq!((state.history.len(), state.pass), (1, None));
    assert_eq!(bed.registry.scrub_figures().blobs, 599 - done, "nothing is hashed twice");
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_blob_and_its_hash_is_not_believed() {
    let scrub = ScrubSettings { rate: 1024, full_pass: Duration::from_secs(10 * 24 * 3600), ..Default::default() };
    let bed = Bed::with(Settings { scrub, ..Settings::default() });
    // An hour at this pace.
    let digest = bed.push_blob("a", &"x".repeat(4 << 20)).await;
    much_later(&bed);
    let registry = bed.registry.clone();
    let began = std::time::Instant::now();
    let turn = async {
        let mut runner = Runner::new(registry);
        loop {
            match runner.turn().await {
                Next::Stopped => return,
                Next::Wait(time) => tokio::time::sleep(time).await,
            }
        }
    };
    let stop = async {
        while bed.registry.scrub_figures().hashed_bytes == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        bed.registry.parts.volume.stop();
    };
    let ((), ()) = tokio::join!(turn, stop);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(bed.registry.parts.metadata.blob_anywhere(&digest).unwrap().unwrap().hashed_at_ms, NOW);
    let behind = bed.registry.scrub_state(0).await.unwrap().behind;
    assert_eq!(behind, None, "an hour of ten days");
}

#[tokio::test]
async fn the_pace_is_kept_and_too_slow_a_one_is_told() {
    let scrub = ScrubSettings { rate: 1 << 20, full_pass: Duration::from_secs(1), ..Default::default() };
    let bed = Bed::with(Settings { scrub, ..Settings::default() });
    for n in 0..2 {
        let _ = bed.push_blob("a", &format!("{n}").repeat(700_000)).await;
    }
    bed.clock.advance(600_000);
    let mut runner = Runner::new(bed.registry.clone());
    let began = std::time::Instant::now();
    while bed.registry.scrub_figures().blobs < 2 {
        assert_ne!(runner.turn().await, Next::Stopped);
    }
    let took = began.elapsed();
    assert!(took > Duration::from_millis(1200), "1.4 MB at 1 MiB a second took {took:?}");
    let behind = bed.registry.scrub_state(0).await.unwrap().behind;
    assert!(behind.as_ref().is_some_and(|text| text.contains("full_pass")), "{behind:?}");
}

#[tokio::test]
async fn a_volume_that_is_away_is_waited_for_and_nothing_is_quarantined() {
    let bed = Bed::with(settings());
    let digest = bed.push_blob("a", "content").await;
    much_later(&bed);
    let layers = bed.directory.path().join("layers");
    let aside = bed.directory.path().join("unmounted");
    std::fs::rename(&layers, &aside).unwrap();
    std::fs::create_dir(&layers).unwrap();
    let mut runner = Runner::new(bed.registry.clone());
    for _ in 0..3 {
        assert!(matches!(runner.turn().await, Next::Wait(time) if !time.is_zero()));
    }
    assert_eq!(bed.registry.scrub_state(0).await.unwrap().activity, ScrubActivity::Waiting);
    assert_eq!(findings(&bed), []);
    std::fs::remove_dir(&layers).unwrap();
    std::fs::rename(&aside, &layers).unwrap();
    let _ = bed.registry.parts.volume.look_now();
    until_idle(&mut runner).await;
    assert_eq!(findings(&bed), []);
    let pass = bed.registry.scrub_state(0).await.unwrap().last_pass.unwrap();
    assert_eq!((pass.blobs, pass.unreadable), (1, 0));
    assert!(bed.registry.parts.metadata.blob_anywhere(&digest).unwrap().unwrap().hashed_at_ms > NOW);
}

#[tokio::test]
async fn a_file_that_a_hand_brings_back_is_taken_back_and_a_wrong_one_is_not() {
    let bed = Bed::with(settings());
    let [good, bad] = ["good content", "some content"].map(str::to_owned);
    let digests = [bed.push("a", &good, "v1").await, bed.push("a", &bad, "v2").await];
    let blobs = [Digest::sha256(good.as_bytes()), Digest::sha256(bad.as_bytes())];
    for blob in &blobs {
        std::fs::remove_file(path(&bed, blob)).unwrap();
        let _ = bed.registry.judge_scrubbed(blob.clone(), None).await.unwrap();
    }
    assert_eq!(findings(&bed).len(), 2);
    std::fs::write(path(&bed, &blobs[0]), &good).unwrap();
    std::fs::write(path(&bed, &blobs[1]), "same content").unwrap();
    let mut runner = Runner::new(bed.registry.clone());
    until_idle(&mut runner).await;
    assert_eq!(findings(&bed), [(FindingKind::BlobMissing, blobs[1].clone())]);
    assert_eq!(bed.count("blob_healed").await, 1);
    let reference = mcr_oci::Reference::Digest(digests[0].clone());
    let Lookup::Found(row) = bed.registry.parts.metadata.manifest(&name("a"), &reference).unwrap() else { panic!() };
    assert!(row.damage.is_empty());
}

#[tokio::test]
async fn a_file_that_a_push_replaces_while_it_is_hashed_is_no_damage() {
    let bed = Bed::with(settings());
    let digest = bed.push_blob("a", "content").await;
    rot(&path(&bed, &digest), b"cantent");
    let stat = bed.registry.parts.blobs.stat(&digest).unwrap().unwrap();
    // The scrub has hashed the rotten file; before it takes the lock a push heals it.
    let suspect = crate::integrity::Suspect { stat, computed: Digest::sha256(b"cantent") };
    let _ = bed.push_blob("a", "content").await;
    let (judged, new) = bed.registry.judge_scrubbed(digest, Some(suspect)).await.unwrap();
    assert!(matches!(judged, crate::integrity::Judged::Sound) && !new, "{judged:?}");
    assert_eq!(findings(&bed), []);
}

#[tokio::test]
async fn damaged_bytes_go_when_they_were_kept_long_enough_and_stay_counted() {
    let mut settings = settings();
    settings.scrub.quarantine_keep = Duration::from_secs(24 * 3600);
    let bed = Bed::with(settings.clone());
    let digest = bed.push_blob("a", "content").await;
    rot(&path(&bed, &digest), b"cantent");
    let _ = bed.registry.judge_scrubbed(digest, None).await.unwrap();
    let kept = || std::fs::read_dir(bed.directory.path().join("layers/quarantine")).unwrap().count();
    until_idle(&mut Runner::new(bed.registry.clone())).await;
    assert_eq!(kept(), 1);
    bed.clock.advance(2 * DAY_MS);
    until_idle(&mut Runner::new(bed.registry.clone())).await;
    assert_eq!(kept(), 0);
    assert_eq!(bed.registry.health().await.summary.unwrap().quarantined, 1, "until it is healed");
}

#[tokio::test]
async fn a_clock_that_was_ahead_makes_no_pass_endless() {
    let bed = Bed::with(settings());
    let digest = bed.push("a", "content", "v1").await;
    // Days ahead, a pass is due and begins; then the clock is set right.
    much_later(&bed);
    let ahead = bed.clock.now_ms();
    let _pass = bed
        .registry
        .parts
        .writes
        .durable(|m, done| m.begin_scrub_pass(mcr_metadata::BeginScrubPass { at_ms: ahead }, done), |_| ())
        .await
        .unwrap();
    let _ = bed.push("b", "pushed in the future", "v1").await;
    bed.clock.set(NOW + DAY_MS);
    let mut runner = Runner::new(bed.registry.clone());
    until_idle(&mut runner).await;
    let state = bed.registry.scrub_state(1).await.unwrap();
    let pass = state.last_pass.unwrap();
    assert_eq!((pass.started_at_ms, pass.blobs, pass.manifests), (NOW + DAY_MS, 2, 2));
    assert_eq!(state.oldest_verified_ms, Some(NOW + DAY_MS));
    let reference = mcr_oci::Reference::Digest(digest);
    assert!(matches!(bed.registry.parts.metadata.manifest(&name("a"), &reference).unwrap(), Lookup::Found(_)));
    // It is over: nothing is due before its time.
    let done = bed.registry.scrub_figures();
    bed.clock.advance(DAY_MS);
    until_idle(&mut runner).await;
    assert_eq!(bed.registry.scrub_figures(), done);
}

#[tokio::test]
async fn a_clock_that_is_set_back_in_the_middle_of_a_pass_ends_it_all_the_same() {
    let bed = Bed::with(settings());
    for n in 0..300 {
        let _ = bed.push_blob("a", &format!("blob {n}")).await;
    }
    much_later(&bed);
    let mut runner = Runner::new(bed.registry.clone());
    assert_eq!(runner.turn().await, Next::Wait(Duration::ZERO));
    bed.clock.set(NOW + DAY_MS);
    until_idle(&mut runner).await;
    // What it hashed before is from a time that is still to come: another pass looks at it once.
    bed.clock.advance(DAY_MS);
    let mut runner = Runner::new(bed.registry.clone());
    until_idle(&mut runner).await;
    bed.clock.advance(9 * DAY_MS);
    let mut runner = Runner::new(bed.registry.clone());
    until_idle(&mut runner).await;
    let state = bed.registry.scrub_state(5).await.unwrap();
    assert_eq!((state.pass, state.last_pass.unwrap().blobs), (None, 300));
    assert_eq!(state.oldest_verified_ms, Some(bed.clock.now_ms()));
}

#[tokio::test]
async fn a_damaged_row_is_counted_and_named_and_stops_nothing() {
    let bed = Bed::with(settings());
    let mut digests = Vec::new();
    for n in 0..4 {
        digests.push(bed.push_blob("a", &format!("blob {n}")).await);
        bed.clock.advance(1);
    }
    bed_sql(&bed, &format!("UPDATE blobs SET digest = 'sha256:no' WHERE digest = '{}'", digests[1]));
    bed_sql(&bed, "UPDATE blobs SET scrub_requested_at = 1 WHERE digest = 'sha256:no'");
    much_later(&bed);
    std::fs::remove_file(path(&bed, &digests[3])).unwrap();
    let mut runner = Runner::new(bed.registry.clone());
    until_idle(&mut runner).await;
    let pass = bed.registry.scrub_state(1).await.unwrap().last_pass.unwrap();
    assert_eq!((pass.blobs, pass.findings, pass.unreadable), (2, 1, 1));
    assert_eq!(findings(&bed), [(FindingKind::BlobMissing, digests[3].clone())], "what stands behind it is looked at");
}

#[tokio::test]
async fn what_is_asked_for_does_not_starve_the_pass() {
    // 32 small files a second.
    let scrub = ScrubSettings { rate: 2 << 20, full_pass: Duration::from_secs(10 * 24 * 3600), ..Default::default() };
    let bed = Bed::with(Settings { scrub, ..Settings::default() });
    for n in 0..200 {
        let _ = bed.push_blob("a", &format!("blob {n}")).await;
        bed.clock.advance(1);
    }
    bed_sql(&bed, "UPDATE blobs SET scrub_requested_at = 1 WHERE id > 152");
    much_later(&bed);
    let mut runner = Runner::new(bed.registry.clone());
    while !bed.registry.parts.metadata.scrub_requested(1).unwrap().is_empty() {
        assert_eq!(runner.turn().await, Next::Wait(Duration::ZERO));
    }
    let (all, pass) = (bed.registry.scrub_figures().blobs, bed.registry.scrub_state(1).await.unwrap().pass.unwrap());
    assert!(pass.blobs >= 24, "{} of {all} for the pass", pass.blobs);
}

#[tokio::test]
async fn wrong_files_in_the_place_of_damaged_blobs_are_hashed_once_however_many() {
    let bed = Bed::with(settings());
    let count = 1500;
    let mut rows = Vec::new();
    for n in 0..count {
        let digest = Digest::sha256(format!("blob {n:05}").as_bytes());
        let file = path(&bed, &digest);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, format!("blab {n:05}")).unwrap();
        rows.push(format!("('{digest}', 10, 'quarantined', 1, 1, 1, 1, 1, 1)"));
    }
    for rows in rows.chunks(500) {
        let columns = "digest, size, state, state_since, inode, mtime_ns, ctime_ns, hashed_at, created_at";
        bed_sql(&bed, &format!("INSERT INTO blobs ({columns}) VALUES {}", rows.join(", ")));
    }
    let mut runner = Runner::new(bed.registry.clone());
    let hashed = bed.registry.scrub_figures().hashed_bytes;
    for _ in 0..6 {
        runner.look_again_for_returned();
        until_idle(&mut runner).await;
    }
    assert_eq!(bed.registry.scrub_figures().hashed_bytes - hashed, count * 10);
}

#[tokio::test]
async fn nothing_is_called_gone_while_the_marker_cannot_be_read() {
    let bed = Bed::with(settings());
    let digest = bed.push_blob("a", "content").await;
    std::fs::remove_file(path(&bed, &digest)).unwrap();
    let marker = bed.directory.path().join("layers/mcr-registry-id");
    let id = std::fs::read(&marker).unwrap();
    // What is no id counts as one that cannot be read.
    std::fs::write(&marker, "").unwrap();
    let error = bed.registry.judge_scrubbed(digest.clone(), None).await.unwrap_err();
    assert!(matches!(error, crate::Error::Unavailable { .. }), "{error}");
    assert_eq!(findings(&bed), []);
    assert!(bed.registry.volume_present().is_ok(), "what can be read is served");
    std::fs::write(&marker, id).unwrap();
    let _ = bed.registry.judge_scrubbed(digest.clone(), None).await.unwrap();
    assert_eq!(findings(&bed), [(FindingKind::BlobMissing, digest)]);
}

#[tokio::test]
async fn switched_off_it_hashes_nothing() {
    let mut settings = settings();
    settings.scrub.full_pass = Duration::ZERO;
    let bed = Bed::with(settings);
    let _ = bed.push_blob("a", "content").await;
    much_later(&bed);
    let mut runner = Runner::new(bed.registry.clone());
    for _ in 0..3 {
        assert!(matches!(runner.turn().await, Next::Wait(time) if !time.is_zero()));
    }
    let state = bed.registry.scrub_state(5).await.unwrap();
    assert_eq!((state.activity, state.pass, state.last_pass), (ScrubActivity::Off, None, None));
    assert_eq!((state.blobs_total, state.bytes_total), (1, 7), "what there is, is told all the same");
}
