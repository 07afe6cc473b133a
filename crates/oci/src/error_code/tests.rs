//! Tests of error codes, held against those of `oci-spec`.

use std::collections::BTreeSet;

use super::*;

#[test]
fn every_code_of_the_specification_is_here() {
    use oci_spec::distribution::ErrorCode as Theirs;
    let ours: BTreeSet<_> = ErrorCode::ALL.map(ErrorCode::as_str).into();
    assert_eq!(ours.len(), ErrorCode::ALL.len());
    for theirs in [
        Theirs::BlobUnknown,
        Theirs::BlobUploadInvalid,
        Theirs::BlobUploadUnknown,
        Theirs::DigestInvalid,
        Theirs::ManifestBlobUnknown,
        Theirs::ManifestInvalid,
        Theirs::ManifestUnknown,
        Theirs::NameInvalid,
        Theirs::NameUnknown,
        Theirs::SizeInvalid,
        Theirs::Unauthorized,
        Theirs::Denied,
        Theirs::Unsupported,
        Theirs::TooManyRequests,
    ] {
        let written = serde_json::to_value(theirs).unwrap();
        assert!(ours.contains(written.as_str().unwrap()), "{written}");
    }
}

#[test]
fn every_status_is_an_error() {
    assert!(ErrorCode::ALL.into_iter().all(|code| (400..600).contains(&code.default_status())));
    assert_eq!(ErrorCode::ManifestBlobUnknown.default_status(), 400);
    assert_eq!(serde_json::to_string(&ErrorCode::TooManyRequests).unwrap(), "\"TOOMANYREQUESTS\"");
}
