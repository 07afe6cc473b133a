//! A pool of connections that only read, each borrowed for one short read transaction; never a write.

use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::Connection;

use crate::connection;
use crate::error::Error;

/// How long a caller waits for a connection before it is told that the database is busy.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// The connections that are not in use.
pub(crate) struct Readers {
    path: PathBuf,
    idle: Mutex<Idle>,
    returned: Condvar,
}

struct Idle {
    connections: Vec<Connection>,
    /// Connections that may still be opened: at the start all of them, later those that were given up.
    unopened: usize,
}

impl Readers {
    /// A pool of `limit` connections (at least one), opened when they are first needed.
    pub(crate) fn new(path: &Path, limit: usize) -> Self {
        Self {
            path: path.to_owned(),
            idle: Mutex::new(Idle { connections: Vec::new(), unopened: limit.max(1) }),
            returned: Condvar::new(),
        }
    }

    /// Runs `query` in one read transaction: all it reads is of one moment. It must be short, because the
    /// write-ahead log cannot begin anew while it runs.
    ///
    /// # Errors
    /// Those of `query`, `Busy` where no connection becomes free, and whatever the files answer.
    pub(crate) fn read<T>(&self, query: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
        let mut borrowed = Borrowed { readers: self, connection: Some(self.take()?), healthy: false };
        let result = match &borrowed.connection {
            Some(connection) => transaction(connection, query),
            None => Err(Error::Closed),
        };
        borrowed.healthy = !result.as_ref().is_err_and(Error::spoils_connection)
            && borrowed.connection.as_ref().is_some_and(Connection::is_autocommit);
        result
    }

    /// Closes the connections that are not in use.
    pub(crate) fn close(&self) {
        self.lock().connections.clear();
    }

    fn take(&self) -> Result<Connection, Error> {
        let idle = self.lock();
        let waited =
            self.returned.wait_timeout_while(idle, WAIT_MAX, |idle| idle.connections.is_empty() && idle.unopened == 0);
        let (mut idle, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = idle.connections.pop() {
            return Ok(connection);
        }
        if idle.unopened == 0 {
            return Err(Error::Busy("every reader is in use".to_owned()));
        }
        idle.unopened -= 1;
        drop(idle);
        connection::open_reader(&self.path).inspect_err(|_| self.give_up())
    }

    fn give_up(&self) {
        self.lock().unopened += 1;
        self.returned.notify_one();
    }

    fn give_back(&self, connection: Connection) {
        self.lock().connections.push(connection);
        self.returned.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection in use; it goes back even if the query panics, and is closed instead where it may be beyond use.
struct Borrowed<'a> {
    readers: &'a Readers,
    connection: Option<Connection>,
    healthy: bool,
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        match self.connection.take() {
            Some(connection) if self.healthy => self.readers.give_back(connection),
            Some(connection) => {
                drop(connection);
                self.readers.give_up();
            }
            None => {}
        }
    }
}

fn transaction<T>(connection: &Connection, query: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
    connection.prepare_cached("BEGIN")?.execute([])?;
    let result = query(connection);
    // It read only: there is nothing to lose, and a connection that cannot end its transaction is closed.
    let ended = connection.prepare_cached("ROLLBACK").and_then(|mut end| end.execute([]));
    if let Err(error) = ended {
        result.as_ref().map_err(Clone::clone)?;
        return Err(error.into());
    }
    result
}

#[cfg(test)]
mod tests;
