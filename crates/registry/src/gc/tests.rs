//! Runs of the collector over a real registry: what goes, what waits, what stays, and what a run leaves when it is cut off.

#![expect(clippy::disallowed_methods, reason = "tests look at the files themselves")]

use std::path::PathBuf;
use std::time::Duration;

use mcr_metadata::{BlobStep, CreatePlan, MovePlan, PlanJob as Job, PlanRecord, PlanState, RemoveBlobs, StepAction};
use mcr_metadata::{NewStep, StepState};
use mcr_oci::{Digest, Reference};
use mcr_seams::Clock;

use crate::gc::GcOptions;
use crate::gc::pace::{FULL_CHUNK, Pace};
use crate::plans::{self, PlanFilter, plan_sentence};
use crate::settings::GcSettings;
use crate::testing::{Bed, NOW, admin};
use crate::{Error, Settings};

mod brake;
mod files;
mod model;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// As `--grace 0s --undo 0s`.
pub(super) const AT_ONCE: GcOptions = GcOptions {
    grace: Some(Duration::ZERO),
    undo: Some(Duration::ZERO),
    reconcile: false,
    dry_run: false,
    confirmed: false,
};

/// Waits until no run is under way, and gives the plan as it is then.
async fn over(bed: &Bed, id: &str) -> PlanRecord {
    let wait = async {
        while bed.registry.gc_status(&bed.global()).await.unwrap().running {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), wait).await.expect("the run ends");
    bed.registry.plan(&bed.global(), id).await.unwrap()
}

async fn run(bed: &Bed, options: GcOptions) -> PlanRecord {
    let id = bed.registry.start_gc(&bed.global(), options).await.unwrap();
    over(bed, &id).await
}

fn file(bed: &Bed, digest: &Digest) -> PathBuf {
    let hex = digest.hex();
    bed.directory.path().join("layers/sha256").join(&hex[..2]).join(hex)
}

async fn delete(bed: &Bed, repository: &str, digest: &Digest) {
    let permit = bed.permit(&admin(), repository);
    bed.registry.delete_manifest(&permit, Reference::Digest(digest.clone())).await.unwrap();
}

/// `count` blobs that nothing names, each of `bytes` bytes.
async fn blobs(bed: &Bed, count: usize, bytes: usize) -> Vec<Digest> {
    let mut digests = Vec::new();
    for n in 0..count {
        digests.push(bed.push_blob("a", &format!("{n:0>bytes$}")).await);
    }
    digests
}

#[tokio::test]
async fn a_deleted_image_is_freed_when_its_time_has_come_and_told_of_until_then() {
    let bed = Bed::new();
    let image = bed.push("a", "some content", "v1").await;
    let kept = bed.push("a", "other content", "v2").await;
    let blob = Digest::sha256(b"some content");
    delete(&bed, "a", &image).await;
    let plan = run(&bed, GcOptions::default()).await;
    assert_eq!((plan.state, plan.totals.digests), (PlanState::Done, 0));
    let message = plan_sentence(&plan);
    let until = &mcr_seams::rfc3339(NOW + 7 * DAY + 59_999)[..16].replace('T', " ");
    assert_eq!(message, format!("freed 0 B; 12 B wait until {until}; now: mcrctl gc run --grace 0s --undo 0s --yes"));
    bed.clock.advance(7 * DAY);
    let plan = run(&bed, GcOptions::default()).await;
    assert_eq!(plan_sentence(&plan), "freed 12 B (1 blob, 1 manifest) in 0.0 s; nothing waits");
    assert_eq!((plan.progress.manifests_removed, plan.progress.blobs_removed, plan.progress.done), (1, 1, 2));
    assert!(!file(&bed, &blob).exists() && file(&bed, &Digest::sha256(b"other content")).exists());
    let read = bed.registry.manifest(&bed.permit(&admin(), "a"), Reference::Digest(kept), crate::Reading::Get).await;
    assert!(read.is_ok());
    let figures = bed.registry.gc_figures();
    assert_eq!((figures.runs, figures.blobs_removed, figures.bytes_freed), (2, 1, 12));
    assert_eq!(figures.last_success_ms, Some(bed.clock.now_ms()));
    for (event, count) in [("gc_started", 2), ("gc_completed", 2), ("gc_removed", 2)] {
        assert_eq!(bed.count(event).await, count, "{event}");
    }
    let status = bed.registry.gc_status(&bed.global()).await.unwrap();
    assert_eq!((status.current, status.last.unwrap().id), (None, plan.id));
}

