//! Which rules a person's yes is about: those that the plan shows, whole; and that none else is applied by itself.

use std::time::Duration;

use mcr_metadata::{PlanRecord, PlanState};
use regex::Regex;

use super::{DAY, options};
use crate::retention::testing::{keep_last, settings};
use crate::testing::Bed;
use crate::{GcOptions, RestoreRun, RetentionOptions, RetentionRule, Settings};

/// A rule for `pattern` that takes every tag and, after a day, every manifest without one.
fn takes_all(pattern: &str) -> RetentionRule {
    RetentionRule {
        repositories: vec![pattern.to_owned()],
        delete_untagged_after: Some(Duration::from_secs(86_400)),
        ..keep_last(0)
    }
}

/// A rule for `pattern` that takes nothing until something is untagged for a day.
fn takes_later(pattern: &str) -> RetentionRule {
    RetentionRule { keep_last: None, ..takes_all(pattern) }
}

fn limited(pattern: &str) -> RetentionOptions {
    RetentionOptions { repositories: vec![pattern.to_owned()], ..options() }
}

async fn confirm(bed: &Bed, plan: &PlanRecord) -> PlanRecord {
    assert_eq!(plan.state, PlanState::Waiting, "{:?}", plan.reason);
    bed.registry.confirm_plan(&bed.global(), &plan.id).await.unwrap();
    let plan = bed.plan_ended(&plan.id).await;
    assert_eq!(plan.state, PlanState::Done, "{:?}", plan.reason);
    plan
}

async fn waiting(bed: &Bed) -> u64 {
    bed.registry.tidy_plans().await.unwrap();
    bed.registry.plans_waiting()[1].1
}

fn tags(bed: &Bed, repository: &str) -> usize {
    bed.state_of(repository).tags.len()
}

/// Whether the collector takes untagged manifests there.
fn takes_untagged(bed: &Bed, repository: &str) -> bool {
    bed.registry.untagged_rules().of(repository).is_some()
}

/// One image with a tag in each of both.
async fn two_places(rules: Vec<RetentionRule>) -> Bed {
    let bed = Bed::with(settings(rules));
    for at in ["ci/app", "prod/app"] {
        bed.put_image(at, at, None, &["v1"]).await;
    }
    bed
}

#[tokio::test]
async fn a_rule_that_takes_nothing_today_is_not_confirmed_by_a_plan_of_another() {
    let bed = two_places(vec![takes_all("ci/**")]).await;
    confirm(&bed, &bed.run_retention(options()).await).await;
    // A second rule comes, which takes nothing today; a run of the first needs nobody.
    let bed = bed.reopen(settings(vec![takes_all("ci/**"), takes_later("prod/**")])).await;
    for again in ["v2", "v3", "v4"] {
        bed.put_image("ci/app", again, None, &[again]).await;
    }
    let plan = bed.run_retention(options()).await;
    assert_eq!((plan.state, plan.progress.tags_removed), (PlanState::Done, 3), "{:?}", plan.reason);
    assert!(!takes_untagged(&bed, "prod/app"), "nobody saw what it takes");
    assert!(takes_untagged(&bed, "ci/app"));
    // Weeks later it would take something: it reports, and neither the schedule nor the collector takes it.
    let alone = bed.put_image("prod/app", "alone", None, &[]).await;
    bed.clock.advance(30 * DAY);
    bed.registry.run_scheduled_retention().await.unwrap();
    let collected = bed.registry.start_gc(&bed.global(), GcOptions { confirmed: true, ..GcOptions::default() }).await;
    bed.plan_ended(&collected.unwrap()).await;
    assert!(bed.state_of("prod/app").manifests.contains(&alone.digest));
    assert_eq!(waiting(&bed).await, 1);
}

