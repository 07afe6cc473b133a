//! Digests that stand for secrets in memory, so that no cache is a list of passwords; never a secret itself.

use std::fmt::Write as _;

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mcr_seams::random_bytes;

/// What a secret is known by in a cache.
pub(crate) type Mark = [u8; 32];

/// The mark of a token. Tokens are long and random: a plain hash is enough.
pub(crate) fn mark_of(token: &str) -> Mark {
    whole(digest::digest(&digest::SHA256, token.as_bytes()).as_ref())
}

/// A mark as text, for what knows a token by it.
pub(crate) fn hex(mark: &Mark) -> String {
    mark.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What binds a token to a password: a fingerprint of what is kept of it. 128 bits.
pub(crate) fn fingerprint(name: &str, kept: &str) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in ["mcr-authentication", name, kept] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    let whole = context.finish();
    URL_SAFE_NO_PAD.encode(whole.as_ref().get(..16).unwrap_or_default())
}

/// Marks of passwords, which can be guessed: made with a key that only this process has.
pub(crate) struct Marker {
    key: hmac::Key,
}

impl Marker {
    /// A marker with a key of its own.
    ///
    /// # Errors
    /// No randomness.
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self { key: hmac::Key::new(hmac::HMAC_SHA256, &random_bytes::<32>()?) })
    }

    /// The mark of some texts in this order.
    pub(crate) fn mark(&self, parts: &[&str]) -> Mark {
        let mut context = hmac::Context::with_key(&self.key);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        whole(context.sign().as_ref())
    }
}

/// SHA-256 has 32 bytes; the other arm is never taken.
fn whole(bytes: &[u8]) -> Mark {
    bytes.try_into().unwrap_or([0; 32])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_do_not_run_into_each_other() {
        let marker = Marker::new().unwrap();
        assert_eq!(marker.mark(&["ab", "c"]), marker.mark(&["ab", "c"]));
        assert_ne!(marker.mark(&["ab", "c"]), marker.mark(&["a", "bc"]));
        assert_ne!(fingerprint("ab", "c"), fingerprint("a", "bc"));
        assert_ne!(Marker::new().unwrap().mark(&["a"]), marker.mark(&["a"]), "a key of its own");
    }

    #[test]
    fn a_mark_is_the_sha_256_of_a_token() {
        assert_eq!(hex(&mark_of("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
