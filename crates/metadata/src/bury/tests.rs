//! Tests of what goes with a tag and what stays; random graphs are in `revive/tests.rs`.

use std::sync::Arc;

use mcr_oci::Digest;

use crate::testing::{Bed, Pushed, actor, image, index, pushed, repository, tag};
use crate::{Buried, BuryOutcome, BuryTag, Doomed, Follows, MAX_BURIED, NoteRules, RecordPulls, Skip, TagGuard};

fn bury(bed: &Bed, name: &str, expected: &Digest, immutable: Option<&str>) -> BuryOutcome {
    let held = immutable.map(str::to_owned);
    let request = BuryTag {
        repository: repository("r"),
        tag: tag(name),
        expected: expected.clone(),
        moved_at_ms: None,
        immutable: held.map(|held| TagGuard(Arc::new(move |tag| tag.starts_with(&held)))),
        run_id: "run".to_owned(),
        actor: actor(),
        at_ms: 5000,
    };
    bed.wait(|metadata, done| metadata.bury_tag(request, done)).unwrap()
}

#[test]
fn a_tag_that_went_away_and_came_back_since_it_was_judged_is_young() {
    let bed = Bed::new();
    let one = bed.push_image("r", &["a"], &["v1"], 1000);
    bed.push_image("r", &["b"], &["v1"], 2000);
    bed.push_image("r", &["a"], &["v1"], 3000);
    let at = |moved_at_ms| BuryTag {
        repository: repository("r"),
        tag: tag("v1"),
        expected: one.digest.clone(),
        moved_at_ms: Some(moved_at_ms),
        immutable: None,
        run_id: "run".to_owned(),
        actor: actor(),
        at_ms: 5000,
    };
    for judged in [1000, i64::MIN] {
        let outcome = bed.wait(|metadata, done| metadata.bury_tag(at(judged), done)).unwrap();
        assert_eq!(outcome, BuryOutcome::Skipped(Skip::Moved { to: one.digest.clone() }));
    }
    let outcome = bed.wait(|metadata, done| metadata.bury_tag(at(3000), done)).unwrap();
    assert_eq!(buried(outcome).manifests, std::slice::from_ref(&one.digest));
}

fn buried(outcome: BuryOutcome) -> Buried {
    match outcome {
        BuryOutcome::Buried(buried) => buried,
        BuryOutcome::Skipped(why) => panic!("{why}"),
    }
}

fn named_after(manifest: &Pushed) -> String {
    manifest.digest.as_str().replace(':', "-")
}

#[test]
fn a_tag_that_moved_went_or_is_immutable_is_left_alone() {
    let bed = Bed::new();
    let one = bed.push_image("r", &["a"], &["v1"], 1000);
    let two = bed.push_image("r", &["b"], &["v1", "v2"], 2000);
    assert_eq!(bury(&bed, "v1", &one.digest, None), BuryOutcome::Skipped(Skip::Moved { to: two.digest.clone() }));
    assert_eq!(bury(&bed, "v1", &two.digest, Some("v")), BuryOutcome::Skipped(Skip::Immutable));
    assert_eq!(bury(&bed, "v3", &two.digest, None), BuryOutcome::Skipped(Skip::Gone));
    // Its manifest has another tag.
    assert_eq!(buried(bury(&bed, "v1", &two.digest, None)).manifests, []);
    assert_eq!(buried(bury(&bed, "v2", &two.digest, None)).manifests, std::slice::from_ref(&two.digest));
    bed.delete_tag("r", "nothing", 6000);
    // The first one was untagged by a push: nobody asked to take it.
    assert!(bed.manifest("r", &one).is_some() && bed.manifest("r", &two).is_none());
    assert_eq!(bed.count("SELECT count(*) FROM tag_history WHERE run_id = 'run' AND current IS NULL"), 2);
    bed.audited();
}

