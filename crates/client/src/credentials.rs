//! The credential files of container users; never credentials of our own.

use std::path::PathBuf;

/// The credential files that are looked through, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialFiles {
    paths: Vec<PathBuf>,
}

impl CredentialFiles {
    /// Those that the environment names.
    #[must_use]
    pub fn of_environment() -> Self {
        Self { paths: Vec::new() }
    }

    /// These, in this order. One that does not exist holds nothing.
    #[must_use]
    pub fn of(paths: Vec<PathBuf>) -> Self {
        Self { paths }
    }
}
