//! Tests of candidates, passes and who is broken by a digest.

use mcr_oci::{Digest, RepositoryName};

use super::{
    BeginScrubPass, EndScrubPass, KEEP_PASSES, RecordScrub, ReturnBlob, ScrubAsk, ScrubBlob, ScrubCursor,
    ScrubManifest, Scrubbed,
};
use crate::testing::{Bed, image, index, stat};
use crate::{BlobState, RecordHash, RequestScrub, SetBlobState};

fn digest(content: &str) -> Digest {
    Digest::sha256(content.as_bytes())
}

fn hash(content: &str, at_ms: i64) -> RecordHash {
    RecordHash { digest: digest(content), stat: stat(content.len() as u64), hashed_at_ms: at_ms, now_ms: NOW }
}

/// The time it is.
const NOW: i64 = 1_000_000_000;

fn ask(before_ms: i64, after: ScrubCursor, limit: usize) -> ScrubAsk {
    ScrubAsk { before_ms, now_ms: NOW, after, limit }
}

/// Blobs that were last hashed before, all of them fit.
fn blobs(bed: &Bed, before_ms: i64, after: ScrubCursor, limit: usize) -> Vec<ScrubBlob> {
    bed.metadata.scrub_blobs(&ask(before_ms, after, limit)).unwrap().into_iter().map(Result::unwrap).collect()
}

fn manifests(bed: &Bed, before_ms: i64) -> Vec<ScrubManifest> {
    bed.metadata.scrub_manifests(&ask(before_ms, ScrubCursor::START, 10)).unwrap()
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
        let page = blobs(&bed, 100, cursor, 2);
        let Some(last) = page.last() else { break };
        cursor = ScrubCursor { hashed_at_ms: last.hashed_at_ms, id: last.id };
        seen.extend(page.into_iter().map(|blob| blob.digest));
    }
    assert_eq!(seen, ["old", "same", "late"].map(digest));
    let survey = bed.metadata.scrub_survey(100, NOW).unwrap();
    assert_eq!((survey.blobs, survey.bytes, survey.cost), (4, 14, 400));
    assert_eq!(survey.oldest_hashed_at_ms, Some(10));
    let gone: Vec<ScrubBlob> = bed.metadata.unsound_blobs(0, 10).unwrap().into_iter().map(Result::unwrap).collect();
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
    let done = RecordScrub { blobs: vec![hash("two", 200)], now_ms: NOW, ..RecordScrub::default() };
    bed.wait(|m, answer| m.record_scrub(done, answer)).unwrap();
    assert_eq!(asked(&bed), []);
    assert_eq!(bed.metadata.blob_anywhere(&digest("two")).unwrap().unwrap().hashed_at_ms, 200);
}

#[test]
fn a_pass_goes_on_after_a_restart_and_keeps_its_figures() {
    let bed = Bed::new();
    let image = bed.push_image("a", &["c", "l"], &["v1"], 1);
    let pass = bed.wait(|m, done| m.begin_scrub_pass(BeginScrubPass { at_ms: 50 }, done)).unwrap();
    let manifest = manifests(&bed, 50);
    let stored = bed.metadata.stored_manifest(manifest[0].id).unwrap().unwrap();
    assert_eq!((stored.repository.as_str(), stored.digest, stored.bytes), ("a", image.digest, image.bytes.to_vec()));
    let done = RecordScrub {
        pass: Some(pass.id),
        blobs: vec![hash("c", 60)],
        manifests: vec![(manifest[0].id, 60)],
        done: Scrubbed { blobs: 1, manifests: 1, bytes: 300, findings: 2 },
        now_ms: NOW,
    };
    bed.wait(|m, answer| m.record_scrub(done, answer)).unwrap();
    let bed = bed.reopen();
    let again = bed.wait(|m, done| m.begin_scrub_pass(BeginScrubPass { at_ms: 70 }, done)).unwrap();
    assert_eq!((again.id, again.started_at_ms, again.blobs, again.bytes), (pass.id, 50, 1, 300));
    assert_eq!(manifests(&bed, 50), []);
    assert_eq!(blobs(&bed, 50, ScrubCursor::START, 10).len(), 1);
    for (unreadable, at_ms) in [(3, 80), (0, 90)] {
        let end = EndScrubPass { id: pass.id, unreadable, at_ms };
        bed.wait(|m, done| m.end_scrub_pass(end, done)).unwrap();
    }
    let passes = bed.metadata.scrub_passes(10).unwrap();
    assert_eq!((passes.len(), passes[0].ended_at_ms, passes[0].unreadable), (1, Some(80), 0));
}

#[test]
fn what_a_clock_that_was_ahead_noted_is_looked_at_and_noted_anew() {
    let bed = Bed::new();
    let ahead = NOW + 24 * 3600 * 1000;
    let _ = bed.push_image("a", &["c", "l"], &["v1"], ahead);
    let _ = bed.push_blob("a", "sane", NOW - 5);
    assert_eq!(bed.metadata.scrub_survey(0, NOW).unwrap().oldest_hashed_at_ms, Some(0));
    let pass = bed.wait(|m, done| m.begin_scrub_pass(BeginScrubPass { at_ms: ahead }, done)).unwrap();
    assert_eq!(pass.started_at_ms, ahead);
    let pass = bed.wait(|m, done| m.begin_scrub_pass(BeginScrubPass { at_ms: NOW }, done)).unwrap();
    assert_eq!(pass.started_at_ms, NOW);
    assert_eq!(bed.metadata.scrub_passes(1).unwrap()[0].started_at_ms, NOW, "and stays so");
    let found = blobs(&bed, NOW, ScrubCursor::START, 10);
    assert_eq!(found.iter().map(|blob| blob.hashed_at_ms).collect::<Vec<_>>(), [0, 0, NOW - 5]);
    let record = RecordScrub {
        blobs: ["c", "l", "sane"].map(|content| hash(content, NOW)).to_vec(),
        manifests: vec![(manifests(&bed, NOW)[0].id, NOW)],
        now_ms: NOW,
        ..RecordScrub::default()
    };
    bed.wait(|m, answer| m.record_scrub(record, answer)).unwrap();
    assert_eq!((blobs(&bed, NOW, ScrubCursor::START, 10), manifests(&bed, NOW)), (Vec::new(), Vec::new()));
    assert_eq!(bed.metadata.scrub_survey(0, NOW).unwrap().oldest_hashed_at_ms, Some(NOW));
}

#[test]
fn a_damaged_row_stands_among_the_others_and_hides_none() {
    let bed = Bed::new();
    for (content, at) in [("one", 1), ("two", 2), ("three", 3)] {
        let _ = bed.push_blob("a", content, at);
    }
    let digest = digest("two");
    let sql = format!("UPDATE blobs SET digest = 'sha256:XY' WHERE digest = '{digest}'");
    rusqlite::Connection::open(bed.path()).unwrap().execute_batch(&sql).unwrap();
    let found = bed.metadata.scrub_blobs(&ask(100, ScrubCursor::START, 10)).unwrap();
    let [Ok(one), Err(unfit), Ok(three)] = &found[..] else { panic!("{found:?}") };
    assert_eq!((one.hashed_at_ms, unfit.hashed_at_ms, three.hashed_at_ms), (1, 2, 3));
    assert!(unfit.why.contains("sha256:XY"), "{}", unfit.why);
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
