//! Tests of repository names: the grammar of the specification, as text and as random strings.

use proptest::prelude::*;

use super::*;

#[test]
fn names_of_the_wild_are_accepted() {
    for name in ["a", "0", "library/alpine", "a.b_c__d-e--f---g/h", "infra/ci", "x/y/z/0.1", "sha256-abc"] {
        assert_eq!(RepositoryName::parse(name).unwrap().as_str(), name);
    }
}

#[test]
fn what_the_grammar_does_not_know_is_refused_and_the_component_named() {
    for (name, component) in [
        ("", ""),
        ("/a", ""),
        ("a/", ""),
        ("a//b", ""),
        ("Library/alpine", "Library"),
        ("a/../b", ".."),
        ("..", ".."),
        (".", "."),
        ("a/.b", ".b"),
        ("a/b.", "b."),
        ("a..b", "a..b"),
        ("a___b", "a___b"),
        ("a._b", "a._b"),
        ("a-_b", "a-_b"),
        ("-a", "-a"),
        ("a-", "a-"),
        ("a/b c", "b c"),
        ("a\\b", "a\\b"),
        ("a%2fb", "a%2fb"),
        ("a\0b", "a b"),
        ("é", "é"),
        ("host:5000/a", "host:5000"),
    ] {
        let Err(NameError::Malformed { component: found, .. }) = RepositoryName::parse(name) else {
            panic!("{name} was accepted")
        };
        assert_eq!(found, component, "{name}");
    }
}

#[test]
fn the_length_is_limited() {
    let longest = "a".repeat(NAME_MAX);
    assert!(RepositoryName::parse(&longest).is_ok());
    let error = RepositoryName::parse(&format!("{longest}a")).unwrap_err();
    assert_eq!(error, NameError::TooLong { length: 256 });
    assert_eq!(error.code(), ErrorCode::NameInvalid);
}

#[test]
fn json_is_the_plain_text() {
    let name: RepositoryName = serde_json::from_str("\"infra/ci\"").unwrap();
    assert_eq!(serde_json::to_string(&name).unwrap(), "\"infra/ci\"");
    assert!(serde_json::from_str::<RepositoryName>("\"infra//ci\"").is_err());
}

proptest! {
    #[test]
    fn what_the_grammar_generates_is_accepted(
        name in "[a-z0-9]{1,3}((\\.|_|__|-{1,3})[a-z0-9]{1,3}){0,3}(/[a-z0-9]{1,3}((\\.|_|__|-{1,3})[a-z0-9]{1,3}){0,3}){0,4}"
    ) {
        let parsed = RepositoryName::parse(&name).unwrap();
        prop_assert_eq!(parsed.as_str(), name);
    }

    #[test]
    fn it_agrees_with_the_grammar_walked_letter_by_letter(name in "[a0._/A-]{0,9}") {
        prop_assert_eq!(RepositoryName::parse(&name).is_ok(), name.split('/').all(reference_component), "{}", name);
    }

    #[test]
    fn no_text_makes_it_panic(name in "\\PC*") {
        let _ = RepositoryName::parse(&name);
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*` taken literally, by stripping from the left.
fn reference_component(component: &str) -> bool {
    let word = |text: &str| text.find(|c: char| !matches!(c, 'a'..='z' | '0'..='9')).unwrap_or(text.len());
    let mut rest = component;
    loop {
        let letters = word(rest);
        if letters == 0 {
            return false;
        }
        rest = &rest[letters..];
        rest = match rest {
            "" => return true,
            _ if rest.starts_with('.') => &rest[1..],
            _ if rest.starts_with("__") => &rest[2..],
            _ if rest.starts_with('_') => &rest[1..],
            _ if rest.starts_with('-') => rest.trim_start_matches('-'),
            _ => return false,
        };
    }
}
