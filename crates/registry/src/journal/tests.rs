//! Tests of the journal.

#![expect(clippy::disallowed_methods, reason = "tests look at files behind the registry's back")]

use std::path::PathBuf;

use mcr_access::Delete;
use mcr_blobs::{Disk, Options, Store};
use mcr_oci::Reference;

use super::line::Op;
use super::*;
use crate::Settings;
use crate::testing::{Bed, NOW, admin, tag};

impl Bed {
    /// Steps until nothing is left to be written.
    async fn journaled(&self) {
        while self.registry.journal_step(None).await == Ok(true) {}
        let state = self.registry.journal_state();
        assert_eq!((state.complete, state.lag_rows, state.trouble), (true, 0, None));
    }

    fn journal(&self) -> PathBuf {
        self.directory.path().join("layers/journal")
    }

    fn files(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.journal()).unwrap();
        let mut names: Vec<String> = names.map(|name| name.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// What the newest file says, without where the trail is.
    fn says(&self) -> Vec<Op> {
        let bytes = std::fs::read(self.journal().join(self.files().last().unwrap())).unwrap();
        let lines = bytes.strip_suffix(b"\n").unwrap().split(|byte| *byte == b'\n');
        let mut said: Vec<Op> = Vec::new();
        for (number, line) in lines.enumerate() {
            let (n, op) = line::read(line).unwrap();
            assert_eq!(n, number as u64 + 1);
            if !matches!(op, Op::Begin(_) | Op::At { .. }) {
                said.push(op);
            }
        }
        said
    }

    async fn delete(&self, repository: &str, tagged: &str) {
        let permit = self.permit::<Delete>(&admin(), repository);
        self.registry.delete_manifest(&permit, Reference::Tag(tag(tagged))).await.unwrap();
    }
}

fn names(said: &[Op]) -> Vec<&str> {
    said.iter()
        .map(|op| match op {
            Op::Begin(_) => "begin",
            Op::Push { .. } => "push",
            Op::Tag { .. } => "tag",
            Op::Untag { .. } => "untag",
            Op::Delete { .. } => "delete",
            Op::Forget { .. } => "forget",
            Op::At { .. } => "at",
            Op::Complete => "complete",
        })
        .collect()
}

#[tokio::test]
async fn what_happens_is_told_in_order_and_a_push_of_what_is_there_once() {
    let bed = Bed::new();
    bed.journaled().await;
    let digest = bed.push("demo/app", "one", "1").await;
    bed.push("demo/app", "one", "2").await;
    bed.delete("demo/app", "1").await;
    bed.journaled().await;
    let said = bed.says();
    assert_eq!(names(&said), ["complete", "push", "tag", "tag", "untag"]);
    let Op::Push { repository, digest: told, bytes, pushed_at, sparse, .. } = &said[1] else { panic!("{said:?}") };
    assert_eq!((repository.as_str(), told.as_str(), *pushed_at, *sparse), ("demo/app", digest.as_str(), NOW, false));
    assert_eq!(mcr_oci::Digest::sha256(&bytes.0), digest);
    let quiet = bed.says();
    bed.push_blob("demo/app", "untold").await;
    bed.journaled().await;
    assert_eq!(bed.says(), quiet);
}

#[tokio::test]
async fn a_second_start_goes_on_where_the_first_ended() {
    let bed = Bed::new();
    bed.push("demo/app", "one", "1").await;
    bed.journaled().await;
    assert_eq!(names(&bed.says()), ["push", "tag", "complete"]);
    bed.push("demo/app", "two", "2").await;
    // Closing writes what is left.
    let bed = bed.reopen(Settings::default()).await;
    assert_eq!(names(&bed.says()), ["push", "tag", "complete", "push", "tag"]);
    bed.push("demo/app", "three", "3").await;
    bed.journaled().await;
    assert_eq!(names(&bed.says()), ["push", "tag", "complete", "push", "tag", "push", "tag"]);
    assert_eq!(bed.files(), ["0000000001-0000000001.jsonl"]);
}

#[tokio::test]
async fn a_torn_line_is_cut_and_what_it_said_is_told_again() {
    let bed = Bed::new();
    bed.journaled().await;
    bed.push("demo/app", "one", "1").await;
    bed.journaled().await;
    let bed = bed.reopen(Settings::default()).await;
    let path = bed.journal().join(&bed.files()[0]);
    let whole = std::fs::read(&path).unwrap();
    // The last line notes the place of the trail; the tag's is before it.
    let cut = whole.len() - 200;
    std::fs::write(&path, &whole[..cut]).unwrap();
    bed.journaled().await;
    let said = bed.says();
    assert_eq!(bed.files(), ["0000000001-0000000001.jsonl"]);
    assert_eq!(names(&said)[..2], ["complete", "push"]);
    assert!(matches!(said.last(), Some(Op::Tag { .. })), "{said:?}");
}

#[tokio::test]
async fn what_cannot_be_continued_is_told_anew() {
    let damages: [fn(&mut Vec<u8>); 3] = [
        // A line before good ones.
        |bytes| bytes[300] ^= 1,
        |bytes| bytes.clear(),
        // A whole line is missing.
        |bytes| {
            let end = bytes.iter().position(|byte| *byte == b'\n').unwrap();
            bytes.drain(..=end);
        },
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        let bed = Bed::new();
        bed.push("demo/app", "one", "1").await;
        bed.journaled().await;
        let bed = bed.reopen(Settings::default()).await;
        let path = bed.journal().join(&bed.files()[0]);
        let mut bytes = std::fs::read(&path).unwrap();
        damage(&mut bytes);
        std::fs::write(&path, &bytes).unwrap();
        bed.journaled().await;
        assert_eq!(bed.files(), ["0000000002-0000000001.jsonl"], "damage {number}");
        assert_eq!(names(&bed.says()), ["push", "tag", "complete"], "damage {number}");
    }
}

#[tokio::test]
async fn a_journal_that_is_gone_or_of_another_history_is_told_anew() {
    let bed = Bed::new();
    bed.push("demo/app", "one", "1").await;
    bed.journaled().await;
    let bed = bed.reopen(Settings::default()).await;
    std::fs::remove_dir_all(bed.journal()).unwrap();
    bed.journaled().await;
    assert_eq!(names(&bed.says()), ["push", "tag", "complete"]);

    // The database of an hour ago comes back: the journal knows what it does not.
    let bed = bed.reopen(Settings::default()).await;
    let kept = bed.directory.path().join("kept.db");
    let copy = |from: &std::path::Path, to: &std::path::Path| {
        for end in ["", "-wal"] {
            let at = |path: &std::path::Path| PathBuf::from(format!("{}{end}", path.display()));
            std::fs::copy(at(from), at(to)).unwrap();
        }
    };
    let Bed { registry, clock, directory } = bed;
    registry.close().await;
    let database = directory.path().join("mcr.db");
    copy(&database, &kept);
    let bed = Bed::again(directory, clock);
    bed.push("demo/app", "two", "2").await;
    bed.journaled().await;
    let Bed { registry, clock, directory } = bed;
    registry.close().await;
    copy(&kept, &database);
    let bed = Bed::again(directory, clock);
    bed.journaled().await;
    assert_eq!(bed.files(), ["0000000002-0000000001.jsonl"]);
    assert_eq!(names(&bed.says()), ["push", "tag", "complete"]);
}

#[tokio::test]
async fn a_repository_that_goes_is_forgotten_and_an_unknown_event_tells_it_anew() {
    let bed = Bed::new();
    bed.journaled().await;
    bed.push("demo/app", "one", "1").await;
    bed.registry.delete_repository(&bed.global(), &crate::testing::name("demo/app")).await.unwrap();
    bed.push("demo/app", "one", "1").await;
    bed.journaled().await;
    let said = bed.says();
    // What is live again is told by the first line already; the second says it after the delete.
    assert_eq!(names(&said), ["complete", "push", "tag", "forget", "push", "tag"]);
    let actor = mcr_metadata::Actor { name: "mcrsrv".to_owned(), address: None };
    let mut event = crate::record::about_nothing("never_heard_of", actor, NOW);
    event.repository = Some(crate::testing::name("demo/app"));
    bed.registry.parts.writes.durable(|m, done| m.record_event(event, done), |()| ()).await.unwrap();
    bed.journaled().await;
    let said = bed.says();
    assert_eq!(names(&said[6..]), ["push", "tag", "forget"]);
    let (Op::Forget { before, .. }, true) = (&said[8], said.len() == 9) else { panic!("{said:?}") };
    let bytes = std::fs::read_to_string(bed.journal().join(&bed.files()[0])).unwrap();
    assert!(bytes.lines().nth(*before as usize - 1).unwrap().contains("\"op\":\"push\""));
}

#[tokio::test]
async fn mostly_dead_weight_is_left_behind() {
    let bed = Bed::new();
    bed.journaled().await;
    bed.push("demo/app", "one", "1").await;
    bed.journaled().await;
    // As much as would be told of many more manifests.
    let path = bed.journal().join(&bed.files()[0]);
    let store = Store::open(
        Options { layers: bed.directory.path().join("layers"), uploads: bed.directory.path().join("uploads") },
        Disk::real(),
    )
    .unwrap();
    let bed = {
        let bed = bed.reopen(Settings::default()).await;
        let (found, _) = find::find(&store, bed.registry.parts.volume.registry_id(), None).unwrap();
        let find::Found::Usable { end, .. } = found else { panic!("{found:?}") };
        let mut bytes = std::fs::read(&path).unwrap();
        let filler = "x".repeat(1 << 20);
        for n in 1..=40 {
            let op = Op::Untag { repository: filler.clone(), tag: String::new() };
            bytes.extend_from_slice(&line::write(end.lines + n, &op).unwrap());
        }
        std::fs::write(&path, &bytes).unwrap();
        bed
    };
    bed.registry.journal_step(None).await.unwrap();
    bed.registry.parts.journal.keeper.lock().unwrap().forget_weight();
    bed.journaled().await;
    assert_eq!(bed.files(), ["0000000002-0000000001.jsonl"]);
    assert_eq!(names(&bed.says()), ["push", "tag", "complete"]);
}

#[tokio::test]
async fn nothing_is_written_where_the_volume_is_away_and_the_journal_is_not_blamed_for_it() {
    let bed = Bed::new();
    bed.push("demo/app", "one", "1").await;
    let marker = bed.directory.path().join("layers/mcr-registry-id");
    let id = std::fs::read(&marker).unwrap();
    std::fs::remove_file(&marker).unwrap();
    assert_eq!(bed.registry.journal_step(None).await, Ok(false));
    assert!(!bed.journal().exists());
    assert_eq!(bed.registry.journal_state().trouble, None);
    let health = bed.registry.health().await;
    assert!(!health.degraded.iter().any(|told| told.starts_with("journal")), "{health:?}");
    std::fs::write(&marker, id).unwrap();
    assert!(bed.registry.parts.volume.look_now());
    bed.journaled().await;
    assert!(!bed.registry.health().await.degraded.iter().any(|told| told.starts_with("journal")));
}

impl Bed {
    /// Something happens that this program does not know.
    async fn unheard_of(&self) {
        let actor = mcr_metadata::Actor { name: "mcrsrv".to_owned(), address: None };
        let event = crate::record::about_nothing("never_heard_of", actor, NOW);
        self.registry.parts.writes.durable(|m, done| m.record_event(event, done), |()| ()).await.unwrap();
    }