#[tokio::test]
async fn a_dry_run_says_why_and_takes_nothing() {
    let bed = Bed::new();
    let image = bed.push("a", "some content", "v1").await;
    delete(&bed, "a", &image).await;
    bed.clock.advance(2 * HOUR);
    let plan = run(&bed, GcOptions { dry_run: true, ..AT_ONCE }).await;
    assert_eq!((plan.state, plan.dry_run, plan.totals.bytes), (PlanState::Done, true, 12));
    assert_eq!(plan_sentence(&plan), "would free 12 B (2 digests); nothing waits");
    let (steps, next) = bed.registry.plan_steps(&bed.global(), &plan.id, 0, 1).await.unwrap();
    assert_eq!((steps[0].action, steps[0].state, next), (StepAction::Manifest, StepState::Planned, Some(1)));
    assert_eq!(steps[0].reason, format!("deleted at {}", mcr_seams::rfc3339(NOW)));
    let (steps, next) = bed.registry.plan_steps(&bed.global(), &plan.id, 1, 1).await.unwrap();
    assert_eq!((steps[0].action, steps[0].bytes, next), (StepAction::Blob, 12, None));
    assert_eq!(bed.count("gc_removed").await, 0);
    assert!(file(&bed, &Digest::sha256(b"some content")).exists());
}

#[tokio::test]
async fn what_is_leased_stays_whatever_was_asked_for() {
    let bed = Bed::new();
    let digest = bed.push_blob("a", "fresh").await;
    bed.clock.advance(HOUR - 1);
    bed.registry.blob_info(&bed.permit(&admin(), "a"), &digest).await.unwrap();
    bed.clock.advance(HOUR);
    let plan = run(&bed, AT_ONCE).await;
    assert_eq!((plan.totals.digests, plan.totals.waiting_bytes), (0, 5), "a HEAD is a promise");
    bed.clock.advance(11_000);
    assert_eq!(run(&bed, AT_ONCE).await.progress.blobs_removed, 1);
    let gone = bed.registry.blob_info(&bed.permit(&admin(), "a"), &digest).await;
    assert!(matches!(gone, Err(Error::BlobUnknown { .. })), "nothing cached outlives it");
    bed.push_blob("a", "fresh").await;
    assert!(file(&bed, &digest).exists());
}

#[tokio::test]
async fn a_plan_that_takes_much_waits_for_a_person() {
    let bed = Bed::new();
    let digests = blobs(&bed, 101, 10).await;
    bed.push("a", "a small part of the whole", "v1").await;
    bed.clock.advance(2 * HOUR);
    let plan = run(&bed, AT_ONCE).await;
    assert_eq!(plan.state, PlanState::Waiting);
    assert!(plan.reason.as_deref().unwrap().contains("of the bytes, more than max_delete_percent (10)"), "{plan:?}");
    assert!(plan_sentence(&plan).contains(&format!("mcrctl plan confirm {}", plan.id)));
    assert_eq!((bed.registry.plans_waiting(), bed.count("gc_removed").await), ([(Job::Gc, 1), (Job::Retention, 0)], 0));
    // A newer one takes its place, and it can be confirmed no more.
    let newer = run(&bed, AT_ONCE).await;
    assert_eq!(bed.registry.plans_waiting()[0], (Job::Gc, 1));
    assert!(matches!(bed.registry.confirm_plan(&bed.global(), &plan.id).await, Err(Error::Conflict(_))));
    // One that was pushed again since then stays.
    bed.push_blob("a", &format!("{:0>10}", 7)).await;
    let confirmed = bed.registry.confirm_plan(&bed.global(), &newer.id).await.unwrap();
    assert_eq!(confirmed.state, PlanState::Running);
    let done = over(&bed, &newer.id).await;
    assert_eq!((done.state, done.progress.done, done.progress.skipped), (PlanState::Done, 100, 1));
    assert!(file(&bed, &digests[7]).exists() && !file(&bed, &digests[8]).exists());
    assert_eq!((bed.count("plan_confirmed").await, bed.count("plan_discarded").await), (1, 1));
    assert_eq!(bed.registry.plans_waiting()[0], (Job::Gc, 0));
}

