//! Tests of closures: everything live, each once, nothing else, and bounded.

use std::collections::BTreeSet;

use mcr_oci::Digest;

use super::MAX_CLOSURE_BYTES;
use crate::testing::{Bed, index, repository};
use crate::{BlobState, ClosureRows, Error};

fn digests(contents: &[&str]) -> BTreeSet<Digest> {
    contents.iter().map(|content| Digest::sha256(content.as_bytes())).collect()
}

fn closure(bed: &Bed, roots: &[&Digest]) -> ClosureRows {
    let roots: Vec<Digest> = roots.iter().map(|root| (*root).clone()).collect();
    bed.metadata.closure(&repository("a/b"), &roots).unwrap()
}

#[test]
fn it_reaches_everything_through_nested_indexes_once() {
    let bed = Bed::new();
    let one = bed.push_image("a/b", &["c1", "shared", "l1"], &[], 1);
    let two = bed.push_image("a/b", &["c2", "shared", "l2"], &[], 1);
    bed.push_image("a/b", &["c3", "l3"], &["stranger"], 1);
    let inner = index(&[one.descriptor(), two.descriptor()]);
    bed.pushed("a/b", &inner, &[], 2);
    let outer = index(&[inner.descriptor(), one.descriptor()]);
    bed.pushed("a/b", &outer, &["v1"], 3);
    let rows = closure(&bed, &[&outer.digest]);
    let manifests: BTreeSet<_> = rows.manifests.keys().cloned().collect();
    let expected = [&one, &two, &inner, &outer].map(|manifest| manifest.digest.clone());
    assert_eq!(manifests, BTreeSet::from(expected));
    assert_eq!(rows.manifests[&two.digest].bytes.as_slice(), &*two.bytes);
    let blobs: BTreeSet<_> = rows.blobs.keys().cloned().collect();
    assert_eq!(blobs, digests(&["c1", "c2", "shared", "l1", "l2"]));
    assert!(rows.blobs.values().all(|blob| blob.referenced && blob.unreferenced_since_ms.is_none()));
}

#[test]
fn the_roots_of_a_manifest_yet_to_come_are_found_as_what_they_are() {
    let bed = Bed::new();
    let image = bed.push_image("a/b", &["c"], &[], 1);
    bed.push_blob("a/b", "free", 5);
    bed.push_blob("c/d", "elsewhere", 5);
    let (free, elsewhere) = (Digest::sha256(b"free"), Digest::sha256(b"elsewhere"));
    let rows = closure(&bed, &[&image.digest, &free, &free, &elsewhere]);
    assert_eq!(rows.manifests.len(), 1);
    assert_eq!(rows.blobs.len(), 2);
    assert_eq!((rows.blobs[&free].referenced, rows.blobs[&free].unreferenced_since_ms), (false, Some(5)));
    assert_eq!(bed.metadata.closure(&repository("no/where"), &[free]).unwrap(), ClosureRows::default());
}

#[test]
fn tombstones_are_not_there_and_damage_is_told() {
    let bed = Bed::new();
    let image = bed.push_image("a/b", &["c", "l"], &[], 1);
    bed.set_state("l", BlobState::Quarantined, "flipped", 2);
    let rows = closure(&bed, &[&image.digest]);
    let blob = &rows.blobs[&Digest::sha256(b"l")];
    assert_eq!((blob.state, blob.detail.as_deref()), (BlobState::Quarantined, Some("flipped")));
    bed.delete("a/b", &image, 3);
    assert_eq!(closure(&bed, &[&image.digest]), ClosureRows::default());
    bed.delete_blob("a/b", "c", 4);
    assert_eq!(closure(&bed, &[&Digest::sha256(b"c")]), ClosureRows::default());
}

#[test]
fn a_closure_that_is_too_large_is_an_error() {
    let bed = Bed::new();
    let image = bed.push_image("a/b", &["c"], &["v1"], 1);
    // Only the size that is recorded counts: nobody needs 64 MiB to test this.
    bed.sql().execute("UPDATE manifests SET size = ?1", [i64::try_from(MAX_CLOSURE_BYTES + 1).unwrap()]).unwrap();
    let error = bed.metadata.closure(&repository("a/b"), &[image.digest]).unwrap_err();
    assert!(matches!(error, Error::ClosureTooLarge(_)), "{error}");
}