    /// Five repositories, a journal that is whole, and another one begun: it has come to the third of them.
    async fn telling_anew() -> Self {
        let bed = Self::new();
        for n in 0..5 {
            bed.push(&format!("r{n}"), "one", "1").await;
        }
        bed.journaled().await;
        bed.unheard_of().await;
        for _ in 0..13 {
            assert_eq!(bed.registry.journal_step(None).await, Ok(true));
        }
        assert_eq!((bed.files().len(), names(&bed.says())), (2, vec!["push", "tag", "push", "tag", "push"]));
        bed
    }
}

#[tokio::test]
async fn a_telling_of_everything_that_was_cut_goes_on_and_loses_nothing() {
    let bed = Bed::telling_anew().await;
    bed.push("r0", "two", "2").await;
    bed.delete("r1", "1").await;
    let bed = bed.reopen(Settings::default()).await;
    assert_eq!(bed.registry.journal_step(None).await, Ok(true));
    let state = bed.registry.journal_state();
    assert_eq!((state.generation, state.complete), (2, false));
    assert_eq!(bed.files().len(), 2, "the one before it stays until it tells everything");
    // As a disk that failed for a moment.
    bed.registry.parts.journal.keeper.lock().unwrap().drop_writer();
    bed.push("late", "three", "3").await;
    bed.journaled().await;
    assert_eq!(bed.files(), ["0000000002-0000000001.jsonl"]);
    let told = |repository: &str| {
        bed.says().iter().filter(|op| matches!(op, Op::Push { repository: of, .. } if of == repository)).count()
    };
    assert_eq!(["late", "r0", "r1", "r2", "r3", "r4"].map(told), [1, 2, 1, 1, 1, 1], "each manifest once");
}

#[tokio::test]
async fn nothing_is_told_anew_on_what_is_left_of_a_full_disk() {
    let bed = Bed::telling_anew().await;
    bed.registry.parts.volume.pretend_available(0);
    bed.delete("r0", "1").await;
    assert_eq!(bed.registry.journal_step(None).await, Ok(false));
    assert_eq!(names(&bed.says())[5..], ["untag"], "what happens is told all the same");
    bed.unheard_of().await;
    assert_eq!(bed.registry.journal_step(None).await, Ok(false));
    assert_eq!((bed.files().len(), bed.says().len()), (2, 6));
    bed.registry.parts.volume.pretend_available(u64::MAX);
    bed.journaled().await;
    assert_eq!(bed.files(), ["0000000002-0000000001.jsonl"]);
}

#[tokio::test]
async fn what_a_kill_left_of_a_begin_or_an_end_is_cleared_away() {
    let bed = Bed::new();
    bed.push("demo/app", "one", "1").await;
    bed.journaled().await;
    let bed = bed.reopen(Settings::default()).await;
    std::fs::write(bed.journal().join("0000000002-0000000001.jsonl"), "{\"n\":1,\"op\":\"beg").unwrap();
    std::fs::write(bed.journal().join("0000000001-0000000002.jsonl"), "").unwrap();
    bed.push("demo/app", "two", "2").await;
    bed.journaled().await;
    assert_eq!(bed.files(), ["0000000001-0000000001.jsonl"], "it goes on with the one that is there");
    // It died between telling everything and removing the one before.
    bed.unheard_of().await;
    let first = std::fs::read(bed.journal().join("0000000001-0000000001.jsonl")).unwrap();
    bed.journaled().await;
    std::fs::write(bed.journal().join("0000000001-0000000001.jsonl"), first).unwrap();
    let bed = bed.reopen(Settings::default()).await;
    bed.journaled().await;
    assert_eq!(bed.files(), ["0000000002-0000000001.jsonl"]);
}
