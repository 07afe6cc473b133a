//! Tests of candidates, passes and who is broken by a digest.

use mcr_oci::{Digest, RepositoryName};

use super::{BeginScrubPass, EndScrubPass, KEEP_PASSES, RecordScrub, ReturnBlob, ScrubCursor, Scrubbed};
use crate::testing::{Bed, image, index, stat};
use crate::{BlobState, RecordHash, RequestScrub, SetBlobState};

fn digest(content: &str) -> Digest {
    Digest::sha256(content.as_bytes())
}

fn hash(content: &str, at_ms: i64) -> RecordHash {
    RecordHash { digest: digest(content), stat: stat(content.len() as u64), hashed_at_ms: at_ms }
}

fn damage(bed: &Bed, content: &str, at_ms: i64) {
    let write = SetBlobState { digest: digest(content), state: BlobState::Missing, finding: None, at_ms };
    assert!(bed.wait(|m, done| m.set_blob_state(write, done)).unwrap());
}

#[test]
fn blobs_come_oldest_first_and_each_once() {
    let bed = Bed::new();
    for (content, at) in [("late", 30), ("old", 10), ("gone", 5), ("same", 10), ("new", 100)] {
        let _ = bed.push_blob("a", content, at);
    }
    damage(&bed, "gone", 40);
    let mut seen = Vec::new();
    let mut cursor = ScrubCursor::START;
    loop {
        let page = bed.metadata.scrub_blobs(100, cursor, 2).unwrap();
        let Some(last) = page.last() else { break };
        cursor = ScrubCursor { hashed_at_ms: last.hashed_at_ms, id: last.id };
        seen.extend(page.into_iter().map(|blob| blob.digest));
    }
    assert_eq!(seen, ["old", "same", "late"].map(digest));
    let survey = bed.metadata.scrub_survey(100).unwrap();
    assert_eq!((survey.blobs, survey.bytes, survey.cost), (4, 14, 400));
    assert_eq!(survey.oldest_hashed_at_ms, Some(10));
    let gone = bed.metadata.unsound_blobs(0, 10).unwrap();
    assert_eq!(gone.iter().map(|blob| &blob.digest).collect::<Vec<_>>(), [&digest("gone")]);
    assert_eq!(bed.metadata.unsound_blobs(gone[0].id, 10).unwrap(), []);
}

#[test]
fn what_reads_ask_for_is_a_list_that_a_hash_or_a_failure_shortens() {
    let bed = Bed::new();
    for (content, at) in [("one", 30), ("two", 10)] {
        let _ = bed.push_blob("a", content, at);
        let request = RequestScrub { digest: digest(content), at_ms: 100 - at };
        bed.wait(|m, done| m.request_scrub(request, done)).unwrap();
    }
    let asked = |bed: &Bed| -> Vec<Digest> {
        bed.metadata.scrub_requested(10).unwrap().into_iter().map(|blob| blob.digest).collect()
    };
    assert_eq!(asked(&bed), ["one", "two"].map(digest));
    bed.wait(|m, done| m.forget_scrub_request(digest("one"), done)).unwrap();
    assert_eq!(asked(&bed), [digest("two")]);
    let done = RecordScrub { blobs: vec![hash("two", 200)], ..RecordScrub::default() };
    bed.wait(|m, answer| m.record_scrub(done, answer)).unwrap();
    assert_eq!(asked(&bed), []);
    assert_eq!(bed.metadata.blob_anywhere(&digest("two")).unwrap().unwrap().hashed_at_ms, 200);
}

