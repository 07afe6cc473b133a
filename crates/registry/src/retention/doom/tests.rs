//! Random repositories: the plan foretells exactly what the rows then do, nothing listed is ever incomplete, undo brings all of it back.

use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use regex::Regex;

use crate::retention::testing::{Put, keep_last, settings};
use crate::testing::{Bed, NOW};
use crate::{RestoreRun, RetentionOptions, RetentionRule};
use mcr_metadata::StepAction;

/// One manifest to push: what it names, about whom, and under which tag.
#[derive(Debug, Clone)]
struct Node {
    children: Vec<prop::sample::Index>,
    subject: Option<prop::sample::Index>,
    tag: Option<u8>,
    /// Under a tag named after another manifest.
    follows: Option<prop::sample::Index>,
}

fn nodes() -> impl Strategy<Value = Vec<Node>> {
    let index = any::<prop::sample::Index>;
    let node = (
        prop::collection::vec(index(), 0..3),
        prop::option::weighted(0.3, index()),
        prop::option::weighted(0.6, 0..8_u8),
        prop::option::weighted(0.2, index()),
    );
    let node = node.prop_map(|(children, subject, tag, follows)| Node { children, subject, tag, follows });
    prop::collection::vec(node, 1..14)
}

/// Which of the tags 0 to 7 are kept, and whether untagged manifests go.
fn rules() -> impl Strategy<Value = (BTreeSet<u8>, bool)> {
    (prop::collection::btree_set(0..8_u8, 0..6), any::<bool>())
}

fn rule(keep: &BTreeSet<u8>, untagged: bool) -> RetentionRule {
    let names: Vec<String> = keep.iter().map(|tag| format!("t{tag}")).collect();
    RetentionRule {
        keep_last: None,
        keep_tags: Some(Regex::new(&format!("none|{}", names.join("|"))).unwrap()),
        delete_untagged_after: untagged.then_some(std::time::Duration::from_secs(7200)),
        ..keep_last(0)
    }
}

async fn push(bed: &Bed, nodes: &[Node]) {
    let mut put: Vec<Put> = Vec::new();
    for (at, node) in nodes.iter().enumerate() {
        bed.clock.advance(1000);
        let some = |index: &prop::sample::Index| put.get(index.index(put.len().max(1)));
        let subject = node.subject.as_ref().and_then(some);
        let mut tags: Vec<String> = node.tag.iter().map(|tag| format!("t{tag}")).collect();
        let followed = node.follows.as_ref().and_then(some);
        tags.extend(followed.map(|put| format!("{}.sig", put.digest.as_str().replace(':', "-"))));
        let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
        let children: Vec<&Put> = node.children.iter().filter_map(some).collect();
        let next = if children.is_empty() {
            bed.put_image("app", &format!("content {}", at % 5), subject, &tags).await
        } else {
            bed.put_index("app", &children, subject, &tags).await
        };
        put.push(next);
    }
}

async fn check(nodes: Vec<Node>, keep: BTreeSet<u8>, untagged: bool) {
    let bed = Bed::with(settings(vec![rule(&keep, untagged)]));
    push(&bed, &nodes).await;
    bed.clock.set(NOW + 3 * 3_600_000);
    let before = bed.state_of("app");
    let options = RetentionOptions { confirmed: true, ..RetentionOptions::default() };
    let dry = bed.run_retention(RetentionOptions { dry_run: true, ..options.clone() }).await;
    assert_eq!(bed.state_of("app"), before, "a dry run changes nothing");
    let plan = bed.run_retention(options).await;
    bed.check_whole("app").await;
    let after = bed.state_of("app");
    let (mut tags, mut manifests) = (BTreeSet::new(), BTreeSet::new());
    for step in bed.plan_lines(&dry.id).await {
        match step.action {
            StepAction::Tag => assert!(tags.insert(step.tag.unwrap())),
            _ => assert!(manifests.insert(step.digest)),
        }
    }
    let gone_tags: BTreeSet<String> =
        before.tags.keys().filter(|tag| !after.tags.contains_key(*tag)).cloned().collect();
    assert_eq!(tags, gone_tags, "tags as planned");
    assert_eq!(manifests, &before.manifests - &after.manifests, "manifests as planned");
    assert_eq!(plan.progress.skipped, 0);
    for kept in keep.iter().map(|tag| format!("t{tag}")).filter(|tag| before.tags.contains_key(tag)) {
        assert_eq!(after.tags.get(&kept), before.tags.get(&kept));
    }
    let what = RestoreRun { run: Some(plan.id), ..RestoreRun::default() };
    let restored = bed.registry.restore_run(&bed.global(), what).await.unwrap();
    assert_eq!(restored.refused, []);
    assert_eq!(bed.state_of("app"), before, "undo brings everything back");
    bed.check_whole("app").await;
    bed.registry.close().await;
}

fn run(cases: u32) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    TestRunner::new(config)
        .run(&(nodes(), rules()), |(nodes, (keep, untagged))| {
            runtime.block_on(check(nodes, keep, untagged));
            Ok(())
        })
        .unwrap();
}

#[test]
fn plans_foretell_what_goes_and_undo_brings_it_back() {
    run(24);
}

#[test]
#[ignore = "long: `make test-long` runs it"]
fn plans_foretell_what_goes_and_undo_brings_it_back_for_long() {
    run(1000);
}
