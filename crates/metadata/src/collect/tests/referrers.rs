//! What refers to a subject that goes, by when it came.

use super::{DAY, HOUR, collect, due, referrer};
use crate::StepAction;
use crate::testing::Bed;

#[test]
fn a_referrer_whose_own_time_has_not_come_becomes_a_tombstone_as_old_as_its_subject() {
    let bed = Bed::new();
    let subject = bed.push_image("a", &["c"], &["v1"], 0);
    bed.push_blob("a", "s", 5);
    let late = referrer(&subject, "s");
    bed.pushed("a", &late, &[], 5);
    bed.delete("a", &subject, 10);
    // It was there, and its lease begins anew.
    bed.pushed("a", &late, &[], 7 * DAY);
    let run = collect(&bed, "one", due(7 * DAY + HOUR));
    assert_eq!(run[..2], [(StepAction::Manifest, subject.digest), (StepAction::Bury, late.digest.clone())]);
    assert!(bed.manifest("a", &late).is_none());
    let sql = "SELECT deleted_at FROM manifests WHERE run_id = 'one'";
    assert_eq!(bed.count(sql), 10);
    assert_eq!(bed.count("SELECT count(*) FROM audit WHERE event = 'manifest_deleted' AND digest IS NOT NULL"), 2);
    assert_eq!(collect(&bed, "two", due(8 * DAY))[0], (StepAction::Manifest, late.digest));
}

#[test]
fn a_referrer_that_came_after_its_subject_was_deleted_stays() {
    let bed = Bed::new();
    let subject = bed.push_image("a", &["c"], &["v1"], 0);
    bed.delete("a", &subject, 10);
    bed.push_blob("a", "s", DAY);
    let later = referrer(&subject, "s");
    bed.pushed("a", &later, &[], DAY);
    assert_eq!(collect(&bed, "one", due(30 * DAY))[0], (StepAction::Manifest, subject.digest));
    assert!(bed.manifest("a", &later).is_some(), "a push was acknowledged, and its subject may come yet");
    assert_eq!(collect(&bed, "two", due(60 * DAY)), []);
}