#[test]
fn a_pass_goes_on_after_a_restart_and_keeps_its_figures() {
    let bed = Bed::new();
    let image = bed.push_image("a", &["c", "l"], &["v1"], 1);
    let pass = bed.wait(|m, done| m.begin_scrub_pass(BeginScrubPass { at_ms: 50 }, done)).unwrap();
    let manifest = bed.metadata.scrub_manifests(50, ScrubCursor::START, 10).unwrap();
    let stored = bed.metadata.stored_manifest(manifest[0].id).unwrap().unwrap();
    assert_eq!((stored.repository.as_str(), stored.digest, stored.bytes), ("a", image.digest, image.bytes.to_vec()));
    let done = RecordScrub {
        pass: Some(pass.id),
        blobs: vec![hash("c", 60)],
        manifests: vec![(manifest[0].id, 60)],
        done: Scrubbed { blobs: 1, manifests: 1, bytes: 300, findings: 2 },
    };
    bed.wait(|m, answer| m.record_scrub(done, answer)).unwrap();
    let bed = bed.reopen();
    let again = bed.wait(|m, done| m.begin_scrub_pass(BeginScrubPass { at_ms: 70 }, done)).unwrap();
    assert_eq!((again.id, again.started_at_ms, again.blobs, again.bytes), (pass.id, 50, 1, 300));
    assert_eq!(bed.metadata.scrub_manifests(50, ScrubCursor::START, 10).unwrap(), []);
    assert_eq!(bed.metadata.scrub_blobs(50, ScrubCursor::START, 10).unwrap().len(), 1);
    for (unreadable, at_ms) in [(3, 80), (0, 90)] {
        let end = EndScrubPass { id: pass.id, unreadable, at_ms };
        bed.wait(|m, done| m.end_scrub_pass(end, done)).unwrap();
    }
    let passes = bed.metadata.scrub_passes(10).unwrap();
    assert_eq!((passes.len(), passes[0].ended_at_ms, passes[0].unreadable), (1, Some(80), 0));
}

#[test]
fn passes_are_bounded() {
    let bed = Bed::new();
    for at_ms in 0..KEEP_PASSES + 7 {
        let pass = bed.wait(|m, done| m.begin_scrub_pass(BeginScrubPass { at_ms }, done)).unwrap();
        let end = EndScrubPass { id: pass.id, unreadable: 0, at_ms };
        bed.wait(|m, done| m.end_scrub_pass(end, done)).unwrap();
    }
    assert_eq!(bed.count("SELECT count(*) FROM scrub_passes"), KEEP_PASSES);
    assert_eq!(bed.metadata.scrub_passes(2).unwrap()[0].started_at_ms, KEEP_PASSES + 6);
}

#[test]
fn a_blob_comes_back_once_and_its_finding_goes() {
    let bed = Bed::new();
    let _ = bed.push_blob("a", "content", 1);
    damage(&bed, "content", 2);
    let back = |size| ReturnBlob { digest: digest("content"), stat: stat(size), hashed_at_ms: 3 };
    let returned = |size| bed.wait(|m, done| m.return_blob(back(size), done)).unwrap();
    assert!(!returned(3), "another length");
    assert!(returned(7));
    assert!(!returned(7), "sound already");
    assert_eq!(bed.metadata.integrity(10).unwrap(), []);
    let row = bed.metadata.blob_anywhere(&digest("content")).unwrap().unwrap();
    assert_eq!((row.state, row.hashed_at_ms), (BlobState::Sound, 3));
}

#[test]
fn who_is_broken_is_told_through_indexes_and_in_every_repository() {
    let bed = Bed::new();
    let child = bed.push_image("a", &["c", "l"], &[], 1);
    bed.pushed("a", &index(&[child.descriptor()]), &["v1", "v2"], 2);
    let _ = bed.push_image("b", &["c", "l"], &["x"], 3);
    let _ = bed.push_image("b", &["c", "other"], &["y"], 3);
    let tags = |found: crate::BrokenBy| -> (Vec<String>, bool) {
        (found.tags.into_iter().map(|(repository, tag)| format!("{repository}:{tag}")).collect(), found.more)
    };
    let layer = bed.metadata.broken_by_blob(&digest("l"), 10).unwrap();
    assert_eq!(tags(layer), (["a:v1", "a:v2", "b:x"].map(str::to_owned).to_vec(), false));
    let (some, more) = tags(bed.metadata.broken_by_blob(&digest("l"), 2).unwrap());
    assert_eq!((some.len(), more), (2, true));
    let manifest = image("c", &["l"]).digest;
    let a = RepositoryName::parse("a").unwrap();
    let found = bed.metadata.broken_by_manifest(&a, &manifest, 10).unwrap();
    assert_eq!(tags(found), (["a:v1", "a:v2"].map(str::to_owned).to_vec(), false));
}
