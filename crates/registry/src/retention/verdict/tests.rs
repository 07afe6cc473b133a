//! Tests of verdicts: each key by itself, together, and what is counted.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use mcr_metadata::{Follows, RepositoryFacts, TagFacts, TagGuard};
use proptest::prelude::*;
use regex::Regex;

use super::{Times, verdicts, words};
use crate::retention::rules::{Prepared, of, prepare};
use crate::retention::testing::{keep_last, settings};
use crate::settings::{RetentionRule, Rule};

const DAY: i64 = 86_400_000;
const TIMES: Times = Times { now_ms: 1000 * DAY, undo_ms: 7 * DAY };

fn prepared(rule: RetentionRule) -> Prepared {
    prepare(&settings(vec![rule])).remove(0)
}

fn aged(name: &str, days: i64) -> TagFacts {
    let moved_at_ms = TIMES.now_ms - days * DAY;
    TagFacts { name: name.to_owned(), manifest: 1, moved_at_ms, pulled_at_ms: None, follows: Follows::Nobody }
}

fn facts(tags: Vec<TagFacts>) -> RepositoryFacts {
    RepositoryFacts { tags, pulls_since_ms: Some(0), followed: HashMap::new(), ..RepositoryFacts::default() }
}

/// The names of the tags that stay.
fn stay(rule: RetentionRule, facts: &RepositoryFacts, immutable: Option<&TagGuard>) -> Vec<String> {
    let verdicts = verdicts(&prepared(rule), facts, immutable, TIMES);
    assert_eq!(verdicts.len(), facts.tags.len());
    let kept = facts.tags.iter().zip(verdicts).filter(|(_, verdict)| verdict.is_none());
    kept.map(|(tag, _)| tag.name.clone()).collect()
}

fn days(days: u64) -> Option<Duration> {
    Some(Duration::from_secs(days * 86_400))
}

fn nothing() -> RetentionRule {
    RetentionRule { keep_last: None, ..keep_last(0) }
}

#[test]
fn the_newest_are_counted_by_their_last_move_and_followers_are_not() {
    let mut tags = vec![aged("a", 3), aged("b", 1), aged("c", 2), aged("d", 2)];
    tags.push(TagFacts { follows: Follows::Live, ..aged("sha256-x", 0) });
    tags.push(TagFacts { follows: Follows::Absent, ..aged("sha256-y", 500) });
    tags.push(TagFacts { follows: Follows::Live, ..aged("signed", 900) });
    let facts = facts(tags);
    for (last, expected) in [(0, ""), (1, "b"), (2, "bd"), (3, "bcd"), (4, "abcd"), (9, "abcd")] {
        let mut kept = stay(keep_last(last), &facts, None);
        let followers = kept.split_off(expected.len());
        assert_eq!((kept.concat().as_str(), followers.len()), (expected, 3), "keep_last = {last}");
    }
}

#[test]
fn a_follower_goes_by_itself_once_what_it_followed_cannot_come_back() {
    for (ago, goes) in [(6, false), (8, true)] {
        let follows = Follows::Deleted { at_ms: TIMES.now_ms - ago * DAY };
        let facts = facts(vec![TagFacts { follows, ..aged("sha256-x", 900) }]);
        assert_eq!(stay(keep_last(1), &facts, None).is_empty(), goes);
        assert_eq!(stay(nothing(), &facts, None).len(), 1, "a rule that judges no tags takes none");
    }
}

#[test]
fn times_count_from_the_last_move_or_pull_and_from_when_pulls_are_known() {
    let mut facts = facts(vec![
        aged("old", 40),
        aged("new", 5),
        TagFacts { pulled_at_ms: Some(TIMES.now_ms - 3 * DAY), ..aged("pulled", 40) },
    ]);
    let within = RetentionRule { keep_within: days(30), ..nothing() };
    assert_eq!(stay(within, &facts, None), ["new"]);
    let pulled = RetentionRule { keep_pulled_within: days(10), ..nothing() };
    assert_eq!(stay(pulled.clone(), &facts, None), ["new", "pulled"]);
    for since in [None, Some(TIMES.now_ms - 9 * DAY)] {
        facts.pulls_since_ms = since;
        assert_eq!(stay(pulled.clone(), &facts, None).len(), 3, "what was pulled before then is not known");
    }
    // A clock that went back makes nothing old.
    facts.tags[0].moved_at_ms = TIMES.now_ms + DAY;
    assert!(stay(RetentionRule { keep_within: days(1), ..nothing() }, &facts, None).contains(&"old".to_owned()));
}

#[test]
fn names_match_as_a_whole_and_immutable_tags_stay() {
    let facts = facts(["v1", "v1-rc", "xv1", "V1", "stable"].into_iter().map(|name| aged(name, 9)).collect());
    for pattern in ["v1|stable", "^(v1|stable)$", "(?:v1)|(?:stable)"] {
        for written in [Regex::new(pattern).unwrap(), Rule::tag_pattern(pattern).unwrap()] {
            let rule = RetentionRule { keep_tags: Some(written), ..nothing() };
            assert_eq!(stay(rule, &facts, None), ["v1", "stable"], "{pattern}");
        }
    }
    let guard = TagGuard(Arc::new(|tag: &str| tag == "xv1"));
    assert_eq!(stay(keep_last(0), &facts, Some(&guard)), ["xv1"]);
}

#[test]
fn the_first_rule_that_names_a_repository_decides_and_fingerprints_know_those_before() {
    let at = |glob: &str| RetentionRule { repositories: vec![glob.to_owned()], ..keep_last(1) };
    let both = prepare(&settings(vec![at("a/*"), at("**")]));
    assert_eq!(of(&both, "a/b").unwrap().fingerprint, both[0].fingerprint);
    assert_eq!(of(&both, "a/b/c").unwrap().fingerprint, both[1].fingerprint);
    assert!(of(&both[..1], "b").is_none());
    let alone = prepare(&settings(vec![at("**")]));
    assert_ne!(alone[0].fingerprint, both[1].fingerprint, "it reaches more without the other one");
    assert_eq!(prepare(&settings(vec![at("**")]))[0].fingerprint, alone[0].fingerprint);
    let other = RetentionRule { delete_untagged_after: days(1), ..at("**") };
    assert_ne!(prepare(&settings(vec![other]))[0].fingerprint, alone[0].fingerprint);
}

#[test]
fn spans_are_said_in_their_largest_unit() {
    for (ms, said) in [(0, "0 s"), (59_999, "59 s"), (60_000, "1 m"), (7_200_000, "2 h"), (41 * DAY, "41 d")] {
        assert_eq!(words(ms), said);
    }
}

proptest! {
    /// Keys only ever add to what stays: a rule with both keeps what either alone keeps, and at least the newest.
    #[test]
    fn any_keep_key_wins(ages in prop::collection::vec(0..60_i64, 0..30), last in 0..8_u32, within in 1..50_u64) {
        let tags = ages.iter().enumerate().map(|(at, age)| aged(&format!("t{at}"), *age)).collect();
        let facts = facts(tags);
        let one = stay(keep_last(last), &facts, None);
        let other = stay(RetentionRule { keep_within: days(within), ..nothing() }, &facts, None);
        let both = stay(RetentionRule { keep_within: days(within), ..keep_last(last) }, &facts, None);
        prop_assert_eq!(one.len(), (last as usize).min(ages.len()));
        for tag in &facts.tags {
            let name = &tag.name;
            prop_assert_eq!(both.contains(name), one.contains(name) || other.contains(name));
        }
    }
}