#[tokio::test]
async fn nobody_confirms_and_somebody_discards() {
    let bed = Bed::new();
    blobs(&bed, 101, 10).await;
    bed.clock.advance(2 * HOUR);
    let one = run(&bed, AT_ONCE).await;
    assert_eq!(one.expires_at_ms, Some(bed.clock.now_ms() + 7 * DAY));
    bed.clock.advance(7 * DAY);
    bed.registry.tidy_plans().await.unwrap();
    let expired = bed.registry.plan(&bed.global(), &one.id).await.unwrap();
    assert_eq!((expired.state, expired.reason.as_deref()), (PlanState::Discarded, Some("nobody confirmed it in time")));
    let two = run(&bed, AT_ONCE).await;
    let discarded = bed.registry.discard_plan(&bed.global(), &two.id).await.unwrap();
    assert_eq!((discarded.state, discarded.reason.as_deref()), (PlanState::Discarded, Some("discarded by root")));
    assert!(matches!(bed.registry.discard_plan(&bed.global(), &two.id).await, Err(Error::Conflict(_))));
    assert!(matches!(bed.registry.plan(&bed.global(), "nope").await, Err(Error::NoSuch(_))));
    let three = run(&bed, GcOptions { confirmed: true, ..AT_ONCE }).await;
    assert_eq!((three.state, three.progress.blobs_removed), (PlanState::Done, 101), "--yes");
    let listed = bed.registry.plans(&bed.global(), PlanFilter::default(), 2).await.unwrap();
    assert_eq!((listed.plans.len(), listed.next.is_some()), (2, true));
    let rest = PlanFilter { after: listed.next, ..PlanFilter::default() };
    assert_eq!(bed.registry.plans(&bed.global(), rest, 2).await.unwrap().plans.len(), 1);
}

#[tokio::test]
async fn the_brake_looks_at_bytes_and_tags_and_lets_small_plans_pass() {
    let totals = |digests, percent_bytes, tags, percent_tags| mcr_metadata::PlanTotals {
        digests,
        tags,
        percent_bytes,
        percent_tags,
        ..mcr_metadata::PlanTotals::default()
    };
    assert_eq!(plans::brake(&totals(100, 100.0, 0, 0.0), 10), None);
    assert_eq!(plans::brake(&totals(101, 10.0, 0, 10.0), 10), None);
    assert!(plans::brake(&totals(101, 10.1, 0, 0.0), 10).unwrap().contains("10.1 % of the bytes"));
    assert!(plans::brake(&totals(51, 0.0, 50, 60.0), 10).unwrap().contains("60.0 % of the tags"));
}

#[tokio::test]
async fn one_run_at_a_time_and_none_where_nothing_may_be_written() {
    let bed = Bed::new();
    let running = bed.registry.parts.runs.begin(Job::Gc).unwrap();
    assert!(matches!(bed.registry.start_gc(&bed.global(), AT_ONCE).await, Err(Error::Conflict(_))));
    assert!(bed.registry.gc_status(&bed.global()).await.unwrap().running);
    drop(running);
    bed.registry.switch_read_only(&bed.global(), true, Some("moving house")).await.unwrap();
    assert!(matches!(bed.registry.start_gc(&bed.global(), AT_ONCE).await, Err(Error::ReadOnly(_))));
    bed.registry.switch_read_only(&bed.global(), false, None).await.unwrap();
    let marker = bed.directory.path().join("layers/mcr-registry-id");
    std::fs::rename(&marker, marker.with_extension("away")).unwrap();
    assert!(!bed.registry.parts.volume.look_now());
    assert!(matches!(bed.registry.start_gc(&bed.global(), AT_ONCE).await, Err(Error::Unavailable { .. })));
    std::fs::rename(marker.with_extension("away"), &marker).unwrap();
    assert!(bed.registry.parts.volume.look_now());
    assert_eq!(run(&bed, AT_ONCE).await.state, PlanState::Done);
}

#[tokio::test]
async fn what_somebody_is_pushing_just_now_is_left_alone() {
    let bed = Bed::new();
    let digest = bed.push_blob("a", "busy").await;
    bed.clock.advance(2 * HOUR);
    let pushing = bed.registry.parts.locks.lock(&digest).await;
    let plan = run(&bed, AT_ONCE).await;
    assert_eq!((plan.state, plan.progress.skipped), (PlanState::Done, 1));
    let (steps, _) = bed.registry.plan_steps(&bed.global(), &plan.id, 0, 9).await.unwrap();
    assert_eq!(steps[0].detail.as_deref(), Some("somebody was writing or checking it"));
    drop(pushing);
    assert_eq!(run(&bed, AT_ONCE).await.progress.blobs_removed, 1);
}

