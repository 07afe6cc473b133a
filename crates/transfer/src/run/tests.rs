//! Tests of what a run brings, leaves and tells, between an origin and a sink in memory.

use std::sync::atomic::Ordering;

use mcr_oci::FindingKind;

use super::*;
use crate::options::{Times, Unwatched};
use crate::testing::{Memory, Shelf, image, of_bytes, root};

const NOW: i64 = 1_800_000_000_000;

async fn run_with(origin: &Memory, sink: &Shelf, change: impl FnOnce(&mut Options)) -> Report {
    let mut options = Options::new(4, NOW);
    change(&mut options);
    run(origin, sink, &options, &Unwatched).await
}

async fn go(origin: &Memory, sink: &Shelf) -> Report {
    run_with(origin, sink, |_| {}).await
}

fn unreachable() -> Finding {
    Finding { detail: Some("its tags cannot be listed".to_owned()), ..Finding::new(FindingKind::Unreachable) }
}

#[tokio::test]
async fn a_wrong_size_is_one_image_s_own() {
    // Whichever of the two comes first.
    for at_ms in [1, 3] {
        let (mut origin, sink) = (Memory::default(), Shelf::default());
        let (wrong, right) = (of_bytes("layer", None, 10), of_bytes("layer", None, 20));
        let problem = Problem::new(FindingKind::BlobSizeMismatch, "the descriptor says 10 bytes");
        origin.broken.insert((wrong.blobs[0].digest.clone(), 10), problem);
        origin.tag("a", "wrong", &wrong, Some(at_ms));
        origin.tag("a", "right", &right, Some(2));
        let report = run_with(&origin, &sink, |options| options.jobs = 1).await;
        assert_eq!((report.counts.imported, report.counts.broken), (1, 1), "{report:?}");
        assert_eq!(report.broken[0].tag, "wrong");
    }
}

#[tokio::test]
async fn what_could_not_be_listed_is_not_gone() {
    let sink = Shelf::default();
    let here = image("old", None);
    sink.has("a", "v1", root(&here), true, 5);
    sink.has("a", "ours", root(&here), false, 5);
    let mut origin = Memory::default();
    origin.repository("a");
    assert_eq!(go(&origin, &sink).await.gone.len(), 1);
    origin.tags.get_mut("a").unwrap().findings.push(unreachable());
    let report = go(&origin, &sink).await;
    assert_eq!((report.gone.len(), report.counts.gone, report.verdict()), (0, 0, Verdict::Undetermined));
}

#[tokio::test]
async fn tags_of_a_repository_that_is_listed_no_more_are_gone() {
    let sink = Shelf::default();
    for name in ["went", "old/went", "older/went"] {
        sink.has(name, "v1", root(&image("old", None)), true, 5);
        sink.has(name, "ours", root(&image("ours", None)), false, 5);
    }
    let mut origin = Memory::default();
    origin.repository("stays");
    let gone = |report: Report| report.gone.into_iter().map(|tag| tag.repository).collect::<Vec<_>>();
    assert_eq!(gone(go(&origin, &sink).await), ["old/went", "older/went", "went"]);
    // Nothing but what could be its own.
    origin.places.below = Some("old".to_owned());
    assert_eq!(gone(go(&origin, &sink).await), ["old/went"]);
    origin.places.below = None;
    let asked = run_with(&origin, &sink, |options| options.repositories = vec!["stays".to_owned()]).await;
    assert_eq!(gone(asked), Vec::<String>::new());
    origin.places.findings.push(unreachable());
    assert_eq!(gone(go(&origin, &sink).await), Vec::<String>::new());
}

#[tokio::test]
async fn a_tag_that_was_pushed_here_stays_unless_the_origin_moved_it_later() {
    let (mut origin, sink) = (Memory::default(), Shelf::default());
    sink.has("a", "v1", root(&image("ours", None)), false, 1_000);
    let kept = async |origin: &Memory, times: Times| {
        run_with(origin, &sink, |options| options.times = times).await.counts.kept
    };
    origin.tag("a", "v1", &image("theirs", Some(10)), Some(2_000));
    // What a copied tree says of its files is when it was copied.
    assert_eq!(kept(&origin, Times::Created).await, 1);
    let at = |origin: &mut Memory, at_ms| origin.tags.get_mut("a").unwrap().tags[0].at_ms = Some(at_ms);
    at(&mut origin, NOW + 1);
    assert_eq!(kept(&origin, Times::Pushed).await, 1, "nothing was pushed later than now");
    at(&mut origin, 999);
    assert_eq!(kept(&origin, Times::Pushed).await, 1);
    at(&mut origin, 2_000);
    assert_eq!(kept(&origin, Times::Pushed).await, 0);
}

#[tokio::test]
async fn a_referrer_of_a_referrer_comes_though_the_first_one_is_here() {
    let (mut origin, sink) = (Memory::default(), Shelf::default());
    let (subject, sbom, signature) = (image("subject", None), image("sbom", None), image("signature", None));
    origin.tag("a", "v1", &subject, None);
    origin.refers(&sbom, &subject);
    origin.refers(&signature, &sbom);
    // A run that ended between the two.
    sink.has("a", "v1", root(&subject), true, 5);
    sink.held.lock().unwrap().insert(root(&sbom));
    let report = go(&origin, &sink).await;
    assert_eq!(sink.landed(), [root(&signature).to_string()]);
    assert_eq!((report.counts.loose, report.counts.unchanged), (1, 1));
    assert_eq!(go(&origin, &sink).await.counts.loose, 0);
}

