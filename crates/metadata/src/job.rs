//! A queued write and its answer, given exactly once whatever happens to the write; never SQL.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rusqlite::Connection;

use crate::error::Error;

/// Takes the answer of a queued write. Called exactly once, on the writer's thread: it must be short (wake a
/// waiting task, set a slot) and never call back into [`Metadata`](crate::Metadata).
pub type Done<T> = Box<dyn FnOnce(Result<T, Error>) + Send + 'static>;

/// One kind of write: what it does inside the transaction it is given.
pub(crate) trait Write: Send + 'static {
    /// What the caller learns.
    type Answer: Send + 'static;

    /// Does it. May be called again after a roll-back, so it changes nothing but rows.
    ///
    /// # Errors
    /// Whatever SQLite answers; the operation is then rolled back.
    fn apply(&self, tx: &Connection) -> Result<Self::Answer, Error>;

    /// Whether what was done brought no new content, so that it may use the room that others leave on a full disk.
    fn is_frugal(&self, _answer: &Self::Answer) -> bool {
        false
    }

    /// An error of `apply` that is an answer; the operation stays rolled back.
    fn rescue(&self, _error: &Error) -> Option<Self::Answer> {
        None
    }
}

/// A write in the queue, whatever its kind.
pub(crate) type Job = Box<dyn Step>;

/// What the writer does with a job.
pub(crate) trait Step: Send {
    /// Runs the write and keeps its outcome for later. A panic is an outcome too.
    ///
    /// # Errors
    /// A copy of the write's error, for which the caller rolls back.
    fn run(&mut self, tx: &Connection) -> Result<(), Error>;

    /// Whether what it did, if anything, brought no new content.
    fn is_frugal(&self) -> bool;

    /// Answers: with the kept outcome if the transaction is durable, else with its error.
    fn settle(self: Box<Self>, transaction: Result<(), Error>);
}

/// Puts a write and its callback into the shape the queue holds.
pub(crate) fn job<W: Write>(write: W, done: Done<W::Answer>) -> Job {
    Box::new(Pending { write, outcome: None, done: Some(done) })
}

struct Pending<W: Write> {
    write: W,
    outcome: Option<Result<W::Answer, Error>>,
    done: Option<Done<W::Answer>>,
}

impl<W: Write> Pending<W> {
    fn answer(&mut self, answer: Result<W::Answer, Error>) {
        if let Some(done) = self.done.take() {
            // A callback that panics must not take the writer and everybody else's answers with it.
            let _ = catch_unwind(AssertUnwindSafe(|| done(answer)));
        }
    }
}

impl<W: Write> Step for Pending<W> {
    fn run(&mut self, tx: &Connection) -> Result<(), Error> {
        let applied = catch_unwind(AssertUnwindSafe(|| self.write.apply(tx)));
        let outcome = applied.unwrap_or_else(|panic| Err(Error::Panicked(panic_text(panic.as_ref()))));
        let verdict = outcome.as_ref().map(|_| ()).map_err(Clone::clone);
        self.outcome = Some(match outcome {
            Err(error) => self.write.rescue(&error).ok_or(error),
            answered => answered,
        });
        verdict
    }

    fn is_frugal(&self) -> bool {
        match &self.outcome {
            Some(Ok(answer)) => self.write.is_frugal(answer),
            // It was rolled back.
            Some(Err(_)) => true,
            None => false,
        }
    }

    fn settle(mut self: Box<Self>, transaction: Result<(), Error>) {
        let outcome = self.outcome.take().unwrap_or(Err(Error::Closed));
        self.answer(transaction.and(outcome));
    }
}

impl<W: Write> Drop for Pending<W> {
    /// A job that was never run, because the writer has ended, is answered as well.
    fn drop(&mut self) {
        self.answer(Err(Error::Closed));
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic without a message".to_owned())
}

#[cfg(test)]
mod tests;
