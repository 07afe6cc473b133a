//! Paths with names that have slashes, and names that look like something else.

use super::*;

fn repository(name: &str) -> RepositoryName {
    RepositoryName::parse(name).unwrap()
}

fn tag(name: &str) -> Tag {
    Tag::parse(name).unwrap()
}

fn read(path: &str) -> Result<AdminPath, BadPath> {
    AdminPath::parse(path, false)
}

#[test]
fn names_are_read_from_the_right() {
    for (path, expected) in [
        ("repositories/a", AdminPath::Repository(repository("a"))),
        ("repositories/a/b/c", AdminPath::Repository(repository("a/b/c"))),
        ("repositories/a/b/tags", AdminPath::Tags(repository("a/b"))),
        ("repositories/a/b/tags/v1", AdminPath::Tag(repository("a/b"), tag("v1"))),
        ("repositories/a/b/tags/v1/history", AdminPath::TagHistory(repository("a/b"), tag("v1"))),
        ("repositories/tags", AdminPath::Repository(repository("tags"))),
        ("repositories/tags/tags", AdminPath::Tags(repository("tags"))),
        ("repositories/tags/tags/tags", AdminPath::Tags(repository("tags/tags"))),
        ("repositories/tags/x", AdminPath::Repository(repository("tags/x"))),
        ("repositories/history", AdminPath::Repository(repository("history"))),
        ("repositories/a/history", AdminPath::Repository(repository("a/history"))),
        ("repositories/restore", AdminPath::Repository(repository("restore"))),
        ("repositories/a/b/restore", AdminPath::RestoreRepository(repository("a/b"))),
        ("repositories/a/restore/restore", AdminPath::RestoreRepository(repository("a/restore"))),
        ("repositories/a/tags/restore", AdminPath::RestoreRepository(repository("a/tags"))),
        ("repositories/a/tags/v1/restore", AdminPath::RestoreTag(repository("a"), tag("v1"))),
        ("repositories/a/tags/restore/restore", AdminPath::RestoreTag(repository("a"), tag("restore"))),
        ("repositories/a/manifests/restore", AdminPath::RestoreRepository(repository("a/manifests"))),
    ] {
        assert_eq!(read(&format!("/v1/{path}")), Ok(expected), "{path}");
    }
}

#[test]
fn a_slash_at_the_end_ends_a_name_that_looks_like_something_else() {
    for deletes in [false, true] {
        for name in ["a", "a/tags", "a/tags/b", "a/tags/b/history", "tags/tags/tags", "a/restore", "a/tags/b/restore"] {
            let expected = Ok(AdminPath::Repository(repository(name)));
            assert_eq!(AdminPath::parse(&format!("/v1/repositories/{name}/"), deletes), expected, "{name}");
        }
    }
    assert_eq!(read("/v1/repositories/a/tags/b/tags"), Ok(AdminPath::Tags(repository("a/tags/b"))));
    assert_eq!(
        read("/v1/repositories/a/tags/b/tags/c/history"),
        Ok(AdminPath::TagHistory(repository("a/tags/b"), tag("c")))
    );
}

#[test]
fn delete_means_the_tag() {
    let deleted = |path: &str| AdminPath::parse(&format!("/v1/repositories/{path}"), true);
    assert_eq!(deleted("x/tags/tags"), Ok(AdminPath::Tag(repository("x"), tag("tags"))));
    assert_eq!(deleted("x/tags/history"), Ok(AdminPath::Tag(repository("x"), tag("history"))));
    assert_eq!(deleted("x/tags/tags/history"), Ok(AdminPath::Tag(repository("x/tags"), tag("history"))));
    assert_eq!(read("/v1/repositories/x/tags/tags/history"), Ok(AdminPath::TagHistory(repository("x"), tag("tags"))));
    assert_eq!(deleted("x/tags/restore"), Ok(AdminPath::Tag(repository("x"), tag("restore"))));
    assert_eq!(deleted("x/y"), Ok(AdminPath::Repository(repository("x/y"))));
}

#[test]
fn a_manifest_is_restored_by_its_digest() {
    let digest = format!("sha256:{}", "a".repeat(64));
    let expected = AdminPath::RestoreManifest(repository("a/b"), Digest::parse(&digest).unwrap());
    assert_eq!(read(&format!("/v1/repositories/a/b/manifests/{digest}/restore")), Ok(expected));
    let bad = read("/v1/repositories/a/b/manifests/sha256:7/restore");
    assert!(matches!(bad, Err(BadPath::Digest(_))), "{bad:?}");
}

#[test]
fn plans_have_numbers() {
    for (path, expected) in [
        ("plans", AdminPath::Plans),
        ("plans/7", AdminPath::Plan("7".to_owned())),
        ("plans/confirm", AdminPath::Plan("confirm".to_owned())),
        ("plans/7/confirm", AdminPath::ConfirmPlan("7".to_owned())),
        ("plans/7/discard", AdminPath::DiscardPlan("7".to_owned())),
    ] {
        assert_eq!(read(&format!("/v1/{path}")), Ok(expected), "{path}");
    }
    for path in ["plans/", "plans//confirm", "plans/7/apply", "plans/7/confirm/", "plans/7/8/confirm"] {
        assert_eq!(read(&format!("/v1/{path}")), Err(BadPath::NoSuchPath), "{path}");
    }
}

#[test]
fn tricks_are_no_endpoints() {
    for path in ["repositories/../etc", "repositories/A", "repositories//", "repositories/a/tags/-x", "repositories/"] {
        assert!(matches!(read(&format!("/v1/{path}")), Err(BadPath::Name(_))), "{path}: {:?}", read(path));
    }
    for path in [
        "",
        "x",
        "policy/rules/",
        "policy/rules/1/2",
        "tokens/",
        "tokens/a/b",
        "gc/",
        "retention",
        "auth",
        "auth/login/",
    ] {
        assert_eq!(read(&format!("/v1/{path}")), Err(BadPath::NoSuchPath), "{path}");
    }
    assert_eq!(read("/v2/repositories"), Err(BadPath::NoSuchPath));
}
