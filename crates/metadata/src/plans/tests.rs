//! Plans: one at a time of a job, steps in order, states only along their ways, old ones forgotten in small writes.

use mcr_oci::Digest;
use serde_json::json;

use crate::testing::{Bed, actor};
use crate::{
    AddPlanSteps, CreatePlan, MAX_STEPS_A_WRITE, MovePlan, NewStep, PlanJob, PlanProgress, PlanQuery, PlanState,
    PlanTotals, SettleSteps, Settled, StepAction, StepState,
};

fn create(bed: &Bed, id: &str, job: PlanJob, at_ms: i64) -> bool {
    let settings = json!({ "grace": 1 });
    let request = CreatePlan { id: id.to_owned(), job, dry_run: false, settings, actor: actor(), at_ms };
    bed.wait(|metadata, done| metadata.create_plan(request, done)).unwrap()
}

fn turn(bed: &Bed, id: &str, from: &[PlanState], to: PlanState, at_ms: i64) -> bool {
    let request = MovePlan {
        id: id.to_owned(),
        from: from.to_vec(),
        to,
        reason: Some("so".to_owned()),
        totals: (to == PlanState::Waiting).then(|| PlanTotals { digests: 3, ..PlanTotals::default() }),
        expires_at_ms: (to == PlanState::Waiting).then_some(99),
        actor: actor(),
        at_ms,
    };
    bed.wait(|metadata, done| metadata.move_plan(request, done)).unwrap().is_some()
}

fn add(bed: &Bed, id: &str, first: u64, count: u64) {
    let step = |n: u64| NewStep {
        action: StepAction::Blob,
        repository: None,
        tag: None,
        digest: Digest::sha256(&n.to_be_bytes()),
        bytes: n,
        reason: "why".to_owned(),
    };
    let request = AddPlanSteps { plan: id.to_owned(), first, steps: (first..first + count).map(step).collect() };
    bed.wait(|metadata, done| metadata.add_plan_steps(request, done)).unwrap();
}

#[test]
fn one_run_of_a_job_at_a_time() {
    let bed = Bed::new();
    assert!(create(&bed, "one", PlanJob::Gc, 1));
    assert!(!create(&bed, "two", PlanJob::Gc, 2));
    assert!(create(&bed, "three", PlanJob::Retention, 3), "another job is another matter");
    assert!(turn(&bed, "one", &[PlanState::Planning], PlanState::Waiting, 4));
    assert!(create(&bed, "four", PlanJob::Gc, 5), "what waits does not run");
}

#[test]
fn a_plan_goes_from_planning_over_waiting_to_done_and_says_when() {
    let bed = Bed::new();
    create(&bed, "p", PlanJob::Gc, 1);
    assert!(!turn(&bed, "p", &[PlanState::Waiting], PlanState::Running, 2), "it does not wait");
    assert!(turn(&bed, "p", &[PlanState::Planning], PlanState::Waiting, 2));
    let waiting = bed.metadata.plan("p").unwrap().unwrap();
    assert_eq!((waiting.state, waiting.expires_at_ms, waiting.totals.digests), (PlanState::Waiting, Some(99), 3));
    assert!(turn(&bed, "p", &[PlanState::Waiting], PlanState::Running, 3));
    assert!(turn(&bed, "p", &[PlanState::Running], PlanState::Done, 4));
    let done = bed.metadata.plan("p").unwrap().unwrap();
    assert_eq!(
        (done.created_at_ms, done.started_at_ms, done.ended_at_ms, done.expires_at_ms),
        (1, Some(3), Some(4), None)
    );
    assert_eq!((done.totals.digests, done.reason.as_deref()), (3, Some("so")));
    assert_eq!(bed.metadata.last_plan(PlanJob::Gc).unwrap().unwrap().id, "p");
    assert_eq!(bed.metadata.last_plan(PlanJob::Retention).unwrap(), None);
    assert_eq!(bed.metadata.open_plans().unwrap(), []);
    for event in ["gc_started", "gc_waits", "plan_confirmed", "gc_completed"] {
        assert_eq!(bed.count(&format!("SELECT count(*) FROM audit WHERE event = '{event}'")), 1, "{event}");
    }
    bed.audited();
}

