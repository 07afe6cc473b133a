//! Tests of making a database again.

use mcr_oci::media_type;
use serde_json::json;

use super::*;
use crate::testing::{Bed, Pushed, image, index, repository, stat};
use crate::{Metadata, Options, ReadOnly};

fn told(pushed: &Pushed) -> JournalManifest {
    JournalManifest {
        digest: pushed.digest.clone(),
        media_type: pushed.media_type.clone(),
        pushed_at_ms: 5,
        sparse: false,
        bytes: pushed.bytes.to_vec(),
    }
}

fn tag(name: &str, pushed: &Pushed) -> JournalTag {
    JournalTag { tag: name.to_owned(), digest: pushed.digest.clone(), moved_at_ms: 6 }
}

fn write(rebuild: &Rebuild, name: &str, pushed: &Pushed) -> bool {
    let manifest = Manifest::parse(&pushed.bytes, Some(&pushed.media_type)).unwrap();
    rebuild.write(&repository(name), told(pushed), &Arc::new(manifest), 9).unwrap()
}

fn book(rebuild: &Rebuild, name: &str, content: &str) {
    let digest = Digest::sha256(content.as_bytes());
    rebuild.book(&digest, &stat(content.len() as u64), 0, 9).unwrap();
    rebuild.link(&repository(name), &digest, 9).unwrap();
}

fn rebuilt(closed: bool) -> Rebuilt {
    Rebuilt { registry_id: "ab".to_owned(), closed, details: json!({ "source": "blobs" }), at_ms: 9 }
}

#[test]
fn what_was_told_last_is_what_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let rebuild = Rebuild::beside(&directory.path().join("mcr.db")).unwrap();
    let (one, two) = (image("c", &["1"]), image("c", &["2"]));
    rebuild.tell_manifest(1, "a", &told(&one)).unwrap();
    rebuild.tell_manifest(2, "a", &told(&two)).unwrap();
    rebuild.tell_tag(3, "a", &tag("t", &one)).unwrap();
    rebuild.tell_tag(4, "a", &tag("t", &two)).unwrap();
    rebuild.tell_tag(5, "b", &tag("u", &one)).unwrap();
    assert_eq!(rebuild.tags("a", "", 9).unwrap(), [tag("t", &two)]);
    assert_eq!(rebuild.repository("").unwrap().as_deref(), Some("a"));
    assert_eq!(rebuild.repository("a").unwrap().as_deref(), Some("b"));
    rebuild.untell_manifest("a", two.digest.as_str()).unwrap();
    assert_eq!(rebuild.unwritten("a", "").unwrap(), [told(&one)]);
    rebuild.forget("a", 2).unwrap();
    assert!(rebuild.unwritten("a", "").unwrap().is_empty());
    assert_eq!(rebuild.tags("a", "", 9).unwrap().len(), 1);
    rebuild.untell_tag("a", "t").unwrap();
    rebuild.forget_all(6).unwrap();
    assert_eq!(rebuild.repository("").unwrap(), None);
}

#[test]
fn a_repository_that_is_forgotten_costs_what_it_held_and_no_more() {
    let directory = tempfile::tempdir().unwrap();
    let rebuild = Rebuild::beside(&directory.path().join("mcr.db")).unwrap();
    let one = image("c", &["1"]);
    for number in 0..300 {
        rebuild.tell_manifest(number, &format!("r{number:04}"), &told(&one)).unwrap();
    }
    for statement in FORGET_REPOSITORY {
        let mut statement = rebuild.connection.prepare(statement).unwrap();
        statement.execute(params!["r0007", 400]).unwrap();
        let steps = statement.get_status(rusqlite::StatementStatus::VmStep);
        assert!(steps < 100, "{steps} steps among 300 repositories");
    }
    assert_eq!(rebuild.repository("r0006").unwrap().as_deref(), Some("r0008"));
}

#[test]
fn what_is_whole_is_written_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mcr.db");
    let rebuild = Rebuild::beside(&path).unwrap();
    let (whole, broken) = (image("c", &["1"]), image("c", &["2"]));
    let (both, one) = (index(&[whole.descriptor(), broken.descriptor()]), index(&[whole.descriptor()]));
    for (line, manifest) in [&whole, &broken, &both, &one].into_iter().enumerate() {
        rebuild.tell_manifest(line as i64, "a", &told(manifest)).unwrap();
    }
    book(&rebuild, "a", "c");
    book(&rebuild, "a", "1");
    assert!(!write(&rebuild, "a", &one), "its child is not there yet");
    assert!(write(&rebuild, "a", &whole));
    assert!(!write(&rebuild, "a", &broken));
    assert!(write(&rebuild, "a", &one));
    assert!(!write(&rebuild, "a", &both));
    assert_eq!(rebuild.unwritten("a", "").unwrap().len(), 2);
    assert!(rebuild.point(&repository("a"), &tag("one", &one)).unwrap());
    assert!(!rebuild.point(&repository("a"), &tag("both", &both)).unwrap());
    rebuild.finish(&rebuilt(true)).unwrap();
    assert_eq!(database_state(&path).unwrap(), DatabaseState::Absent);
    assert_eq!(rebuild.switch(9).unwrap(), None);
    assert_eq!(database_state(&path).unwrap(), DatabaseState::Closed);

    let metadata = Metadata::open(&path, Options::default()).unwrap();
    assert_eq!(metadata.registry_id().unwrap().as_deref(), Some("ab"));
    assert!(metadata.is_closed().unwrap());
    assert_eq!(metadata.verify_audit(None).unwrap().broken_at, None);
    drop(metadata);
    let read = ReadOnly::open(&path).unwrap();
    let (id, _) = read.repositories().unwrap().remove(0);
    assert_eq!(read.tags(id, "").unwrap(), [("one".to_owned(), one.digest.clone())]);
    assert_eq!(read.manifest(id, &one.digest).unwrap().unwrap().media_type, media_type::OCI_INDEX);
    assert_eq!(read.manifests(id, "").unwrap().len(), 2);
    let sql = Connection::open(&path).unwrap();
    let since = |digest: &Digest| -> Option<i64> {
        sql.query_row("SELECT unreferenced_since FROM manifests WHERE digest = ?1", [digest.as_str()], |r| r.get(0))
            .unwrap()
    };
    assert_eq!((since(&one.digest), since(&whole.digest)), (None, None));
    let violations: i64 = sql.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |r| r.get(0)).unwrap();
    assert_eq!(violations, 0);
}

#[test]
fn what_lies_there_is_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("mcr.db");
    std::fs::write(&path, b"").unwrap();
    assert_eq!(database_state(&path).unwrap(), DatabaseState::Empty);
    std::fs::write(&path, vec![7; 9000]).unwrap();
    assert_eq!(database_state(&path).unwrap(), DatabaseState::Damaged);
    std::fs::remove_file(&path).unwrap();
    drop(Metadata::open(&path, Options::default()).unwrap());
    assert_eq!(database_state(&path).unwrap(), DatabaseState::Empty);
    let bed = Bed::new();
    bed.metadata.set_registry_id("ab").unwrap();
    bed.push_image("a", &["c", "1"], &["t"], 5);
    assert_eq!(database_state(&bed.path()).unwrap(), DatabaseState::Usable);
}

#[test]
fn one_that_is_given_up_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    drop(Rebuild::beside(&directory.path().join("mcr.db")).unwrap());
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}
