//! Tests of retention from the rule to the tombstones.

use std::time::Duration;

use mcr_metadata::{PlanState, StepAction, StepState};
use mcr_oci::{Digest, Reference};
use regex::Regex;

use super::testing::{keep_last, settings};
use crate::testing::{Bed, NOW, admin, name, tag};
use crate::{Error, RestoreRun, RetentionOptions, RetentionRule, Rule};

mod confirming;

const DAY: i64 = 24 * 3_600_000;

fn options() -> RetentionOptions {
    RetentionOptions::default()
}

/// Pulls `app` by tag, and waits until that is written down.
async fn pull(bed: &Bed, tagged: &str) {
    let digest = bed.state_of("app").tags[tagged].0.clone();
    bed.registry.note_pull(&admin(), &name("app"), &digest);
    bed.registry.flush_pulls(true).await;
    // Behind the record of the pull in the writer's queue.
    bed.registry.note_rules(&[], "").await.unwrap();
}

#[tokio::test]
async fn incident_6_keep_last_never_takes_a_piece_of_what_it_keeps() {
    let bed = Bed::with(settings(vec![keep_last(2)]));
    // Twelve builds over a year, the children each older than the index that is kept because it moved.
    for version in 0..12 {
        bed.clock.set(NOW + version * 30 * DAY);
        bed.put_build("app", &format!("v{version}")).await;
    }
    // The oldest build becomes the newest by its tag alone; its platforms were pushed a year ago.
    bed.clock.set(NOW + 13 * 30 * DAY);
    let v0 = bed.state_of("app").tags["v0"].0.clone();
    let row = bed.registry.parts.metadata.manifest(&name("app"), &Reference::Digest(v0.clone())).unwrap();
    let mcr_metadata::Lookup::Found(row) = row else { panic!("v0 is gone") };
    let manifest = serde_json::from_slice(&row.bytes).unwrap();
    bed.put_manifest("app", &manifest, &["latest"]).await;
    let before = bed.state_of("app");
    // Of each build: tag and signature's tag; index, three children, the signature, two referrers, one of a child.
    assert_eq!((before.tags.len(), before.manifests.len()), (25, 96));

    let plan = bed.run_retention_now().await;
    bed.check_whole("app").await;
    let after = bed.state_of("app");
    let plain: Vec<&String> = after.tags.keys().filter(|tag| !tag.starts_with("sha256-")).collect();
    assert_eq!(plain, ["latest", "v11"]);
    // Two whole builds with their signatures and referrers, and nothing of the others.
    assert_eq!((after.tags.len(), after.manifests.len()), (4, 16));
    assert_eq!(after.referrers.len(), 6);
    assert_eq!((plan.progress.tags_removed, plan.progress.manifests_buried), (21, 80));
    assert_eq!(plan.progress.skipped, 0, "{plan:?}");
    assert_eq!(plan.totals.steps, 101);
    assert!(bed.plan_lines(&plan.id).await.iter().all(|step| step.state == StepState::Done && !step.reason.is_empty()));

    let what = RestoreRun { run: Some(plan.id.clone()), ..RestoreRun::default() };
    let restored = bed.registry.restore_run(&bed.global(), what).await.unwrap();
    assert_eq!((restored.tags_restored, restored.manifests_restored), (21, 80), "{:?}", restored.refused);
    assert_eq!(bed.state_of("app"), before);
    bed.check_whole("app").await;
}

#[tokio::test]
async fn any_keep_rule_wins_and_every_tag_that_goes_has_a_reason() {
    let rule = RetentionRule {
        keep_last: Some(1),
        keep_within: Some(Duration::from_secs(10 * 86_400)),
        keep_pulled_within: Some(Duration::from_secs(20 * 86_400)),
        keep_tags: Some(Regex::new("v[0-9]+|stable").unwrap()),
        ..keep_last(0)
    };
    let mut settings = settings(vec![rule]);
    settings.rules = vec![Rule {
        repositories: vec!["**".to_owned()],
        sparse: false,
        immutable_tags: Some(Rule::tag_pattern("golden").unwrap()),
    }];
    let bed = Bed::with(settings);
    for text in ["v1", "v1-rc", "stable", "golden", "pulled", "old", "old-too"] {
        bed.put_image("app", text, None, &[text]).await;
    }
    bed.put_image("app", "pulled", None, &["unused"]).await;
    // Pulls are written down from here on.
    pull(&bed, "old").await;
    bed.clock.set(NOW + 25 * DAY);
    pull(&bed, "pulled").await;
    bed.clock.set(NOW + 30 * DAY);
    bed.put_image("app", "recent", None, &["recent"]).await;
    bed.clock.set(NOW + 39 * DAY);
    bed.put_image("app", "newest", None, &["newest"]).await;
    let plan = bed.run_retention_now().await;
    let mut left: Vec<String> = bed.state_of("app").tags.into_keys().collect();
    left.sort();
    assert_eq!(left, ["golden", "newest", "pulled", "recent", "stable", "unused", "v1"]);
    let steps = bed.plan_lines(&plan.id).await;
    let reason = |text: &str| steps.iter().find(|step| step.tag.as_deref() == Some(text)).unwrap().reason.clone();
    assert_eq!(
        reason("v1-rc"),
        "moved 39 d ago: not among the 1 that moved last, did not move within 10 d, was not pulled within 20 d, does \
         not match keep_tags"
    );
}

