//! Tests of judging closures: what is bad reaches every tag above it, and no other.

use super::*;
use crate::testing::{Bed, image, index};
use crate::{Snapshot, SnapshotFolder, take_snapshot};

fn snapshot(bed: &Bed) -> Snapshot {
    let taken = take_snapshot(&bed.path(), &SnapshotFolder::beside(&bed.path()), 1_795_267_496_000).unwrap();
    let snapshot = Snapshot::open(&taken.file.path).unwrap();
    snapshot.begin_judging().unwrap();
    snapshot
}

fn blob(snapshot: &Snapshot, content: &str) -> KeptBlob {
    let digest = Digest::sha256(content.as_bytes());
    snapshot.kept_blobs(0, 100).unwrap().into_iter().find(|blob| blob.digest == digest).unwrap()
}

fn mark(snapshot: &Snapshot, content: &str) {
    let id = blob(snapshot, content).id;
    snapshot.mark_bad(&BadBlob { id, kind: FindingKind::BlobMissing, detail: "gone".to_owned() }).unwrap();
}

fn broken(snapshot: &Snapshot) -> Vec<IncompleteTag> {
    snapshot.climb().unwrap();
    let mut tags = Vec::new();
    snapshot
        .incomplete_tags(&mut |tag| {
            tags.push(tag);
            Ok(())
        })
        .unwrap();
    tags
}

#[test]
fn a_lost_blob_reaches_every_tag_above_it_and_no_other() {
    let bed = Bed::new();
    let shared = bed.push_image("a/b", &["c", "shared"], &["one"], 1);
    let whole = bed.push_image("a/b", &["c", "other"], &["two"], 1);
    let inner = index(&[shared.descriptor(), whole.descriptor()]);
    bed.pushed("a/b", &inner, &["inner"], 2);
    bed.pushed("a/b", &index(&[inner.descriptor()]), &["outer"], 3);
    bed.push_image("c/d", &["c", "shared"], &["elsewhere"], 4);
    bed.push_image("c/d", &["c", "own"], &["fine"], 4);
    let snapshot = snapshot(&bed);
    assert_eq!(snapshot.tag_count().unwrap(), 6);
    assert_eq!(snapshot.blobs_and_bytes().unwrap().0, 4);
    mark(&snapshot, "shared");
    let found = broken(&snapshot);
    let names: Vec<_> = found.iter().map(|tag| format!("{}:{}", tag.repository, tag.tag)).collect();
    assert_eq!(names, ["a/b:inner", "a/b:one", "a/b:outer", "c/d:elsewhere"]);
    for tag in &found {
        assert_eq!(tag.finding.digest, Some(Digest::sha256(b"shared")));
        assert_eq!(tag.finding.kind, FindingKind::BlobMissing);
    }
    assert_eq!(found[0].finding.path, [inner.digest.clone(), shared.digest.clone()]);
    assert_eq!(found[1].finding.path, std::slice::from_ref(&shared.digest));
}

#[test]
fn manifests_whose_bytes_do_not_hash_break_the_tags_above() {
    let bed = Bed::new();
    let child = bed.push_image("a/b", &["c", "l"], &[], 1);
    bed.pushed("a/b", &index(&[child.descriptor()]), &["v1"], 2);
    bed.push_image("a/b", &["c", "m"], &["v2"], 2);
    bed.sql().execute("UPDATE manifest_contents SET bytes = x'7b7d' WHERE manifest_id = (SELECT id FROM manifests WHERE digest = ?1)", [child.digest.as_str()]).unwrap();
    let snapshot = snapshot(&bed);
    assert_eq!(snapshot.judge_manifests().unwrap(), (3, 1));
    let found = broken(&snapshot);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].tag.as_str(), found[0].finding.kind), ("v1", FindingKind::ManifestCorrupt));
    assert_eq!(found[0].finding.digest.as_ref(), Some(&child.digest));
}

#[test]
fn nothing_bad_breaks_nothing() {
    let bed = Bed::new();
    bed.push_blob("a/b", "loose", 1);
    bed.pushed(
        "a/b",
        &{
            bed.push_blob("a/b", "c", 1);
            image("c", &[])
        },
        &["v1"],
        2,
    );
    let snapshot = snapshot(&bed);
    // Nobody names it.
    mark(&snapshot, "loose");
    assert_eq!(snapshot.judge_manifests().unwrap(), (1, 0));
    assert_eq!(broken(&snapshot), []);
}

#[test]
fn a_manifest_that_no_tag_names_is_told_of_when_its_bytes_are_bad() {
    let bed = Bed::new();
    let pinned = bed.push_image("a/b", &["c", "l"], &[], 1);
    let tagged = bed.push_image("a/b", &["c", "m"], &["v1"], 1);
    let known = bed.push_image("a/b", &["c", "n"], &[], 1);
    bed.sql().execute("UPDATE manifest_contents SET bytes = x'7b7d'", []).unwrap();
    bed.sql().execute("UPDATE manifests SET state = 'corrupt' WHERE digest = ?1", [known.digest.as_str()]).unwrap();
    let snapshot = snapshot(&bed);
    assert_eq!(snapshot.judge_manifests().unwrap(), (3, 3));
    let found = broken(&snapshot);
    assert_eq!(found.iter().filter_map(|tag| tag.finding.digest.clone()).collect::<Vec<_>>(), [tagged.digest]);
    let mut apart = Vec::new();
    snapshot
        .broken_manifests_apart(&mut |finding| {
            apart.push((finding.kind, finding.repository, finding.digest));
            Ok(())
        })
        .unwrap();
    assert_eq!(apart, [(FindingKind::ManifestCorrupt, Some("a/b".to_owned()), Some(pinned.digest))]);
}
