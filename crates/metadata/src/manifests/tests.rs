//! Tests of looking up: which part of a name is missing, and what corrupt bytes do.

use mcr_oci::{Digest, FindingKind, Reference};

use crate::testing::{Bed, repository, tag};
use crate::{Lookup, SetManifestCorrupt};

#[test]
fn the_answer_says_what_is_missing() {
    let bed = Bed::new();
    let by_tag = Reference::Tag(tag("v1"));
    assert_eq!(bed.metadata.manifest(&repository("a/b"), &by_tag).unwrap(), Lookup::NoRepository);
    let image = bed.push_image("a/b", &["c"], &["v1"], 1);
    assert!(matches!(bed.metadata.manifest(&repository("a/b"), &by_tag).unwrap(), Lookup::Found(_)));
    let other = Reference::Digest(Digest::sha256(b"other"));
    assert_eq!(bed.metadata.manifest(&repository("a/b"), &other).unwrap(), Lookup::NotFound);
    bed.delete("a/b", &image, 2);
    assert_eq!(bed.metadata.manifest(&repository("a/b"), &by_tag).unwrap(), Lookup::NotFound);
    assert_eq!(bed.manifest("a/b", &image), None);
}

#[test]
fn corrupt_bytes_are_a_finding_once() {
    let bed = Bed::new();
    let image = bed.push_image("a/b", &["c"], &["v1"], 1);
    let mark = |name: &str, at_ms| {
        let request = SetManifestCorrupt {
            repository: repository(name),
            digest: image.digest.clone(),
            detail: "a bit flipped".to_owned(),
            at_ms,
        };
        bed.wait(|metadata, done| metadata.set_manifest_corrupt(request, done)).unwrap()
    };
    assert!(!mark("c/d", 2));
    assert!(mark("a/b", 2));
    assert!(mark("a/b", 3));
    let row = bed.tagged("a/b", "v1").unwrap();
    assert!(row.corrupt && row.own_damage);
    assert_eq!(row.damage.len(), 1);
    assert_eq!(row.damage[0].kind, FindingKind::ManifestCorrupt);
    assert_eq!(row.damage[0].detail.as_deref(), Some("a bit flipped"));
    assert!(row.damage[0].path.is_empty());
    assert_eq!(bed.metadata.integrity(10).unwrap().len(), 1);
    assert_eq!(bed.count("SELECT count(*) FROM audit WHERE event = 'integrity_finding'"), 1);
    bed.delete("a/b", &image, 4);
    assert!(!mark("a/b", 5));
    bed.audited();
}
