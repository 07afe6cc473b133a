//! Tests of repositories in numbers: what counts, what is seen, and where tags have been.

use mcr_oci::RepositoryName;

use crate::testing::{Bed, index, repository, tag};

#[test]
fn a_summary_counts_what_is_live_and_each_byte_once() {
    let bed = Bed::new();
    let one = bed.push_image("a/b", &["c", "layer"], &["v1", "v2"], 5);
    let two = bed.push_image("a/b", &["c", "other!"], &["v3"], 6);
    let summary = bed.metadata.repository_summary(&repository("a/b")).unwrap().unwrap();
    let manifests = (one.bytes.len() + two.bytes.len()) as u64;
    assert_eq!((summary.tags, summary.manifests, summary.blobs), (3, 2, 3));
    assert_eq!(summary.size, manifests + 1 + 5 + 6, "the shared config once");
    assert_eq!((summary.created_at_ms, summary.updated_at_ms), (5, 6));
    bed.delete("a/b", &two, 9);
    let summary = bed.metadata.repository_summary(&repository("a/b")).unwrap().unwrap();
    assert_eq!((summary.tags, summary.manifests), (2, 1));
    assert_eq!(bed.metadata.repository_summary(&repository("x")).unwrap(), None);
}

#[test]
fn summaries_come_in_pages_of_what_is_shown() {
    let bed = Bed::new();
    for name in ["a", "b", "c", "d"] {
        bed.push_image(name, &["c"], &["v1"], 1);
    }
    bed.push_blob("e", "only a blob", 1);
    let shown = |name: &str| name != "b";
    let page = bed.metadata.repository_summaries(None, 2, &shown).unwrap();
    let names = |page: &super::SummaryPage| page.repositories.iter().map(|r| r.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&page), ["a", "c"]);
    let page = bed.metadata.repository_summaries(page.next.as_deref(), 2, &shown).unwrap();
    assert_eq!((names(&page), page.next), (vec!["d".to_owned()], None));
}

#[test]
fn tags_and_manifests_come_in_pages() {
    let bed = Bed::new();
    let image = bed.push_image("a/b", &["c", "l"], &["v1", "v2"], 5);
    bed.pushed("a/b", &index(&[image.descriptor()]), &["top"], 7);
    let name = repository("a/b");
    let tags = bed.metadata.tag_summaries(&name, Some("top"), 1).unwrap().unwrap();
    assert_eq!(tags.len(), 1);
    assert_eq!((tags[0].name.as_str(), &tags[0].digest, tags[0].moved_at_ms), ("v1", &image.digest, 5));
    let first = bed.metadata.manifest_summaries(&name, None, 1).unwrap().unwrap();
    let second = bed.metadata.manifest_summaries(&name, Some(first[0].digest.as_str()), 5).unwrap().unwrap();
    assert_eq!((first.len(), second.len()), (1, 1));
    let all = [first, second].concat();
    let found = all.iter().find(|m| m.digest == image.digest).unwrap();
    assert_eq!((found.kind.as_str(), &found.tags, found.pushed_at_ms), ("image", &vec!["v1".into(), "v2".into()], 5));
    assert_eq!(bed.metadata.tag_summaries(&repository("x"), None, 1).unwrap(), None);
    assert_eq!(bed.metadata.manifest_summaries(&repository("x"), None, 1).unwrap(), None);
}

#[test]
fn a_tag_s_history_is_told_from_its_end() {
    let bed = Bed::new();
    let name: RepositoryName = repository("a/b");
    let one = bed.push_image("a/b", &["c", "l"], &["v1"], 1);
    let two = bed.push_image("a/b", &["c", "k"], &["v1"], 2);
    bed.delete_tag("a/b", "v1", 3);
    let history = bed.metadata.tag_history(&name, &tag("v1"), None, 2).unwrap();
    let told: Vec<_> = history.iter().map(|c| (c.at_ms, c.previous.clone(), c.current.clone())).collect();
    assert_eq!(told, [(3, Some(two.digest.clone()), None), (2, Some(one.digest.clone()), Some(two.digest))]);
    let rest = bed.metadata.tag_history(&name, &tag("v1"), Some(history[1].id), 2).unwrap();
    assert_eq!(rest.len(), 1);
    assert_eq!(
        (rest[0].previous.clone(), rest[0].current.clone(), rest[0].actor.as_str()),
        (None, Some(one.digest), "ann")
    );
    assert_eq!(bed.metadata.tag_history(&name, &tag("v2"), None, 2).unwrap(), []);
}
