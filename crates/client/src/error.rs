//! Why a registry could not be asked, in one line that says what to do; never what it said about an image.

use std::time::Duration;

/// Why there is no answer. Every text is one line, says what to do, and holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// No connection could be made: the name, the port, TLS.
    #[error("{registry} cannot be reached: {reason}; {advice}")]
    Unreachable {
        /// Whom: the registry, or the host that it sent us to.
        registry: String,
        /// The innermost cause.
        reason: String,
        /// What to do.
        advice: String,
    },
    /// 401 or 403, although everything was tried.
    #[error("{what}: refused with {status}: {reason}; {advice}")]
    Unauthorized {
        /// The status.
        status: u16,
        /// What was asked for.
        what: String,
        /// What the registry said.
        reason: String,
        /// What to do.
        advice: String,
    },
    /// 429, or 503 with `Retry-After`, as often as we waited.
    #[error("{what}: still answers {status} after {waits} waits{said}; ask for less at a time, or try again later")]
    Busy {
        /// The status.
        status: u16,
        /// What was asked for.
        what: String,
        /// How often we waited as we were told.
        waits: u32,
        /// What the registry said of it at last, in brackets; or nothing.
        said: String,
    },
    /// This one request failed as often as it was tried: 5xx, stalls, resets.
    #[error(
        "{what}: failed {attempts} times over {:.1} s: {reason}; look into the log of the registry",
        .over.as_secs_f64()
    )]
    Failing {
        /// The status of the last try, if it had one.
        status: Option<u16>,
        /// How often it was tried.
        attempts: u32,
        /// From the first failure to the last.
        over: Duration,
        /// What was asked for.
        what: String,
        /// How it failed the last time.
        reason: String,
    },
    /// Something was to be changed, and no answer came.
    #[error("{what}: {reason}; whether it was done is not known: look before you ask again")]
    Unclear {
        /// What was asked for.
        what: String,
        /// How it failed.
        reason: String,
    },
    /// A list that does not exist: the repository is not known.
    #[error("{what} does not exist{}; check the name, and that the registry offers such a list", .detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default())]
    NotFound {
        /// What was asked for.
        what: String,
        /// Code and message of the registry, if it sent any.
        detail: Option<String>,
    },
    /// An answer that no registry gives.
    #[error("{what}: {reason}; check the address, and what stands between here and the registry")]
    Unexpected {
        /// What was asked for.
        what: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// The user's credentials cannot be read: a broken file, a helper that fails.
    #[error("credentials for {registry}: {reason}")]
    Credentials {
        /// For whom they were looked up.
        registry: String,
        /// Which file or helper, what is wrong with it, and what to do.
        reason: String,
    },
}

/// Why something could not be pushed. Every text is one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushError<E> {
    /// There is no answer that says anything about it.
    #[error(transparent)]
    Registry(#[from] Error),
    /// The registry does not take it.
    #[error("{what}: refused with {status}: {reason}")]
    Refused {
        /// The status: a 4xx, or 507 where its disk is full.
        status: u16,
        /// What was asked for.
        what: String,
        /// Code and message of the registry.
        reason: String,
    },
    /// The bytes that were to be sent could not be had.
    #[error("the bytes that were to be sent could not be had")]
    Content(E),
}

/// Why a client cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    /// The address is not one of a registry.
    #[error("{url} is not the address of a registry; expected http(s)://host[:port]")]
    Address {
        /// The address, without user and password.
        url: String,
    },
    /// The certificates that are to be trusted cannot be used.
    #[error("the trusted certificates cannot be used: {0}; expected PEM with BEGIN CERTIFICATE")]
    Certificates(String),
    /// A value that cannot stand in a header.
    #[error("the {0} cannot be sent: it is empty or holds characters that no header may hold")]
    Header(&'static str),
    /// TLS cannot be set up.
    #[error("the client cannot be set up: {0}")]
    Tls(String),
}

#[cfg(test)]
mod tests;
