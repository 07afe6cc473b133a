//! The model test: random pushes, mounts, deletes and damage, many in one transaction, against plain sets.

mod model;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use mcr_oci::{Digest, Finding, FindingKind, Reference};
use proptest::prelude::*;

use crate::testing::{Bed, actor, commit, record_blob, repository, tag};
use crate::{
    BlobState, CommitOutcome, DeleteBlob, DeleteManifest, DeleteOutcome, DeleteTag, Done, Error, Lookup, Metadata,
    MountBlob, Options, SetBlobState,
};
use model::{Answer, BLOBS, Model, Operation, REPOSITORIES, TAGS, universe};

fn operation() -> impl Strategy<Value = Operation> {
    let repository = || 0..REPOSITORIES.len();
    let blob = || 0..BLOBS.len();
    let manifest = || 0..universe().len();
    let tag = || 0..TAGS.len();
    prop_oneof![
        6 => (repository(), blob()).prop_map(|(to, blob)| Operation::PushBlob { to, blob }),
        1 => (prop::option::of(repository()), repository(), blob())
            .prop_map(|(from, to, blob)| Operation::Mount { from, to, blob }),
        8 => (repository(), manifest(), prop::option::of(tag()))
            .prop_map(|(to, manifest, tag)| Operation::Push { to, manifest, tag }),
        2 => (repository(), manifest()).prop_map(|(from, manifest)| Operation::Delete { from, manifest }),
        1 => (repository(), tag()).prop_map(|(from, tag)| Operation::DeleteTag { from, tag }),
        2 => (repository(), blob()).prop_map(|(from, blob)| Operation::DeleteBlob { from, blob }),
        1 => blob().prop_map(|blob| Operation::Damage { blob }),
    ]
}

/// Queues `operation` without waiting: what is queued together shares a transaction.
fn submit(metadata: &Metadata, operation: &Operation, at_ms: i64) -> Receiver<Answer> {
    let (sender, receiver) = sync_channel(1);
    let answered = move |answer: Answer| sender.send(answer).unwrap();
    match *operation {
        Operation::PushBlob { to, blob } => {
            let request = record_blob(REPOSITORIES[to], BLOBS[blob], at_ms);
            metadata.record_blob(request, Box::new(move |answer| answered(Answer::Healed(answer.unwrap().healed))));
        }
        Operation::Mount { from, to, blob } => {
            let request = MountBlob {
                from: from.map(|from| repository(REPOSITORIES[from])),
                to: repository(REPOSITORIES[to]),
                digest: Digest::sha256(BLOBS[blob].as_bytes()),
                actor: actor(),
                at_ms,
            };
            metadata.mount_blob(request, Box::new(move |answer| answered(Answer::Done(answer.unwrap()))));
        }
        Operation::Push { to, manifest, tag } => {
            let tags: Vec<&str> = tag.map(|tag| TAGS[tag]).into_iter().collect();
            let request = commit(REPOSITORIES[to], &universe()[manifest].pushed, &tags, at_ms);
            let done: Done<CommitOutcome> = Box::new(move |answer| {
                answered(match answer.unwrap() {
                    CommitOutcome::Committed { moved, created } => {
                        Answer::Committed { moved: moved.into_iter().map(|moved| moved.previous).collect(), created }
                    }
                    CommitOutcome::ClosureChanged => Answer::Refused,
                    CommitOutcome::MediaTypeConflict { stored } => panic!("a conflict with {stored}"),
                    CommitOutcome::Immutable { tag } => panic!("{tag} is immutable"),
                });
            });
            metadata.commit_manifest(request, done);
        }
        Operation::Damage { blob } => {
            let request = SetBlobState {
                digest: Digest::sha256(BLOBS[blob].as_bytes()),
                state: BlobState::Quarantined,
                finding: Some(Finding::new(FindingKind::BlobCorrupt)),
                at_ms,
            };
            metadata.set_blob_state(request, Box::new(move |answer| answered(Answer::Done(answer.unwrap()))));
        }
        Operation::Delete { .. } | Operation::DeleteTag { .. } | Operation::DeleteBlob { .. } => {
            let done = Box::new(move |answer: Result<DeleteOutcome, Error>| {
                answered(match answer.unwrap() {
                    DeleteOutcome::Deleted { tags } => Answer::Deleted(tags),
                    DeleteOutcome::NamedBy(holders) => {
                        Answer::NamedBy(holders.into_iter().map(|holder| holder.digest).collect())
                    }
                    DeleteOutcome::NotFound | DeleteOutcome::NoRepository => Answer::NotFound,
                    DeleteOutcome::Immutable { tag } => panic!("{tag} is immutable"),
                });
            });
            submit_delete(metadata, operation, at_ms, done);
        }
    }
    receiver
}

