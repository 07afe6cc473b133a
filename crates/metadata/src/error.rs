//! Why the rows could not be read or written; never "not found", which is an answer and no error.

use std::io;

use rusqlite::ffi;

/// What can go wrong with the database. It may be cloned: one failed commit answers every operation in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No space is left for the database; the same call succeeds once there is.
    #[error("the database's disk is full: {0}")]
    DiskFull(String),
    /// The database cannot be written, only read; the same call succeeds once it can.
    #[error("the database is read-only: {0}")]
    ReadOnly(String),
    /// A file of the database could not be read or written.
    #[error("the database's files: {0}")]
    Io(String),
    /// The database is damaged, or holds what this program never writes.
    #[error("the database is damaged: {0}")]
    Corrupt(String),
    /// Another process, or too many readers, held the database longer than a caller waits.
    #[error("the database is busy: {0}")]
    Busy(String),
    /// A newer program has migrated this database.
    #[error(
        "the database has schema {found}, this program knows up to {known}: run the newer program{}",
        way_back(.snapshot.as_deref())
    )]
    NewerSchema {
        /// The schema of the database.
        found: i64,
        /// The newest schema of this program.
        known: i64,
        /// The newest snapshot beside the database that this program can read, where it was looked for and found.
        snapshot: Option<String>,
    },
    /// The database is older than this program, and no snapshot of it could be taken; nothing was migrated.
    #[error(
        "the database has schema {found} and was not migrated to {known}, because no snapshot of it could be taken first: \
         {reason}; make room or mend that, then start again"
    )]
    NotMigrated {
        /// The schema of the database.
        found: i64,
        /// The newest schema of this program.
        known: i64,
        /// Why there is no snapshot.
        reason: String,
    },
    /// The file is not a database of this registry; nothing in it was changed.
    #[error("{path} is not a database of this registry: {reason}")]
    NotOurs {
        /// The file.
        path: String,
        /// What it is instead.
        reason: String,
    },
    /// The writer has ended: the registry is shutting down.
    #[error("the database is closed")]
    Closed,
    /// A closure is larger than one answer may be; see [`MAX_CLOSURE_MANIFESTS`](crate::MAX_CLOSURE_MANIFESTS)
    /// and [`MAX_CLOSURE_BYTES`](crate::MAX_CLOSURE_BYTES).
    #[error("the closure is larger than {0}")]
    ClosureTooLarge(String),
    /// A key or check of the schema refused the write.
    #[error("the schema refuses it: {message}")]
    Constraint {
        /// Whether it was a foreign key: a target went, or is still named.
        foreign_key: bool,
        /// SQLite's words.
        message: String,
    },
    /// An operation panicked; it was rolled back and its neighbours were not touched.
    #[error("a defect in the registry: {0}")]
    Panicked(String),
    /// A refusal that was not written down: this minute has had too many different ones.
    #[error("too many different refusals in one minute to tell of each")]
    TooManyRefusals,
    /// Any other error of SQLite.
    #[error("sqlite error {code}: {message}")]
    Sqlite {
        /// SQLite's extended result code.
        code: i32,
        /// SQLite's words.
        message: String,
    },
}

impl Error {
    /// Whether it is for want of space on the disk.
    #[must_use]
    pub const fn is_disk_full(&self) -> bool {
        matches!(self, Self::DiskFull(_))
    }

    /// Whether it is because the database may only be read.
    #[must_use]
    pub const fn is_read_only(&self) -> bool {
        matches!(self, Self::ReadOnly(_))
    }

    /// Whether the same call may succeed later without anybody changing the database: the cause lies around it.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::DiskFull(_) | Self::ReadOnly(_) | Self::Io(_) | Self::Busy(_) | Self::Closed)
    }

    /// Whether it concerns the whole transaction and not one operation in it.
    pub(crate) const fn spoils_transaction(&self) -> bool {
        matches!(self, Self::DiskFull(_) | Self::ReadOnly(_) | Self::Io(_) | Self::Corrupt(_) | Self::Busy(_))
    }

    /// Whether the connection that met it may be beyond use: a failed sync, a file system that came back.
    pub(crate) const fn spoils_connection(&self) -> bool {
        matches!(self, Self::ReadOnly(_) | Self::Io(_) | Self::Corrupt(_))
    }

    /// What a fault point or a file call answered.
    pub(crate) fn from_io(error: &io::Error) -> Self {
        let text = error.to_string();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull(text),
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly(text),
            _ => Self::Io(text),
        }
    }

    /// A stored value that this program never writes.
    pub(crate) fn invalid(what: &str, value: &str) -> Self {
        Self::Corrupt(format!("{what} {value:?}"))
    }
}

/// How one gets back to a program that found a newer schema.
fn way_back(snapshot: Option<&str>) -> String {
    snapshot.map_or_else(String::new, |snapshot| {
        format!(
            ", or give up what was pushed since and go back to snapshot {snapshot} with `mcrsrv restore --config FILE {snapshot}`"
        )
    })
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        let text = error.to_string();
        let Some(failure) = error.sqlite_error() else {
            return match error {
                rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::Utf8Error(..) => Self::Corrupt(text),
                _ => Self::Sqlite { code: ffi::SQLITE_ERROR, message: text },
            };
        };
        from_failure(*failure, text)
    }
}

fn from_failure(failure: ffi::Error, text: String) -> Error {
    use ffi::ErrorCode as Code;

    let extended = failure.extended_code;
    let message = format!("{text} (sqlite {extended})");
    match failure.code {
        // Growing the shared memory file is the one write that says "I/O error" for want of space.
        Code::SystemIoFailure if extended == ffi::SQLITE_IOERR_SHMSIZE => Error::DiskFull(message),
        Code::DiskFull => Error::DiskFull(message),
        Code::ReadOnly => Error::ReadOnly(message),
        Code::SystemIoFailure | Code::CannotOpen => Error::Io(message),
        Code::DatabaseCorrupt | Code::NotADatabase => Error::Corrupt(message),
        Code::DatabaseBusy | Code::DatabaseLocked => Error::Busy(message),
        Code::ConstraintViolation => {
            Error::Constraint { foreign_key: extended == ffi::SQLITE_CONSTRAINT_FOREIGNKEY, message: text }
        }
        _ => Error::Sqlite { code: extended, message: text },
    }
}

#[cfg(test)]
mod tests;
