//! Tests of the writer: groups, neighbours, full disks, panics, shut-down.

#![expect(clippy::disallowed_methods, reason = "how long the log is, only its file tells")]

use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::time::Duration;

use rusqlite::Connection;

use crate::error::Error;
use crate::job::{Write, job};
use crate::testing::{Bed, record_blob};

/// Uses up the pages that are free inside the database file.
const FILL: Sql = Sql("INSERT INTO meta VALUES ('filler', hex(zeroblob(600000)))");

/// SQL as a write of its own.
struct Sql(&'static str);

impl Write for Sql {
    type Answer = ();

    fn apply(&self, tx: &Connection) -> Result<(), Error> {
        Ok(tx.execute_batch(self.0)?)
    }
}

/// Holds the transaction open until the test lets it go on.
struct Gate {
    entered: SyncSender<()>,
    leave: std::sync::Mutex<Receiver<()>>,
}

fn gate() -> (Gate, Receiver<()>, SyncSender<()>) {
    let (entered, has_entered) = sync_channel(8);
    let (go_on, leave) = sync_channel(8);
    (Gate { entered, leave: std::sync::Mutex::new(leave) }, has_entered, go_on)
}

impl Write for Gate {
    type Answer = ();

    fn apply(&self, _tx: &Connection) -> Result<(), Error> {
        self.entered.send(()).unwrap();
        self.leave.lock().unwrap().recv().unwrap();
        Ok(())
    }
}

struct Panics;

impl Write for Panics {
    type Answer = ();

    fn apply(&self, tx: &Connection) -> Result<(), Error> {
        tx.execute_batch("INSERT INTO meta VALUES ('panicked', 'halfway')")?;
        panic!("on purpose");
    }
}

/// How many pages the database may have, as a disk that is full or has space again.
struct MaxPages(i64);

impl Write for MaxPages {
    type Answer = i64;

    fn apply(&self, tx: &Connection) -> Result<i64, Error> {
        Ok(tx.pragma_update_and_check(None, "max_page_count", self.0, |row| row.get(0))?)
    }
}

#[test]
fn nobody_is_answered_before_the_commit() {
    let bed = Bed::new();
    let (first, second) = (gate(), gate());
    let (answers, answered) = channel();
    let note = |name: &'static str| {
        let answers = answers.clone();
        Box::new(move |answer: Result<(), Error>| answers.send((name, answer)).unwrap())
    };
    bed.metadata.submit(job(first.0, note("first gate")));
    first.1.recv().unwrap();
    bed.metadata.submit(job(Sql("INSERT INTO meta VALUES ('a', '1')"), note("insert")));
    bed.metadata.submit(job(second.0, note("second gate")));
    first.2.send(()).unwrap();
    second.1.recv().unwrap();
    // The insert is done, inside a transaction that still runs.
    assert!(answered.recv_timeout(Duration::from_millis(50)).is_err());
    assert_eq!(bed.count("SELECT count(*) FROM meta WHERE key = 'a'"), 0);
    second.2.send(()).unwrap();
    let names: Vec<_> = (0..3).map(|_| answered.recv().unwrap()).collect();
    assert_eq!(names, [("first gate", Ok(())), ("insert", Ok(())), ("second gate", Ok(()))]);
    assert_eq!(bed.count("SELECT count(*) FROM meta WHERE key = 'a'"), 1);
}

/// Runs `writes` in one transaction and gives their answers in order.
fn together(bed: &Bed, writes: Vec<Sql>) -> Vec<Result<(), Error>> {
    let (gate, entered, go_on) = gate();
    bed.metadata.submit(job(gate, Box::new(|_| {})));
    entered.recv().unwrap();
    let count = writes.len();
    let (answers, answered) = channel();
    for (position, write) in writes.into_iter().enumerate() {
        let answers = answers.clone();
        bed.metadata.submit(job(write, Box::new(move |answer| answers.send((position, answer)).unwrap())));
    }
    // Twice: the gate may be run again alone.
    go_on.send(()).unwrap();
    go_on.send(()).unwrap();
    let mut all: Vec<_> = (0..count).map(|_| answered.recv().unwrap()).collect();
    all.sort_by_key(|(position, _)| *position);
    all.into_iter().map(|(_, answer)| answer).collect()
}