#[tokio::test]
async fn a_rule_without_a_keep_key_and_a_repository_without_a_rule_lose_no_tag() {
    let untagged = RetentionRule { repositories: vec!["a/*".to_owned()], keep_last: None, ..keep_last(0) };
    let untagged = RetentionRule { delete_untagged_after: Some(Duration::from_secs(86_400)), ..untagged };
    let bed = Bed::with(settings(vec![untagged]));
    let held = bed.put_index("a/b", &[&bed.put_image("a/b", "x", None, &[]).await], None, &["t"]).await;
    let alone = bed.put_image("a/b", "alone", None, &[]).await;
    let signature = bed.put_image("a/b", "signature", Some(&held), &[]).await;
    bed.put_image("c", "x", None, &["t"]).await;
    bed.put_image("c", "alone", None, &[]).await;
    bed.clock.set(NOW + 2 * DAY);
    let plan = bed.run_retention_now().await;
    let steps = bed.plan_lines(&plan.id).await;
    assert_eq!(steps.len(), 1, "{steps:?}");
    assert_eq!((steps[0].action, &steps[0].digest), (StepAction::Bury, &alone.digest));
    assert_eq!(steps[0].reason, "no tag names it, and nothing else did for 2 d");
    assert_eq!((bed.state_of("a/b").tags.len(), bed.state_of("a/b").manifests.len()), (1, 3));
    assert!(bed.state_of("a/b").manifests.contains(&signature.digest), "it follows its subject");
    assert_eq!(bed.state_of("c").manifests.len(), 2);
}

#[tokio::test]
async fn a_new_rule_only_reports_until_its_first_plan_was_confirmed() {
    let bed = Bed::with(settings(vec![keep_last(1)]));
    for text in ["a", "b", "c"] {
        bed.put_image("app", text, None, &[text]).await;
    }
    assert_eq!(bed.registry.untagged_rules().of("app"), None);
    let plan = bed.run_retention(options()).await;
    assert_eq!(plan.state, PlanState::Waiting);
    assert!(plan.reason.as_deref().unwrap().contains("new or changed"), "{:?}", plan.reason);
    assert_eq!(bed.state_of("app").tags.len(), 3);
    // The schedule makes no second plan of it, and takes nothing.
    bed.registry.run_scheduled_retention().await.unwrap();
    assert_eq!(bed.registry.plans(&bed.global(), crate::PlanFilter::default(), 10).await.unwrap().plans.len(), 1);

    bed.registry.confirm_plan(&bed.global(), &plan.id).await.unwrap();
    assert_eq!(bed.plan_ended(&plan.id).await.state, PlanState::Done);
    assert_eq!(bed.state_of("app").tags.len(), 1);
    // From now on it is applied by itself.
    bed.put_image("app", "d", None, &["d"]).await;
    bed.clock.set(NOW + 1000);
    bed.put_image("app", "e", None, &["e"]).await;
    bed.registry.run_scheduled_retention().await.unwrap();
    assert_eq!(bed.state_of("app").tags.into_keys().collect::<Vec<_>>(), ["e"]);
    // Undoing the run takes the confirmation back.
    let what = RestoreRun { run: Some(plan.id), ..RestoreRun::default() };
    assert_eq!(bed.registry.restore_run(&bed.global(), what).await.unwrap().tags_restored, 2);
    bed.registry.run_scheduled_retention().await.unwrap();
    assert_eq!(bed.state_of("app").tags.len(), 3);
    assert_eq!(bed.registry.plans_waiting()[1].1, 1);
}

