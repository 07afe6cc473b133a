//! Files whose rows are gone: whom their removal keeps waiting, and what a disk that fails leaves lying.

use std::time::Duration;

use mcr_metadata::{BlobStep, PlanState};
use mcr_oci::{Digest, Reference};

use super::{AT_ONCE, HOUR, blobs, file, run, today};
use crate::gc::GcOptions;
use crate::gc::chunk::{Chunk, Doomed};
use crate::plans::system;
use crate::testing::{Bed, admin};

/// Removes the rows of `digests` as a run does, up to where their files must go.
async fn rows_gone(bed: &Bed, digests: &[Digest]) -> Vec<Doomed> {
    let parts = &bed.registry.parts;
    let step = |digest: &Digest| BlobStep { position: 1, digest: digest.clone(), link_of: None };
    let (chunk, busy) = Chunk::lock(&parts.locks, digests.iter().map(step).collect());
    assert!(busy.is_empty());
    let due = bed.registry.asked(AT_ONCE).due(bed.clock.now_ms());
    let request = chunk.request("some plan", due, &system());
    let removals = parts.writes.durable(|m, done| m.remove_blobs(request, done), |_| ()).await.unwrap();
    let (doomed, again) = chunk.removed(&removals);
    assert_eq!((doomed.len(), again.len()), (digests.len(), 0));
    doomed
}

#[tokio::test]
async fn a_push_waits_for_no_unlink_of_another_digest() {
    let bed = Bed::new();
    let digests = blobs(&bed, 3, 10).await;
    bed.clock.advance(2 * HOUR);
    let doomed = rows_gone(&bed, &digests).await;
    // As long as the first unlink may take: a push of the last one is through before any.
    let content = format!("{:0>10}", 2);
    let push = bed.push_blob("b", &content);
    tokio::time::timeout(Duration::from_secs(20), push).await.expect("it waits for unlinks of others");
    bed.registry.unlink_all(doomed).await.unwrap();
    let there: Vec<bool> = digests.iter().map(|digest| file(&bed, digest).exists()).collect();
    assert_eq!(there, [false, false, true], "what was pushed again is its pusher's");
    bed.registry.blob_info(&bed.permit(&admin(), "b"), &digests[2]).await.unwrap();
}

#[tokio::test]
async fn a_file_goes_when_its_own_lock_is_free_and_keeps_no_other() {
    let bed = Bed::new();
    let digests = blobs(&bed, 2, 10).await;
    bed.clock.advance(2 * HOUR);
    let doomed = rows_gone(&bed, &digests).await;
    // A push that will fail, say.
    let pushing = bed.registry.parts.locks.lock(&digests[0]).await;
    let registry = bed.registry.clone();
    let unlinking = tokio::spawn(async move { registry.unlink_all(doomed).await });
    let other_goes = async {
        while file(&bed, &digests[1]).exists() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), other_goes).await.expect("it waits for a lock of another");
    assert!(file(&bed, &digests[0]).exists());
    drop(pushing);
    unlinking.await.unwrap().unwrap();
    assert!(!file(&bed, &digests[0]).exists());
}

#[tokio::test]
async fn what_the_disk_does_not_show_stops_nothing_and_is_looked_for_again() {
    let bed = today();
    let image = bed.push("a", "a live image", "v1").await;
    let live = Digest::sha256(b"a live image");
    let (free, stuck) = (bed.push_blob("a", "goes").await, bed.push_blob("a", "does not go").await);
    let (stray, hidden) = (Digest::sha256(b"a stray"), Digest::sha256(b"a hidden stray"));
    for (digest, content) in [(&stray, "a stray"), (&hidden, "a hidden stray")] {
        std::fs::create_dir_all(file(&bed, digest).parent().unwrap()).unwrap();
        std::fs::write(file(&bed, digest), content).unwrap();
    }
    let away = [&live, &stuck, &hidden];
    assert!(away.iter().all(|away| [&free, &stray].iter().all(|here| here.hex()[..2] != away.hex()[..2])));
    away.iter().for_each(|digest| bed.hide_directory_of(digest, true));
    bed.clock.advance(2 * HOUR);
    bed.registry.note_reconcile(true).await.unwrap();

    let plan = run(&bed, AT_ONCE).await;
    assert_eq!((plan.state, plan.progress.blobs_removed, plan.progress.files_removed), (PlanState::Done, 2, 1));
    assert_eq!(plan.progress.bytes_freed, "goes".len() as u64 + "a stray".len() as u64, "what lies there is not freed");
    assert_eq!(plan.progress.findings, 0, "unknown is not damaged");
    assert!(!file(&bed, &free).exists() && !file(&bed, &stray).exists());
    assert!(bed.registry.wants_reconcile().await.unwrap());

    away.iter().for_each(|digest| bed.hide_directory_of(digest, false));
    let plan = run(&bed, GcOptions::default()).await;
    let bytes = "does not go".len() as u64 + "a hidden stray".len() as u64;
    assert_eq!((plan.progress.files_removed, plan.progress.bytes_freed), (2, bytes));
    assert!(!bed.registry.wants_reconcile().await.unwrap());
    let permit = bed.permit(&admin(), "a");
    bed.registry.manifest(&permit, Reference::Digest(image), crate::Reading::Get).await.unwrap();
}
