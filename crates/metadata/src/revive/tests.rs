//! Random deletes and undos over random graphs: no tombstone is ever inside a live closure, and a run undone at once leaves no trace.

use std::collections::BTreeSet;

use mcr_oci::{Digest, media_type};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::testing::{Bed, Pushed, actor, blob_descriptor, pushed, repository, tag};
use crate::{
    BuryManifest, BuryOutcome, BuryTag, Deletes, ReviveManifest, ReviveMode, ReviveOutcome, ReviveTag, Skip,
    Unrevivable,
};

/// What may happen to a repository.
#[derive(Clone, Debug)]
enum Step {
    Push {
        children: Vec<Index>,
        subject: Option<Index>,
        tag: Option<u8>,
        follows: Option<Index>,
    },
    Again(Index),
    BuryTag(Index, u8),
    BuryManifest(Index, u8),
    DeleteTag(Index),
    Delete(Index),
    Undo(u8),
    /// Runs over these tags, and is undone at once.
    BuryAndUndo(Vec<Index>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let index = any::<Index>;
    let push = (
        prop::collection::vec(index(), 0..3),
        prop::option::weighted(0.3, index()),
        prop::option::weighted(0.6, 0..6_u8),
        prop::option::weighted(0.2, index()),
    );
    let step = prop_oneof![
        8 => push.prop_map(|(children, subject, tag, follows)| Step::Push { children, subject, tag, follows }),
        1 => index().prop_map(Step::Again),
        3 => (index(), 0..3_u8).prop_map(|(at, run)| Step::BuryTag(at, run)),
        2 => (index(), 0..3_u8).prop_map(|(at, run)| Step::BuryManifest(at, run)),
        1 => index().prop_map(Step::DeleteTag),
        1 => index().prop_map(Step::Delete),
        2 => (0..3_u8).prop_map(Step::Undo),
        2 => prop::collection::vec(index(), 1..4).prop_map(Step::BuryAndUndo),
    ];
    prop::collection::vec(step, 1..40)
}

/// A repository under test.
struct World {
    bed: Bed,
    pushed: Vec<(Pushed, Vec<String>)>,
    at_ms: i64,
}

type Seen = (Vec<(String, String, i64)>, BTreeSet<String>);

impl World {
    fn new() -> Self {
        let bed = Bed::new();
        for content in ["a", "b", "c", "d"] {
            bed.push_blob("r", content, 1);
        }
        Self { bed, pushed: Vec::new(), at_ms: 1000 }
    }

    fn tags(&self) -> Vec<(String, Digest)> {
        let rows = self.bed.metadata.tag_summaries(&repository("r"), None, usize::MAX).unwrap().unwrap_or_default();
        rows.into_iter().map(|row| (row.name, row.digest)).collect()
    }

    fn seen(&self) -> Seen {
        let rows = self.bed.metadata.tag_summaries(&repository("r"), None, usize::MAX).unwrap().unwrap_or_default();
        let live =
            self.bed.metadata.manifest_summaries(&repository("r"), None, usize::MAX).unwrap().unwrap_or_default();
        (
            rows.into_iter().map(|row| (row.name, row.digest.to_string(), row.moved_at_ms)).collect(),
            live.into_iter().map(|row| row.digest.to_string()).collect(),
        )
    }

    fn make(&self, children: &[Index], subject: Option<&Index>) -> Pushed {
        let known = |index: &Index| self.pushed.get(index.index(self.pushed.len().max(1))).map(|known| &known.0);
        let children: Vec<Value> = children.iter().filter_map(known).map(Pushed::descriptor).collect();
        self.make_of(&children, subject.and_then(known).map(Pushed::descriptor))
    }

    fn make_of(&self, children: &[Value], subject: Option<Value>) -> Pushed {
        let letter = ["a", "b", "c", "d"][self.pushed.len() % 4];
        let (mut json, kind) = if children.is_empty() {
            let config = blob_descriptor("application/vnd.oci.image.config.v1+json", letter);
            let layers = [blob_descriptor("application/octet-stream", letter)];
            let json = json!({ "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": config, "layers": layers });
            (json, media_type::OCI_MANIFEST)
        } else {
            (
                json!({ "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": children }),
                media_type::OCI_INDEX,
            )
        };
        json["annotations"] = json!({ "n": self.pushed.len().to_string() });
        if let Some(subject) = subject {
            json["subject"] = subject;
        }
        pushed(&json, kind)
    }

