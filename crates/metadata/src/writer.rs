//! The one thread that writes: waiting writes share a transaction, and nobody is answered before its COMMIT; never SQL about content.
//!
//! Each write is a savepoint of its own, so that one that fails does not hurt its neighbours. When the transaction
//! itself fails (no space, an I/O error, a failed COMMIT), all of it is rolled back and each write is run again
//! alone: it then succeeds or is answered with its own error. A connection that met an I/O error is opened anew
//! before the next transaction, so the writer recovers by itself when the disk does.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use mcr_seams::fault;
use rusqlite::Connection;

use crate::connection;
use crate::error::Error;
use crate::job::Job;
use crate::repeats::Repeats;
use crate::room;
use crate::wal;

/// Writes that may wait; a further caller waits for a place.
pub const WRITE_QUEUE: usize = 1024;

/// Writes that share one transaction at most.
const GROUP_MAX: usize = 256;

/// How often the writer looks for counted repeats whose minute is over, while there are any.
const REPEATS_TICK: Duration = Duration::from_secs(5);

/// The calling side of the writer.
pub(crate) struct Writer {
    queue: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
    trouble: Arc<Mutex<Option<Error>>>,
}

impl Writer {
    /// Starts the thread on an open connection.
    ///
    /// # Errors
    /// `Io` where the system gives no thread.
    pub(crate) fn start(path: PathBuf, connection: Connection, repeats: Arc<Repeats>) -> Result<Self, Error> {
        let (queue, receiver) = sync_channel(WRITE_QUEUE);
        let trouble = Arc::new(Mutex::new(None));
        let mut thread =
            Thread { path, connection: Some(connection), receiver, repeats, trouble: Arc::clone(&trouble) };
        let handle = std::thread::Builder::new()
            .name("metadata-writer".to_owned())
            .spawn(move || thread.run())
            .map_err(|error| Error::from_io(&error))?;
        Ok(Self { queue: Some(queue), thread: Some(handle), trouble })
    }

    /// Queues a write; waits for a place while the queue is full. A job that cannot be queued answers `Closed`.
    pub(crate) fn submit(&self, job: Job) {
        match &self.queue {
            // A refused job comes back inside the error, and answers when it is dropped.
            Some(queue) => drop(queue.send(job)),
            None => drop(job),
        }
    }

