//! Tests of tags and references.

use proptest::prelude::*;

use super::*;

#[test]
fn tags_of_the_wild_are_accepted() {
    let longest = "t".repeat(TAG_MAX);
    for tag in ["latest", "v1.2.3", "_x", "0", "1.0_build-5", "sha256-0123.sig", "1.0.0_rc.1", "A", &longest] {
        assert_eq!(Tag::parse(tag).unwrap().as_str(), tag);
    }
}

#[test]
fn what_is_no_tag_is_refused() {
    let too_long = "t".repeat(TAG_MAX + 1);
    for tag in ["", ".a", "-a", ".INVALID_MANIFEST_NAME", "a b", "a/b", "a+b", "é", "a\n", "..", "a@b", &too_long] {
        let error = Reference::parse(tag).unwrap_err();
        assert!(matches!(error, ReferenceError::Tag(_)), "{tag}");
        // Not MANIFEST_INVALID: that would make clients convert the image.
        assert_eq!(error.code(), ErrorCode::NameInvalid);
    }
}

#[test]
fn a_colon_makes_a_digest() {
    let digest = Digest::sha256(b"");
    assert_eq!(Reference::parse(digest.as_str()), Ok(Reference::Digest(digest)));
    for text in ["sha256:baddigeststring", "tag:", ":", "md5:00"] {
        let error = Reference::parse(text).unwrap_err();
        assert!(matches!(error, ReferenceError::Digest(_)), "{text}");
        assert_eq!(error.code(), ErrorCode::DigestInvalid);
    }
}

proptest! {
    #[test]
    fn what_the_grammar_generates_is_read_back(tag in "[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}") {
        let reference = Reference::parse(&tag).unwrap();
        prop_assert_eq!(reference.as_str(), &tag);
        prop_assert_eq!(reference.to_string(), tag.as_str());
        prop_assert_eq!(reference, Reference::Tag(Tag::parse(&tag).unwrap()));
    }

    #[test]
    fn no_text_makes_it_panic_and_what_is_accepted_is_unchanged(text in "\\PC*|[a-z.:_-]{0,12}") {
        if let Ok(reference) = Reference::parse(&text) {
            prop_assert_eq!(reference.as_str(), text);
        }
    }
}
