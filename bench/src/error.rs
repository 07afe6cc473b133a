//! The one error type of the bench. What went wrong and what to do about it, never how it is shown.

use std::{io, path::PathBuf};

/// Why a run could not be finished.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file call of the bench itself.
    #[error("{operation} {}: {source}", path.display())]
    File {
        /// What was tried.
        operation: &'static str,
        /// Where.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A program the run needs is not installed.
    #[error("cannot find {program}: run bench/setup.sh, or name it with {flag}")]
    Missing {
        /// The program.
        program: &'static str,
        /// The option that names it.
        flag: &'static str,
    },
    /// A program could not be started or waited for.
    #[error("cannot run {program}: {source}")]
    Spawn {
        /// The program.
        program: String,
        /// Why not.
        source: io::Error,
    },
    /// A server ended while it was needed.
    #[error("{server} stopped ({status}); its log ends with:\n{log}")]
    Stopped {
        /// The server.
        server: String,
        /// How it ended.
        status: String,
        /// The last lines it wrote.
        log: String,
    },
    /// A server did not become ready in time.
    #[error("{server} was not ready after {seconds} s; its log ends with:\n{log}")]
    NotReady {
        /// The server.
        server: String,
        /// How long it was waited for.
        seconds: u64,
        /// The last lines it wrote.
        log: String,
    },
    /// The connection to a server broke.
    #[error("{what}: {source}")]
    Connection {
        /// What was being done.
        what: String,
        /// What broke.
        source: io::Error,
    },
    /// A server answered with something else than what the work asks for.
    #[error("{what} was answered {status}: {body}")]
    Answer {
        /// The request.
        what: String,
        /// The status it got.
        status: u16,
        /// The beginning of the body.
        body: String,
    },
    /// A server's bytes are not HTTP, or not what was pushed.
    #[error("{what}: {problem}")]
    Wrong {
        /// The request.
        what: String,
        /// What is wrong with the answer.
        problem: String,
    },
    /// The load generator failed, or saw errors; such a figure would be a lie.
    #[error("wrk on {url}: {problem}")]
    Wrk {
        /// What was fetched.
        url: String,
        /// What it said.
        problem: String,
    },
    /// TLS could not be set up.
    #[error("TLS: {0}")]
    Tls(String),
    /// A results file is not one of ours.
    #[error("{}: {problem}", path.display())]
    Results {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Too little room for the blobs.
    #[error(
        "{} has {available} MiB free and the run needs {needed} MiB: free some, or choose another --scratch",
        path.display()
    )]
    Space {
        /// The scratch directory.
        path: PathBuf,
        /// MiB free there.
        available: u64,
        /// MiB needed.
        needed: u64,
    },
    /// Ctrl-C or SIGTERM.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// A closure for `map_err` on a file call.
    pub(crate) fn file(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Error {
        let path = path.into();
        move |source| Error::File { operation, path, source }
    }
}
