//! Tests of the audit list: filters, orders, pages, and that a page costs what it examines.

use rusqlite::Connection;
use serde_json::json;

use super::{AuditPage, AuditQuery, STRIDE};
use crate::audit::{self, Audit};
use crate::rows::Actor;
use crate::testing::Bed;

fn query() -> AuditQuery {
    AuditQuery::default()
}

fn append(connection: &Connection, actor: &str, event: &str, repository: Option<&str>, at_ms: i64) {
    let actor = Actor { name: actor.to_owned(), address: None };
    let audit = Audit { repository, details: json!({ "at": at_ms }), ..Audit::by(&actor, event, at_ms) };
    audit::append(connection, audit).unwrap();
}

fn filled() -> Bed {
    let bed = Bed::new();
    let connection = bed.sql();
    append(&connection, "ann", "login", None, 10);
    append(&connection, "bob", "login", None, 20);
    append(&connection, "ann", "tag_moved", Some("a"), 30);
    append(&connection, "bob", "tag_moved", Some("b"), 40);
    append(&connection, "ann", "tag_moved", Some("b"), 50);
    bed
}

fn seqs(page: &AuditPage) -> Vec<i64> {
    page.events.iter().map(|event| event.seq).collect()
}

#[test]
fn every_filter_and_every_pair_of_them() {
    let bed = filled();
    let some = |text: &str| Some(text.to_owned());
    for (asked, expected) in [
        (query(), vec![5, 4, 3, 2, 1]),
        (AuditQuery { newest_first: false, ..query() }, vec![1, 2, 3, 4, 5]),
        (AuditQuery { event: some("login"), ..query() }, vec![2, 1]),
        (AuditQuery { actor: some("ann"), ..query() }, vec![5, 3, 1]),
        (AuditQuery { repository: some("b"), ..query() }, vec![5, 4]),
        (AuditQuery { repository: some("b"), actor: some("ann"), ..query() }, vec![5]),
        (AuditQuery { event: some("tag_moved"), actor: some("ann"), newest_first: false, ..query() }, vec![3, 5]),
        (AuditQuery { event: some("login"), actor: some("ann"), repository: some("a"), ..query() }, vec![]),
        (AuditQuery { since_ms: Some(20), ..query() }, vec![5, 4, 3, 2]),
        (AuditQuery { until_ms: Some(20), ..query() }, vec![1]),
        (AuditQuery { since_ms: Some(20), until_ms: Some(50), newest_first: false, ..query() }, vec![2, 3, 4]),
        (AuditQuery { since_ms: Some(20), until_ms: Some(50), actor: some("bob"), ..query() }, vec![4, 2]),
        (AuditQuery { since_ms: Some(51), ..query() }, vec![]),
        (AuditQuery { until_ms: Some(10), ..query() }, vec![]),
    ] {
        let page = bed.metadata.audit(&asked).unwrap();
        assert_eq!((seqs(&page), page.next), (expected, None), "{asked:?}");
    }
    assert_eq!(Bed::new().metadata.audit(&query()).unwrap(), AuditPage::default());
}

#[test]
fn a_row_is_told_whole() {
    let bed = filled();
    let page = bed.metadata.audit(&AuditQuery { limit: 1, offset: 2, ..query() }).unwrap();
    let row = &page.events[0];
    assert_eq!((row.seq, row.at_ms, row.event.as_str(), row.actor.as_str()), (3, 30, "tag_moved", "ann"));
    assert_eq!((row.repository.as_deref(), &row.details), (Some("a"), &json!({ "at": 30 })));
    assert_eq!(row.previous, bed.metadata.audit(&AuditQuery { offset: 3, ..query() }).unwrap().events[0].hash);
}

