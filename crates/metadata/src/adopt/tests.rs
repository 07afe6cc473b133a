//! Tests of what imports write: times of elsewhere in the rows, now in the audit trail, and a push's refusals.

use std::sync::Arc;

use mcr_oci::Digest;
use rusqlite::Connection;

use super::*;
use crate::testing::{Bed, Pushed, image, repository, stat, tag};
use crate::{BlobState, SetBlobState};

fn book(bed: &Bed, contents: &[&str]) {
    let blob = |content: &&str| AdoptedBlob {
        digest: Digest::sha256(content.as_bytes()),
        size: content.len() as u64,
        stat: stat(content.len() as u64),
    };
    let blobs = contents.iter().map(blob).collect();
    bed.wait(|m, done| m.adopt_blobs(AdoptBlobs { blobs, at_ms: 1_000 }, done)).unwrap();
}

fn link(bed: &Bed, name: &str, contents: &[&str]) -> Vec<Digest> {
    let digests = contents.iter().map(|content| Digest::sha256(content.as_bytes())).collect();
    let request = LinkBlobs { repository: repository(name), digests, at_ms: 1_000 };
    bed.wait(|m, done| m.link_blobs(request, done)).unwrap()
}

fn adopt(bed: &Bed, name: &str, pushed: &Pushed, pushed_ms: i64, tags: &[(&str, i64)]) -> CommitOutcome {
    let commit = CommitManifest {
        repository: repository(name),
        reference_digest: pushed.digest.clone(),
        manifest: Arc::clone(&pushed.manifest),
        bytes: Arc::clone(&pushed.bytes),
        tags: Vec::new(),
        allow_missing_children: false,
        immutable: None,
        actor: Actor { name: IMPORT.to_owned(), address: None },
        at_ms: 1_000,
    };
    let tags = tags.iter().map(|(name, at_ms)| (tag(name), *at_ms)).collect();
    bed.wait(|m, done| m.adopt_manifest(AdoptManifest { commit, pushed_ms, tags }, done)).unwrap()
}

fn one<T: rusqlite::types::FromSql>(bed: &Bed, sql: &str) -> T {
    Connection::open(bed.path()).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn rows_have_the_times_of_elsewhere_and_the_trail_has_now() {
    let bed = Bed::new();
    book(&bed, &["c", "l"]);
    assert!(link(&bed, "a", &["c", "l"]).is_empty());
    let outcome = adopt(&bed, "a", &image("c", &["l"]), 500, &[("old", 500), ("older", 400)]);
    assert!(matches!(outcome, CommitOutcome::Committed { created: true, ref moved } if moved.len() == 2));
    assert_eq!(one::<i64>(&bed, "SELECT pushed_at FROM manifests"), 500);
    assert_eq!(one::<i64>(&bed, "SELECT moved_at FROM tags WHERE name = 'older'"), 400);
    assert_eq!(one::<i64>(&bed, "SELECT at FROM tag_history WHERE tag = 'old'"), 500);
    assert_eq!(one::<i64>(&bed, "SELECT min(at) FROM audit"), 1_000);
    let origins = bed.metadata.tag_origins(&repository("a"), "", 10).unwrap();
    assert_eq!(
        origins.iter().map(|o| (o.tag.as_str(), o.moved_ms)).collect::<Vec<_>>(),
        [("old", 500), ("older", 400)]
    );
    assert!(origins.iter().all(|origin| origin.actor.as_deref() == Some(IMPORT) && origin.is_imported()));
    let by = |actor: Option<&str>| TagOrigin { actor: actor.map(str::to_owned), ..origins[0].clone() };
    assert_eq!([None, Some("ann")].map(|actor| by(actor).is_imported()), [true, false]);

    // Again, and with one tag more: what stands stays as it is.
    let outcome = adopt(&bed, "a", &image("c", &["l"]), 900, &[("old", 900), ("new", 800)]);
    assert!(matches!(outcome, CommitOutcome::Committed { created: false, ref moved } if moved.len() == 1));
    assert_eq!(one::<i64>(&bed, "SELECT pushed_at FROM manifests"), 500);
    assert_eq!(one::<i64>(&bed, "SELECT moved_at FROM tags WHERE name = 'old'"), 500);
    assert_eq!(one::<i64>(&bed, "SELECT moved_at FROM tags WHERE name = 'new'"), 800);
}

#[test]
fn what_is_not_booked_is_not_linked_and_a_manifest_over_it_is_refused() {
    let bed = Bed::new();
    book(&bed, &["c"]);
    assert_eq!(link(&bed, "a", &["c", "l"]), [Digest::sha256(b"l")]);
    assert_eq!(adopt(&bed, "a", &image("c", &["l"]), 1, &[("t", 1)]), CommitOutcome::ClosureChanged);
    // Nor is what is damaged.
    book(&bed, &["l"]);
    let damaged = SetBlobState { digest: Digest::sha256(b"l"), state: BlobState::Quarantined, finding: None, at_ms: 2 };
    bed.wait(|m, done| m.set_blob_state(damaged, done)).unwrap();
    assert_eq!(link(&bed, "a", &["l"]), [Digest::sha256(b"l")]);
    // Until it is brought again, which heals it.
    book(&bed, &["l"]);
    assert!(link(&bed, "a", &["l"]).is_empty());
    assert_eq!(one::<i64>(&bed, "SELECT count(*) FROM audit WHERE event = 'blob_healed' AND actor = 'import'"), 1);
    assert!(matches!(adopt(&bed, "a", &image("c", &["l"]), 1, &[]), CommitOutcome::Committed { .. }));
}

#[test]
fn of_the_tags_of_an_image_those_that_are_held_are_told_before() {
    let bed = Bed::new();
    book(&bed, &["c", "l", "m"]);
    assert!(link(&bed, "a", &["c", "l", "m"]).is_empty());
    let (first, next) = (image("c", &["l"]), image("c", &["m"]));
    assert!(matches!(adopt(&bed, "a", &first, 1, &[("v1", 1), ("latest", 1)]), CommitOutcome::Committed { .. }));
    let guard = TagGuard(Arc::new(|tag: &str| tag.starts_with('v')));
    let all = ["v1", "v2", "latest"].map(tag);
    let held = |root: &Pushed| bed.metadata.held_tags(&repository("a"), &root.digest, &all, &guard).unwrap();
    assert_eq!((held(&next), held(&first)), (vec![tag("v1")], Vec::new()));
    let read_only = ReadOnly::open(bed.path().as_path()).unwrap();
    assert_eq!(read_only.held_tags(&repository("a"), &next.digest, &all, &guard).unwrap(), [tag("v1")]);
    assert!(read_only.held_tags(&repository("b"), &next.digest, &all, &guard).unwrap().is_empty());
    // What is damaged may move.
    let damaged = SetBlobState { digest: Digest::sha256(b"l"), state: BlobState::Quarantined, finding: None, at_ms: 2 };
    bed.wait(|m, done| m.set_blob_state(damaged, done)).unwrap();
    assert!(held(&next).is_empty());
}