#[test]
fn tags_named_after_what_goes_go_and_lists_of_referrers_with_them_unless_immutable() {
    for immutable in [false, true] {
        let bed = Bed::new();
        let main = bed.push_image("r", &["a"], &["v1"], 1000);
        let referrer = bed.push_image("r", &["b"], &[], 1000);
        let list = index(&[referrer.descriptor()]);
        bed.pushed("r", &list, &[&named_after(&main)], 1000);
        let guard = immutable.then_some("sha256-");
        let gone = buried(bury(&bed, "v1", &main.digest, guard));
        assert_eq!(gone.tags.len(), if immutable { 1 } else { 2 });
        assert_eq!(gone.manifests.len(), if immutable { 1 } else { 3 });
        assert_eq!(bed.manifest("r", &referrer).is_some(), immutable);
    }
}

#[test]
fn a_live_subject_holds_what_refers_to_it() {
    let bed = Bed::new();
    let main = bed.push_image("r", &["a"], &["v1"], 1000);
    bed.push_blob("r", "s", 1000);
    let mut json: serde_json::Value = serde_json::from_slice(&image("s", &[]).bytes).unwrap();
    json["subject"] = main.descriptor();
    let signature = pushed(&json, mcr_oci::media_type::OCI_MANIFEST);
    bed.pushed("r", &signature, &["signature"], 1000);
    // Its tag goes, it stays as what refers to something live.
    assert_eq!(buried(bury(&bed, "signature", &signature.digest, None)).manifests, []);
    assert!(bed.manifest("r", &signature).is_some());
    assert_eq!(buried(bury(&bed, "v1", &main.digest, None)).manifests, [main.digest.clone(), signature.digest]);
}

#[test]
fn a_closure_larger_than_one_write_goes_in_several_and_the_same_run_goes_on() {
    let bed = Bed::new();
    let many = MAX_BURIED + 40;
    bed.push_blob("r", "layer", 1000);
    let children: Vec<Pushed> = (0..many)
        .map(|at| {
            let config = format!("{at}");
            bed.push_blob("r", &config, 1000);
            let child = image(&config, &["layer"]);
            bed.pushed("r", &child, &[], 1000);
            child
        })
        .collect();
    let top = index(&children.iter().map(Pushed::descriptor).collect::<Vec<_>>());
    bed.pushed("r", &top, &["big"], 1000);
    let first = buried(bury(&bed, "big", &top.digest, None));
    assert!(first.more && first.manifests.len() == MAX_BURIED && first.tags == ["big"]);
    let rest = buried(bury(&bed, "big", &top.digest, None));
    assert!(!rest.more && rest.tags.is_empty() && rest.manifests.len() == many + 1 - MAX_BURIED);
    assert_eq!(bed.count("SELECT count(*) FROM manifests WHERE deleted_at IS NULL"), 0);
    assert_eq!(buried(bury(&bed, "big", &top.digest, None)), Buried::default());
}

#[test]
fn a_run_that_goes_on_leaves_alone_what_was_pushed_again_meanwhile() {
    let bed = Bed::new();
    let one = bed.push_image("r", &["a"], &["v1"], 1000);
    assert_eq!(buried(bury(&bed, "v1", &one.digest, None)).manifests, std::slice::from_ref(&one.digest));
    bed.pushed("r", &one, &[], 6000);
    // As after a kill: the step is asked for again.
    assert_eq!(buried(bury(&bed, "v1", &one.digest, None)), Buried::default());
    assert!(bed.manifest("r", &one).is_some(), "its push was acknowledged");
}

