//! Why a command failed, in one line, and the exit code that says so; never how the line is printed.

use std::process::ExitCode;

/// How a command ended; the numbers are a promise to scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It holds, or is done.
    Holds,
    /// The answer is bad.
    Bad,
    /// The command line makes no sense.
    WrongUsage,
    /// It could not be determined: unreachable, not permitted, timed out.
    Undetermined,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Holds => 0,
            Outcome::Bad => 1,
            Outcome::WrongUsage => 2,
            Outcome::Undetermined => 3,
        })
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// The command line makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The registry says no: there is none, it may not be, it makes no sense there.
    #[error("{0}")]
    Refused(String),
    /// The registry could not be asked, or did not answer as one.
    #[error("{0}")]
    Undetermined(String),
}

impl From<mcr_client::Error> for Failure {
    fn from(error: mcr_client::Error) -> Self {
        Self::Undetermined(error.to_string())
    }
}

impl Failure {
    pub(crate) fn outcome(&self) -> Outcome {
        match self {
            Self::Usage(_) => Outcome::WrongUsage,
            Self::Refused(_) => Outcome::Bad,
            Self::Undetermined(_) => Outcome::Undetermined,
        }
    }
}
