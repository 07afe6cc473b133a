//! Reading the `Authorization` header; never judging what it says.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::identity::PROBE_ACCOUNT;

/// Longest header value that is looked at, in bytes.
const MAX_HEADER: usize = 8 * 1024;

/// A store of passwords, asked in constant time.
pub trait CheckPassword: Send + Sync {
    /// True when the pair is right.
    fn check(&self, username: &str, password: &str) -> bool;

    /// What changes when the password does, so that tokens made for the account fall with it. Where there is none,
    /// they end with the process.
    fn fingerprint(&self) -> Option<String> {
        None
    }
}

/// A name and a password as a client sent them (RFC 7617).
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The account's name.
    pub username: String,
    /// Its password.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("username", &self.username).field("password", &"***").finish()
    }
}

/// An `Authorization` header that is not HTTP Basic in good form. Says nothing of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the Authorization header is not well-formed HTTP Basic")]
pub struct MalformedCredentials;

impl Credentials {
    /// Reads a `Basic` header value.
    ///
    /// # Errors
    /// [`MalformedCredentials`] for another scheme, bad base64, bytes that are not UTF-8, no colon.
    pub fn from_basic(header: &[u8]) -> Result<Self, MalformedCredentials> {
        let text = std::str::from_utf8(header).map_err(|_| MalformedCredentials)?;
        let (scheme, encoded) = text.split_once(' ').ok_or(MalformedCredentials)?;
        if !scheme.eq_ignore_ascii_case("basic") || text.len() > MAX_HEADER {
            return Err(MalformedCredentials);
        }
        let decoded = STANDARD.decode(encoded.trim()).map_err(|_| MalformedCredentials)?;
        let decoded = String::from_utf8(decoded).map_err(|_| MalformedCredentials)?;
        let (username, password) = decoded.split_once(':').ok_or(MalformedCredentials)?;
        Ok(Self { username: username.to_owned(), password: password.to_owned() })
    }

    /// Reads what [`probe_bearer`] wrote; none for any other header.
    ///
    /// The probe says who it is with every request, asked or not: where everybody may come in nobody asks.
    #[must_use]
    pub fn from_probe_bearer(header: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(header).ok().filter(|text| text.len() <= MAX_HEADER)?;
        let token = text.strip_prefix("Bearer ")?;
        let secret = token.strip_prefix(PROBE_ACCOUNT)?.strip_prefix('.')?;
        Some(Self { username: PROBE_ACCOUNT.to_owned(), password: secret.to_owned() })
    }
}

/// The bearer token of the registry's own probe, made of its secret.
#[must_use]
pub fn probe_bearer(secret: &str) -> String {
    format!("{PROBE_ACCOUNT}.{secret}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_may_hold_colons() {
        let header = format!("Basic {}", STANDARD.encode("admin:a:b"));
        let read = Credentials::from_basic(header.as_bytes()).unwrap();
        assert_eq!((read.username.as_str(), read.password.as_str()), ("admin", "a:b"));
        assert!(!format!("{read:?}").contains("a:b"));
    }

    #[test]
    fn other_schemes_and_garbage_are_malformed() {
        for header in ["Bearer abc", "Basic", "Basic !!!", "Basic YWJj", ""] {
            assert_eq!(Credentials::from_basic(header.as_bytes()), Err(MalformedCredentials), "{header}");
        }
    }

    #[test]
    fn the_probes_bearer_is_read_back_and_no_other_token_is() {
        let header = format!("Bearer {}", probe_bearer("c0ffee"));
        let read = Credentials::from_probe_bearer(header.as_bytes()).unwrap();
        assert_eq!((read.username.as_str(), read.password.as_str()), (PROBE_ACCOUNT, "c0ffee"));
        for other in ["Bearer abc", "Bearer mcr-probe", "Basic mcr-probe.c0ffee", "mcr-probe.c0ffee", ""] {
            assert_eq!(Credentials::from_probe_bearer(other.as_bytes()), None, "{other}");
        }
    }
}
