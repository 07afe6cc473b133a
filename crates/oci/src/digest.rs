//! Content digests: parsing, computing, comparing; never where content with a digest lies.

use std::fmt::Write as _;
use std::sync::Arc;

use sha2::Digest as _;

use crate::error_code::ErrorCode;
use crate::text::{excerpt, text_newtype};

/// A hash algorithm that this registry computes (image-spec, descriptor.md: the registered ones).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// The name before the colon of a digest.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// How many hex digits follow the colon.
    #[must_use]
    pub const fn hex_len(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }

    /// The algorithm of that exact name, if it is one of ours.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "sha256" => Some(Self::Sha256),
            "sha512" => Some(Self::Sha512),
            _ => None,
        }
    }
}

impl std::fmt::Display for Algorithm {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A checked digest, such as `sha256:` and 64 lower-case hex digits. Cloning it copies a pointer.
///
/// Digests sort as their text does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(Arc<str>);

/// Why a text is no digest of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// A digest by its form, in an algorithm that this registry does not compute.
    #[error("the digest algorithm `{0}` is not supported; use sha256 or sha512")]
    UnsupportedAlgorithm(String),
    /// Not the form `algorithm:hex`, or not the digits the algorithm has.
    #[error("`{0}` is not a digest; expected sha256: and 64 or sha512: and 128 lower-case hex digits")]
    Malformed(String),
}

impl DigestError {
    /// The code to answer with.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        ErrorCode::DigestInvalid
    }
}

impl Digest {
    /// Reads `text`, strictly: a supported algorithm, lower-case hex, the exact length.
    ///
    /// # Errors
    /// [`DigestError::UnsupportedAlgorithm`] where the form is right (image-spec, descriptor.md, "Digests") and the
    /// algorithm is not ours, such as `md5`; else [`DigestError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        let malformed = || DigestError::Malformed(excerpt(text));
        let (name, encoded) = text.split_once(':').ok_or_else(malformed)?;
        let Some(algorithm) = Algorithm::parse(name) else {
            let foreign = is_algorithm_name(name) && is_encoded(encoded);
            return Err(if foreign { DigestError::UnsupportedAlgorithm(excerpt(name)) } else { malformed() });
        };
        let hex = encoded.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if hex && encoded.len() == algorithm.hex_len() { Ok(Self(text.into())) } else { Err(malformed()) }
    }

    /// The digest of `bytes`.
    #[must_use]
    pub fn of(algorithm: Algorithm, bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    /// The SHA-256 digest of `bytes`.
    #[must_use]
    pub fn sha256(bytes: &[u8]) -> Self {
        Self::of(Algorithm::Sha256, bytes)
    }

    /// The algorithm before the colon.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        // The constructors let no third algorithm in.
        if self.0.starts_with("sha512:") { Algorithm::Sha512 } else { Algorithm::Sha256 }
    }

    /// The hex digits after the colon.
    #[must_use]
    pub fn hex(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, hex)| hex)
    }

    /// The whole text, `algorithm:hex`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

text_newtype!(Digest, DigestError, "a digest");

/// image-spec: `algorithm-component [ ("+" | "." | "_" | "-") algorithm-component ]*`, components of `[a-z0-9]+`.
fn is_algorithm_name(name: &str) -> bool {
    let component = |part: &str| !part.is_empty() && part.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9'));
    name.split(['+', '.', '_', '-']).all(component)
}

/// image-spec: `[a-zA-Z0-9=_-]+`.
fn is_encoded(encoded: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'=' | b'_' | b'-');
    !encoded.is_empty() && encoded.bytes().all(allowed)
}

/// Computes a digest piece by piece, in constant memory.
#[derive(Clone, Debug)]
pub struct Hasher(State);

#[derive(Clone, Debug)]
enum State {
    Sha256(sha2::Sha256),
    Sha512(sha2::Sha512),
}

impl Hasher {
    /// A hasher that has seen nothing yet.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Self {
        Self(match algorithm {
            Algorithm::Sha256 => State::Sha256(sha2::Sha256::new()),
            Algorithm::Sha512 => State::Sha512(sha2::Sha512::new()),
        })
    }

    /// The next bytes of the content.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha256(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
        }
    }

    /// The digest of all bytes given so far.
    #[must_use]
    pub fn finish(self) -> Digest {
        let algorithm = self.algorithm();
        match self.0 {
            State::Sha256(state) => written(algorithm, &state.finalize()),
            State::Sha512(state) => written(algorithm, &state.finalize()),
        }
    }

    /// The algorithm it computes.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match self.0 {
            State::Sha256(_) => Algorithm::Sha256,
            State::Sha512(_) => Algorithm::Sha512,
        }
    }
}

fn written(algorithm: Algorithm, hash: &[u8]) -> Digest {
    let mut text = String::with_capacity(algorithm.hex_len().saturating_add(8));
    text.push_str(algorithm.as_str());
    text.push(':');
    for byte in hash {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Digest(text.into())
}

#[cfg(test)]
mod tests;
