//! Tests of findings: what goes in comes out, sorted and bounded.

use mcr_oci::{Digest, Finding, FindingKind};
use rusqlite::Connection;

use super::{about_blob, close_blob, open};
use crate::error::Error;
use crate::job::Write;
use crate::testing::Bed;

struct Open(Finding, i64);

impl Write for Open {
    type Answer = bool;

    fn apply(&self, tx: &Connection) -> Result<bool, Error> {
        open(tx, &self.0, self.1)
    }
}

fn full(kind: FindingKind, content: &str) -> Finding {
    Finding {
        kind,
        digest: Some(Digest::sha256(content.as_bytes())),
        media_type: Some("text/plain".to_owned()),
        size: Some(9),
        repository: Some("a/b".to_owned()),
        tag: Some("v1".to_owned()),
        path: vec![Digest::sha256(b"index"), Digest::sha256(b"child")],
        platform: Some("linux/arm64/v8".to_owned()),
        status: Some(404),
        detail: Some("seen".to_owned()),
    }
}

#[test]
fn every_key_is_kept() {
    let bed = Bed::new();
    let bare = Finding::new(FindingKind::Unreachable);
    let whole = full(FindingKind::BlobCorrupt, "x");
    assert_eq!(bed.run(Open(whole.clone(), 1)), Ok(true));
    assert_eq!(bed.run(Open(bare.clone(), 2)), Ok(true));
    let open: Vec<Finding> = bed.metadata.integrity(10).unwrap().into_iter().map(|open| open.finding).collect();
    assert_eq!(open, [whole, bare]);
    assert_eq!(bed.metadata.integrity(1).unwrap().len(), 1);
}

#[test]
fn the_same_finding_again_is_not_another() {
    let bed = Bed::new();
    let first = full(FindingKind::BlobCorrupt, "x");
    assert_eq!(bed.run(Open(first.clone(), 1)), Ok(true));
    let again = Finding { detail: Some("seen again".to_owned()), ..first.clone() };
    assert_eq!(bed.run(Open(again, 2)), Ok(false));
    for other in [
        full(FindingKind::BlobCorrupt, "y"),
        Finding { tag: None, ..first.clone() },
        Finding { path: Vec::new(), ..first.clone() },
        Finding { kind: FindingKind::BlobMissing, ..first },
    ] {
        assert_eq!(bed.run(Open(other, 3)), Ok(true));
    }
    let connection = bed.sql();
    let newest = about_blob(&connection, &Digest::sha256(b"x")).unwrap().unwrap();
    assert_eq!(newest.kind, FindingKind::BlobMissing);
    close_blob(&connection, &Digest::sha256(b"x"), 4).unwrap();
    assert_eq!(bed.metadata.integrity(10).unwrap().len(), 1);
    assert_eq!(bed.count("SELECT count(*) FROM findings WHERE closed_at = 4"), 4);
}
