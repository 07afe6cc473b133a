//! Tests of deleting a repository: all of it goes, or nothing; what it needs to be undone stays; others are not touched.

use std::sync::Arc;
use std::time::Instant;

use super::{DeleteRepository, RepositoryOutcome};
use crate::requests::TagGuard;
use crate::testing::{Bed, actor, index, repository, tag};

fn delete(bed: &Bed, name: &str, guard: Option<TagGuard>) -> RepositoryOutcome {
    let request = DeleteRepository {
        repository: repository(name),
        immutable: guard,
        run_id: "run-1".to_owned(),
        actor: actor(),
        at_ms: 50,
    };
    bed.wait(|metadata, done| metadata.delete_repository(request, done)).unwrap()
}

fn filled() -> Bed {
    let bed = Bed::new();
    let image = bed.push_image("a/b", &["c", "l"], &["v1"], 1);
    bed.pushed("a/b", &index(&[image.descriptor()]), &["top", "v2"], 2);
    bed.push_image("other", &["c", "l"], &["v1"], 3);
    bed
}

#[test]
fn everything_becomes_a_tombstone_of_one_run() {
    let bed = filled();
    assert_eq!(delete(&bed, "a/b", None), RepositoryOutcome::Deleted { tags: 3, manifests: 2, blobs: 2 });
    assert_eq!(bed.tagged("a/b", "v1"), None);
    assert_eq!(bed.blob("a/b", "l"), None);
    assert_eq!(bed.metadata.tags(&repository("a/b"), None, 9).unwrap(), None);
    assert_eq!(bed.metadata.catalog(None, 9, &|_| true).unwrap().names, ["other"]);
    for table in ["manifests", "repository_blobs"] {
        let sql = format!(
            "SELECT count(*) FROM {table} WHERE run_id = 'run-1' AND deleted_at = 50 AND unreferenced_since = 50"
        );
        assert_eq!(bed.count(&sql), 2, "{table}");
    }
    assert_eq!(
        bed.count(
            "SELECT count(*) FROM tag_history WHERE run_id = 'run-1' AND previous IS NOT NULL AND current IS NULL"
        ),
        3
    );
    assert_eq!(bed.metadata.tag_history(&repository("a/b"), &tag("v1"), None, 9).unwrap().len(), 2);
    let told = "SELECT count(*) FROM audit WHERE event = 'repo_deleted' AND repository = 'a/b'
                AND details = '{\"blobs\":2,\"manifests\":2,\"run_id\":\"run-1\",\"tags\":3}'";
    assert_eq!(bed.count(told), 1);
    bed.audited();
    assert!(bed.tagged("other", "v1").is_some() && bed.blob("other", "l").is_some());
    assert_eq!(delete(&bed, "a/b", None), RepositoryOutcome::NotFound);
    assert_eq!(delete(&bed, "never", None), RepositoryOutcome::NotFound);
}

#[test]
fn a_push_brings_it_back() {
    let bed = filled();
    delete(&bed, "a/b", None);
    bed.push_image("a/b", &["c", "l"], &["v1"], 60);
    assert!(bed.tagged("a/b", "v1").is_some());
    assert_eq!(bed.metadata.tags(&repository("a/b"), None, 9).unwrap().unwrap(), ["v1"]);
    assert_eq!(bed.count("SELECT count(*) FROM repository_blobs WHERE run_id IS NOT NULL"), 0);
    assert_eq!(bed.count("SELECT count(*) FROM manifests WHERE deleted_at IS NULL AND run_id IS NOT NULL"), 0);
}

#[test]
fn an_immutable_tag_saves_all_of_it() {
    let bed = filled();
    let guard = TagGuard(Arc::new(|tag| tag.starts_with('v')));
    assert_eq!(delete(&bed, "a/b", Some(guard)), RepositoryOutcome::Immutable { tag: "v1".to_owned() });
    assert!(bed.tagged("a/b", "top").is_some());
    assert_eq!(bed.count("SELECT count(*) FROM audit WHERE event = 'repo_deleted'"), 0);
}

#[test]
fn blobs_alone_are_content_too() {
    let bed = Bed::new();
    bed.push_blob("a", "x", 1);
    assert_eq!(delete(&bed, "a", None), RepositoryOutcome::Deleted { tags: 0, manifests: 0, blobs: 1 });
    assert_eq!(delete(&bed, "a", None), RepositoryOutcome::NotFound);
}

/// One transaction, and everybody else waits for it: it must stay short for large repositories too.
#[test]
fn ten_thousand_tags_go_in_a_moment() {
    let bed = Bed::new();
    bed.push_image("a", &["c", "l"], &["v1"], 1);
    bed.sql()
        .execute_batch(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
             INSERT INTO manifests (id, repository_id, digest, media_type, kind, size, state, hashed_at, pushed_at)
             SELECT 100 + i, 1, printf('sha256:%064x', i), 'application/vnd.oci.image.manifest.v1+json', 'image', 500,
                    'sound', 1, 1 FROM n;
             INSERT INTO tags SELECT 1, 't' || id, id, 1 FROM manifests WHERE id > 100",
        )
        .unwrap();
    let begun = Instant::now();
    let outcome = delete(&bed, "a", None);
    let took = begun.elapsed();
    println!("10 000 tags and manifests deleted in {took:?}");
    assert_eq!(outcome, RepositoryOutcome::Deleted { tags: 10_001, manifests: 10_001, blobs: 2 });
    assert!(took.as_secs() < 10, "{took:?}");
}
