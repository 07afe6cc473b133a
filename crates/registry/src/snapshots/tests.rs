//! Tests of snapshots as the server takes and meets them.

use mcr_metadata::SnapshotFolder;

use super::*;
use crate::settings::{BackupSettings, Settings};
use crate::testing::{Bed, NOW};

#[tokio::test(flavor = "multi_thread")]
async fn who_takes_one_is_told_and_the_oldest_go() {
    let backup = BackupSettings { keep: 2, ..BackupSettings::default() };
    let bed = Bed::with(Settings { backup, ..Settings::default() });
    bed.push("a/b", "one", "v1").await;
    assert_eq!(bed.registry.last_snapshot_success_ms(), None);
    for n in 0..3 {
        bed.clock.set(NOW + n * 1000);
        let taken = bed.registry.take_snapshot(&bed.global()).await.unwrap();
        assert_eq!((taken.blobs, taken.trouble, taken.taken_at_ms), (Some(1), None, NOW + n * 1000));
    }
    let shown = bed.registry.snapshots(&bed.global()).await.unwrap();
    assert_eq!(shown.iter().map(|one| one.taken_at_ms).collect::<Vec<_>>(), [NOW + 2000, NOW + 1000]);
    assert_eq!(bed.registry.last_snapshot_success_ms(), Some(NOW + 2000));
    let told = bed.told("snapshot_taken").await;
    assert_eq!(told.iter().map(|row| row.actor.as_str()).collect::<Vec<_>>(), ["root", "root", "root"]);
    // What was booked is not booked again, and a start remembers the time.
    bed.registry.notice_snapshots().await.unwrap();
    let bed = bed.reopen(Settings::default()).await;
    bed.registry.notice_snapshots().await.unwrap();
    assert_eq!(bed.count("snapshot_taken").await, 3);
    assert_eq!(bed.registry.last_snapshot_success_ms(), Some(NOW + 2000));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_process_took_is_booked_once_and_a_damaged_one_with_its_trouble() {
    let bed = Bed::new();
    bed.push("a/b", "one", "v1").await;
    let folder = SnapshotFolder::beside(&bed.database());
    let file = take_snapshot(&bed.database(), &folder, NOW).unwrap().file;
    bed.registry.notice_snapshots().await.unwrap();
    bed.registry.notice_snapshots().await.unwrap();
    let told = bed.told("snapshot_taken").await;
    assert_eq!((told.len(), told[0].actor.as_str()), (1, "mcrsrv"));
    damage(&file.path);
    bed.registry.notice_snapshots().await.unwrap();
    let shown = bed.registry.snapshots(&bed.global()).await.unwrap();
    assert!(shown[0].trouble.is_some() && shown[0].blobs.is_none(), "{shown:?}");
    assert_eq!(bed.count("snapshot_taken").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_one_copies_the_blobs_where_that_is_configured() {
    let target = tempfile::tempdir().unwrap();
    let backup = BackupSettings { blobs: Some(target.path().join("copy")), ..BackupSettings::default() };
    let bed = Bed::with(Settings { backup, ..Settings::default() });
    bed.push("a/b", "one", "v1").await;
    let (record, report) = bed.registry.run_scheduled_snapshot().await.unwrap();
    let report = report.unwrap();
    assert_eq!((report.copied, report.judgement.findings_total), (1, 0), "{report:?}");
    let copy = target.path().join("copy");
    let checked = crate::check(&copy.join(&record.name), &copy, &Progress::default()).unwrap();
    assert_eq!((checked.judgement.tags, checked.judgement.findings_total, checked.manifests), (1, 0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_the_blobs_does_not_keep_the_registry_from_closing() {
    let target = tempfile::tempdir().unwrap();
    let backup = BackupSettings { blobs: Some(target.path().join("copy")), ..BackupSettings::default() };
    let bed = Bed::with(Settings { backup, ..Settings::default() });
    bed.push("a/b", "one", "v1").await;
    bed.registry.parts.volume.stop();
    let stopped = bed.registry.run_scheduled_snapshot().await.unwrap_err();
    assert_eq!(stopped.to_string(), Error::stopping().to_string());
    assert_eq!(bed.registry.snapshots(&bed.global()).await.unwrap().len(), 1, "the snapshot itself is there");
    // What is waiting to be told is told before whatever else the registry waits for.
    let (digest, done) = (mcr_oci::Digest::sha256(b"one"), Arc::new(tokio::sync::Notify::new()));
    bed.registry.note_pull(&crate::testing::user("ann"), &crate::testing::name("a/b"), &digest);
    let long = Arc::clone(&done);
    bed.registry.parts.tasks.spawn(async move { long.notified().await });
    let closing = tokio_util::task::TaskTracker::new().spawn(bed.registry.clone().close());
    while bed.count("manifest_pulled").await == 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(!closing.is_finished());
    done.notify_one();
    closing.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_from_the_future_does_not_say_that_all_is_well_until_then() {
    const YEAR: i64 = 365 * 86_400_000;
    let bed = Bed::new();
    bed.push("a/b", "one", "v1").await;
    // By a clock that was ahead, and the next one by a right one, which has to have the later name.
    let folder = SnapshotFolder::beside(&bed.database());
    take_snapshot(&bed.database(), &folder, NOW + YEAR).unwrap();
    bed.registry.notice_snapshots().await.unwrap();
    assert_eq!(bed.registry.last_snapshot_success_ms(), Some(NOW));
    bed.clock.set(NOW + 1000);
    let taken = bed.registry.take_snapshot(&bed.global()).await.unwrap();
    assert_eq!(taken.taken_at_ms, NOW + YEAR + 1000);
    assert_eq!(bed.registry.last_snapshot_success_ms(), Some(NOW + 1000));
    // Days later it is not booked anew by a start.
    bed.clock.set(NOW + YEAR / 2);
    let bed = bed.reopen(Settings::default()).await;
    bed.registry.notice_snapshots().await.unwrap();
    assert_eq!(bed.registry.last_snapshot_success_ms(), Some(NOW + 1000));
}

#[expect(clippy::disallowed_methods, reason = "tests damage files behind the program's back")]
fn damage(path: &std::path::Path) {
    std::fs::write(path, "no snapshot any more").unwrap();
}