#[test]
fn steps_are_paged_settled_and_counted() {
    let bed = Bed::new();
    create(&bed, "p", PlanJob::Gc, 1);
    add(&bed, "p", 1, 5);
    add(&bed, "p", 6, 2);
    let settled =
        vec![Settled { position: 2, skipped: None }, Settled { position: 3, skipped: Some("gone".to_owned()) }];
    let more = PlanProgress { bytes_freed: 7, ..PlanProgress::default() };
    let request = SettleSteps { plan: "p".to_owned(), settled, more };
    bed.wait(|metadata, done| metadata.settle_steps(request, done)).unwrap();
    let positions = |after, state, limit| -> Vec<u64> {
        bed.metadata.plan_steps("p", after, state, limit).unwrap().iter().map(|step| step.position).collect()
    };
    assert_eq!(positions(0, None, 3), [1, 2, 3]);
    assert_eq!(positions(3, None, 9), [4, 5, 6, 7]);
    assert_eq!(positions(0, Some(StepState::Planned), 3), [1, 4, 5]);
    let skipped = bed.metadata.plan_steps("p", 2, None, 1).unwrap().remove(0);
    assert_eq!((skipped.state, skipped.detail.as_deref(), skipped.bytes), (StepState::Skipped, Some("gone"), 3));
    assert_eq!(bed.metadata.last_steps_done("p", StepAction::Blob, 9).unwrap().len(), 1);
    let progress = bed.metadata.plan("p").unwrap().unwrap().progress;
    assert_eq!((progress.done, progress.skipped, progress.bytes_freed), (1, 1, 7));
}

#[test]
fn plans_are_listed_newest_first_and_the_oldest_are_forgotten_bit_by_bit() {
    let bed = Bed::new();
    for n in 0..5_i64 {
        let id = format!("p{n}");
        create(&bed, &id, PlanJob::Gc, n);
        add(&bed, &id, 1, MAX_STEPS_A_WRITE as u64 + 10);
        turn(&bed, &id, &[PlanState::Planning], if n == 1 { PlanState::Waiting } else { PlanState::Done }, n);
    }
    let ids = |query: PlanQuery| -> Vec<String> {
        bed.metadata.plans(&query).unwrap().into_iter().map(|plan| plan.id).collect()
    };
    assert_eq!(ids(PlanQuery { limit: 3, ..PlanQuery::default() }), ["p4", "p3", "p2"]);
    assert_eq!(ids(PlanQuery { limit: 3, after: Some("p2".to_owned()), ..PlanQuery::default() }), ["p1", "p0"]);
    assert_eq!(ids(PlanQuery { limit: 3, state: Some(PlanState::Waiting), ..PlanQuery::default() }), ["p1"]);
    assert_eq!(ids(PlanQuery { limit: 3, job: Some(PlanJob::Retention), ..PlanQuery::default() }), [""; 0]);
    let mut writes = 0;
    while bed.wait(|metadata, done| metadata.forget_plans(2, done)).unwrap() {
        writes += 1;
    }
    assert_eq!(writes, 2 * 2, "two plans, each in two writes");
    assert_eq!(ids(PlanQuery { limit: 9, ..PlanQuery::default() }), ["p4", "p3", "p1"], "what waits stays");
    assert_eq!(bed.count("SELECT count(*) FROM plan_steps"), 3 * (MAX_STEPS_A_WRITE as i64 + 10));
}

#[test]
fn a_plan_that_was_given_up_while_it_was_made_says_how_many_steps_it_wrote() {
    let bed = Bed::new();
    for (id, job, to) in [("f", PlanJob::Gc, PlanState::Failed), ("d", PlanJob::Retention, PlanState::Discarded)] {
        create(&bed, id, job, 1);
        add(&bed, id, 1, 200);
        add(&bed, id, 201, 7);
        assert!(turn(&bed, id, &[PlanState::Planning, PlanState::Running], to, 2));
        assert_eq!(bed.metadata.plan(id).unwrap().unwrap().totals.steps, 207);
    }
}
