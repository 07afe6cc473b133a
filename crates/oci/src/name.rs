//! Repository names (distribution-spec, "Pulling manifests"); never which repositories exist.

use std::sync::Arc;

use crate::error_code::ErrorCode;
use crate::text::{excerpt, text_newtype};

/// The longest repository name, in bytes (distribution-spec: many clients limit host and name together to 255).
pub const NAME_MAX: usize = 255;

/// A checked repository name such as `infra/ci`. Cloning it copies a pointer; names sort bytewise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryName(Arc<str>);

/// Why a text is no repository name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Longer than [`NAME_MAX`].
    #[error("the repository name is {length} characters long; at most {NAME_MAX} are possible")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// A path component that the grammar does not allow.
    #[error(
        "`{name}` is not a repository name: the component `{component}` is not lower-case letters and digits, joined by `.`, `_`, `__` or dashes"
    )]
    Malformed {
        /// The name, shortened.
        name: String,
        /// The first component that is wrong, shortened; empty for an empty one.
        component: String,
    },
}

impl NameError {
    /// The code to answer with.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        ErrorCode::NameInvalid
    }
}

impl RepositoryName {
    /// Reads `text`: components joined by `/`, each `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`.
    ///
    /// # Errors
    /// [`NameError`] that names the component that is wrong, or the length.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.len() > NAME_MAX {
            return Err(NameError::TooLong { length: text.len() });
        }
        match text.split('/').find(|component| !is_component(component)) {
            None => Ok(Self(text.into())),
            Some(wrong) => Err(NameError::Malformed { name: excerpt(text), component: excerpt(wrong) }),
        }
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

text_newtype!(RepositoryName, NameError, "a repository name");

/// Whether `component` is runs of `[a-z0-9]` with one separator between each two.
fn is_component(component: &str) -> bool {
    let alphanumeric = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9');
    let runs = component.as_bytes().chunk_by(|one, two| alphanumeric(one) == alphanumeric(two));
    // Runs of letters and runs of separators alternate; the first and the last must be of letters.
    let mut letters = false;
    for run in runs {
        let begins = !letters;
        letters = run.iter().all(alphanumeric);
        if !letters && (begins || !is_separator(run)) {
            return false;
        }
    }
    letters
}

/// One dot, one or two underscores, or any number of dashes.
fn is_separator(run: &[u8]) -> bool {
    matches!(run, b"." | b"_" | b"__") || run.iter().all(|byte| *byte == b'-')
}

#[cfg(test)]
mod tests;