/// A registry whose clock agrees with the times that files get.
fn today() -> Bed {
    let bed = Bed::new();
    bed.clock.set(Clock::system().now_ms());
    bed
}

#[tokio::test]
async fn reconcile_removes_old_files_without_rows_and_reports_rows_without_files() {
    let bed = today();
    let image = bed.push("a", "some content", "v1").await;
    let stray = Digest::sha256(b"a stray");
    std::fs::create_dir_all(file(&bed, &stray).parent().unwrap()).unwrap();
    std::fs::write(file(&bed, &stray), "a stray").unwrap();
    std::fs::remove_file(file(&bed, &Digest::sha256(b"some content"))).unwrap();
    let reconcile = GcOptions { reconcile: true, ..GcOptions::default() };
    assert_eq!(run(&bed, GcOptions::default()).await.progress.findings, 0, "only where it is asked for");
    let young = run(&bed, reconcile).await;
    assert_eq!((young.progress.files_removed, young.progress.findings), (0, 1), "it may be a push under way");
    let permit = bed.permit(&admin(), "a");
    let broken = bed.registry.manifest(&permit, Reference::Digest(image), crate::Reading::Get).await;
    assert!(matches!(broken, Err(Error::ManifestUnknown { finding: Some(_), .. })));
    bed.clock.advance(2 * HOUR);
    let plan = run(&bed, reconcile).await;
    assert_eq!((plan.progress.files_removed, plan.progress.bytes_freed), (1, 7));
    assert!(!file(&bed, &stray).exists());
    assert_eq!(bed.told("gc_removed").await[0].details["files"][0], stray.as_str());
    bed.push("a", "some content", "v1").await;
    let again = run(&bed, reconcile).await;
    assert_eq!((again.progress.files_removed, again.progress.findings), (0, 0), "no row was deleted");
}

/// The plan of a run that was killed after the rows of `digests` were gone and before their files were.
async fn killed_between_rows_and_files(bed: &Bed, digests: &[Digest]) -> String {
    let (id, at_ms, actor) = ("k".repeat(32), bed.clock.now_ms(), plans::system());
    let settings = bed.registry.asked(AT_ONCE);
    let writes = &bed.registry.parts.writes;
    let create = CreatePlan {
        id: id.clone(),
        job: Job::Gc,
        dry_run: false,
        settings: settings.to_json(),
        actor: actor.clone(),
        at_ms,
    };
    assert!(writes.durable(|m, done| m.create_plan(create, done), |_| ()).await.unwrap());
    let step = |digest: &Digest| NewStep {
        action: StepAction::Blob,
        repository: None,
        tag: None,
        digest: digest.clone(),
        bytes: 1,
        reason: String::new(),
    };
    let mut written = 0;
    bed.registry.add_steps(&id, &mut written, digests.iter().map(step).collect()).await.unwrap();
    let change = MovePlan {
        id: id.clone(),
        from: vec![PlanState::Planning],
        to: PlanState::Running,
        reason: None,
        totals: None,
        expires_at_ms: None,
        actor: actor.clone(),
        at_ms,
    };
    bed.registry.move_plan(change).await.unwrap().unwrap();
    let first = BlobStep { position: 1, digest: digests[0].clone(), link_of: None };
    let remove = RemoveBlobs { plan: id.clone(), steps: vec![first], due: settings.due(at_ms), actor };
    writes.durable(|m, done| m.remove_blobs(remove, done), |_| ()).await.unwrap();
    id
}

#[tokio::test]
async fn a_killed_run_goes_on_at_the_next_start_and_removes_what_it_had_begun() {
    let bed = Bed::new();
    let digests = blobs(&bed, 3, 10).await;
    bed.clock.advance(2 * HOUR);
    let id = killed_between_rows_and_files(&bed, &digests).await;
    assert!(file(&bed, &digests[0]).exists());
    let bed = bed.reopen(Settings::default()).await;
    bed.registry.resume_runs().await.unwrap();
    let plan = over(&bed, &id).await;
    assert_eq!((plan.state, plan.progress.done, plan.progress.blobs_removed), (PlanState::Done, 3, 3));
    assert!(digests.iter().all(|digest| !file(&bed, digest).exists()));
}

