//! The secret by which the server knows its own probe: drawn at each start, kept in memory, compared in constant time.

use std::fmt;
use std::io;

use mcr_access::{CheckPassword, PROBE_ACCOUNT, probe_bearer};
use mcr_seams::random_hex;
use subtle::ConstantTimeEq as _;

/// Bytes of randomness in the secret.
const SECRET_BYTES: usize = 32;

/// The credential of the account `mcr-probe` of this process.
pub struct Credential {
    secret: String,
}

impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Credential(…)")
    }
}

impl Credential {
    /// Draws a new one.
    ///
    /// # Errors
    /// No random bytes are to be had.
    pub fn draw() -> io::Result<Self> {
        Ok(Self { secret: random_hex(SECRET_BYTES)? })
    }

    /// The bearer token that the probe sends.
    #[must_use]
    pub fn token(&self) -> String {
        probe_bearer(&self.secret)
    }
}

impl CheckPassword for Credential {
    fn check(&self, username: &str, password: &str) -> bool {
        let same_name = username.as_bytes().ct_eq(PROBE_ACCOUNT.as_bytes());
        let same_secret = password.as_bytes().ct_eq(self.secret.as_bytes());
        (same_name & same_secret).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_another_and_only_its_own_secret_is_right() {
        let (one, other) = (Credential::draw().unwrap(), Credential::draw().unwrap());
        assert_eq!(one.secret.len(), 2 * SECRET_BYTES);
        assert!(one.check(PROBE_ACCOUNT, &one.secret));
        assert!(!one.check(PROBE_ACCOUNT, &other.secret) && !one.check(PROBE_ACCOUNT, ""));
        assert!(!one.check("admin", &one.secret));
        assert!(!format!("{one:?}").contains(&one.secret));
    }
}