fn submit_delete(metadata: &Metadata, operation: &Operation, at_ms: i64, done: Done<DeleteOutcome>) {
    match *operation {
        Operation::Delete { from, manifest } => {
            let digest = universe()[manifest].pushed.digest.clone();
            let repository = repository(REPOSITORIES[from]);
            metadata
                .delete_manifest(DeleteManifest { repository, digest, immutable: None, actor: actor(), at_ms }, done);
        }
        Operation::DeleteTag { from, tag: name } => {
            let repository = repository(REPOSITORIES[from]);
            metadata.delete_tag(
                DeleteTag { repository, tag: tag(TAGS[name]), immutable: None, actor: actor(), at_ms },
                done,
            );
        }
        Operation::DeleteBlob { from, blob } => {
            let digest = Digest::sha256(BLOBS[blob].as_bytes());
            let repository = repository(REPOSITORIES[from]);
            metadata.delete_blob(DeleteBlob { repository, digest, actor: actor(), at_ms }, done);
        }
        _ => panic!("not a delete: {operation:?}"),
    }
}

/// What a reader sees is what the model holds.
fn compare(bed: &Bed, model: &Model) {
    for (at, name) in REPOSITORIES.iter().enumerate() {
        for (number, known) in universe().iter().enumerate() {
            let row = bed.manifest(name, &known.pushed);
            assert_eq!(row.is_some(), model.repositories[at].manifests.contains(&number), "{name} manifest {number}");
            let Some(row) = row else { continue };
            assert_eq!(row.referenced, model.names_manifest(at, number));
            assert_eq!(row.damage.is_empty(), model.is_whole(number), "{name} manifest {number}");
            assert_eq!(row.own_damage, model.is_hurt_itself(number));
            let closure = bed.metadata.closure(&repository(name), std::slice::from_ref(&known.pushed.digest)).unwrap();
            let (manifests, blobs) = model.closure(number);
            assert_eq!(closure.manifests.into_keys().collect::<BTreeSet<_>>(), manifests);
            assert_eq!(closure.blobs.into_keys().collect::<BTreeSet<_>>(), blobs);
        }
        for (number, content) in BLOBS.iter().enumerate() {
            let row = bed.blob(name, content);
            assert_eq!(row.is_some(), model.repositories[at].blobs.contains(&number), "{name} blob {number}");
            let Some(row) = row else { continue };
            assert_eq!(row.referenced, !model.holders_of_blob(at, number).is_empty());
            assert_eq!(row.state == BlobState::Sound, !model.damaged.contains(&number));
        }
        for (number, tagged) in TAGS.iter().enumerate() {
            let row = bed.metadata.manifest(&repository(name), &Reference::Tag(tag(tagged))).unwrap();
            let expected = model.repositories[at].tags.get(&number);
            let digest = match row {
                Lookup::Found(row) => Some(row.digest),
                Lookup::NotFound | Lookup::NoRepository => None,
            };
            assert_eq!(digest.as_ref(), expected.map(|manifest| &universe()[*manifest].pushed.digest));
        }
    }
    let listed = bed.metadata.catalog(None, 100, &|_| true).unwrap().names;
    assert_eq!(listed, model.catalog());
}