#[test]
fn pages_follow_each_other_without_gap_or_overlap() {
    let bed = filled();
    for newest_first in [true, false] {
        let (mut after, mut all) = (None, Vec::new());
        loop {
            let page = bed.metadata.audit(&AuditQuery { after, limit: 2, newest_first, ..query() }).unwrap();
            all.extend(seqs(&page));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        all.sort_unstable();
        assert_eq!(all, [1, 2, 3, 4, 5]);
    }
}

/// A clock that was wrong for a while hides nothing.
#[test]
fn times_out_of_order_are_found() {
    let bed = filled();
    let connection = bed.sql();
    append(&connection, "ann", "login", None, 9_000);
    append(&connection, "ann", "login", None, 60);
    assert_eq!(seqs(&bed.metadata.audit(&AuditQuery { since_ms: Some(55), ..query() }).unwrap()), [7, 6]);
    assert_eq!(seqs(&bed.metadata.audit(&AuditQuery { until_ms: Some(70), limit: 2, ..query() }).unwrap()), [7, 5]);
}

#[test]
fn a_page_that_finds_little_says_where_to_go_on() {
    let bed = filled();
    let connection = bed.sql();
    let far = STRIDE * (super::LOOKS as i64) + 10;
    // As if very many rows lay between: numbers need not be without gaps for a list.
    connection
        .execute(
            "INSERT INTO audit SELECT ?1, 60, 'login', 'ann', NULL, 'z', NULL, NULL, '{}', '', '' FROM audit LIMIT 1",
            [far],
        )
        .unwrap();
    let asked = AuditQuery { actor: Some("ann".to_owned()), event: Some("tag_moved".to_owned()), ..query() };
    let page = bed.metadata.audit(&asked).unwrap();
    assert_eq!(seqs(&page), Vec::<i64>::new());
    let next = page.next.unwrap();
    assert_eq!(next, 11);
    let page = bed.metadata.audit(&AuditQuery { after: Some(next), ..asked }).unwrap();
    assert_eq!((seqs(&page), page.next), (vec![5, 3], None));
}

#[test]
fn every_look_follows_an_index() {
    let bed = filled();
    let some = || Some("x".to_owned());
    for asked in [
        AuditQuery { event: some(), ..query() },
        AuditQuery { actor: some(), event: some(), since_ms: Some(1), until_ms: Some(2), ..query() },
        AuditQuery { repository: some(), actor: some(), newest_first: false, ..query() },
        query(),
    ] {
        let sql = asked.sql(&asked.filters());
        let connection = bed.sql();
        let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let plan: Vec<String> = statement
            .query_map(rusqlite::params_from_iter([1; 7].iter().take(sql.matches('?').count())), |row| row.get(3))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let plan = plan.join("; ");
        assert!(plan.starts_with("SEARCH") && !plan.contains("TEMP B-TREE"), "{sql}: {plan}");
    }
}

/// Many pulls are told at the end of their minute, with times from before what was written meanwhile.
#[test]
fn rows_that_come_late_hide_nothing() {
    let bed = Bed::new();
    let connection = bed.sql();
    connection.execute_batch("BEGIN").unwrap();
    for second in 0..2000 {
        append(&connection, "cron", "login", None, second * 1000);
    }
    append(&connection, "ann", "tag_moved", Some("a"), 2_040_000);
    for pull in 0..5000 {
        append(&connection, "node", "manifest_pulled", Some("a"), 2_010_000 + pull);
    }
    connection.execute_batch("COMMIT").unwrap();
    let asked = AuditQuery { since_ms: Some(2_010_000), actor: Some("ann".to_owned()), ..query() };
    assert_eq!(seqs(&bed.metadata.audit(&asked).unwrap()), [2001]);
    let asked = AuditQuery { until_ms: Some(2_010_000), limit: 1, ..query() };
    assert_eq!(seqs(&bed.metadata.audit(&asked).unwrap()), [2000]);
    let asked = AuditQuery { until_ms: Some(2_010_001), limit: 1, ..query() };
    assert_eq!(seqs(&bed.metadata.audit(&asked).unwrap()), [2002]);
}
