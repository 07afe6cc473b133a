//! Fuzzes repository names, tags and references; never what they resolve to.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mcr_oci::{NAME_MAX, Reference, RepositoryName, TAG_MAX};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match RepositoryName::parse(text) {
        Ok(name) => whole_name(name.as_str(), text),
        Err(error) => short(&error.to_string()),
    }
    match Reference::parse(text) {
        Ok(reference) => {
            assert_eq!(reference.as_str(), text);
            let tag = matches!(reference, Reference::Tag(_));
            assert_eq!(tag, !text.contains(':'));
            assert!(!tag || (text.len() <= TAG_MAX && !text.contains(['/', '\0', '%']) && !text.starts_with('.')));
        }
        Err(error) => short(&error.to_string()),
    }
});

/// A name that was accepted is safe as a path and in a URL.
fn whole_name(name: &str, text: &str) {
    assert_eq!(name, text);
    assert!(name.len() <= NAME_MAX && name.is_ascii());
    for component in name.split('/') {
        assert!(!component.is_empty() && !component.contains(".."));
        assert!(component.starts_with(|first: char| first.is_ascii_alphanumeric()));
        assert!(component.ends_with(|last: char| last.is_ascii_alphanumeric()));
        assert!(component.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-')));
    }
}

/// A refusal is one short line.
fn short(message: &str) {
    assert!(message.len() < 600 && !message.contains(char::is_control), "{message}");
}
