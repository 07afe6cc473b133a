//! What may be removed, in which order, and what is looked at again inside the transaction; over the real rows.

use mcr_oci::{Digest, media_type};
use serde_json::json;

use crate::testing::{Bed, Pushed, actor, blob_descriptor, image, index, pushed, repository};
use crate::{
    BlobState, BlobStep, Candidate, CollectSearch, CreatePlan, DeleteRepository, Due, ManifestStep, NewStep, PlanJob,
    Removal, RemoveBlobs, RemoveManifests, RenewLease, StepAction, StepState, Waiting,
};

mod bounds;
mod model;
mod referrers;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// Grace of a day, lease of an hour, undo of a week.
fn due(now_ms: i64) -> Due {
    Due { now_ms, wait_ms: DAY, lease_ms: HOUR, undo_ms: 7 * DAY }
}

/// As `--grace 0s --undo 0s`.
fn at_once(now_ms: i64) -> Due {
    Due { now_ms, wait_ms: HOUR, lease_ms: HOUR, undo_ms: 0 }
}

fn search(bed: &Bed, due: Due) -> (Vec<Candidate>, Waiting) {
    let (mut search, mut found) = (CollectSearch::new(due), Vec::new());
    while bed.metadata.search_collectable(&mut search, &mut found).unwrap() {}
    (found, search.waiting())
}

/// Writes a plan of `found`, which the removals settle.
fn plan(bed: &Bed, id: &str, found: &[Candidate], at_ms: i64) {
    let create =
        CreatePlan { id: id.to_owned(), job: PlanJob::Gc, dry_run: false, settings: json!({}), actor: actor(), at_ms };
    bed.wait(|metadata, done| metadata.create_plan(create, done)).unwrap();
    let step = |found: &Candidate| NewStep {
        action: found.action,
        repository: found.repository.clone(),
        tag: None,
        digest: found.digest.clone(),
        bytes: found.bytes,
        reason: format!("{:?}", found.why),
    };
    let steps = found.iter().map(step).collect();
    let add = crate::AddPlanSteps { plan: id.to_owned(), first: 1, steps };
    bed.wait(|metadata, done| metadata.add_plan_steps(add, done)).unwrap();
}

/// Applies what was found, one write a step; what became of each.
fn apply(bed: &Bed, id: &str, found: &[Candidate], due: Due) -> Vec<Removal> {
    let mut removals = Vec::new();
    for (position, found) in (1..).zip(found) {
        removals.push(loop {
            let removal = apply_one(bed, id, position, found, due);
            if removal != Removal::Again {
                break removal;
            }
        });
    }
    removals
}

fn apply_one(bed: &Bed, id: &str, position: u64, found: &Candidate, due: Due) -> Removal {
    let name = found.repository.as_deref().map(repository);
    let (plan, digest) = (id.to_owned(), found.digest.clone());
    match found.action {
        StepAction::Manifest | StepAction::Bury => {
            let step = ManifestStep {
                position,
                action: found.action,
                repository: name.unwrap(),
                digest,
                untagged_after_ms: Some(DAY),
            };
            let request = RemoveManifests { plan, steps: vec![step], due, actor: actor() };
            bed.wait(|metadata, done| metadata.remove_manifests(request, done)).unwrap().removals.remove(0)
        }
        StepAction::Blob | StepAction::Link => {
            let step = BlobStep { position, digest, link_of: name };
            let request = RemoveBlobs { plan, steps: vec![step], due, actor: actor() };
            bed.wait(|metadata, done| metadata.remove_blobs(request, done)).unwrap().remove(0)
        }
        StepAction::Tag | StepAction::File => panic!("no step of the collector: {found:?}"),
    }
}

/// A whole run.
fn collect(bed: &Bed, id: &str, due: Due) -> Vec<(StepAction, Digest)> {
    let (found, _) = search(bed, due);
    plan(bed, id, &found, due.now_ms);
    let removals = apply(bed, id, &found, due);
    let change = crate::MovePlan {
        id: id.to_owned(),
        from: vec![crate::PlanState::Planning],
        to: crate::PlanState::Done,
        reason: None,
        totals: None,
        expires_at_ms: None,
        actor: actor(),
        at_ms: due.now_ms,
    };
    bed.wait(|metadata, done| metadata.move_plan(change, done)).unwrap().unwrap();
    for removal in &removals {
        assert!(matches!(removal, Removal::Gone { .. } | Removal::Buried), "planned and not done: {removals:?}");
    }
    found.into_iter().map(|found| (found.action, found.digest)).collect()
}