#[test]
fn a_closure_that_goes_in_several_writes_leaves_what_was_asked_for_between_them() {
    let bed = Bed::new();
    let many = MAX_BURIED + 40;
    bed.push_blob("r", "layer", 1000);
    let children: Vec<Pushed> = (0..many)
        .map(|at| {
            let config = format!("{at}");
            bed.push_blob("r", &config, 1000);
            let child = image(&config, &["layer"]);
            bed.pushed("r", &child, &[], 1000);
            child
        })
        .collect();
    let top = index(&children.iter().map(Pushed::descriptor).collect::<Vec<_>>());
    bed.pushed("r", &top, &["big"], 1000);
    assert!(buried(bury(&bed, "big", &top.digest, None)).more);
    let is_live = |child: &&Pushed| bed.manifest("r", child).is_some();
    let (left, gone) = (children.iter().find(is_live).unwrap(), children.iter().find(|child| !is_live(child)).unwrap());
    for again in [left, gone] {
        bed.pushed("r", again, &[], 6000);
    }
    let rest = buried(bury(&bed, "big", &top.digest, None));
    assert_eq!((rest.more, rest.manifests.len()), (false, many + 1 - MAX_BURIED - 1));
    assert!(is_live(&left) && is_live(&gone));
    assert_eq!(bed.count("SELECT count(*) FROM manifests WHERE deleted_at IS NULL"), 2);
}

#[test]
fn facts_tell_who_follows_whom_and_what_was_pulled() {
    let bed = Bed::new();
    let child = bed.push_image("r", &["a"], &[], 1000);
    let top = index(&[child.descriptor()]);
    bed.pushed("r", &top, &["v1"], 1000);
    let gone = bed.push_image("r", &["g"], &[], 1000);
    let other = bed.push_image("r", &["s"], &[&format!("{}.sig", named_after(&top))], 1000);
    bed.pushed(
        "r",
        &other,
        &[&format!("{}.sig", named_after(&gone)), "sha256-odd", &format!("sha256-{}", "0".repeat(64))],
        1000,
    );
    bed.delete("r", &gone, 2000);
    let facts = || bed.metadata.retention_facts(&repository("r")).unwrap().unwrap();
    assert_eq!(facts().pulls_since_ms, None);
    let pulls = vec![(repository("r"), child.digest.clone(), 4000), (repository("x"), child.digest.clone(), 9000)];
    let record = |pulls, at_ms| bed.wait(|m, done| m.record_pulls(RecordPulls { pulls, at_ms }, done)).unwrap();
    record(pulls, 4500);
    record(vec![(repository("r"), child.digest.clone(), 3000)], 4600);
    let facts = facts();
    assert_eq!(facts.pulls_since_ms, Some(4500));
    let follows: Vec<Follows> = facts.tags.iter().map(|tag| tag.follows).collect();
    let mut expected = vec![Follows::Absent, Follows::Deleted { at_ms: 2000 }, Follows::Live, Follows::Absent];
    let key = |follows: &Follows| format!("{follows:?}");
    let mut sorted = follows[..4].to_vec();
    sorted.sort_by_key(key);
    expected.sort_by_key(key);
    assert_eq!((sorted, follows[4]), (expected, Follows::Nobody));
    // A pull of a child is one of the tag that leads to it.
    assert_eq!(facts.tags[4].pulled_at_ms, Some(4000));
    assert_eq!((facts.manifests.len(), facts.children.len(), facts.followed.len()), (3, 1, 1));
    let going = [facts.tags[4].manifest, facts.children[0].1];
    let (bytes, blobs) = bed.metadata.doom(&mut Doomed::default(), &going).unwrap();
    assert_eq!((bytes.values().sum::<u64>(), blobs), (1, 1));
}

#[test]
fn rules_are_noted_confirmed_and_distrusted() {
    let bed = Bed::new();
    let note = |confirmed, at_ms| {
        let rules = vec![("f".to_owned(), serde_json::json!({ "keep_last": 1 }))];
        let request = NoteRules { rules, confirmed, by: "ann".to_owned(), at_ms };
        bed.wait(|metadata, done| metadata.note_rules(request, done)).unwrap();
        bed.metadata.retention_rules().unwrap()[0].confirmed_at_ms
    };
    assert_eq!(note(None, 1), None);
    assert_eq!(note(Some(true), 2), Some(2));
    assert_eq!(note(Some(true), 3), Some(2), "the first word counts");
    assert_eq!(note(None, 4), Some(2));
    assert_eq!(note(Some(false), 5), None);
    assert_eq!(note(Some(true), 6), Some(6));
}