#[tokio::test]
async fn a_rule_that_reaches_more_because_another_went_is_a_new_one() {
    let first = RetentionRule { repositories: vec!["prod/**".to_owned()], ..keep_last(1000) };
    let bed = Bed::with(settings(vec![first, keep_last(1)]));
    for text in ["a", "b"] {
        bed.put_image("prod/app", text, None, &[text]).await;
    }
    let plan = bed.run_retention_now().await;
    assert_eq!(plan.totals.steps, 0);
    let bed = bed.reopen(settings(vec![keep_last(1)])).await;
    bed.registry.run_scheduled_retention().await.unwrap();
    assert_eq!(bed.state_of("prod/app").tags.len(), 2);
    assert_eq!(bed.registry.plans_waiting()[1].1, 1);
}

#[tokio::test]
async fn the_brake_holds_a_plan_that_takes_too_much() {
    let bed = Bed::with(settings(vec![keep_last(1)]));
    for text in ["first", "second"] {
        bed.put_image("app", text, None, &[text]).await;
        bed.clock.advance(1000);
    }
    assert_eq!(bed.run_retention_now().await.totals.tags, 1);
    for at in 0..130 {
        bed.put_image("app", &format!("{at}"), None, &[&format!("t{at}")]).await;
    }
    let plan = bed.run_retention(options()).await;
    assert_eq!(plan.state, PlanState::Waiting);
    assert!(plan.reason.as_deref().unwrap().contains("max_delete_percent"), "{:?}", plan.reason);
    assert!(plan.totals.percent_tags > 99.0 && plan.totals.percent_bytes > 90.0, "{:?}", plan.totals);
    let dry = bed.run_retention(RetentionOptions { dry_run: true, confirmed: true, ..options() }).await;
    assert_eq!((dry.state, dry.totals.tags), (PlanState::Done, 130));
    assert_eq!(bed.state_of("app").tags.len(), 131);
}

#[tokio::test]
async fn steps_are_looked_at_again_when_a_plan_is_applied() {
    let bed = Bed::with(settings(vec![keep_last(2)]));
    let mut digests = Vec::new();
    for (at, text) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
        bed.clock.set(NOW + at as i64 * 1000);
        digests.push(bed.put_image("app", text, None, &[text]).await.digest);
    }
    let plan = bed.run_retention(options()).await;
    assert_eq!((plan.state, plan.totals.tags), (PlanState::Waiting, 3));
    // While it waits: a moves, and with d and e deleted by hand b and c are among the newest.
    bed.clock.set(NOW + 10_000);
    bed.put_image("app", "other", None, &["a"]).await;
    for gone in ["d", "e"] {
        let permit = bed.permit(&admin(), "app");
        bed.registry.delete_manifest(&permit, Reference::Tag(tag(gone))).await.unwrap();
    }
    bed.registry.confirm_plan(&bed.global(), &plan.id).await.unwrap();
    let plan = bed.plan_ended(&plan.id).await;
    assert_eq!((plan.state, plan.progress.tags_removed), (PlanState::Done, 1));
    assert_eq!(bed.state_of("app").tags.into_keys().collect::<Vec<_>>(), ["a", "c"]);
    let steps = bed.plan_lines(&plan.id).await;
    let detail = |text: &str| steps.iter().find(|step| step.tag.as_deref() == Some(text)).unwrap().detail.clone();
    assert_eq!(detail("a").as_deref(), Some("a rule keeps it as of now"));
    assert_eq!(detail("b"), None);
}

#[tokio::test]
async fn a_run_that_was_cut_off_goes_on_where_it_stands() {
    let bed = Bed::with(settings(vec![keep_last(1)]));
    for at in 0..6 {
        bed.clock.set(NOW + at * 1000);
        bed.put_build("app", &format!("v{at}")).await;
    }
    let before = bed.state_of("app");
    // Planned, marked as running, half of it done and nothing of that written down: as a kill leaves it.
    let asked = bed
        .registry
        .retention_asked(RetentionOptions { confirmed: true, ..options() }, crate::plans::system(), |_| true)
        .await
        .unwrap();
    let id = bed.registry.begin_retention(&asked).await.unwrap();
    let totals = bed.registry.plan_retention(&id, &asked).await.unwrap();
    bed.registry.begin_made(&id, totals, true).await.unwrap();
    for gone in ["v0", "v1", "v2"] {
        let bury = mcr_metadata::BuryTag {
            repository: name("app"),
            tag: tag(gone),
            expected: before.tags[gone].0.clone(),
            moved_at_ms: None,
            immutable: None,
            run_id: id.clone(),
            actor: crate::plans::system(),
            at_ms: bed.clock.now_ms(),
        };
        bed.registry.parts.writes.durable(|m, done| m.bury_tag(bury, done), |_| ()).await.unwrap();
    }
    bed.check_whole("app").await;
    let bed = bed.reopen(settings(vec![keep_last(1)])).await;
    bed.registry.resume_runs().await.unwrap();
    let plan = bed.plan_ended(&id).await;
    assert_eq!((plan.state, plan.progress.skipped), (PlanState::Done, 0));
    let after = bed.state_of("app");
    assert_eq!((after.tags.len(), after.manifests.len()), (2, 8));
    let what = RestoreRun { run: Some(id), ..RestoreRun::default() };
    bed.registry.restore_run(&bed.global(), what).await.unwrap();
    assert_eq!(bed.state_of("app"), before);
}

