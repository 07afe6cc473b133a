//! The keys our tokens are signed with, and when one takes the place of another; never the file they are kept in.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jsonwebtoken::{DecodingKey, EncodingKey};
use mcr_seams::{random_bytes, random_hex};
use serde::{Deserialize, Serialize};

/// How long a key signs before another takes its place.
pub const KEY_LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// Most keys of one ring: more than rotation ever leaves, so a file with more was not written by us.
const MAX_KEYS: usize = 16;
/// The number of the file's format.
const FORMAT: u32 = 1;
/// Bytes of an Ed25519 seed, and of an AES-256 key.
const SECRET: usize = 32;

/// Why keys cannot be read or made. Says nothing of their content.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The text is not a key file of this format.
    #[error("it is not a file of token keys ({0})")]
    Format(&'static str),
    /// The operating system has no randomness to give.
    #[error("no random bytes to be had: {0}")]
    Random(std::io::Error),
    /// The crypto library refused; it should not.
    #[error("the crypto library refused a key")]
    Crypto,
}

/// One key: what signs, and what encrypts a credential that a token carries.
#[derive(Clone)]
pub(crate) struct Key {
    id: String,
    made_at_ms: i64,
    /// When another took its place; none for the one that signs now.
    retired_at_ms: Option<i64>,
    seed: [u8; SECRET],
    sealing: [u8; SECRET],
    signing: EncodingKey,
    verifying: DecodingKey,
}

/// The key that signs now, and those before it whose tokens have not run out.
#[derive(Clone)]
pub struct KeyRing {
    /// The one that signs now first.
    keys: Vec<Key>,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| &key.id)).finish()
    }
}

/// A key as the file has it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    kid: String,
    made_at_ms: i64,
    retired_at_ms: Option<i64>,
    ed25519_seed: String,
    aes256_key: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: u32,
    keys: Vec<Written>,
}

impl Key {
    fn new(
        id: String,
        made_at_ms: i64,
        retired_at_ms: Option<i64>,
        seed: [u8; SECRET],
        sealing: [u8; SECRET],
    ) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| KeyError::Crypto)?;
        let document = pair.to_pkcs8().map_err(|_| KeyError::Crypto)?;
        Ok(Self {
            id,
            made_at_ms,
            retired_at_ms,
            seed,
            sealing,
            signing: EncodingKey::from_ed_der(document.as_ref()),
            verifying: DecodingKey::from_ed_der(pair.public_key().as_ref()),
        })
    }

    fn generate(now_ms: i64) -> Result<Self, KeyError> {
        let id = random_hex(8).map_err(KeyError::Random)?;
        let seed = random_bytes().map_err(KeyError::Random)?;
        let sealing = random_bytes().map_err(KeyError::Random)?;
        Self::new(id, now_ms, None, seed, sealing)
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn signing(&self) -> &EncodingKey {
        &self.signing
    }

    pub(crate) fn verifying(&self) -> &DecodingKey {
        &self.verifying
    }

    /// Encrypts `text` for a token with the identifier `jti`: no other token can carry what comes out.
    pub(crate) fn seal(&self, text: &str, jti: &str) -> Option<String> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, &self.sealing).ok()?;
        let mut bytes = text.as_bytes().to_vec();
        let nonce = key.seal_in_place_append_tag(Aad::from(jti.as_bytes()), &mut bytes).ok()?;
        let mut sealed = nonce.as_ref().to_vec();
        sealed.append(&mut bytes);
        Some(BASE64.encode(sealed))
    }

    /// What [`Key::seal`] hid; none where it was not this key, or another token's.
    pub(crate) fn unseal(&self, sealed: &str, jti: &str) -> Option<String> {
        let sealed = BASE64.decode(sealed).ok()?;
        let (nonce, hidden) = sealed.split_at_checked(NONCE_LEN)?;
        let key = RandomizedNonceKey::new(&AES_256_GCM, &self.sealing).ok()?;
        let mut bytes = hidden.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let open = key.open_in_place(nonce, Aad::from(jti.as_bytes()), &mut bytes).ok()?;
        String::from_utf8(open.to_vec()).ok()
    }
}

