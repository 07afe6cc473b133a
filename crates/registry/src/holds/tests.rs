//! Tests of holds: what is young holds what it refers to, what is being written or cannot be read holds everything.

#![expect(clippy::disallowed_methods, reason = "tests look at files behind the program's back")]

use std::fs::{self, File};

use mcr_metadata::take_snapshot;

use super::*;
use crate::testing::{Bed, NOW};

const HOUR: i64 = 3_600_000;

/// A snapshot taken at a moment, and its file written then.
fn snapshot(bed: &Bed, at_ms: i64) -> SnapshotFile {
    let file = take_snapshot(&bed.database(), bed.registry.parts.holds.folder(), at_ms).unwrap().file;
    written_at(&file, at_ms);
    file
}

fn written_at(file: &SnapshotFile, at_ms: i64) {
    let at = std::time::UNIX_EPOCH + Duration::from_millis(at_ms.unsigned_abs());
    File::options().write(true).open(&file.path).unwrap().set_modified(at).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_from_the_future_does_not_hold_until_then() {
    let bed = Bed::new();
    let holds = &bed.registry.parts.holds;
    let blob = bed.push_blob("a/b", "one").await;
    // Taken by a clock that was ten years ahead, which was set right since.
    let file = snapshot(&bed, NOW + 10 * 365 * 24 * HOUR);
    written_at(&file, NOW - HOUR);
    assert!(holds.keeps(&blob).unwrap(), "it is an hour old");
    bed.clock.advance(46 * HOUR);
    assert_eq!(holds.look().unwrap(), HeldBy::Snapshots(1));
    bed.clock.advance(2 * HOUR);
    assert_eq!(holds.look().unwrap(), HeldBy::Nothing);
    assert!(!holds.keeps(&blob).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_young_snapshot_holds_what_it_refers_to_and_nothing_else() {
    let bed = Bed::new();
    let holds = &bed.registry.parts.holds;
    let before = bed.push_blob("a/b", "before").await;
    assert_eq!(holds.look().unwrap(), HeldBy::Nothing);
    assert!(!holds.keeps(&before).unwrap());
    snapshot(&bed, NOW);
    let after = bed.push_blob("a/b", "after").await;
    assert_eq!(holds.look().unwrap(), HeldBy::Snapshots(1));
    assert!(holds.holds(&before) && !holds.holds(&after));
    assert!(holds.keeps(&before).unwrap() && !holds.keeps(&after).unwrap());
    // It is noticed without a look in between, and past its hold forgotten.
    snapshot(&bed, NOW + HOUR);
    assert!(holds.keeps(&after).unwrap());
    bed.clock.advance(48 * HOUR);
    assert_eq!(holds.look().unwrap(), HeldBy::Snapshots(1));
    bed.clock.advance(HOUR);
    assert_eq!(holds.look().unwrap(), HeldBy::Nothing);
    assert!(!holds.keeps(&before).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_is_gone_or_another_under_its_name_is_seen() {
    let bed = Bed::new();
    let holds = &bed.registry.parts.holds;
    let blob = bed.push_blob("a/b", "one").await;
    let file = snapshot(&bed, NOW);
    assert!(holds.keeps(&blob).unwrap());
    fs::remove_file(&file.path).unwrap();
    assert!(!holds.keeps(&blob).unwrap());
    let other = bed.push_blob("a/b", "two").await;
    assert_eq!(snapshot(&bed, NOW).name, file.name);
    assert!(holds.keeps(&other).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_being_written_or_cannot_be_read_holds_everything() {
    let bed = Bed::new();
    let holds = &bed.registry.parts.holds;
    let file = snapshot(&bed, NOW);
    let blob = bed.push_blob("a/b", "later").await;
    assert!(!holds.keeps(&blob).unwrap());
    let partial = bed.directory.path().join("backups/mcr-20261201-000000.db.partial");
    let writer = File::create(&partial).unwrap();
    assert!(!holds.in_progress().unwrap(), "nobody has locked it");
    writer.lock().unwrap();
    assert!(holds.in_progress().unwrap() && holds.keeps(&blob).unwrap());
    assert!(matches!(holds.look().unwrap(), HeldBy::Everything(_)));
    drop(writer);
    assert!(!holds.keeps(&blob).unwrap());
    fs::write(&file.path, "no snapshot any more").unwrap();
    assert!(holds.keeps(&blob).unwrap());
    assert!(matches!(holds.look().unwrap(), HeldBy::Everything(why) if why.contains(&file.name)));
    // An old one is of no interest, readable or not.
    bed.clock.advance(49 * HOUR);
    assert!(!holds.keeps(&blob).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_read_is_an_error_and_never_nothing() {
    let bed = Bed::new();
    let holds = &bed.registry.parts.holds;
    fs::write(bed.directory.path().join("backups"), "in the way").unwrap();
    assert!(holds.look().is_err() && holds.keeps(&Digest::sha256(b"x")).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn more_snapshots_than_are_kept_open_hold_all_the_same() {
    let bed = Bed::new();
    let file = snapshot(&bed, NOW);
    let blob = bed.push_blob("a/b", "in the last").await;
    for n in 1..70 {
        fs::copy(&file.path, file.path.with_file_name(format!("mcr-20261118-{:02}{:02}30.db", 10 + n / 60, n % 60)))
            .unwrap();
    }
    let holds = &bed.registry.parts.holds;
    assert!(!holds.keeps(&blob).unwrap());
    // The last by name.
    snapshot(&bed, NOW + 20 * HOUR);
    assert!(holds.keeps(&blob).unwrap());
}
