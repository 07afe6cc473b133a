//! Tests of jobs: one answer each, whatever happens.

use std::sync::mpsc::channel;

use rusqlite::Connection;

use super::{Write, job};
use crate::error::Error;

struct Always(Result<u8, Error>);

impl Write for Always {
    type Answer = u8;

    fn apply(&self, _tx: &Connection) -> Result<u8, Error> {
        self.0.clone()
    }

    fn rescue(&self, error: &Error) -> Option<u8> {
        matches!(error, Error::Busy(_)).then_some(9)
    }
}

fn answers_of(write: Always, transaction: Option<Result<(), Error>>, run: bool) -> Vec<Result<u8, Error>> {
    let (sender, receiver) = channel();
    let mut job = job(write, Box::new(move |answer| sender.send(answer).unwrap()));
    if run {
        let _ = job.run(&Connection::open_in_memory().unwrap());
    }
    if let Some(transaction) = transaction {
        job.settle(transaction);
    } else {
        drop(job);
    }
    receiver.iter().collect()
}

#[test]
fn the_outcome_counts_only_in_a_transaction_that_holds() {
    let full = Error::DiskFull(String::new());
    assert_eq!(answers_of(Always(Ok(3)), Some(Ok(())), true), [Ok(3)]);
    assert_eq!(answers_of(Always(Ok(3)), Some(Err(full.clone())), true), [Err(full.clone())]);
    assert_eq!(answers_of(Always(Err(Error::Closed)), Some(Ok(())), true), [Err(Error::Closed)]);
    assert_eq!(answers_of(Always(Err(Error::Busy(String::new()))), Some(Ok(())), true), [Ok(9)]);
    assert_eq!(answers_of(Always(Ok(3)), Some(Err(full.clone())), false), [Err(full)]);
}

#[test]
fn a_job_that_is_dropped_answers_closed() {
    assert_eq!(answers_of(Always(Ok(3)), None, false), [Err(Error::Closed)]);
    assert_eq!(answers_of(Always(Ok(3)), None, true), [Err(Error::Closed)]);
}