    fn push(&mut self, manifest: Pushed, tags: Vec<String>) {
        let names: Vec<&str> = tags.iter().map(String::as_str).collect();
        // Refused where a child is a tombstone by now.
        self.bed.push("r", &manifest, &names, self.at_ms);
        self.pushed.push((manifest, tags));
    }

    /// The last line of a tag's history.
    fn last_line(&self, name: &str) -> i64 {
        self.bed.metadata.tag_history(&repository("r"), &tag(name), None, 1).unwrap()[0].id
    }

    fn bury_tag(&self, name: &str, expected: &Digest, run: &str) -> BuryOutcome {
        let request = BuryTag {
            repository: repository("r"),
            tag: tag(name),
            expected: expected.clone(),
            moved_at_ms: None,
            immutable: None,
            run_id: run.to_owned(),
            actor: actor(),
            at_ms: self.at_ms,
        };
        self.bed.wait(|metadata, done| metadata.bury_tag(request, done)).unwrap()
    }

    fn bury_manifest(&self, digest: &Digest, run: &str) -> BuryOutcome {
        let request = BuryManifest {
            repository: repository("r"),
            digest: digest.clone(),
            unreferenced_before_ms: self.at_ms,
            immutable: None,
            run_id: run.to_owned(),
            actor: actor(),
            at_ms: self.at_ms,
        };
        self.bed.wait(|metadata, done| metadata.bury_manifest(request, done)).unwrap()
    }

    fn revive_manifest(&self, digest: &Digest) -> ReviveOutcome {
        let request = ReviveManifest {
            repository: repository("r"),
            digest: digest.clone(),
            buried_since_ms: None,
            run_id: Some("undo".to_owned()),
            actor: actor(),
            at_ms: self.at_ms,
        };
        self.bed.wait(|metadata, done| metadata.revive_manifest(request, done)).unwrap()
    }

    fn undo(&self, run: &str) {
        let of = Deletes::Run(run.to_owned());
        for lost in self.bed.metadata.lost_tags(&of, 0, 10_000).unwrap().found {
            let request = ReviveTag {
                repository: lost.repository,
                tag: lost.tag,
                digest: lost.digest,
                mode: ReviveMode::Undo { change: lost.change },
                immutable: None,
                run_id: Some("undo".to_owned()),
                actor: actor(),
                at_ms: self.at_ms,
            };
            let outcome = self.bed.wait(|metadata, done| metadata.revive_tag(request, done)).unwrap();
            let expected = matches!(
                outcome,
                ReviveOutcome::Revived(_)
                    | ReviveOutcome::There
                    | ReviveOutcome::Refused(Unrevivable::Elsewhere(_) | Unrevivable::Superseded)
            );
            assert!(expected, "{outcome:?}");
            self.check();
        }
        for tombstone in self.bed.metadata.tombstones(&of, 0, 10_000).unwrap().found {
            let outcome = self.revive_manifest(&tombstone.digest);
            assert!(!matches!(outcome, ReviveOutcome::Refused(_)), "{outcome:?}");
            self.check();
        }
        assert_eq!(self.bed.metadata.tombstones(&of, 0, 1).unwrap().found, []);
    }

