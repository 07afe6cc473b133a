//! Tests of findings: the JSON that others read.

use super::*;
use crate::descriptor::Platform;

#[test]
fn kinds_are_written_alike_everywhere() {
    for kind in FindingKind::ALL {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
        assert_eq!(FindingKind::parse(kind.as_str()), Some(kind));
        assert_eq!(kind.to_string(), kind.as_str());
    }
    assert_eq!(FindingKind::parse("blob_missing"), None);
}

#[test]
fn absent_keys_are_left_out() {
    let finding = Finding::new(FindingKind::Unreachable);
    assert_eq!(serde_json::to_string(&finding).unwrap(), r#"{"kind":"unreachable"}"#);
    assert_eq!(serde_json::from_str::<Finding>(r#"{"kind":"unreachable"}"#).unwrap(), finding);
}

#[test]
fn a_full_finding_is_written_in_the_order_of_the_contract() {
    let (index, child) = (Digest::sha256(b"index"), Digest::sha256(b"child"));
    let mut descriptor = Descriptor::new("text/plain", Digest::sha256(b"layer"), 5);
    descriptor.platform =
        Some(Platform { os: "linux".to_owned(), architecture: "amd64".to_owned(), ..Platform::default() });
    let finding = Finding {
        repository: Some("infra/ci".to_owned()),
        tag: Some("latest".to_owned()),
        path: vec![index.clone(), child.clone()],
        status: Some(404),
        detail: Some("gone".to_owned()),
        ..Finding::about(FindingKind::BlobMissing, &descriptor)
    };
    let expected = format!(
        concat!(
            r#"{{"kind":"blob-missing","digest":"{}","media_type":"text/plain","size":5,"repository":"infra/ci","#,
            r#""tag":"latest","path":["{}","{}"],"platform":"linux/amd64","status":404,"detail":"gone"}}"#
        ),
        descriptor.digest, index, child
    );
    assert_eq!(serde_json::to_string(&finding).unwrap(), expected);
    assert_eq!(serde_json::from_str::<Finding>(&expected).unwrap(), finding);
}
