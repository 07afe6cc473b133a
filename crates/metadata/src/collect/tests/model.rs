//! Anything pushed and deleted in any order, with runs in between; over the real rows.

use mcr_oci::Digest;
use proptest::prelude::*;
use serde_json::Value;

use super::{HOUR, at_once, collect, referrer};
use crate::StepAction;
use crate::testing::{Bed, Pushed, image, index};

#[derive(Clone, Debug)]
enum Step {
    Blob(usize, usize),
    Image(usize, Vec<usize>, bool),
    Index(usize, usize, usize, bool),
    Referrer(usize, usize),
    DeleteTag(usize, usize),
    Delete(usize, usize),
    Mount(usize, usize),
    Collect,
}

fn step() -> impl Strategy<Value = Step> {
    let at = 0..6_usize;
    prop_oneof![
        (0..2_usize, at.clone()).prop_map(|(r, b)| Step::Blob(r, b)),
        (0..2_usize, prop::collection::vec(at.clone(), 1..4), any::<bool>()).prop_map(|(r, p, t)| Step::Image(r, p, t)),
        (0..2_usize, 0..20_usize, 0..20_usize, any::<bool>()).prop_map(|(r, a, b, t)| Step::Index(r, a, b, t)),
        (0..2_usize, 0..20_usize).prop_map(|(r, m)| Step::Referrer(r, m)),
        (0..2_usize, 0..20_usize).prop_map(|(r, m)| Step::DeleteTag(r, m)),
        (0..2_usize, 0..20_usize).prop_map(|(r, m)| Step::Delete(r, m)),
        (0..2_usize, at).prop_map(|(r, b)| Step::Mount(r, b)),
        Just(Step::Collect),
    ]
}

const NAMES: [&str; 2] = ["a", "b"];

/// Whatever was pushed and deleted: a run takes exactly what it planned, nothing live loses anything, and once all
/// times are past nothing is left but what tags and live manifests hold.
fn check(steps: &[Step]) {
    let bed = Bed::new();
    let mut known: [Vec<Pushed>; 2] = [Vec::new(), Vec::new()];
    let blobs: Vec<String> = (0..6).map(|n| format!("blob{n}")).collect();
    let mut now = 0;
    let pick = |list: &[Pushed], at: usize| list.get(at % list.len().max(1)).cloned();
    for (at, step) in steps.iter().enumerate() {
        now += HOUR / 2;
        let tags =
            |tagged: bool, digest: &Digest| if tagged { vec![format!("t{}", &digest.hex()[..8])] } else { vec![] };
        let push = |known: &mut [Vec<Pushed>; 2], r: usize, manifest: Pushed, tagged: bool| {
            let tags = tags(tagged, &manifest.digest);
            let tags: Vec<&str> = tags.iter().map(String::as_str).collect();
            if matches!(bed.push(NAMES[r], &manifest, &tags, now), crate::CommitOutcome::Committed { .. }) {
                known[r].push(manifest);
            }
        };
        match step {
            Step::Blob(r, b) => assert!(!bed.push_blob(NAMES[*r], &blobs[*b], now).healed),
            Step::Image(r, parts, tagged) => {
                let parts: Vec<&str> = parts.iter().map(|part| blobs[*part].as_str()).collect();
                push(&mut known, *r, image(parts[0], &parts[1..]), *tagged);
            }
            Step::Index(r, one, two, tagged) => {
                let children: Vec<Value> =
                    [one, two].iter().filter_map(|at| pick(&known[*r], **at)).map(|c| c.descriptor()).collect();
                push(&mut known, *r, index(&children), *tagged);
            }
            Step::Referrer(r, m) => {
                let Some(subject) = pick(&known[*r], *m) else { continue };
                bed.push_blob(NAMES[*r], "signature", now);
                push(&mut known, *r, referrer(&subject, "signature"), false);
            }
            Step::DeleteTag(r, m) => {
                let Some(manifest) = pick(&known[*r], *m) else { continue };
                drop(bed.delete_tag(NAMES[*r], &tags(true, &manifest.digest)[0], now));
            }
            Step::Delete(r, m) => {
                let Some(manifest) = pick(&known[*r], *m) else { continue };
                drop(bed.delete(NAMES[*r], &manifest, now));
            }
            Step::Mount(r, b) => drop(bed.mount(Some(NAMES[1 - *r]), NAMES[*r], &blobs[*b], now)),
            Step::Collect => {
                let live = "SELECT count(*) FROM manifests WHERE deleted_at IS NULL";
                let (before, tags) = (bed.count(live), bed.count("SELECT count(*) FROM tags"));
                let run = collect(&bed, &format!("run{at}"), at_once(now));
                let manifests =
                    run.iter().filter(|(action, _)| matches!(action, StepAction::Manifest | StepAction::Bury));
                assert!(bed.count(live) >= before - i64::try_from(manifests.count()).unwrap());
                assert_eq!(bed.count("SELECT count(*) FROM tags"), tags);
            }
        }
    }
    for round in 0..8 {
        now += 2 * HOUR;
        collect(&bed, &format!("last{round}"), at_once(now));
    }
    let left = "SELECT (SELECT count(*) FROM manifests WHERE deleted_at IS NOT NULL)
                     + (SELECT count(*) FROM repository_blobs l WHERE NOT EXISTS
                            (SELECT 1 FROM edges e WHERE e.repository_id = l.repository_id AND e.target_blob = l.blob_id))
                     + (SELECT count(*) FROM blobs b WHERE NOT EXISTS (SELECT 1 FROM repository_blobs l WHERE l.blob_id = b.id))";
    assert_eq!(bed.count(left), 0, "left after everything: {steps:?}");
    assert_eq!(bed.count("SELECT count(*) FROM pragma_foreign_key_check"), 0);
    bed.audited();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn a_run_takes_what_nothing_holds_and_nothing_else(steps in prop::collection::vec(step(), 1..60)) {
        check(&steps);
    }
}