    fn apply(&mut self, step: &Step) {
        self.at_ms += 10;
        let tags = self.tags();
        let some_tag = |index: &Index| tags.get(index.index(tags.len().max(1))).cloned();
        let some = |index: &Index| self.pushed.get(index.index(self.pushed.len().max(1))).cloned();
        match step {
            Step::Push { children, subject, tag, follows } => {
                let manifest = self.make(children, subject.as_ref());
                let mut tags: Vec<String> = tag.iter().map(|tag| format!("t{tag}")).collect();
                let followed = follows.as_ref().and_then(some);
                tags.extend(followed.map(|known| known.0.digest.as_str().replace(':', "-")));
                self.push(manifest, tags);
            }
            Step::Again(index) => {
                if let Some((manifest, tags)) = some(index) {
                    self.push(manifest, tags);
                }
            }
            Step::BuryTag(index, run) => {
                if let Some((name, digest)) = some_tag(index) {
                    self.bury_tag(&name, &digest, &format!("run {run}"));
                }
            }
            Step::BuryManifest(index, run) => {
                if let Some((manifest, _)) = some(index) {
                    self.bury_manifest(&manifest.digest, &format!("run {run}"));
                }
            }
            Step::DeleteTag(index) => {
                if let Some((name, _)) = some_tag(index) {
                    self.bed.delete_tag("r", &name, self.at_ms);
                }
            }
            Step::Delete(index) => {
                if let Some((manifest, _)) = some(index) {
                    self.bed.delete("r", &manifest, self.at_ms);
                }
            }
            Step::Undo(run) => self.undo(&format!("run {run}")),
            Step::BuryAndUndo(indexes) => {
                let (before, run) = (self.seen(), format!("once {}", self.at_ms));
                for (name, digest) in indexes.iter().filter_map(some_tag) {
                    self.bury_tag(&name, &digest, &run);
                    self.check();
                }
                self.undo(&run);
                assert_eq!(self.seen(), before);
            }
        }
        self.check();
    }

    fn check(&self) {
        let none = [
            "SELECT count(*) FROM edges e JOIN manifests p ON p.id = e.manifest_id
             JOIN manifests c ON c.id = e.target_manifest WHERE p.deleted_at IS NULL AND c.deleted_at IS NOT NULL",
            "SELECT count(*) FROM edges e JOIN manifests p ON p.id = e.manifest_id
             JOIN repository_blobs l ON l.repository_id = e.repository_id AND l.blob_id = e.target_blob
             WHERE p.deleted_at IS NULL AND l.deleted_at IS NOT NULL",
            "SELECT count(*) FROM tags t JOIN manifests m ON m.id = t.manifest_id WHERE m.deleted_at IS NOT NULL",
            "SELECT count(*) FROM manifests WHERE deleted_at IS NULL AND run_id IS NOT NULL",
            "SELECT count(*) FROM manifests m WHERE m.deleted_at IS NULL AND (m.unreferenced_since IS NULL) <> (
                 EXISTS (SELECT 1 FROM tags WHERE manifest_id = m.id)
                 OR EXISTS (SELECT 1 FROM edges e JOIN manifests p ON p.id = e.manifest_id
                            WHERE e.target_manifest = m.id AND p.deleted_at IS NULL))",
            "SELECT count(*) FROM repository_blobs l WHERE l.deleted_at IS NULL AND (l.unreferenced_since IS NULL) <>
                 EXISTS (SELECT 1 FROM edges e JOIN manifests p ON p.id = e.manifest_id
                         WHERE e.target_blob = l.blob_id AND p.deleted_at IS NULL)",
        ];
        for sql in none {
            assert_eq!(self.bed.count(sql), 0, "{sql}");
        }
    }
}

