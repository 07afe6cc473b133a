//! The brake where the sum is not plain: plans that were cut, files of no row, manifests that only become tombstones;
//! and plans that came too late.

use std::time::Duration;

use mcr_metadata::{PlanJob as Job, PlanRecord, PlanState};
use mcr_oci::Digest;
use mcr_seams::Clock;

use super::{AT_ONCE, DAY, HOUR, blobs, file, over, run};
use crate::gc::GcOptions;
use crate::gc::planning::Planning;
use crate::plans::{self, percent};
use crate::retention::testing::settings;
use crate::settings::GcSettings;
use crate::testing::Bed;
use crate::{Error, RetentionOptions, RetentionRule, Settings};

#[test]
fn something_of_nothing_is_everything() {
    assert_eq!([percent(0, 0), percent(0, 9), percent(1, 4), percent(1, 0)], [0.0, 0.0, 25.0, 100.0]);
}

#[tokio::test]
async fn a_plan_that_was_cut_is_weighed_against_everything_there_is() {
    let bed = Bed::new();
    blobs(&bed, 4, 100).await;
    let mut planning = Planning::new(&bed.registry, "cut", bed.registry.asked(AT_ONCE));
    planning.cut = Some("the database's disk is full: run it again");
    bed.registry.plan_rows(&mut planning).await.unwrap();
    (planning.totals.digests, planning.totals.bytes) = (101, 100);
    bed.registry.weigh_plan(&mut planning).await.unwrap();
    assert!((planning.totals.percent_bytes - 25.0).abs() < 0.01, "{:?}", planning.totals);
    assert!(plans::brake(&planning.totals, 10).is_some());
}

#[tokio::test]
async fn many_files_that_no_row_knows_wait_for_a_person() {
    let bed = Bed::new();
    bed.clock.set(Clock::system().now_ms() + 2 * HOUR);
    let strays: Vec<Digest> = (0..101).map(|n| Digest::sha256(format!("stray {n}").as_bytes())).collect();
    for stray in &strays {
        std::fs::create_dir_all(file(&bed, stray).parent().unwrap()).unwrap();
        std::fs::write(file(&bed, stray), "a stray").unwrap();
    }
    let reconcile = GcOptions { reconcile: true, ..GcOptions::default() };
    let plan = run(&bed, reconcile).await;
    assert_eq!(plan.state, PlanState::Waiting, "a database that knows none of its files is the wrong one: {plan:?}");
    assert!(strays.iter().all(|stray| file(&bed, stray).exists()));
    let plan = run(&bed, GcOptions { confirmed: true, ..reconcile }).await;
    assert_eq!((plan.state, plan.progress.files_removed), (PlanState::Done, 101));
}

/// A registry of 110 manifests without a tag whose time is past, by a rule that a person confirmed, and one tag.
async fn untagged() -> Bed {
    let rule = RetentionRule {
        repositories: vec!["**".to_owned()],
        keep_last: None,
        keep_within: None,
        keep_pulled_within: None,
        keep_tags: None,
        delete_untagged_after: Some(Duration::from_secs(24 * 3600)),
    };
    let bed = Bed::with(settings(vec![rule]));
    bed.put_image("app", "first", None, &["v1"]).await;
    bed.put_image("app", "zeroth", None, &[]).await;
    bed.clock.advance(2 * DAY);
    assert_eq!(bed.run_retention_now().await.totals.steps, 1);
    for n in 0..110 {
        bed.put_image("app", &format!("image {n}"), None, &[]).await;
    }
    bed.clock.advance(2 * DAY);
    bed
}

fn buried(plan: &PlanRecord) -> u64 {
    plan.progress.manifests_buried
}

#[tokio::test]
async fn the_bytes_of_manifests_that_become_tombstones_count() {
    let bed = untagged().await;
    let plan = run(&bed, GcOptions::default()).await;
    assert_eq!((plan.state, buried(&plan)), (PlanState::Waiting, 0), "{plan:?}");
    assert!(plan.totals.percent_bytes > 90.0, "{:?}", plan.totals);
    let plan = run(&bed, GcOptions { confirmed: true, ..GcOptions::default() }).await;
    assert_eq!((plan.state, buried(&plan)), (PlanState::Done, 110));
    bed.check_whole("app").await;
}

#[tokio::test]
async fn what_a_plan_of_retention_waits_with_is_not_taken_by_the_collector() {
    let bed = untagged().await;
    let waiting = bed.run_retention(RetentionOptions::default()).await;
    assert_eq!(waiting.state, PlanState::Waiting);
    let plan = run(&bed, GcOptions { confirmed: true, ..GcOptions::default() }).await;
    assert_eq!((plan.state, buried(&plan)), (PlanState::Done, 0));
    bed.registry.confirm_plan(&bed.global(), &waiting.id).await.unwrap();
    assert_eq!(bed.plan_ended(&waiting.id).await.progress.manifests_buried, 110);
}

#[tokio::test]
async fn a_plan_is_not_confirmed_after_its_time_though_nobody_tidied_it() {
    let bed = Bed::new();
    blobs(&bed, 101, 10).await;
    bed.clock.advance(2 * HOUR);
    let plan = run(&bed, AT_ONCE).await;
    bed.clock.advance(7 * DAY);
    let late = bed.registry.confirm_plan(&bed.global(), &plan.id).await;
    assert!(matches!(late, Err(Error::Conflict(_))), "{late:?}");
    assert_eq!(bed.registry.plan(&bed.global(), &plan.id).await.unwrap().state, PlanState::Discarded);
}

#[tokio::test]
async fn a_plan_that_waited_keeps_promises_that_became_longer_meanwhile() {
    let gc = |seconds| GcSettings { lease: Duration::from_secs(seconds), ..GcSettings::default() };
    let bed = Bed::with(Settings { gc: gc(60), ..Settings::default() });
    let digests = blobs(&bed, 101, 10).await;
    bed.clock.advance(HOUR / 2);
    let plan = run(&bed, AT_ONCE).await;
    assert_eq!(plan.state, PlanState::Waiting);
    let bed = bed.reopen(Settings { gc: gc(3600), ..Settings::default() }).await;
    bed.registry.confirm_plan(&bed.global(), &plan.id).await.unwrap();
    let plan = over(&bed, &plan.id).await;
    assert_eq!((plan.state, plan.progress.blobs_removed), (PlanState::Done, 0), "{plan:?}");
    assert!(file(&bed, &digests[0]).exists());
}

#[tokio::test]
async fn a_run_that_is_given_up_unseen_leaves_its_files_to_a_reconcile() {
    let bed = Bed::new();
    let digests = blobs(&bed, 2, 10).await;
    bed.clock.advance(2 * HOUR);
    let id = super::killed_between_rows_and_files(&bed, &digests).await;
    // Somebody asks for a run before the one of the former process is gone on with.
    let plan = run(&bed, AT_ONCE).await;
    assert_eq!(plan.state, PlanState::Done);
    assert_eq!(over(&bed, &id).await.state, PlanState::Failed);
    assert!(bed.registry.wants_reconcile().await.unwrap(), "the next run compares rows with files");
    assert_eq!(bed.registry.plans_waiting()[0], (Job::Gc, 0));
}