#[tokio::test]
async fn a_yes_to_some_repositories_is_none_to_the_rules_of_others() {
    let bed = two_places(vec![takes_all("ci/**"), takes_all("prod/**")]).await;
    let plan = bed.run_retention(RetentionOptions { confirmed: true, ..limited("ci/**") }).await;
    assert_eq!((plan.state, plan.progress.tags_removed), (PlanState::Done, 1));
    assert!(takes_untagged(&bed, "ci/app"));
    assert!(!takes_untagged(&bed, "prod/app"));
    bed.registry.run_scheduled_retention().await.unwrap();
    assert_eq!((tags(&bed, "prod/app"), waiting(&bed).await), (1, 1));

    // The same where a plan waited first.
    let bed = two_places(vec![takes_all("ci/**"), takes_all("prod/**")]).await;
    let plan = bed.run_retention(limited("ci/**")).await;
    confirm(&bed, &plan).await;
    assert_eq!((tags(&bed, "ci/app"), tags(&bed, "prod/app")), (0, 1));
    assert!(takes_untagged(&bed, "ci/app"));
    assert!(!takes_untagged(&bed, "prod/app"));
}

#[tokio::test]
async fn a_yes_to_some_repositories_of_a_rule_is_none_to_the_rule() {
    let bed = two_places(vec![takes_all("**")]).await;
    let plan = bed.run_retention(RetentionOptions { confirmed: true, ..limited("ci/**") }).await;
    assert_eq!((plan.state, plan.progress.tags_removed), (PlanState::Done, 1));
    bed.registry.run_scheduled_retention().await.unwrap();
    assert_eq!((tags(&bed, "prod/app"), waiting(&bed).await), (1, 1), "nobody saw what it takes of prod");
    // A limited plan that waits takes no confirmation with it either.
    bed.put_image("ci/app", "new", None, &["new"]).await;
    let plan = bed.run_retention(limited("prod/**")).await;
    confirm(&bed, &plan).await;
    assert!(!takes_untagged(&bed, "prod/app"));
}

#[tokio::test]
async fn a_run_with_nothing_to_take_confirms_nothing() {
    let bed = Bed::with(settings(vec![takes_later("**")]));
    bed.put_image("app", "first", None, &["v1"]).await;
    assert_eq!(bed.run_retention_now().await.totals.steps, 0);
    assert!(!takes_untagged(&bed, "app"));
    bed.put_image("app", "alone", None, &[]).await;
    bed.clock.advance(2 * DAY);
    assert_eq!(bed.run_retention_now().await.totals.steps, 1);
    assert!(takes_untagged(&bed, "app"));
}

#[tokio::test]
async fn an_undo_while_a_run_is_being_planned_makes_it_wait() {
    let bed = Bed::with(settings(vec![takes_all("**")]));
    bed.put_image("app", "yesterday", None, &["yesterday"]).await;
    let yesterday = bed.run_retention_now().await;
    bed.put_image("app", "today", None, &["today"]).await;
    // The schedule has begun and read what is confirmed; then somebody undoes the run of yesterday.
    let asked = bed.registry.retention_asked(options(), crate::plans::system(), |confirmed| confirmed).await.unwrap();
    let id = bed.registry.begin_retention(&asked).await.unwrap();
    let what = RestoreRun { run: Some(yesterday.id), ..RestoreRun::default() };
    assert_eq!(bed.registry.restore_run(&bed.global(), what).await.unwrap().tags_restored, 1);
    bed.registry.retain(&id, asked).await;
    let plan = bed.plan_ended(&id).await;
    assert_eq!(plan.state, PlanState::Waiting, "{:?}", plan.reason);
    assert_eq!((tags(&bed, "app"), takes_untagged(&bed, "app")), (2, false));
    confirm(&bed, &plan).await;
    assert!(takes_untagged(&bed, "app"));
}

#[tokio::test]
async fn a_rule_that_waits_does_not_hold_up_one_that_was_confirmed() {
    let rules = || vec![takes_all("ci/**"), takes_all("prod/**")];
    let bed = two_places(rules()).await;
    confirm(&bed, &bed.run_retention(limited("ci/**")).await).await;
    let waits = bed.run_retention(limited("prod/**")).await;
    assert_eq!(waits.state, PlanState::Waiting);
    bed.put_image("ci/app", "new", None, &["new"]).await;
    bed.registry.run_scheduled_retention().await.unwrap();
    assert_eq!((tags(&bed, "ci/app"), tags(&bed, "prod/app")), (0, 1));
    // Both together in one that a person asked for: what was confirmed goes on all the same.
    bed.put_image("ci/app", "newer", None, &["newer"]).await;
    let both = bed.run_retention(options()).await;
    assert_eq!(both.state, PlanState::Waiting);
    bed.registry.run_scheduled_retention().await.unwrap();
    assert_eq!((tags(&bed, "ci/app"), tags(&bed, "prod/app"), waiting(&bed).await), (0, 1, 2));
}