fn actions(found: &[Candidate]) -> Vec<StepAction> {
    found.iter().map(|found| found.action).collect()
}

/// An image about `subject`.
fn referrer(subject: &Pushed, config: &str) -> Pushed {
    let json = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "artifactType": "application/x.signature",
        "config": blob_descriptor("application/vnd.oci.image.config.v1+json", config),
        "layers": [],
        "subject": subject.descriptor(),
    });
    pushed(&json, media_type::OCI_MANIFEST)
}

#[test]
fn nothing_live_goes_tagged_or_not() {
    let bed = Bed::new();
    bed.push_image("a", &["c", "l"], &["v1"], 0);
    bed.push_image("a", &["d", "l"], &[], 0);
    let (found, waiting) = search(&bed, at_once(100 * DAY));
    assert_eq!((found, waiting), (vec![], Waiting::default()), "deployments pin digests");
}

#[test]
fn a_deleted_image_waits_for_undo_and_grace_and_then_goes_with_its_blobs() {
    let bed = Bed::new();
    let gone = bed.push_image("a", &["config", "only", "shared"], &["v1"], 0);
    bed.push_image("a", &["other", "shared"], &["v2"], 0);
    bed.delete("a", &gone, 10);
    let (found, waiting) = search(&bed, due(7 * DAY + 9));
    assert_eq!(found, []);
    let bytes = ("config".len() + "only".len()) as u64;
    assert_eq!(waiting, Waiting { bytes, digests: 3, until_ms: Some(7 * DAY + 10) });
    // Within the longer one of undo and grace nothing goes; at its end all does, and nothing of what is left.
    let run = collect(&bed, "one", due(7 * DAY + 10));
    let (manifest, blob) = (StepAction::Manifest, StepAction::Blob);
    assert_eq!(
        run,
        [(manifest, gone.digest.clone()), (blob, Digest::sha256(b"config")), (blob, Digest::sha256(b"only"))]
    );
    assert!(bed.tagged("a", "v2").is_some());
    assert!(bed.blob("a", "shared").is_some() && bed.blob("a", "only").is_none());
    assert_eq!(bed.count("SELECT count(*) FROM blobs"), 2);
    let record = bed.metadata.plan("one").unwrap().unwrap();
    assert_eq!((record.progress.done, record.progress.skipped, record.progress.bytes_freed), (3, 0, bytes));
    assert_eq!((record.progress.blobs_removed, record.progress.manifests_removed), (2, 1));
    assert_eq!(bed.count("SELECT count(*) FROM audit WHERE event = 'gc_removed'"), 3);
    bed.audited();
}

#[test]
fn without_grace_and_undo_what_is_leased_stays() {
    let bed = Bed::new();
    bed.push_blob("a", "fresh", 5);
    assert_eq!(search(&bed, at_once(HOUR + 4)).0, []);
    assert_eq!(actions(&search(&bed, at_once(HOUR + 5)).0), [StepAction::Blob]);
    let lease = RenewLease {
        repository: repository("a"),
        digest: Digest::sha256(b"fresh"),
        content: crate::Content::Blob,
        until_ms: HOUR,
    };
    assert!(bed.wait(|metadata, done| metadata.renew_lease(lease, done)).unwrap());
    let (found, waiting) = search(&bed, at_once(HOUR + 5));
    assert_eq!((found.len(), waiting.until_ms), (0, Some(2 * HOUR)));
}

