//! Plans beside whoever asked for them: a client that goes away, and runs that were cut or given up.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use mcr_metadata::{MovePlan, NewStep, PlanJob as Job, PlanRecord, PlanState, StepAction};
use mcr_oci::{Digest, Reference};

use crate::gc::planning::Planning;
use crate::retention::testing::{keep_last, settings};
use crate::testing::{Bed, admin};
use crate::{GcOptions, RetentionOptions};

/// Asks, and goes away after the answer was waited for so many times, as a client does whose connection is cut; whether
/// it was answered before.
async fn cut_off<T>(asked: impl Future<Output = T>, waits: usize) -> bool {
    let (mut asked, mut left) = (pin!(asked), waits);
    poll_fn(|context| match (asked.as_mut().poll(context), left.checked_sub(1)) {
        (Poll::Ready(_), _) => Poll::Ready(true),
        (Poll::Pending, None) => Poll::Ready(false),
        (Poll::Pending, Some(fewer)) => {
            left = fewer;
            Poll::Pending
        }
    })
    .await
}

/// Waits until nothing is under way, in the rows as in this process, and gives the newest plan.
async fn settled(bed: &Bed) -> Option<PlanRecord> {
    let under_way = |plan: &PlanRecord| matches!(plan.state, PlanState::Planning | PlanState::Running);
    let quiet = async {
        loop {
            // What was queued before comes before this.
            bed.registry.note_reconcile(false).await.unwrap();
            let open = bed.registry.parts.metadata.open_plans().unwrap();
            let runs = &bed.registry.parts.runs;
            if !open.iter().any(under_way) && ![Job::Gc, Job::Retention].into_iter().any(|job| runs.is_running(job)) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), quiet).await.expect("somebody works on the plan");
    bed.registry.plans(&bed.global(), super::PlanFilter::default(), 1).await.unwrap().plans.pop()
}

/// A plan of the collector that waits for a person, and has nothing to do.
async fn waiting(bed: &Bed) -> String {
    let id = bed.registry.begin_plan(Job::Gc, false, serde_json::json!({}), super::system()).await.unwrap();
    let change = MovePlan {
        id: id.clone(),
        from: vec![PlanState::Planning],
        to: PlanState::Waiting,
        reason: None,
        totals: None,
        expires_at_ms: None,
        actor: super::system(),
        at_ms: bed.clock.now_ms(),
    };
    bed.registry.move_plan(change).await.unwrap().unwrap().id
}

#[tokio::test]
async fn a_run_goes_on_though_the_client_that_asked_for_it_went_away() {
    let bed = Bed::with(settings(vec![keep_last(0)]));
    bed.put_image("app", "one", None, &["v1"]).await;
    let permit = bed.global();
    for waits in 0.. {
        bed.clock.advance(1);
        let answered = cut_off(bed.registry.start_retention(&permit, RetentionOptions::default()), waits).await;
        let plan = settled(&bed).await;
        if answered {
            assert_eq!((waits > 0, plan.unwrap().state), (true, PlanState::Waiting));
            break;
        }
    }
    for waits in 0.. {
        bed.clock.advance(1);
        let answered = cut_off(bed.registry.start_gc(&permit, GcOptions::default()), waits).await;
        let plan = settled(&bed).await;
        if answered {
            assert_eq!((waits > 0, plan.unwrap().state), (true, PlanState::Done));
            break;
        }
    }
    for waits in 0.. {
        bed.clock.advance(1);
        let id = waiting(&bed).await;
        let answered = cut_off(bed.registry.confirm_plan(&permit, &id), waits).await;
        let plan = settled(&bed).await.unwrap();
        assert_eq!(plan.id, id);
        if answered {
            assert_eq!((waits > 0, plan.state), (true, PlanState::Done));
            break;
        }
        assert!([PlanState::Waiting, PlanState::Done].contains(&plan.state));
    }
}

#[tokio::test]
async fn a_plan_that_was_cut_and_waits_says_so_to_its_end() {
    let bed = Bed::new();
    let id = bed.registry.begin_plan(Job::Gc, false, serde_json::json!({}), super::system()).await.unwrap();
    let mut planning = Planning::new(&bed.registry, &id, bed.registry.asked(GcOptions::default()));
    planning.cut = Some("the database's disk is full: run it again");
    (planning.totals.digests, planning.totals.percent_bytes) = (101, 50.0);
    assert!(!bed.registry.turn_made(planning, false).await.unwrap());
    let told = |plan: &PlanRecord| crate::plan_sentence(plan).contains("; the database's disk is full: run it again; ");
    let plan = settled(&bed).await.unwrap();
    assert!(plan.state == PlanState::Waiting && told(&plan), "{}", crate::plan_sentence(&plan));
    bed.registry.confirm_plan(&bed.global(), &id).await.unwrap();
    let plan = settled(&bed).await.unwrap();
    assert_eq!((plan.state, plan.reason.as_deref()), (PlanState::Done, None));
    assert!(told(&plan), "{}", crate::plan_sentence(&plan));
}

#[tokio::test]
async fn what_a_run_removed_before_it_failed_is_counted_once() {
    let bed = Bed::new();
    let image = bed.push("app", "content", "v1").await;
    let permit = bed.permit(&admin(), "app");
    bed.registry.delete_manifest(&permit, Reference::Digest(image.clone())).await.unwrap();
    bed.clock.advance(2 * 3_600_000);
    let now = GcOptions { grace: Some(Duration::ZERO), undo: Some(Duration::ZERO), ..GcOptions::default() };
    let settings = bed.registry.asked(now).to_json();
    let id = bed.registry.begin_plan(Job::Gc, false, settings, super::system()).await.unwrap();
    let step = |action, digest: Digest| NewStep {
        action,
        repository: (action == StepAction::Manifest).then(|| "app".to_owned()),
        tag: None,
        digest,
        bytes: 0,
        reason: String::new(),
    };
    let steps = vec![step(StepAction::Manifest, image), step(StepAction::Blob, Digest::sha256(b"content"))];
    bed.registry.add_steps(&id, &mut 0, steps).await.unwrap();
    // What snapshots hold cannot be known: no blob may go.
    let backups = bed.directory.path().join("backups");
    #[expect(clippy::disallowed_methods, reason = "a hand on the file system")]
    std::os::unix::fs::symlink(&backups, &backups).unwrap();
    let planning = Planning::new(&bed.registry, &id, bed.registry.asked(now));
    assert!(bed.registry.turn_made(planning, false).await.unwrap());
    bed.registry.apply_gc(&id).await.unwrap_err();
    let plan = settled(&bed).await.unwrap();
    assert_eq!((plan.state, plan.progress.manifests_removed), (PlanState::Failed, 1), "{:?}", plan.reason);
    let figures = bed.registry.gc_figures();
    assert_eq!((figures.failures, figures.runs, figures.manifests_removed), (1, 0, 1));
}
