//! The admin API as functions: one for each thing that can be asked, over whatever protocol; never a header, a status
//! or a message of gRPC.
//!
//! Every function takes the [`Caller`] and a request, asks for the permit itself, and answers with a value that REST
//! writes as JSON and gRPC converts.

pub mod audit;
pub mod caller;
pub mod error;
pub mod gc;
pub mod health;
pub mod integrity;
pub mod page;
pub mod plans;
pub mod policy;
pub mod read_only;
pub mod repositories;
pub mod retention;
pub mod session;
pub mod snapshots;
pub mod time;
pub mod tokens;
pub mod undo;
pub mod verify;
pub mod words;

pub use caller::Caller;
pub use error::ApiError;
pub use page::Page;
pub use time::Time;

use mcr_oci::{Digest, Reference, RepositoryName, Tag};

/// Characters of a value that a message repeats.
const SHOWN: usize = 80;

/// A value as messages repeat it: quoted, short, without control characters.
#[must_use]
pub fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(SHOWN).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}

/// A repository's name. Who has not logged in does not learn what one is.
///
/// # Errors
/// It is none.
pub fn repository_name(caller: &Caller, text: &str) -> Result<RepositoryName, ApiError> {
    RepositoryName::parse(text).map_err(|error| not_one(caller, &error))
}

/// A tag, likewise.
///
/// # Errors
/// It is none.
pub fn tag_name(caller: &Caller, text: &str) -> Result<Tag, ApiError> {
    Tag::parse(text).map_err(|error| not_one(caller, &error))
}

/// A digest, likewise.
///
/// # Errors
/// It is none.
pub fn digest(caller: &Caller, text: &str) -> Result<Digest, ApiError> {
    Digest::parse(text).map_err(|error| not_one(caller, &error))
}

/// A tag or a digest, likewise.
///
/// # Errors
/// It is neither.
pub fn reference(caller: &Caller, text: &str) -> Result<Reference, ApiError> {
    Reference::parse(text).map_err(|error| not_one(caller, &error))
}

fn not_one(caller: &Caller, error: &dyn std::fmt::Display) -> ApiError {
    caller.logged_in().err().unwrap_or_else(|| ApiError::Invalid(error.to_string()))
}
