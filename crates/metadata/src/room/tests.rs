//! Tests of room: what the files hold in advance, and who may use it.

#![expect(clippy::disallowed_methods, reason = "how long the files are, only the files tell")]

use super::{LOG, PAGE, SPARE_PAGES, STEP, claim};
use crate::connection;
use crate::testing::{Bed, index};

fn length(bed: &Bed, name: &str) -> i64 {
    i64::try_from(std::fs::metadata(bed.directory.path().join(name)).unwrap().len()).unwrap()
}

#[test]
fn a_new_database_has_room_in_both_its_files() {
    let bed = Bed::new();
    assert!(length(&bed, "mcr.db-wal") > i64::try_from(LOG).unwrap());
    let pages = bed.count("SELECT page_count FROM pragma_page_count");
    assert!(length(&bed, "mcr.db") >= (pages + SPARE_PAGES) * PAGE);
    assert_eq!(bed.count("SELECT count(*) FROM meta"), 0);
}

#[test]
fn every_page_that_is_committed_has_its_place_in_the_file() {
    let bed = Bed::new();
    for round in 0..40 {
        let names: Vec<String> = (0..20).map(|number| format!("blob {round} {number}")).collect();
        bed.push_image("a/b", &names.iter().map(String::as_str).collect::<Vec<_>>(), &["latest"], round);
        // A checkpoint cuts the file and takes the room back: with this write it has done both.
        bed.metadata.set_registry_id("id").unwrap();
        let has_room = || {
            let pages = bed.count("SELECT page_count FROM pragma_page_count");
            length(&bed, "mcr.db") >= (pages + SPARE_PAGES) * PAGE
        };
        // Unless one is under way, which a write can make due and this look can hold up: it comes back with the next.
        let write = || bed.metadata.set_registry_id("id").unwrap();
        let comes_back = (0..20).any(|_| {
            let there = has_room();
            if !there {
                write();
            }
            there
        });
        assert!(comes_back, "round {round}");
    }
    // Opening it again and again does not make it longer.
    let bed = bed.reopen().reopen();
    let once = length(&bed, "mcr.db");
    assert_eq!(length(&bed.reopen().reopen().reopen(), "mcr.db"), once);
}

#[test]
fn only_what_brings_no_content_may_use_the_spare_pages() {
    let bed = Bed::new();
    let writer = connection::open_writer(&bed.path()).unwrap();
    let pages = bed.count("SELECT page_count FROM pragma_page_count");
    claim(&writer, true).unwrap();
    let step = i64::from(STEP);
    let up = |bytes: i64| (bytes + step - 1) / step * step;
    claim(&writer, false).unwrap();
    assert_eq!(length(&bed, "mcr.db"), up((pages + SPARE_PAGES) * PAGE));
}

/// The kinds of writes that a full disk must not stop.
#[test]
fn deletes_and_tag_moves_are_frugal() {
    use crate::job::Write as _;
    use crate::testing::{actor, commit, record_blob, repository, tag};
    use crate::{CommitOutcome, DeleteOutcome, DeleteTag, RecordedBlob};

    let push = commit("a/b", &index(&[]), &["v1"], 1);
    assert!(!push.is_frugal(&CommitOutcome::Committed { moved: vec![], created: true }));
    assert!(push.is_frugal(&CommitOutcome::Committed { moved: vec![], created: false }));
    assert!(push.is_frugal(&CommitOutcome::ClosureChanged));
    assert!(!record_blob("a/b", "x", 1).is_frugal(&RecordedBlob { healed: true }));
    let delete = DeleteTag { repository: repository("a/b"), tag: tag("v1"), immutable: None, actor: actor(), at_ms: 1 };
    assert!(delete.is_frugal(&DeleteOutcome::NotFound));
}