#[test]
fn one_that_fails_does_not_hurt_its_neighbours() {
    let bed = Bed::new();
    let answers = together(
        &bed,
        vec![
            Sql("INSERT INTO meta VALUES ('a', '1')"),
            Sql("INSERT INTO meta VALUES ('b', '1'); INSERT INTO meta VALUES ('a', '2')"),
            Sql("INSERT INTO meta VALUES ('c', '1')"),
        ],
    );
    assert_eq!(answers[0], Ok(()));
    assert!(matches!(answers[1], Err(Error::Constraint { foreign_key: false, .. })), "{answers:?}");
    assert_eq!(answers[2], Ok(()));
    assert_eq!(bed.count("SELECT group_concat(key, '') = 'ac' FROM meta"), 1);
    assert_eq!(bed.metadata.trouble(), None);
}

#[test]
fn a_commit_that_fails_is_run_again_one_by_one() {
    let bed = Bed::new();
    let answers = together(
        &bed,
        vec![
            Sql("INSERT INTO meta VALUES ('a', '1')"),
            // Noticed only by COMMIT.
            Sql("PRAGMA defer_foreign_keys = ON; INSERT INTO tags VALUES (77, 'orphan', 77, 0)"),
            Sql("INSERT INTO meta VALUES ('c', '1')"),
        ],
    );
    assert_eq!(answers[0], Ok(()));
    assert!(matches!(answers[1], Err(Error::Constraint { foreign_key: true, .. })), "{answers:?}");
    assert_eq!(answers[2], Ok(()));
    assert_eq!(bed.count("SELECT count(*) FROM tags"), 0);
    assert_eq!(bed.count("SELECT count(*) FROM meta"), 2);
}

#[test]
fn a_panic_is_an_error_of_its_own_write_alone() {
    let bed = Bed::new();
    assert_eq!(bed.run(Panics), Err(Error::Panicked("on purpose".to_owned())));
    assert_eq!(bed.count("SELECT count(*) FROM meta"), 0);
    // A callback that panics is its caller's loss.
    bed.metadata.submit(job(Sql("INSERT INTO meta VALUES ('a', '1')"), Box::new(|_| panic!("in a callback"))));
    assert_eq!(bed.run(Sql("INSERT INTO meta VALUES ('b', '1')")), Ok(()));
    assert_eq!(bed.count("SELECT count(*) FROM meta"), 2);
}

#[test]
fn a_full_disk_is_said_and_recovers_by_itself() {
    let bed = Bed::new();
    bed.push_blob("a/b", "x", 1);
    bed.run(FILL).unwrap();
    let pages = bed.run(MaxPages(1)).unwrap();
    let mut failed = 0;
    for number in 0..200 {
        let request = record_blob("a/b", &format!("blob {number}"), 2);
        if let Err(error) = bed.wait(|metadata, done| metadata.record_blob(request, done)) {
            assert!(error.is_disk_full() && error.is_retryable(), "{error:?}");
            assert!(bed.metadata.trouble().is_some_and(|trouble| trouble.is_disk_full()));
            failed += 1;
        }
    }
    assert!(failed > 100, "only {failed} of 200 failed");
    // Reads, and writes that need no page, go on.
    assert!(bed.blob("a/b", "x").is_some());
    let before = bed.count("SELECT count(*) FROM blobs");
    assert_eq!(bed.run(Sql("UPDATE blobs SET hashed_at = 3")), Ok(()));
    assert_eq!(bed.run(MaxPages(pages + 1000)), Ok(pages + 1000));
    bed.push_blob("a/b", "y", 4);
    assert_eq!(bed.metadata.trouble(), None);
    assert_eq!(bed.count("SELECT count(*) FROM blobs"), before + 1);
    bed.audited();
}

