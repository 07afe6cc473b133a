//! What hangs on one step may be more than one write takes.

use super::{HOUR, at_once, collect, plan, referrer, search};
use crate::testing::{Bed, actor, repository};
use crate::{BlobStep, ManifestStep, Removal, RemoveBlobs, RemoveManifests, StepAction};

#[test]
fn many_links_and_referrers_go_in_more_than_one_write() {
    let bed = Bed::new();
    bed.push_blob("a", "c", 0);
    for n in 0..150 {
        assert!(bed.mount(Some("a"), &format!("b{n}"), "c", 0));
    }
    let subject = bed.push_image("x", &["l"], &["v1"], 0);
    for n in 0..150 {
        let blob = format!("s{n}");
        bed.push_blob("x", &blob, 0);
        bed.pushed("x", &referrer(&subject, &blob), &[], 0);
    }
    bed.delete("x", &subject, 0);
    let run = collect(&bed, "one", at_once(2 * HOUR));
    assert_eq!(run.len(), 151 + 2);
    assert_eq!(bed.count("SELECT count(*) FROM manifests"), 0);
    assert_eq!(bed.count("SELECT count(*) FROM repository_blobs"), 150, "those of the referrers are leased");
}

#[test]
fn many_steps_of_one_write_share_what_it_may_touch_beside_them() {
    let bed = Bed::new();
    for n in 0..3 {
        let blob = format!("shared{n}");
        bed.push_blob("a", &blob, 0);
        for at in 0..40 {
            assert!(bed.mount(Some("a"), &format!("b{at}"), &blob, 0));
        }
        let subject = bed.push_image("x", &[&format!("l{n}")], &[], 0);
        for at in 0..40 {
            let blob = format!("s{n}-{at}");
            bed.push_blob("x", &blob, 0);
            bed.pushed("x", &referrer(&subject, &blob), &[], 0);
        }
        bed.delete("x", &subject, 0);
    }
    bed.push_blob("a", "of one repository", 0);
    let due = at_once(2 * HOUR);
    let (found, _) = search(&bed, due);
    plan(&bed, "one", &found, due.now_ms);
    let steps = found.iter().filter(|found| found.action == StepAction::Manifest).map(|found| ManifestStep {
        position: 1,
        action: found.action,
        repository: repository("x"),
        digest: found.digest.clone(),
        untagged_after_ms: None,
    });
    let mut steps: Vec<ManifestStep> = steps.collect();
    let mut writes = 0;
    while !steps.is_empty() {
        let request = RemoveManifests { plan: "one".to_owned(), steps: steps.clone(), due, actor: actor() };
        let removed = bed.wait(|m, done| m.remove_manifests(request, done)).unwrap();
        assert!(removed.buried <= 64, "{}", removed.buried);
        let kept = removed.removals.iter().find(|removal| matches!(removal, Removal::Kept(_)));
        assert_eq!(kept, None, "nothing is given up because something before it must wait");
        steps = steps
            .into_iter()
            .zip(removed.removals)
            .filter(|(_, removal)| *removal == Removal::Again)
            .map(|(step, _)| step)
            .collect();
        writes += 1;
    }
    assert_eq!((writes, bed.count("SELECT count(*) FROM manifests")), (2, 0));
    let blobs = ["shared0", "shared1", "shared2", "of one repository"];
    let step =
        |content: &&str| BlobStep { position: 1, digest: mcr_oci::Digest::sha256(content.as_bytes()), link_of: None };
    let steps = blobs.iter().map(step).collect();
    let request = RemoveBlobs { plan: "one".to_owned(), steps, due, actor: actor() };
    let before = bed.count("SELECT count(*) FROM repository_blobs");
    let removals = bed.wait(|m, done| m.remove_blobs(request, done)).unwrap();
    let is_gone: Vec<bool> = removals.iter().map(|removal| matches!(removal, Removal::Gone { .. })).collect();
    assert_eq!(is_gone, [true, false, false, true], "what needs nothing beside it goes all the same");
    assert_eq!(before - bed.count("SELECT count(*) FROM repository_blobs"), 64 + 4);
}
