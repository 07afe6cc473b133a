//! Tests of what is noted about files: states, hash times, scrub requests, leases.

use mcr_oci::{Digest, Finding, FindingKind};

use crate::testing::{Bed, Pushed, repository, stat};
use crate::{BlobState, Content, RecordHash, RecordedStat, RenewLease, RequestScrub, SetBlobState};

fn lease(bed: &Bed, name: &str, digest: &Digest, content: Content, until_ms: i64) -> bool {
    let request = RenewLease { repository: repository(name), digest: digest.clone(), content, until_ms };
    bed.wait(|metadata, done| metadata.renew_lease(request, done)).unwrap()
}

fn lease_blob(bed: &Bed, content: &str, until_ms: i64) -> bool {
    lease(bed, "a/b", &Digest::sha256(content.as_bytes()), Content::Blob, until_ms)
}

fn lease_manifest(bed: &Bed, manifest: &Pushed, until_ms: i64) -> bool {
    lease(bed, "a/b", &manifest.digest, Content::Manifest, until_ms)
}

#[test]
fn a_state_opens_one_finding_however_often_it_is_met() {
    let bed = Bed::new();
    assert!(!bed.set_state("x", BlobState::Missing, "gone", 1));
    bed.push_blob("a/b", "x", 1);
    for at_ms in 2..5 {
        assert!(bed.set_state("x", BlobState::Missing, "gone", at_ms));
    }
    let open = bed.metadata.integrity(10).unwrap();
    assert_eq!(open.len(), 1);
    assert_eq!((open[0].opened_at_ms, open[0].seen_at_ms), (2, 4));
    assert_eq!(open[0].finding.kind, FindingKind::BlobTruncated);
    assert_eq!(open[0].finding.digest, Some(Digest::sha256(b"x")));
    assert_eq!(open[0].finding.size, Some(1));
    assert_eq!(bed.count("SELECT count(*) FROM audit WHERE event = 'blob_quarantined'"), 1);
    // An operator put the file back, and it hashed right.
    assert!(bed.set_state("x", BlobState::Sound, "", 6));
    assert!(bed.set_state("x", BlobState::Sound, "", 7));
    assert_eq!(bed.metadata.integrity(10).unwrap(), []);
    assert_eq!(bed.count("SELECT count(*) FROM audit WHERE event = 'blob_healed'"), 1);
    bed.audited();
}

#[test]
fn a_state_without_a_finding_makes_one_that_healing_closes() {
    let bed = Bed::new();
    bed.push_blob("a/b", "x", 1);
    for (finding, kind) in [(None, FindingKind::BlobMissing), (Some(FindingKind::LinkOrphan), FindingKind::BlobMissing)]
    {
        let request = SetBlobState {
            digest: Digest::sha256(b"x"),
            state: BlobState::Missing,
            finding: finding.map(Finding::new),
            at_ms: 2,
        };
        bed.wait(|metadata, done| metadata.set_blob_state(request, done)).unwrap();
        assert_eq!(bed.metadata.integrity(10).unwrap()[0].finding.kind, kind);
        assert!(bed.push_blob("a/b", "x", 3).healed);
        assert_eq!(bed.metadata.integrity(10).unwrap(), []);
    }
}

#[test]
fn only_newer_news_of_a_sound_blob_counts() {
    let bed = Bed::new();
    bed.push_blob("a/b", "x", 5);
    let record = |inode: u64, size: u64, hashed_at_ms: i64| {
        let stat = RecordedStat { inode, ..stat(size) };
        let request = RecordHash { digest: Digest::sha256(b"x"), stat, hashed_at_ms, now_ms: hashed_at_ms };
        bed.wait(|metadata, done| metadata.record_hash(request, done)).unwrap();
        let blob = bed.blob("a/b", "x").unwrap();
        (blob.stat.inode, blob.hashed_at_ms)
    };
    let first = (stat(1).inode, 5);
    assert_eq!(record(8, 1, 4), first);
    assert_eq!(record(8, 2, 6), first);
    assert_eq!(record(8, 1, 6), (8, 6));
    bed.set_state("x", BlobState::Quarantined, "flipped", 7);
    assert_eq!(record(9, 1, 8), (8, 6));
}

#[test]
fn a_hash_time_that_is_still_to_come_is_no_news() {
    let bed = Bed::new();
    let (now, day) = (1_000_000_000, 24 * 3600 * 1000);
    // Pushed while the clock was a day ahead.
    bed.push_blob("a/b", "x", now + day);
    let record = |inode: u64, hashed_at_ms: i64, now_ms: i64| {
        let stat = RecordedStat { inode, ..stat(1) };
        let request = RecordHash { digest: Digest::sha256(b"x"), stat, hashed_at_ms, now_ms };
        bed.wait(|metadata, done| metadata.record_hash(request, done)).unwrap();
        let blob = bed.blob("a/b", "x").unwrap();
        (blob.stat.inode, blob.hashed_at_ms)
    };
    assert_eq!(record(8, now, now), (8, now));
    // A push in a moment that this write does not know yet is news all the same.
    bed.push_blob("a/b", "x", now + 500);
    assert_eq!(record(9, now + 100, now + 400), (stat(1).inode, now + 500));
}

#[test]
fn a_scrub_request_stands_until_the_next_hash() {
    let bed = Bed::new();
    bed.push_blob("a/b", "x", 5);
    let request = || RequestScrub { digest: Digest::sha256(b"x"), at_ms: 6 };
    bed.wait(|metadata, done| metadata.request_scrub(request(), done)).unwrap();
    assert!(bed.blob("a/b", "x").unwrap().scrub_requested);
    let hash = RecordHash { digest: Digest::sha256(b"x"), stat: stat(1), hashed_at_ms: 7, now_ms: 7 };
    bed.wait(|metadata, done| metadata.record_hash(hash, done)).unwrap();
    assert!(!bed.blob("a/b", "x").unwrap().scrub_requested);
}

#[test]
fn a_lease_moves_only_forward_and_only_what_nothing_names() {
    let bed = Bed::new();
    assert!(!lease_blob(&bed, "c", 5));
    bed.push_blob("a/b", "c", 1);
    assert!(lease_blob(&bed, "c", 5));
    assert!(lease_blob(&bed, "c", 3));
    assert_eq!(bed.blob("a/b", "c").unwrap().unreferenced_since_ms, Some(5));
    let image = bed.push_image("a/b", &["c"], &[], 6);
    assert!(lease_blob(&bed, "c", 7));
    assert_eq!(bed.blob("a/b", "c").unwrap().unreferenced_since_ms, None);
    assert!(lease_manifest(&bed, &image, 8));
    assert_eq!(bed.manifest("a/b", &image).unwrap().unreferenced_since_ms, Some(8));
    bed.delete("a/b", &image, 9);
    assert!(!lease_manifest(&bed, &image, 10));
    bed.delete_blob("a/b", "c", 9);
    assert!(!lease_blob(&bed, "c", 10));
    assert_eq!(bed.count("SELECT max(unreferenced_since) FROM repository_blobs"), 9);
}