#[tokio::test]
async fn what_is_shared_stays_and_what_only_dead_ones_share_goes() {
    let bed = Bed::with(settings(vec![RetentionRule {
        keep_tags: Some(Regex::new("keep.*").unwrap()),
        keep_last: None,
        ..keep_last(0)
    }]));
    let shared = bed.put_image("app", "shared", None, &[]).await;
    let old = bed.put_image("app", "old", None, &["child-tag"]).await;
    let inner = bed.put_index("app", &[&shared], None, &[]).await;
    let nested = bed.put_index("app", &[&inner, &old], None, &["keep-nested"]).await;
    let dead = bed.put_index("app", &[&shared, &old], None, &["dead"]).await;
    let both = bed.put_image("app", "both", None, &["keep-one", "dead-other"]).await;
    let signature = bed.put_image("app", "signature", Some(&nested), &["signed-by-hand"]).await;
    let of_shared = bed.put_image("app", "of shared", Some(&shared), &[]).await;
    let of_dead = bed.put_image("app", "of dead", Some(&dead), &[]).await;
    bed.run_retention_now().await;
    bed.check_whole("app").await;
    let state = bed.state_of("app");
    let tags: Vec<&str> = state.tags.keys().map(String::as_str).collect();
    // A tag on what refers to something live follows it, whatever it is called.
    assert_eq!(tags, ["keep-nested", "keep-one", "signed-by-hand"]);
    for stays in [&shared, &old, &inner, &nested, &both, &signature, &of_shared] {
        assert!(state.manifests.contains(&stays.digest));
    }
    for goes in [&dead, &of_dead] {
        assert!(!state.manifests.contains(&goes.digest));
    }
}

#[tokio::test]
async fn two_runs_at_once_and_a_bad_glob_are_refused() {
    let bed = Bed::with(settings(vec![keep_last(1)]));
    let run = bed.registry.parts.runs.begin(mcr_metadata::PlanJob::Retention).unwrap();
    assert!(matches!(bed.registry.start_retention(&bed.global(), options()).await, Err(Error::Conflict(_))));
    drop(run);
    let wrong = RetentionOptions { repositories: vec!["A B".to_owned()], ..options() };
    assert!(matches!(bed.registry.start_retention(&bed.global(), wrong).await, Err(Error::Invalid(_))));
    for at in ["x/a", "x/b", "y/a", "y/b"] {
        bed.put_image(at, "1", None, &["one"]).await;
        bed.put_image(at, "2", None, &["two"]).await;
    }
    let only = RetentionOptions { repositories: vec!["x/*".to_owned()], confirmed: true, ..options() };
    assert_eq!(bed.run_retention(only).await.progress.tags_removed, 2);
    assert_eq!((bed.state_of("x/a").tags.len(), bed.state_of("y/a").tags.len()), (1, 2));
    let unknown = Digest::sha256(b"?");
    assert!(!bed.state_of("x/a").manifests.contains(&unknown));
}