#[test]
fn of_a_group_on_a_full_disk_those_that_fit_succeed() {
    let bed = Bed::new();
    bed.push_blob("a/b", "x", 1);
    bed.run(FILL).unwrap();
    bed.run(MaxPages(1)).unwrap();
    let answers = together(
        &bed,
        vec![
            Sql("UPDATE blobs SET hashed_at = 5"),
            Sql("INSERT INTO meta VALUES ('large', hex(randomblob(100000)))"),
            Sql("UPDATE blobs SET created_at = 6"),
        ],
    );
    assert_eq!(answers[0], Ok(()));
    assert!(answers[1].as_ref().is_err_and(Error::is_disk_full), "{answers:?}");
    assert_eq!(answers[2], Ok(()));
    assert_eq!(bed.count("SELECT hashed_at * 10 + created_at FROM blobs"), 56);
}

#[test]
fn a_connection_that_can_only_read_is_opened_anew() {
    let bed = Bed::new();
    assert_eq!(bed.run(Sql("PRAGMA query_only = ON")), Ok(()));
    let refused = bed.run(Sql("INSERT INTO meta VALUES ('a', '1')"));
    assert!(refused.as_ref().is_err_and(Error::is_read_only), "{refused:?}");
    assert_eq!(bed.run(Sql("INSERT INTO meta VALUES ('a', '1')")), Ok(()));
    bed.push_blob("a/b", "x", 1);
}

#[test]
fn what_is_queued_is_finished_before_the_end_and_answered_once() {
    let bed = Bed::new();
    let (gate, entered, go_on) = gate();
    let (answers, answered) = channel();
    bed.metadata.submit(job(gate, Box::new(|_| {})));
    entered.recv().unwrap();
    for number in 0..600 {
        let answers = answers.clone();
        let request = record_blob("a/b", &format!("blob {number}"), 2);
        bed.metadata.record_blob(request, Box::new(move |answer| answers.send(answer).unwrap()));
    }
    go_on.send(()).unwrap();
    let bed = bed.reopen();
    drop(answers);
    let answers: Vec<_> = answered.iter().collect();
    assert_eq!(answers.len(), 600);
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(bed.count("SELECT count(*) FROM blobs"), 600);
    assert_eq!(bed.audited(), 600);
}

#[test]
fn a_callback_may_hold_the_last_handle() {
    let bed = Bed::new();
    let path = bed.path();
    let metadata = std::sync::Arc::new(bed.metadata);
    let (gate, entered, go_on) = gate();
    let (answers, answered) = channel();
    let (last, later) = (std::sync::Arc::clone(&metadata), answers.clone());
    metadata.submit(job(gate, Box::new(move |answer| (drop(last), answers.send(answer).unwrap()).1)));
    entered.recv().unwrap();
    metadata
        .submit(job(Sql("INSERT INTO meta VALUES ('a', '1')"), Box::new(move |answer| later.send(answer).unwrap())));
    drop(metadata);
    go_on.send(()).unwrap();
    assert_eq!(answered.iter().collect::<Vec<_>>(), [Ok(()), Ok(())]);
    let again = crate::Metadata::open(&path, crate::Options::default()).unwrap();
    assert_eq!(again.registry_id(), Ok(None));
}

#[test]
fn the_log_does_not_grow_without_end() {
    let bed = Bed::new();
    for round in 0..60 {
        assert_eq!(bed.run(Sql("INSERT OR REPLACE INTO meta VALUES ('large', hex(randomblob(500000)))")), Ok(()));
        if round == 30 {
            // A reader that stays holds the log, but not for good.
            let reader = bed.sql();
            reader.execute_batch("BEGIN; SELECT count(*) FROM meta").unwrap();
            for _ in 0..20 {
                assert_eq!(bed.run(Sql("UPDATE meta SET value = hex(randomblob(500000))")), Ok(()));
            }
        }
    }
    let log = std::fs::metadata(bed.directory.path().join("mcr.db-wal")).unwrap().len();
    assert!(log < 24 << 20, "the log has {log} bytes");
}