#[test]
fn an_index_goes_before_its_children_and_a_child_of_one_that_stays_does_not() {
    let bed = Bed::new();
    let child = bed.push_image("a", &["c1"], &[], 0);
    let inner = index(&[child.descriptor()]);
    bed.pushed("a", &inner, &[], 0);
    let outer = index(&[inner.descriptor(), child.descriptor()]);
    bed.pushed("a", &outer, &["v1"], 0);
    // Children are older than what names them, so an order by age would be the wrong one.
    bed.delete("a", &outer, 10);
    bed.delete("a", &inner, 10);
    bed.delete("a", &child, 10);
    let younger = index(&[bed.push_image("b", &["x"], &[], 0).descriptor()]);
    bed.pushed("b", &younger, &["v1"], 0);
    bed.delete("b", &younger, 20);
    let manifest = StepAction::Manifest;
    let run = collect(&bed, "one", at_once(HOUR + 10));
    let expected = [outer.digest, inner.digest, child.digest].map(|digest| (manifest, digest));
    assert_eq!(run[..3], expected);
    assert_eq!(run[3..], [(StepAction::Blob, Digest::sha256(b"c1"))]);
    assert!(bed.manifest("b", &younger).is_none(), "it is a tombstone still");
    assert_eq!(bed.count("SELECT count(*) FROM manifests"), 2, "the tombstone of b, and its live child");
}

#[test]
fn a_tombstone_keeps_its_child_until_it_goes() {
    let bed = Bed::new();
    let child = bed.push_image("a", &["c"], &[], 0);
    let parent = index(&[child.descriptor()]);
    bed.pushed("a", &parent, &["v1"], 0);
    bed.delete("a", &parent, 8 * DAY);
    bed.delete("a", &child, 8 * DAY);
    // The child alone is made old.
    bed.sql().execute("UPDATE manifests SET deleted_at = 1, unreferenced_since = 1 WHERE kind = 'image'", []).unwrap();
    let (found, _) = search(&bed, due(9 * DAY + 1));
    assert_eq!(found, [], "its parent can be restored, and would be an orphan index");
    assert_eq!(actions(&search(&bed, due(15 * DAY)).0), [StepAction::Manifest, StepAction::Manifest, StepAction::Blob]);
}

#[test]
fn referrers_follow_a_subject_that_goes_unless_they_are_tagged_or_leased() {
    let bed = Bed::new();
    let subject = bed.push_image("a", &["c"], &["v1"], 0);
    for blob in ["s1", "s2", "s3"] {
        bed.push_blob("a", blob, 0);
    }
    let (untagged, tagged) = (referrer(&subject, "s1"), referrer(&subject, "s2"));
    let deeper = referrer(&untagged, "s3");
    for (manifest, tags) in [(&untagged, &[][..]), (&tagged, &["keep"][..]), (&deeper, &[][..])] {
        bed.pushed("a", manifest, tags, 0);
    }
    bed.delete("a", &subject, 10);
    let lease = RenewLease {
        repository: repository("a"),
        digest: untagged.digest.clone(),
        content: crate::Content::Manifest,
        until_ms: HOUR,
    };
    assert!(bed.wait(|metadata, done| metadata.renew_lease(lease, done)).unwrap());
    assert_eq!(search(&bed, at_once(HOUR + 10)).0, [], "the subject waits for its leased referrer");
    let run = collect(&bed, "one", at_once(2 * HOUR));
    let manifests: Vec<_> = run.iter().filter(|(action, _)| *action == StepAction::Manifest).collect();
    let order = [&subject.digest, &untagged.digest, &deeper.digest];
    assert_eq!(manifests.iter().map(|(_, digest)| digest).collect::<Vec<_>>(), order);
    assert!(bed.tagged("a", "keep").is_some(), "a tag is a root");
    assert_eq!(bed.count("SELECT count(*) FROM manifests"), 1);
    // What live referrers named is leased from the moment they went.
    assert!(bed.blob("a", "s1").is_some());
    let blobs: Vec<_> = collect(&bed, "two", at_once(3 * HOUR)).into_iter().map(|(_, digest)| digest).collect();
    assert_eq!(blobs, [Digest::sha256(b"s1"), Digest::sha256(b"s3")]);
}