    /// Why the last transaction failed; none once one has succeeded again.
    pub(crate) fn trouble(&self) -> Option<Error> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lets the thread finish what is queued and waits for it.
    pub(crate) fn stop(&mut self) {
        drop(self.queue.take());
        let Some(thread) = self.thread.take() else { return };
        // A callback may hold the last handle: the thread cannot wait for itself, and ends after this answer.
        if thread.thread().id() != std::thread::current().id() {
            // It only panics on a defect; every job has answered by then.
            let _ = thread.join();
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Thread {
    path: PathBuf,
    connection: Option<Connection>,
    receiver: Receiver<Job>,
    repeats: Arc<Repeats>,
    trouble: Arc<Mutex<Option<Error>>>,
}

impl Thread {
    fn run(&mut self) {
        while let Some(jobs) = self.wait() {
            if !jobs.is_empty() {
                self.group(jobs);
            }
            self.flush_repeats(false);
            self.checkpoint(false);
        }
        self.flush_repeats(true);
        if let Some(connection) = self.connection.take() {
            wal::finish(connection);
        }
    }

    /// The next write, an empty list when it is time to look around, none when all callers are gone.
    fn wait(&self) -> Option<Vec<Job>> {
        match self.receiver.try_recv() {
            Ok(job) => return Some(vec![job]),
            Err(TryRecvError::Disconnected) => return None,
            Err(TryRecvError::Empty) => self.checkpoint(true),
        }
        if self.repeats.is_empty() {
            return self.receiver.recv().ok().map(|job| vec![job]);
        }
        match self.receiver.recv_timeout(REPEATS_TICK) {
            Ok(job) => Some(vec![job]),
            Err(RecvTimeoutError::Timeout) => Some(Vec::new()),
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }

    /// Runs `jobs`, and whatever is queued meanwhile, in one transaction, and answers them all.
    fn group(&mut self, mut jobs: Vec<Job>) {
        match self.transaction(&mut jobs, true) {
            Err(error) if jobs.len() > 1 || error.is_disk_full() => {
                for job in jobs {
                    self.alone(job);
                }
            }
            verdict => settle(jobs, &verdict),
        }
    }

    /// Runs one job in a transaction of its own and answers it. For want of space it is tried once more, in the room
    /// that the database's own files have.
    fn alone(&mut self, job: Job) {
        let mut jobs = vec![job];
        let mut verdict = self.transaction(&mut jobs, false);
        if verdict.as_ref().is_err_and(Error::is_disk_full) {
            self.connection.iter().for_each(wal::make_room);
            verdict = self.transaction(&mut jobs, false);
        }
        settle(jobs, &verdict);
    }

    /// One transaction over `jobs`, joined by what is waiting in the queue if `more`. On an error nothing of it
    /// holds and the connection is ready for another, or given up.
    fn transaction(&mut self, jobs: &mut Vec<Job>, more: bool) -> Result<(), Error> {
        let result = self.try_transaction(jobs, more);
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = result.clone().err();
        let Err(error) = &result else {
            return result;
        };
        let rolled_back = self.connection.as_ref().is_some_and(roll_back);
        if !rolled_back || error.spoils_connection() {
            self.connection = None;
        }
        result
    }

    fn try_transaction(&mut self, jobs: &mut Vec<Job>, more: bool) -> Result<(), Error> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => connection::open_writer(&self.path)?,
        };
        let connection = self.connection.insert(connection);
        passed("metadata.begin")?;
        execute(connection, "BEGIN IMMEDIATE")?;
        for job in jobs.iter_mut() {
            run_job(connection, job)?;
        }
        while more && jobs.len() < GROUP_MAX {
            let Ok(mut job) = self.receiver.try_recv() else {
                break;
            };
            let ran = run_job(connection, &mut job);
            // Before anything else: a job that leaves this list unsettled would answer `Closed`.
            jobs.push(job);
            ran?;
        }
        room::claim(connection, jobs.iter().all(|job| job.is_frugal()))?;
        passed("metadata.before_commit")?;
        execute(connection, "COMMIT")?;
        // It is durable now: the point serves to kill or delay, an error here would be a lie.
        let _ = fault::point("metadata.committed");
        Ok(())
    }

    fn flush_repeats(&mut self, all: bool) {
        for job in self.repeats.take_due(all) {
            self.alone(job);
        }
    }

    fn checkpoint(&self, idle: bool) {
        if let Some(connection) = &self.connection {
            wal::checkpoint_if_due(connection, idle);
        }
    }
}

fn settle(jobs: Vec<Job>, verdict: &Result<(), Error>) {
    for job in jobs {
        job.settle(verdict.clone());
    }
}

fn passed(point: &'static str) -> Result<(), Error> {
    fault::point(point).map_err(|error| Error::from_io(&error))
}

/// Runs one job in a savepoint. An error is one of the whole transaction: the job's own is kept in the job.
fn run_job(connection: &Connection, job: &mut Job) -> Result<(), Error> {
    execute(connection, "SAVEPOINT job")?;
    if let Err(error) = job.run(connection) {
        // On some errors SQLite has rolled back everything by itself.
        if error.spoils_transaction() || connection.is_autocommit() {
            return Err(error);
        }
        execute(connection, "ROLLBACK TO job")?;
    }
    execute(connection, "RELEASE job")
}

fn execute(connection: &Connection, sql: &str) -> Result<(), Error> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}

/// Whether no transaction is open any more.
fn roll_back(connection: &Connection) -> bool {
    connection.is_autocommit() || (execute(connection, "ROLLBACK").is_ok() && connection.is_autocommit())
}

#[cfg(test)]
mod tests;