#[tokio::test]
async fn a_push_that_names_what_a_run_took_within_the_lease_is_not_refused() {
    let bed = Bed::with(settings(vec![keep_last(0)]));
    let child = bed.put_image("app", "child", None, &[]).await;
    let signature = format!("{}.sig", child.digest.as_str().replace(':', "-"));
    bed.put_image("app", "signature", None, &[&signature]).await;
    bed.put_index("app", &[&child], None, &["old"]).await;
    // A client is told that the child is here, then retention takes the index that kept it.
    bed.run_retention_now().await;
    assert_eq!(bed.state_of("app").manifests.len(), 0);
    bed.clock.advance(30 * 60_000);
    let extra = bed.put_image("app", "extra", None, &[]).await;
    bed.put_index("app", &[&child, &extra], None, &["new"]).await;
    assert_eq!(bed.state_of("app").tags.into_keys().collect::<Vec<_>>(), ["new", signature.as_str()]);
    bed.check_whole("app").await;

    // Past the lease, and where a person deleted, nobody was promised anything.
    for (wait, by_hand) in [(2 * 3_600_000, false), (0, true)] {
        if by_hand {
            bed.registry.delete_repository(&bed.global(), &name("app")).await.unwrap();
        } else {
            bed.run_retention_now().await;
        }
        bed.clock.advance(wait);
        let manifest = serde_json::json!({
            "schemaVersion": 2,
            "mediaType": mcr_oci::media_type::OCI_INDEX,
            "manifests": [child.descriptor],
        });
        let push = crate::PushManifest {
            reference: Reference::Tag(tag("late")),
            media_type: Some(mcr_oci::media_type::OCI_INDEX.to_owned()),
            bytes: manifest.to_string().into(),
            tags: Vec::new(),
        };
        let refused = bed.registry.push_manifest(&bed.permit(&admin(), "app"), push).await;
        assert!(matches!(refused, Err(Error::Incomplete(_))), "{refused:?}");
        bed.put_image("app", "child", None, &["child"]).await;
    }
}

#[tokio::test]
async fn a_push_that_names_many_which_came_and_went_in_pairs_is_not_refused() {
    let bed = Bed::with(settings(vec![keep_last(0)]));
    let mut children = Vec::new();
    for at in 0..12 {
        let child = bed.put_image("app", &format!("child {at}"), None, &[]).await;
        children.push(bed.put_image("app", &format!("about {at}"), Some(&child), &[]).await);
        children.insert(children.len() - 1, child);
    }
    let all: Vec<_> = children.iter().collect();
    bed.put_index("app", &all, None, &["old"]).await;
    bed.run_retention_now().await;
    assert_eq!(bed.state_of("app").manifests.len(), 0);
    let extra = bed.put_image("app", "extra", None, &[]).await;
    let all: Vec<_> = all.into_iter().chain([&extra]).collect();
    bed.put_index("app", &all, None, &["new"]).await;
    bed.check_whole("app").await;
}

#[tokio::test]
async fn a_plan_that_waits_gives_way_to_a_newer_one_of_the_same_rules_and_places() {
    let bed = Bed::with(settings(vec![keep_last(0)]));
    bed.put_image("app", "one", None, &["v1"]).await;
    let one = bed.run_retention(options()).await;
    let elsewhere = RetentionOptions { repositories: vec!["app".to_owned()], ..options() };
    let other = bed.run_retention(elsewhere).await;
    let two = bed.run_retention(options()).await;
    let mut states = Vec::new();
    for plan in [&one, &other, &two] {
        states.push(bed.registry.plan(&bed.global(), &plan.id).await.unwrap().state);
    }
    assert_eq!(states, [PlanState::Discarded, PlanState::Waiting, PlanState::Waiting]);
}

#[tokio::test]
async fn what_is_about_something_deleted_stays_until_that_is_removed_for_retention_as_for_the_collector() {
    let rule =
        RetentionRule { keep_last: None, delete_untagged_after: Some(Duration::from_secs(3600)), ..keep_last(0) };
    let bed = Bed::with(settings(vec![rule]));
    bed.put_image("app", "taken, so that the rule is confirmed", None, &[]).await;
    bed.clock.advance(DAY);
    assert_eq!(bed.run_retention_now().await.totals.steps, 1);
    let image = bed.put_image("app", "image", None, &["v1"]).await;
    let signature = bed.put_image("app", "signature", Some(&image), &[]).await;
    let permit = bed.permit(&admin(), "app");
    bed.registry.delete_manifest(&permit, Reference::Digest(image.digest.clone())).await.unwrap();
    let collected = async || {
        let id = bed.registry.start_gc(&bed.global(), crate::GcOptions::default()).await.unwrap();
        bed.plan_ended(&id).await;
        bed.state_of("app").manifests.contains(&signature.digest)
    };
    bed.clock.advance(6 * DAY);
    assert_eq!(bed.run_retention_now().await.totals.steps, 0, "an undo of the delete brings back a signed image");
    assert!(collected().await, "both by one predicate");
    // With its subject it goes, though no rule were there.
    bed.clock.advance(DAY);
    assert!(!collected().await);
}
