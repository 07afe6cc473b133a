//! Lists show what the caller may pull, page by page to the end, and not even a cursor names anything else.

use std::collections::BTreeSet;

use mcr_tests::accounts::{GUEST, Mode, Registry, Setup, USER};
use mcr_tests::content::index_of;
use mcr_tests::{Client, Response, push};
use serde_json::json;

/// Names of which the user may see each third one, between the others.
fn few() -> Vec<String> {
    let kind = |number| if number % 3 == 0 { "open" } else { "hidden" };
    (0..48).map(|number| format!("n{number:02}/{}", kind(number))).collect()
}

/// More names in a row that are not to be seen than one page looks at.
fn many() -> Vec<String> {
    let hidden = (0..1060).map(|number| format!("middle/hidden-{number:04}"));
    hidden.chain(["a/open".to_owned(), "z/open".to_owned(), "z/open/last".to_owned()]).collect()
}

/// A registry with these repositories; the user may pull what has `open` in its name.
fn with(names: &[String]) -> Registry {
    let setup = Setup::default().set("policy", "user_default = []");
    let registry = Registry::with(Mode::Htpasswd, &setup);
    // The least that is a manifest.
    let index = index_of(&[]);
    std::thread::scope(|scope| {
        for part in names.chunks(names.len().div_ceil(8)) {
            let (client, index) = (registry.admin(), &index);
            scope.spawn(move || {
                for name in part {
                    let _ = push::put_index(&client, name, "v1", index).expect(201);
                }
            });
        }
    });
    let patterns = ["open/**", "*/open", "*/open/**"];
    let _ = registry.rule(&json!({
        "priority": 5, "effect": "allow", "actions": ["registry:pull"], "repositories": patterns,
        "subject_uuid": registry.subject(USER),
    }));
    let _ = registry.rule(&json!({"priority": 5, "effect": "allow", "actions": ["registry:catalog"]}));
    registry
}

/// Where the `Link` of an answer leads.
fn link(answer: &Response) -> Option<String> {
    let link = answer.header("link")?;
    let (target, rest) = link.strip_prefix('<').and_then(|link| link.split_once('>')).expect("a target in brackets");
    assert!(rest.contains("rel=\"next\""), "{link}");
    Some(target.to_owned())
}

/// Follows pages to the end; the names in their order, and how many pages there were.
fn walk(client: &Client, first: &str) -> (Vec<String>, usize) {
    let (mut names, mut pages, mut next) = (Vec::new(), 0, Some(first.to_owned()));
    while let Some(target) = next {
        let answer = client.get(&target).expect(200);
        let listed = answer.json()["repositories"].as_array().cloned().expect("a list");
        let name = |entry: &serde_json::Value| entry["name"].as_str().or(entry.as_str()).unwrap().to_owned();
        names.extend(listed.iter().map(name));
        next = link(&answer);
        // Nothing tells of what is not to be seen: no entry, no cursor.
        assert!(!answer.text().contains("hidden"), "{target}: {}", answer.text());
        let head = next.clone().unwrap_or_default();
        assert!(!head.contains("hidden"), "{target}: the cursor names a repository that is not to be seen: {head}");
        if target.starts_with("/v1") {
            assert_eq!(answer.json()["next"].is_string(), next.is_some(), "{target}");
        }
        pages += 1;
        assert!(pages <= 2000, "pages without an end behind {target}");
    }
    (names, pages)
}

fn visible(names: &[String]) -> Vec<String> {
    let visible: BTreeSet<&String> = names.iter().filter(|name| name.contains("open")).collect();
    visible.into_iter().cloned().collect()
}

#[test]
fn pages_show_what_one_may_pull_and_nothing_else() {
    let names = few();
    let registry = with(&names);
    let expected = visible(&names);
    assert_eq!(expected.len(), 16);
    let user = registry.account(USER);
    for n in [1, 2, 3, 5, 7, 100] {
        for list in ["/v2/_catalog", "/v1/repositories"] {
            let (found, _) = walk(&user, &format!("{list}?n={n}"));
            assert_eq!(found, expected, "{list}, n = {n}");
        }
    }
    // A token for the catalog lists what the account may pull: it was made to list.
    let (found, _) = walk(&registry.bearer(USER, &["registry:catalog:*"]), "/v2/_catalog?n=4");
    assert_eq!(found, expected);
    // One that is for pulling somewhere lists that.
    let scopes = ["registry:catalog:*", "repository:n00/open:pull", "repository:n01/hidden:pull"];
    let (found, _) = walk(&registry.bearer(USER, &scopes), "/v2/_catalog?n=4");
    assert_eq!(found, ["n00/open"]);
    // Who may list and pull nothing sees nothing; an administrator everything.
    let (found, _) = walk(&registry.account(GUEST), "/v2/_catalog?n=3");
    assert_eq!(found, Vec::<String>::new());
    let all = registry.admin().get("/v2/_catalog?n=1000").expect(200).json()["repositories"].as_array().unwrap().len();
    assert_eq!(all, names.len());
    // A filter does not widen.
    let (found, _) = walk(&user, "/v1/repositories?n=2&filter=*/hidden");
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn a_page_may_be_short_and_says_where_the_next_one_begins() {
    let names = many();
    let registry = with(&names);
    let user = registry.account(USER);
    for list in ["/v2/_catalog", "/v1/repositories"] {
        for n in [1, 2, 10] {
            let (found, pages) = walk(&user, &format!("{list}?n={n}"));
            assert_eq!(found, visible(&names), "{list}, n = {n}");
            assert!(pages >= 2, "{list}, n = {n}: {pages} page looked at more than a page may");
        }
    }
    let (found, _) = walk(&user, "/v1/repositories?n=2&filter=z/**");
    assert_eq!(found, ["z/open", "z/open/last"]);
    let admin = registry.admin();
    let first = admin.get("/v2/_catalog?n=1000").expect(200);
    assert_eq!(first.json()["repositories"].as_array().unwrap().len(), 1000);
    let rest = admin.get(&link(&first).expect("a next page")).expect(200);
    assert_eq!(rest.json()["repositories"].as_array().unwrap().len(), names.len() - 1000);
}

#[test]
fn tags_are_listed_to_those_who_may_pull() {
    let names = ["open/it".to_owned(), "hidden/it".to_owned()];
    let registry = with(&names);
    let admin = registry.admin();
    for tag in ["v2", "v3", "v4"] {
        for name in &names {
            let _ = push::put_index(&admin, name, tag, &index_of(&[])).expect(201);
        }
    }
    let user = registry.account(USER);
    let mut tags = Vec::new();
    let mut next = Some("/v2/open/it/tags/list?n=2".to_owned());
    while let Some(target) = next {
        let answer = user.get(&target).expect(200);
        tags.extend(answer.json()["tags"].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap().to_owned()));
        next = link(&answer);
    }
    assert_eq!(tags, ["v1", "v2", "v3", "v4"]);
    let _ = user.get("/v2/hidden/it/tags/list?n=2").expect_error(403, "DENIED");
    let _ = user.get("/v1/repositories/hidden/it/tags").expect(403);
    // Not even in lists that are about something else.
    let mut next = Some("/v1/integrity?n=1".to_owned());
    while let Some(target) = next {
        let answer = user.get(&target).expect(200);
        assert!(!answer.text().contains("hidden"), "{target}: {}", answer.text());
        let cursor = answer.json()["next"].as_str().map(str::to_owned);
        next = cursor.map(|cursor| format!("/v1/integrity?n=1&last={}", cursor.replace('/', "%2F")));
    }
}