#[tokio::test]
async fn referrers_that_cannot_be_asked_for_are_told_and_end_nothing() {
    let (mut origin, sink) = (Memory::default(), Shelf::default());
    origin.tag("a", "v1", &image("one", None), None);
    origin.tag("b", "v1", &image("two", None), None);
    origin.loose_findings.push(unreachable());
    let report = go(&origin, &sink).await;
    assert_eq!((report.counts.imported, report.verdict()), (2, Verdict::Undetermined));
    let told: Vec<_> = report.findings.iter().map(|finding| finding.repository.as_deref()).collect();
    assert_eq!(told, [Some("a"), Some("b")]);
}

#[tokio::test]
async fn nothing_is_brought_of_an_index_that_would_not_be_taken() {
    let mut origin = Memory::default();
    let partial = Closure { absent_children: 1, ..image("partial", None) };
    origin.tag("cache", "v1", &partial, Some(1));
    let mut sink = Shelf { whole_only: true, ..Shelf::default() };
    let report = go(&origin, &sink).await;
    assert_eq!((report.counts.partial, report.verdict()), (1, Verdict::Done));
    assert!(report.partial[0].reason.contains("never pulled through"), "{report:?}");
    assert_eq!(sink.brought.lock().unwrap().len(), 0);
    sink.whole_only = false;
    assert_eq!(go(&origin, &sink).await.counts.imported, 1);
}

#[tokio::test]
async fn images_land_the_oldest_first_though_the_origin_tells_no_times() {
    let (mut origin, sink) = (Memory::default(), Shelf::default());
    // By name v1.10 comes before v1.9; and there are more than are prepared at once.
    for number in 1..=60_i64 {
        let name = format!("v1.{number}");
        origin.tag("a", &name, &image(&name, Some(1_000_000_000_000 + number)), None);
    }
    let report = go(&origin, &sink).await;
    assert_eq!(report.counts.imported, 60);
    assert_eq!(sink.landed(), (1..=60).map(|number| format!("v1.{number}")).collect::<Vec<_>>());
}

#[tokio::test]
async fn no_more_closures_are_walked_at_once_than_there_are_jobs() {
    let (mut origin, sink) = (Memory::default(), Shelf::default());
    for repository in ["a", "b", "c", "d"] {
        for number in 0..50 {
            let name = format!("{repository}{number}");
            origin.tag(repository, &name, &image(&name, None), None);
        }
    }
    let report = go(&origin, &sink).await;
    assert_eq!(report.counts.imported, 200);
    assert_eq!(origin.most_walking.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn much_that_waits_to_land_keeps_others_waiting_and_comes_to_its_end() {
    let (mut origin, sink) = (Memory::default(), Shelf::default());
    let heavy: std::sync::Arc<[u8]> = vec![b' '; 40 << 20].into();
    for repository in ["a", "b", "c"] {
        for number in 0..12 {
            let name = format!("{repository}{number}");
            let mut closure = image(&name, None);
            // One in memory however often it is counted.
            closure.manifests[0].bytes = std::sync::Arc::clone(&heavy);
            origin.tag(repository, &name, &closure, None);
        }
    }
    let report = go(&origin, &sink).await;
    assert_eq!((report.counts.imported, report.ended), (36, None));
}

#[tokio::test]
async fn a_name_that_nothing_has_is_told() {
    let (mut origin, sink) = (Memory::default(), Shelf::default());
    origin.tag("team/app", "v1", &image("one", None), None);
    let wanted = ["team/*", "taem/**"].map(str::to_owned).to_vec();
    let report = run_with(&origin, &sink, |options| options.repositories.clone_from(&wanted)).await;
    assert_eq!((report.unmatched.clone(), report.counts.imported), (vec!["taem/**".to_owned()], 1));
    assert_eq!(report.verdict(), Verdict::LeftOut);
    assert!(report.text().contains("no repository taem/**"), "{}", report.text());

    origin.tags.get_mut("team/app").unwrap().absent = true;
    assert_eq!(go(&origin, &sink).await.unmatched, ["team/app"]);
}

#[tokio::test]
async fn many_broken_tags_are_counted_and_not_all_kept() {
    let (mut origin, sink) = (Memory::default(), Shelf::default());
    let findings = vec![Finding::new(FindingKind::BlobMissing); 300];
    let broken = Closure { findings, ..image("broken", None) };
    for number in 0..2_000 {
        origin.tag("a", &format!("t{number}"), &broken, None);
    }
    let report = go(&origin, &sink).await;
    assert_eq!((report.counts.broken, report.broken.len()), (2_000, 2_000));
    let kept: usize = report.broken.iter().map(|tag| tag.findings.len()).sum();
    assert_eq!(kept, 1_000 * 100 + 1_000);
}