impl KeyRing {
    /// A ring with one key, made now.
    ///
    /// # Errors
    /// No randomness.
    pub fn generate(now_ms: i64) -> Result<Self, KeyError> {
        Ok(Self { keys: vec![Key::generate(now_ms)?] })
    }

    /// Reads what [`KeyRing::to_text`] wrote.
    ///
    /// # Errors
    /// [`KeyError::Format`] for anything else.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let file: File = serde_json::from_str(text).map_err(|_| KeyError::Format("not the JSON we write"))?;
        if file.format != FORMAT {
            return Err(KeyError::Format("of another format"));
        }
        if file.keys.is_empty() || file.keys.len() > MAX_KEYS {
            return Err(KeyError::Format("without keys, or with too many"));
        }
        let secret = |text: &str| {
            let bytes = BASE64.decode(text).ok().and_then(|bytes| <[u8; SECRET]>::try_from(bytes).ok());
            bytes.ok_or(KeyError::Format("a key has the wrong length"))
        };
        let mut keys: Vec<Key> = Vec::with_capacity(file.keys.len());
        for written in file.keys {
            if written.kid.is_empty() || keys.iter().any(|key| key.id == written.kid) {
                return Err(KeyError::Format("two keys have one name, or one has none"));
            }
            let (seed, sealing) = (secret(&written.ed25519_seed)?, secret(&written.aes256_key)?);
            keys.push(Key::new(written.kid, written.made_at_ms, written.retired_at_ms, seed, sealing)?);
        }
        let signs = |key: &Key| key.retired_at_ms.is_none();
        if keys.iter().filter(|key| signs(key)).count() != 1 || !keys.first().is_some_and(signs) {
            return Err(KeyError::Format("not one key that signs, at its head"));
        }
        Ok(Self { keys })
    }

    /// The ring as text for its file. It is secret.
    #[must_use]
    pub fn to_text(&self) -> String {
        let written = |key: &Key| Written {
            kid: key.id.clone(),
            made_at_ms: key.made_at_ms,
            retired_at_ms: key.retired_at_ms,
            ed25519_seed: BASE64.encode(key.seed),
            aes256_key: BASE64.encode(key.sealing),
        };
        let file = File { format: FORMAT, keys: self.keys.iter().map(written).collect() };
        // Numbers and texts always can be written.
        serde_json::to_string_pretty(&file).unwrap_or_default() + "\n"
    }

    /// The ring that takes this one's place at `now_ms`; none while nothing is due.
    ///
    /// A key that signed for [`KEY_LIFETIME`] is followed by a new one. It goes when `longest`, the longest life of a
    /// token, is past since it signed its last.
    ///
    /// # Errors
    /// No randomness.
    pub fn rotated(&self, now_ms: i64, longest: Duration) -> Result<Option<Self>, KeyError> {
        let old = |since: i64, age: Duration| now_ms.saturating_sub(since) > millis(age);
        let mut keys = self.keys.clone();
        let before = keys.len();
        keys.retain(|key| key.retired_at_ms.is_none_or(|at| !old(at, longest)));
        let mut changed = keys.len() != before;
        if let Some(current) = keys.first_mut().filter(|key| old(key.made_at_ms, KEY_LIFETIME)) {
            current.retired_at_ms = Some(now_ms);
            keys.insert(0, Key::generate(now_ms)?);
            keys.truncate(MAX_KEYS);
            changed = true;
        }
        Ok(changed.then_some(Self { keys }))
    }

    pub(crate) fn current(&self) -> Option<&Key> {
        self.keys.first()
    }

    pub(crate) fn find(&self, id: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.id == id)
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