fn run(cases: u32) {
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let outcome = TestRunner::new(config).run(&steps(), |steps| {
        let mut world = World::new();
        for step in &steps {
            world.apply(step);
        }
        world.bed.audited();
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn no_tombstone_is_ever_inside_a_live_closure() {
    run(16);
}

#[test]
#[ignore = "long: `make test-long` runs it"]
fn no_tombstone_is_ever_inside_a_live_closure_for_long() {
    run(1000);
}

#[test]
fn a_tag_that_a_person_names_is_as_young_as_its_restore_and_one_that_a_run_lost_as_old_as_it_was() {
    let mut world = World::new();
    let manifest = world.make(&[], None);
    world.push(manifest.clone(), vec!["v1".to_owned()]);
    world.at_ms = 5000;
    world.bury_tag("v1", &manifest.digest, "run");
    world.at_ms = 9000;
    world.undo("run");
    assert_eq!(world.seen().0[0].2, 1000);
    // Undone a second time, it is still as old.
    world.bury_tag("v1", &manifest.digest, "other");
    world.undo("other");
    assert_eq!(world.seen().0[0].2, 1000);
    world.bed.delete_tag("r", "v1", 9500);
    world.at_ms = 9900;
    let request = ReviveTag {
        repository: repository("r"),
        tag: tag("v1"),
        digest: manifest.digest,
        mode: ReviveMode::Explicit { last: world.last_line("v1") },
        immutable: None,
        run_id: None,
        actor: actor(),
        at_ms: world.at_ms,
    };
    world.bed.wait(|metadata, done| metadata.revive_tag(request, done)).unwrap();
    assert_eq!(world.seen().0[0].2, 9900);
}

#[test]
fn what_the_rows_know_to_be_damaged_or_gone_does_not_come_back() {
    let mut world = World::new();
    let manifest = world.make(&[], None);
    world.push(manifest.clone(), vec!["v1".to_owned()]);
    world.bury_tag("v1", &manifest.digest, "run");
    world.bed.set_state("a", crate::BlobState::Missing, "gone", 2000);
    let damaged = Unrevivable::Damaged(Digest::sha256(b"a"));
    assert_eq!(world.revive_manifest(&manifest.digest), ReviveOutcome::Refused(damaged));
    world.bed.push_blob("r", "a", 3000);
    assert!(matches!(world.revive_manifest(&manifest.digest), ReviveOutcome::Revived(_)));
    let gone = Digest::sha256(b"never here");
    assert_eq!(world.revive_manifest(&gone), ReviveOutcome::Refused(Unrevivable::Collected(gone.clone())));
    assert_eq!(world.bury_manifest(&gone, "run"), BuryOutcome::Skipped(Skip::Gone));
}

#[test]
fn with_a_tag_that_a_person_names_come_its_children_signatures_and_referrers() {
    let mut world = World::new();
    let child = world.make(&[], None);
    world.push(child, Vec::new());
    let top = world.make_of(&[world.pushed[0].0.descriptor()], None);
    world.push(top.clone(), vec!["v1".to_owned(), "v2".to_owned()]);
    let signature = world.make(&[], None);
    world.push(signature, vec![format!("{}.sig", top.digest.as_str().replace(':', "-"))]);
    let referrer = world.make_of(&[], Some(top.descriptor()));
    world.push(referrer, Vec::new());
    let before = world.seen();
    world.at_ms = 2000;
    for name in ["v1", "v2"] {
        world.bury_tag(name, &top.digest, "run");
    }
    assert!(world.seen().0.is_empty() && world.seen().1.is_empty());
    let request = ReviveTag {
        repository: repository("r"),
        tag: tag("v1"),
        digest: top.digest,
        mode: ReviveMode::Explicit { last: world.last_line("v1") },
        immutable: None,
        run_id: None,
        actor: actor(),
        at_ms: 3000,
    };
    let outcome = world.bed.wait(|metadata, done| metadata.revive_tag(request, done)).unwrap();
    let ReviveOutcome::Revived(revived) = outcome else { panic!("{outcome:?}") };
    assert_eq!((revived.manifests.len(), revived.tags.len(), revived.left.len()), (4, 1, 0));
    let after = world.seen();
    assert_eq!(after.1, before.1);
    let names: Vec<&str> = after.0.iter().map(|tag| tag.0.as_str()).collect();
    assert!(names.len() == 2 && names.contains(&"v1") && names.iter().any(|name| name.ends_with(".sig")), "{names:?}");
    world.check();
}

#[test]
fn a_push_that_came_after_the_look_is_not_moved_back() {
    let bed = Bed::new();
    let one = bed.push_image("r", &["a"], &["v1"], 1000);
    bed.delete_tag("r", "v1", 2000);
    let line = || bed.metadata.tag_history(&repository("r"), &tag("v1"), None, 1).unwrap()[0].id;
    let restore = |last| {
        let request = ReviveTag {
            repository: repository("r"),
            tag: tag("v1"),
            digest: one.digest.clone(),
            mode: ReviveMode::Explicit { last },
            immutable: None,
            run_id: None,
            actor: actor(),
            at_ms: 4000,
        };
        bed.wait(|metadata, done| metadata.revive_tag(request, done)).unwrap()
    };
    let seen = line();
    let two = bed.push_image("r", &["b"], &["v1"], 3000);
    assert_eq!(restore(seen), ReviveOutcome::Refused(Unrevivable::Meanwhile));
    assert_eq!(bed.tagged("r", "v1").unwrap().digest, two.digest);
    assert!(matches!(restore(line()), ReviveOutcome::Revived(_)));
}
