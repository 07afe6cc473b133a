//! Tags, and references that are a tag or a digest; never host names, which only clients know.

use std::sync::Arc;

use crate::digest::{Digest, DigestError};
use crate::error_code::ErrorCode;
use crate::text::{excerpt, text_newtype};

/// The longest tag, in characters (distribution-spec, "Pulling manifests").
pub const TAG_MAX: usize = 128;

/// A checked tag: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`. Cloning it copies a pointer; tags sort bytewise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(Arc<str>);

/// Why a text is no tag.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a tag; expected 1 to {TAG_MAX} of a-z A-Z 0-9 _ . - that begin with neither a dot nor a dash")]
pub struct TagError(String);

impl TagError {
    /// The code to answer with: `NAME_INVALID`, since `TAG_INVALID` and `MANIFEST_INVALID` make clients convert the
    /// image and try again.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        ErrorCode::NameInvalid
    }
}

impl Tag {
    /// Reads `text`.
    ///
    /// # Errors
    /// [`TagError`] where it is not of the form above.
    pub fn parse(text: &str) -> Result<Self, TagError> {
        let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let rest = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        if first && text.len() <= TAG_MAX && text.bytes().all(rest) {
            Ok(Self(text.into()))
        } else {
            Err(TagError(excerpt(text)))
        }
    }

    /// The tag.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

text_newtype!(Tag, TagError, "a tag");

/// What stands behind `/manifests/`: a tag, or a digest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reference {
    /// A name that moves.
    Tag(Tag),
    /// The content itself.
    Digest(Digest),
}

/// Why a text is no reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// Without a colon, so meant as a tag.
    #[error(transparent)]
    Tag(#[from] TagError),
    /// With a colon, so meant as a digest.
    #[error(transparent)]
    Digest(#[from] DigestError),
}

impl ReferenceError {
    /// The code to answer with.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Tag(error) => error.code(),
            Self::Digest(error) => error.code(),
        }
    }
}

impl Reference {
    /// Reads `text`; a colon, which no tag has, makes it a digest.
    ///
    /// # Errors
    /// [`ReferenceError`] of the kind that was meant.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if text.contains(':') { Ok(Self::Digest(Digest::parse(text)?)) } else { Ok(Self::Tag(Tag::parse(text)?)) }
    }

    /// The text it was read from.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Tag(tag) => tag.as_str(),
            Self::Digest(digest) => digest.as_str(),
        }
    }
}

text_newtype!(Reference, ReferenceError, "a tag or a digest");

impl From<Tag> for Reference {
    fn from(tag: Tag) -> Self {
        Self::Tag(tag)
    }
}

impl From<Digest> for Reference {
    fn from(digest: Digest) -> Self {
        Self::Digest(digest)
    }
}

#[cfg(test)]
mod tests;
