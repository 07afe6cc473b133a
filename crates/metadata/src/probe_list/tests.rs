//! Tests of the lists: every live tag, its state, in pages.

use mcr_oci::FindingKind;

use crate::probe::tests::{finding, probed, run};
use crate::testing::{Bed, Pushed};
use crate::{ProbedTag, TagQuery, TagReport, TagState};

fn list(bed: &Bed, query: TagQuery) -> Vec<TagReport> {
    let mut query = TagQuery { limit: query.limit.max(1), ..query };
    let mut all = Vec::new();
    loop {
        let page = bed.metadata.probed_tags(&query).unwrap();
        assert!(page.tags.len() <= query.limit);
        all.extend(page.tags);
        match page.next {
            Some(next) => query.last = Some(next),
            None => return all,
        }
    }
}

fn names(reports: &[TagReport]) -> Vec<String> {
    reports.iter().map(|report| format!("{}:{} {}", report.repository, report.tag, report.state.as_str())).collect()
}

fn seen(repository: &str, tag: &str, manifest: &Pushed, state: TagState) -> ProbedTag {
    ProbedTag { digest: Some(manifest.digest.clone()), ..probed(repository, tag, state) }
}

/// Five tags in three repositories; the probe has seen four of them.
fn filled() -> Bed {
    let bed = Bed::new();
    let one = bed.push_image("a", &["c", "1"], &["v1", "v2"], 1);
    let two = bed.push_image("a-b", &["c", "2"], &["v1"], 1);
    let three = bed.push_image("a/b", &["c", "3"], &["v0", "v1"], 1);
    bed.record(
        run(10),
        vec![finding("a/b", "v1", FindingKind::BlobMissing)],
        vec![
            seen("a", "v1", &one, TagState::Sound),
            seen("a-b", "v1", &two, TagState::Undetermined),
            seen("a/b", "v0", &three, TagState::Sound),
            seen("a/b", "v1", &three, TagState::Broken),
            // It went before the run was written down.
            probed("gone", "v1", TagState::Broken),
        ],
    );
    bed
}

#[test]
fn every_live_tag_is_listed_once_whatever_the_page() {
    let bed = filled();
    let all = ["a:v1 sound", "a:v2 undetermined", "a-b:v1 undetermined", "a/b:v0 sound", "a/b:v1 broken"];
    for limit in [1, 2, 3, 100] {
        assert_eq!(names(&list(&bed, TagQuery { limit, ..TagQuery::default() })), all, "{limit}");
        let broken = TagQuery { limit, state: Some(TagState::Broken), ..TagQuery::default() };
        assert_eq!(names(&list(&bed, broken)), ["a/b:v1 broken"]);
        let sound = TagQuery { limit, state: Some(TagState::Sound), ..TagQuery::default() };
        assert_eq!(names(&list(&bed, sound)), ["a:v1 sound", "a/b:v0 sound"]);
        let one = TagQuery { limit, repository: Some("a/b".to_owned()), ..TagQuery::default() };
        assert_eq!(names(&list(&bed, one.clone())), ["a/b:v0 sound", "a/b:v1 broken"]);
        let broken = TagQuery { state: Some(TagState::Broken), ..one };
        assert_eq!(names(&list(&bed, broken)), ["a/b:v1 broken"]);
        let none = TagQuery { limit, repository: Some("b".to_owned()), ..TagQuery::default() };
        assert_eq!(names(&list(&bed, none)), [""; 0]);
    }
    assert_eq!(bed.metadata.probed_tags(&TagQuery::default()).unwrap().tags, []);
}

#[test]
fn a_tag_that_moved_has_not_been_looked_at() {
    let bed = filled();
    let before = list(&bed, TagQuery { state: Some(TagState::Broken), ..TagQuery::default() });
    assert_eq!((before[0].findings, before[0].checked_at_ms, before[0].last_seen_whole_ms), (1, Some(10), None));
    bed.push_image("a/b", &["c", "new"], &["v0", "v1"], 20);
    let after = list(&bed, TagQuery { repository: Some("a/b".to_owned()), ..TagQuery::default() });
    assert_eq!(names(&after), ["a/b:v0 undetermined", "a/b:v1 undetermined"]);
    assert_eq!((after[0].findings, after[0].checked_at_ms, after[0].last_seen_whole_ms), (0, None, Some(10)));
    assert_eq!(list(&bed, TagQuery { state: Some(TagState::Broken), ..TagQuery::default() }), []);
}

#[test]
fn the_summary_has_the_last_complete_run() {
    let bed = filled();
    assert_eq!(bed.metadata.summary().unwrap().probe, Some(run(10)));
}