/// What must hold in the rows themselves, whatever was done.
fn invariants(bed: &Bed) {
    for (rule, sql) in [
        ("every key holds", "SELECT count(*) FROM pragma_foreign_key_check"),
        (
            "a live manifest's strong edges lead to what is live and of their size",
            "SELECT count(*) FROM edges e JOIN manifests m ON m.id = e.manifest_id
             LEFT JOIN manifests c ON c.id = e.target_manifest
             LEFT JOIN repository_blobs l ON l.repository_id = e.repository_id AND l.blob_id = e.target_blob
             LEFT JOIN blobs b ON b.id = e.target_blob
             WHERE m.deleted_at IS NULL AND e.weak = 0
               AND (coalesce(c.deleted_at, l.deleted_at) IS NOT NULL OR coalesce(c.size, b.size) <> e.size
                    OR coalesce(c.digest, b.digest) <> e.digest)",
        ),
        (
            "a link counts from a time exactly while nothing live names it",
            "SELECT count(*) FROM repository_blobs l WHERE deleted_at IS NULL
               AND (unreferenced_since IS NULL) <> EXISTS (SELECT 1 FROM edges e JOIN manifests m ON m.id = e.manifest_id
                    WHERE e.repository_id = l.repository_id AND e.target_blob = l.blob_id AND m.deleted_at IS NULL)",
        ),
        (
            "a manifest too",
            "SELECT count(*) FROM manifests n WHERE deleted_at IS NULL AND (unreferenced_since IS NULL) <>
               (EXISTS (SELECT 1 FROM tags t WHERE t.manifest_id = n.id)
                OR EXISTS (SELECT 1 FROM edges e JOIN manifests m ON m.id = e.manifest_id
                           WHERE e.target_manifest = n.id AND m.deleted_at IS NULL))",
        ),
        ("a tombstone counts from a time", "SELECT count(*) FROM manifests WHERE deleted_at IS NOT NULL AND unreferenced_since IS NULL"),
        ("a tag leads to what is live", "SELECT count(*) FROM tags t JOIN manifests m ON m.id = t.manifest_id WHERE m.deleted_at IS NOT NULL"),
        (
            "the last line of a tag's history is where it points",
            "SELECT count(*) FROM tag_history h
             WHERE id = (SELECT max(id) FROM tag_history o WHERE o.repository_id = h.repository_id AND o.tag = h.tag)
               AND current IS NOT (SELECT m.digest FROM tags t JOIN manifests m ON m.id = t.manifest_id
                                   WHERE t.repository_id = h.repository_id AND t.name = h.tag)",
        ),
        (
            "a finding is open exactly while its blob is unsound",
            "SELECT count(*) FROM blobs b WHERE (state = 'sound') =
               EXISTS (SELECT 1 FROM findings f WHERE f.digest = b.digest AND closed_at IS NULL)",
        ),
    ] {
        assert_eq!(bed.count(sql), 0, "{rule}");
    }
    bed.audited();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_course_of_events_ends_as_the_model_says(batches in prop::collection::vec(prop::collection::vec(operation(), 1..24), 1..8)) {
        let mut bed = Bed::new();
        let mut model = Model::default();
        let mut at_ms = 0;
        for (number, batch) in batches.iter().enumerate() {
            let answers: Vec<_> = batch
                .iter()
                .map(|operation| {
                    at_ms += 1;
                    submit(&bed.metadata, operation, at_ms)
                })
                .collect();
            for (operation, answer) in batch.iter().zip(answers) {
                prop_assert_eq!(answer.recv().unwrap(), model.apply(operation), "{:?}", operation);
            }
            compare(&bed, &model);
            if number % 3 == 2 {
                bed = bed.reopen();
            }
        }
        invariants(&bed);
    }
}

/// Reads beside writes: whatever moment a reader sees, every tag it sees is whole.
#[test]
fn a_reader_beside_writers_always_sees_whole_tags() {
    let directory = tempfile::tempdir().unwrap();
    let metadata = Metadata::open(&directory.path().join("mcr.db"), Options::default()).unwrap();
    let bed = Arc::new(Bed { metadata, directory });
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let bed = Arc::clone(&bed);
            scope.spawn(move || {
                for round in 0..25 {
                    let config = format!("config {writer} {round}");
                    let image = bed.push_image("a/b", &[&config, "shared"], &[], round);
                    let index = crate::testing::index(&[image.descriptor()]);
                    bed.pushed("a/b", &index, &["latest", &format!("w{writer}")], round);
                    if round % 3 == 0 {
                        bed.delete("a/b", &index, round);
                        bed.delete("a/b", &image, round);
                    }
                }
            });
        }
        for _ in 0..2 {
            let bed = Arc::clone(&bed);
            scope.spawn(move || {
                for _ in 0..200 {
                    let Some(row) = bed.tagged("a/b", "latest") else { continue };
                    let closure = bed.metadata.closure(&repository("a/b"), &[row.digest]).unwrap();
                    // Deleted meanwhile, or there with all of it.
                    let parts = (closure.manifests.len(), closure.blobs.len());
                    assert!(parts == (0, 0) || parts == (2, 2), "{parts:?}");
                }
            });
        }
    });
    invariants(&bed);
}