#[tokio::test]
async fn a_plan_that_the_brake_holds_is_not_made_again_by_the_schedule() {
    let bed = Bed::with(settings(vec![takes_all("**")]));
    bed.put_image("app", "first", None, &["first"]).await;
    bed.run_retention_now().await;
    bed.clock.advance(1000);
    for at in 0..110 {
        bed.put_image("app", &format!("{at}"), None, &[&format!("t{at}")]).await;
    }
    for _ in 0..2 {
        bed.registry.run_scheduled_retention().await.unwrap();
    }
    let all = bed.registry.plans(&bed.global(), crate::PlanFilter::default(), 10).await.unwrap().plans;
    assert_eq!((all.len(), all[0].state, tags(&bed, "app")), (2, PlanState::Waiting, 110));
}

#[tokio::test]
async fn a_run_of_the_collector_that_somebody_undoes_takes_the_confirmation_back() {
    let bed = Bed::with(settings(vec![takes_later("ci/**"), takes_later("prod/**")]));
    let untagged = |text: &'static str| async { bed.put_image("ci/app", text, None, &[]).await.digest };
    for at in ["ci/app", "prod/app"] {
        bed.put_image(at, at, None, &[]).await;
    }
    bed.clock.advance(2 * DAY);
    assert_eq!(bed.run_retention_now().await.totals.steps, 2);
    let pinned = untagged("pinned by a deployment").await;
    bed.clock.advance(2 * DAY);
    let id = bed.registry.start_gc(&bed.global(), GcOptions::default()).await.unwrap();
    assert_eq!(bed.plan_ended(&id).await.progress.manifests_buried, 1);
    let what = RestoreRun { run: Some(id), ..RestoreRun::default() };
    assert_eq!(bed.registry.restore_run(&bed.global(), what).await.unwrap().manifests_restored, 1);
    assert!(!takes_untagged(&bed, "ci/app") && takes_untagged(&bed, "prod/app"));
    bed.clock.advance(30 * DAY);
    let id = bed.registry.start_gc(&bed.global(), GcOptions::default()).await.unwrap();
    assert_eq!(bed.plan_ended(&id).await.progress.manifests_buried, 0);
    assert!(bed.state_of("ci/app").manifests.contains(&pinned));
}

#[tokio::test]
async fn layers_that_only_doomed_repositories_share_are_bytes_that_go() {
    let mut rule = keep_last(0);
    rule.keep_tags = Some(Regex::new("kept").unwrap());
    let bed = Bed::with(Settings { retention: vec![rule], ..Settings::default() });
    for at in ["a/app", "b/app"] {
        bed.put_image(at, "shared by both", None, &["v1"]).await;
    }
    bed.put_image("b/app", "shared with what stays", None, &["v2"]).await;
    bed.put_image("c/app", "shared with what stays", None, &["kept"]).await;
    // A link that somebody deleted keeps nothing.
    let blob = bed.push_blob("c/app", "shared by both").await;
    bed.registry.delete_blob(&bed.permit(&crate::testing::admin(), "c/app"), &blob).await.unwrap();
    let plan = bed.run_retention(RetentionOptions { dry_run: true, ..options() }).await;
    let expected = "shared by both".len() as u64;
    assert_eq!((plan.totals.tags, plan.totals.bytes), (3, expected), "each layer once: {:?}", plan.totals);
    assert_eq!(plan.totals.digests, 3 + 1, "three manifests and the layer");
    let steps = bed.plan_lines(&plan.id).await;
    assert_eq!(steps.iter().map(|step| step.bytes).sum::<u64>(), expected, "it goes with the last that names it");
}