#[test]
fn of_a_blob_that_others_hold_only_the_link_goes() {
    let bed = Bed::new();
    let gone = bed.push_image("a", &["shared"], &["v1"], 0);
    assert!(bed.mount(Some("a"), "b", "shared", 1));
    bed.push("b", &image("shared", &[]), &["v1"], 1);
    bed.delete("a", &gone, 10);
    let run = collect(&bed, "one", at_once(HOUR + 10));
    assert_eq!(run[1], (StepAction::Link, Digest::sha256(b"shared")));
    assert!(bed.blob("a", "shared").is_none() && bed.blob("b", "shared").is_some());
    assert_eq!(bed.metadata.plan("one").unwrap().unwrap().progress.bytes_freed, 0);
}

#[test]
fn a_deleted_repository_goes_whole_and_its_finding_is_closed() {
    let bed = Bed::new();
    bed.push_image("a", &["c", "l"], &["v1", "v2"], 0);
    bed.set_state("l", BlobState::Quarantined, "cut", 1);
    let delete = DeleteRepository {
        repository: repository("a"),
        immutable: None,
        run_id: "gone".to_owned(),
        actor: actor(),
        at_ms: 5,
    };
    bed.wait(|metadata, done| metadata.delete_repository(delete, done)).unwrap();
    assert_eq!(search(&bed, due(7 * DAY + 4)).0, []);
    assert_eq!(collect(&bed, "one", due(7 * DAY + 5)).len(), 3);
    assert_eq!(bed.metadata.integrity(10).unwrap(), []);
    assert_eq!(bed.metadata.have_blobs(&[Digest::sha256(b"c"), Digest::sha256(b"l")]).unwrap(), [false, false]);
}

/// What happens to a blob or manifest between its place in a plan and its removal, and what the removal then says.
#[test]
fn what_changed_since_the_plan_is_kept() {
    type Change = fn(&Bed);
    let changes: [(&str, Change, &str); 5] = [
        (
            "pushed",
            |bed| assert!(!bed.push_blob("a", "c", 2 * HOUR).healed),
            "its time has not come: it was pushed, mounted or asked for later",
        ),
        (
            "asked for",
            |bed| {
                let content = crate::Content::Blob;
                let lease = RenewLease {
                    repository: repository("a"),
                    digest: Digest::sha256(b"c"),
                    content,
                    until_ms: 2 * HOUR,
                };
                assert!(bed.wait(|metadata, done| metadata.renew_lease(lease, done)).unwrap());
            },
            "its time has not come: it was pushed, mounted or asked for later",
        ),
        ("named", |bed| bed.pushed("a", &image("c", &[]), &["v1"], 2 * HOUR), "a live manifest names it"),
        (
            "named by what was deleted since",
            |bed| {
                bed.pushed("a", &image("c", &[]), &["v1"], 2 * HOUR);
                bed.delete("a", &image("c", &[]), 2 * HOUR);
                bed.sql().execute("UPDATE repository_blobs SET unreferenced_since = 0", []).unwrap();
            },
            "a manifest names it",
        ),
        ("removed", |bed| drop(collect(bed, "before", at_once(2 * HOUR))), "it is gone already"),
    ];
    for (name, change, why) in changes {
        let bed = Bed::new();
        bed.push_blob("a", "c", 0);
        let (found, _) = search(&bed, at_once(2 * HOUR));
        assert_eq!(actions(&found), [StepAction::Blob]);
        change(&bed);
        plan(&bed, "one", &found, HOUR);
        assert_eq!(apply(&bed, "one", &found, at_once(2 * HOUR)), [Removal::Kept(why.to_owned())], "{name}");
        let step = bed.metadata.plan_steps("one", 0, None, 9).unwrap().remove(0);
        assert_eq!((step.state, step.detail.as_deref()), (StepState::Skipped, Some(why)), "{name}");
    }
}

#[test]
fn a_blob_mounted_since_the_plan_is_kept_everywhere() {
    let bed = Bed::new();
    bed.push_blob("a", "c", 0);
    let (found, _) = search(&bed, at_once(2 * HOUR));
    assert!(bed.mount(Some("a"), "b", "c", 2 * HOUR));
    plan(&bed, "one", &found, HOUR);
    assert!(matches!(apply(&bed, "one", &found, at_once(2 * HOUR))[..], [Removal::Kept(_)]));
    assert!(bed.blob("a", "c").is_some() && bed.blob("b", "c").is_some());
}

