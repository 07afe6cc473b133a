//! What the server does by itself at its times: retention and then garbage collection, snapshots.

use std::time::Duration;

use mcr_tests::{Blob, Random, pull, push};
use serde_json::json;

use crate::scene::{Living, within};

const LIMIT: Duration = Duration::from_secs(40);

#[test]
fn retention_and_garbage_collection_come_by_the_schedule() {
    let rule = "[[retention.rule]]\nrepositories = [\"**\"]\nkeep_last = 1\n";
    let living = Living::with(rule, &[("MCR_GC_SCHEDULE", "* * * * * *")]);
    let status = living.get("/v1/gc/status");
    assert_eq!(status["schedule"], "* * * * * *");
    assert!(status["next_run"].is_string(), "{status}");
    let lost = Blob::random(&mut Random::new(5601), 500);
    push::blob(&living.client(), "app", &lost);
    let _ = living.versions("app", 2, 300, &mut Random::new(5602));

    // The rule is new: it waits, and does so once, however often its time comes.
    let waiting = || living.get("/v1/plans?state=needs_confirmation&job=retention")["plans"].clone();
    let plan = within(LIMIT, "a plan of the new rule", || waiting().get(0).cloned());
    assert_eq!(plan["actor"], "mcrsrv", "{plan}");
    let runs = living.figure("mcr_gc_runs_total{outcome=\"done\"}").unwrap();
    within(LIMIT, "two more runs", || {
        (living.figure("mcr_gc_runs_total{outcome=\"done\"}").unwrap() >= runs + 2.0).then_some(())
    });
    assert_eq!(waiting().as_array().unwrap().len(), 1, "{}", waiting());
    assert_eq!(pull::tags(&living.client(), "app"), ["v1", "v2"]);
    let newest = waiting()[0]["id"].as_str().unwrap().to_owned();
    let _ = living.post(&format!("/v1/plans/{newest}/confirm"), &json!({})).expect(200);
    within(LIMIT, "the tag to go", || (pull::tags(&living.client(), "app") == ["v2"]).then_some(()));
    within(LIMIT, "what nothing refers to to go", || (!living.holds(&lost)).then_some(()));
    let last = living.get("/v1/gc/status")["last_run"].clone();
    assert_eq!((&last["actor"], &last["state"]), (&json!("mcrsrv"), &json!("done")), "{last}");
    let _ = pull::assert_whole(&living.client(), "app", "v2");
}

#[test]
fn snapshots_come_by_the_schedule_and_the_oldest_go() {
    let living = Living::with("", &[("MCR_BACKUP_SCHEDULE", "* * * * * *"), ("MCR_BACKUP_KEEP", "2")]);
    let listed = || living.get("/v1/snapshot")["snapshots"].clone();
    let first = within(LIMIT, "a snapshot", || listed().get(0).cloned());
    let newest = within(LIMIT, "newer ones", || {
        let all = listed();
        let names: Vec<_> = all.as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
        (!names.contains(&first["name"]) && !names.is_empty()).then_some(all)
    });
    assert!(newest.as_array().unwrap().len() <= 3, "two, and one that is being taken: {newest}");
    assert!(newest[0]["trouble"].is_null(), "{newest}");
    let audit = living.get("/v1/audit?event=snapshot_taken&actor=mcrsrv&n=1");
    assert_eq!(audit["events"].as_array().unwrap().len(), 1, "{audit}");
}
