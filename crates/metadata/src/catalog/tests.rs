//! Tests of the catalogue: what is listed, and that pages neither repeat nor lose a name.

use super::EXAMINED_MIN;
use crate::rows::Page;
use crate::testing::Bed;

#[test]
fn only_repositories_with_a_live_manifest_are_listed() {
    let bed = Bed::new();
    assert_eq!(bed.metadata.catalog(None, 10, &|_| true).unwrap(), Page::default());
    bed.push_blob("only/blobs", "x", 1);
    let image = bed.push_image("was/deleted", &["c"], &["v1"], 1);
    bed.push_image("un/tagged", &["c"], &[], 1);
    bed.push_image("a", &["c"], &["v1"], 1);
    bed.delete("was/deleted", &image, 2);
    let page = bed.metadata.catalog(None, 10, &|_| true).unwrap();
    assert_eq!(page.names, ["a", "un/tagged"]);
    assert!(!page.more && page.cursor.is_none());
    bed.pushed("was/deleted", &image, &[], 3);
    assert_eq!(bed.metadata.catalog(None, 10, &|_| true).unwrap().names.len(), 3);
}

#[test]
fn the_last_page_says_so() {
    let bed = Bed::new();
    for name in ["a", "b", "c", "d"] {
        bed.push_image(name, &["x"], &["v1"], 1);
    }
    bed.push_blob("e/blobs", "x", 1);
    let page = |last, limit| {
        let page = bed.metadata.catalog(last, limit, &|_| true).unwrap();
        (page.names.join(""), page.cursor)
    };
    assert_eq!(page(None, 2), ("ab".to_owned(), Some("b".to_owned())));
    assert_eq!(page(Some("b"), 2), ("cd".to_owned(), None));
    assert_eq!(page(Some("bb"), 1), ("c".to_owned(), Some("c".to_owned())));
    assert_eq!(page(Some("d"), 2), (String::new(), None));
    assert_eq!(page(None, 0), (String::new(), None));
}

#[test]
fn a_page_costs_what_it_examines() {
    let bed = Bed::new();
    let connection = bed.sql();
    let made = format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {})
         INSERT INTO repositories (name, created_at) SELECT printf('empty/%06d', i), 0 FROM n",
        EXAMINED_MIN * 2
    );
    connection.execute_batch(&made).unwrap();
    bed.push_image("zebra", &["c"], &["v1"], 1);
    let mut last = None;
    let mut pages = 0;
    let found = loop {
        let page = bed.metadata.catalog(last.as_deref(), 5, &|_| true).unwrap();
        pages += 1;
        if !page.names.is_empty() {
            break page;
        }
        assert!(page.more, "a short page that ends the list");
        last = page.cursor;
    };
    assert_eq!(found.names, ["zebra"]);
    assert_eq!(pages, 3);
}

#[test]
fn what_is_not_shown_counts_as_examined_and_nothing_is_lost_between_pages() {
    let bed = Bed::new();
    bed.push_image("a", &["c"], &["v1"], 1);
    let connection = bed.sql();
    let rows = EXAMINED_MIN * 2 + 100;
    connection
        .execute_batch(&format!(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
             INSERT INTO repositories (name, created_at) SELECT printf('r/%06d', i), 0 FROM n;
             INSERT INTO manifests (repository_id, digest, media_type, kind, size, state, hashed_at, pushed_at)
             SELECT id, 'sha256:x', '', 'image', 1, 'sound', 1, 1 FROM repositories WHERE name > 'r'"
        ))
        .unwrap();
    let asked = std::cell::Cell::new(0);
    let shown = |name: &str| {
        asked.set(asked.get() + 1);
        name.ends_with("50")
    };
    let (mut last, mut all) = (None, Vec::new());
    loop {
        asked.set(0);
        let page = bed.metadata.catalog(last.as_deref(), 7, &shown).unwrap();
        assert!(asked.get() <= EXAMINED_MIN + 1 && page.names.len() <= 7);
        all.extend(page.names);
        last = page.cursor;
        if last.is_none() {
            break;
        }
    }
    let expected: Vec<String> = (1..=rows).filter(|i| i % 100 == 50).map(|i| format!("r/{i:06}")).collect();
    assert_eq!(all, expected);
    let none = bed.metadata.catalog(None, 7, &|_| false).unwrap();
    assert!(none.names.is_empty() && none.cursor.is_some(), "a short page that has a next one");
}