#[test]
fn a_manifest_that_changed_since_the_plan_is_kept() {
    type Change = fn(&Bed, &Pushed);
    let changes: [(Change, &str); 3] = [
        (|bed, it| bed.pushed("a", it, &["v2"], 2 * HOUR), "it was pushed again or restored"),
        (
            |bed, it| {
                bed.pushed("a", it, &[], 2 * HOUR);
                bed.delete("a", it, 2 * HOUR);
            },
            "its time has not come: it was deleted or asked for later",
        ),
        (
            |bed, it| {
                bed.push_blob("a", "s", 0);
                bed.pushed("a", &referrer(it, "s"), &[], 0);
                bed.pushed("a", &referrer(it, "s"), &[], 2 * HOUR);
            },
            "a manifest whose subject it is was asked for lately",
        ),
    ];
    for (change, why) in changes {
        let bed = Bed::new();
        let it = bed.push_image("a", &["c"], &["v1"], 0);
        bed.delete("a", &it, 0);
        let (found, _) = search(&bed, at_once(2 * HOUR));
        change(&bed, &it);
        plan(&bed, "one", &found, HOUR);
        assert_eq!(apply(&bed, "one", &found, at_once(2 * HOUR))[0], Removal::Kept(why.to_owned()));
        assert_eq!(
            bed.count("SELECT count(*) FROM manifests WHERE digest NOT IN (SELECT digest FROM edges)"),
            bed.count("SELECT count(*) FROM manifests")
        );
    }
}

#[test]
fn an_untagged_manifest_becomes_a_tombstone_only_as_its_rule_says() {
    let bed = Bed::new();
    let it = bed.push_image("a", &["c"], &[], 0);
    let about = {
        bed.push_blob("a", "s", 0);
        referrer(&it, "s")
    };
    bed.pushed("a", &about, &[], 0);
    let (untagged, next) = bed.metadata.untagged_manifests(0).unwrap();
    assert_eq!(untagged.iter().map(|found| &found.digest).collect::<Vec<_>>(), [&it.digest], "referrers follow");
    assert_eq!((next, untagged[0].since_ms), (None, 0));
    let step = |rule: Option<i64>, digest: &Digest, now: i64| {
        let step = ManifestStep {
            position: 1,
            action: StepAction::Bury,
            repository: repository("a"),
            digest: digest.clone(),
            untagged_after_ms: rule,
        };
        let request = RemoveManifests { plan: "p".to_owned(), steps: vec![step], due: at_once(now), actor: actor() };
        bed.wait(|metadata, done| metadata.remove_manifests(request, done)).unwrap().removals.remove(0)
    };
    let kept = |why: &str| Removal::Kept(why.to_owned());
    assert_eq!(step(None, &it.digest, DAY), kept("no confirmed rule says so any more"));
    assert_eq!(step(Some(DAY), &it.digest, DAY - 1), kept("its time has not come: it was pushed or asked for later"));
    assert_eq!(step(Some(DAY), &about.digest, DAY), kept("it follows its subject, which is here"));
    bed.pushed("a", &it, &["v1"], 5);
    assert_eq!(step(Some(DAY), &it.digest, DAY + 5), kept("a tag or an index names it again"));
    bed.delete_tag("a", "v1", 6);
    assert_eq!(step(Some(DAY), &it.digest, DAY + 6), Removal::Buried);
    assert!(bed.manifest("a", &it).is_none() && bed.manifest("a", &about).is_some());
    assert_eq!(bed.count("SELECT count(*) FROM manifests WHERE run_id = 'p' AND unreferenced_since = 6"), 1);
}

#[test]
fn a_tag_is_a_root_whatever_its_age() {
    let bed = Bed::new();
    let it = bed.push_image("a", &["c"], &["v1"], 0);
    bed.pushed("a", &index(&[it.descriptor()]), &["list"], 0);
    assert_eq!(collect(&bed, "one", Due { now_ms: i64::MAX, ..at_once(0) }), []);
    assert_eq!(bed.metadata.count_tags().unwrap(), 2);
}