#[tokio::test]
async fn what_was_pushed_again_after_the_kill_is_not_unlinked() {
    let bed = Bed::new();
    let digests = blobs(&bed, 2, 10).await;
    bed.clock.advance(2 * HOUR);
    let id = killed_between_rows_and_files(&bed, &digests).await;
    bed.push_blob("b", &format!("{:0>10}", 0)).await;
    let bed = bed.reopen(Settings::default()).await;
    bed.registry.resume_runs().await.unwrap();
    assert_eq!(over(&bed, &id).await.progress.blobs_removed, 2);
    assert!(file(&bed, &digests[0]).exists() && !file(&bed, &digests[1]).exists());
}

#[tokio::test]
async fn a_plan_whose_making_was_cut_off_is_given_up() {
    let bed = Bed::new();
    let id = bed.registry.begin_plan(Job::Gc, false, serde_json::json!({}), plans::system()).await.unwrap();
    let bed = bed.reopen(Settings::default()).await;
    bed.registry.resume_runs().await.unwrap();
    assert_eq!(bed.registry.plan(&bed.global(), &id).await.unwrap().state, PlanState::Discarded);
    // And one that is left lying while the server runs does not stand in the way for ever.
    let lost = bed.registry.begin_plan(Job::Gc, false, serde_json::json!({}), plans::system()).await.unwrap();
    assert_eq!(run(&bed, AT_ONCE).await.state, PlanState::Done);
    assert_eq!(bed.registry.plan(&bed.global(), &lost).await.unwrap().state, PlanState::Failed);
}

#[tokio::test]
async fn a_snapshot_holds_what_it_refers_to_for_its_time() {
    let bed = Bed::new();
    let image = bed.push("a", "in a snapshot", "v1").await;
    let folder = mcr_metadata::SnapshotFolder::beside(&bed.database());
    mcr_metadata::take_snapshot(&bed.database(), &folder, bed.clock.now_ms()).unwrap();
    delete(&bed, "a", &image).await;
    bed.push_blob("a", "not in it").await;
    bed.clock.advance(2 * HOUR);
    let plan = run(&bed, AT_ONCE).await;
    assert_eq!((plan.progress.blobs_removed, plan.progress.manifests_removed, plan.totals.held_bytes), (1, 1, 13));
    let message = plan_sentence(&plan);
    assert!(message.contains("13 B wait until "), "{message}");
    assert!(message.contains(" (13 B of it held by snapshots)"), "{message}");
    let held_for = plan.totals.waiting_until_ms.unwrap() - bed.clock.now_ms();
    let expected = 2 * DAY - 2 * HOUR;
    assert!((expected - 1000..=expected).contains(&held_for), "a snapshot's name has whole seconds: {held_for}");
    assert!(file(&bed, &Digest::sha256(b"in a snapshot")).exists());
    bed.clock.advance(2 * DAY);
    assert_eq!(run(&bed, AT_ONCE).await.progress.blobs_removed, 1);
}

#[tokio::test]
async fn a_scheduled_run_is_the_registrys_own() {
    let settings = Settings { gc: GcSettings { undo: Duration::ZERO, ..GcSettings::default() }, ..Settings::default() };
    let bed = Bed::with(settings);
    bed.push_blob("a", "old").await;
    bed.clock.advance(DAY);
    bed.registry.run_scheduled_gc().await.unwrap();
    let last = bed.registry.gc_status(&bed.global()).await.unwrap().last.unwrap();
    assert_eq!((last.actor.as_str(), last.progress.blobs_removed), ("mcrsrv", 1));
}

#[tokio::test]
async fn it_goes_in_small_steps_only_beside_others() {
    let bed = Bed::new();
    let mut pace = Pace::new(&bed.registry.parts.writes);
    assert_eq!((pace.chunk(), pace.pause()), (FULL_CHUNK, None));
    pace.wrote();
    bed.registry.note_reconcile(false).await.unwrap();
    assert_eq!((pace.chunk(), pace.pause()), (FULL_CHUNK, None), "its own writes are not others'");
    bed.push_blob("a", "beside it").await;
    assert!(pace.chunk() < FULL_CHUNK && pace.pause().is_some());
}
