//! The one account of `--dev`: its password is shown once and kept only as a hash; never other accounts.

use std::io;
use std::path::{Path, PathBuf};

use mcr_oci::Digest;
use mcr_seams::random_hex;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::files;

/// The account's name.
pub const DEV_USER: &str = "admin";

/// Bytes of randomness in a password: 160 bits, so that a plain salted hash of it cannot be searched.
const PASSWORD_BYTES: usize = 20;
const SALT_BYTES: usize = 16;
const VERSION: u32 = 1;
const LARGEST_FILE: u64 = 4096;

/// Why the account cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The file cannot be read or written.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The file is not what was written once.
    #[error("{} is damaged: {reason}; start with --reset-password to make a new password", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong in it.
        reason: String,
    },
}

/// The account as it is kept.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    user: String,
    salt: String,
    hash: Digest,
}

/// Checks the account's password.
#[derive(Clone, Debug)]
pub struct DevAdmin {
    salt: String,
    hash: Digest,
}

impl DevAdmin {
    /// Reads the account, or makes it where there is none or `reset` asks for a new password.
    /// The password comes back only when it is new: it can be shown now and never again.
    ///
    /// # Errors
    /// A file that cannot be read or written, or is damaged.
    pub fn open(path: &Path, reset: bool) -> Result<(Self, Option<String>), AdminError> {
        let failed = |source| AdminError::Io { path: path.to_owned(), source };
        if !reset && files::exists(path).map_err(failed)? {
            return Ok((Self::read(path)?, None));
        }
        let password = random_hex(PASSWORD_BYTES).map_err(failed)?;
        let salt = random_hex(SALT_BYTES).map_err(failed)?;
        let hash = hash(&salt, &password);
        let stored = Stored { version: VERSION, user: DEV_USER.to_owned(), salt: salt.clone(), hash: hash.clone() };
        let text = serde_json::to_vec_pretty(&stored).map_err(|error| failed(error.into()))?;
        files::replace(path, &text, 0o600).map_err(failed)?;
        Ok((Self { salt, hash }, Some(password)))
    }

    fn read(path: &Path) -> Result<Self, AdminError> {
        let damaged = |reason: String| AdminError::Damaged { path: path.to_owned(), reason };
        let text = files::read_text(path, LARGEST_FILE).map_err(|source| {
            if source.kind() == io::ErrorKind::InvalidData {
                damaged(source.to_string())
            } else {
                AdminError::Io { path: path.to_owned(), source }
            }
        })?;
        let stored: Stored = serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?;
        if stored.version != VERSION {
            return Err(damaged(format!("it has version {}, this program knows {VERSION}", stored.version)));
        }
        if stored.user != DEV_USER {
            return Err(damaged(format!("it is for user {:?}, expected {DEV_USER:?}", stored.user)));
        }
        Ok(Self { salt: stored.salt, hash: stored.hash })
    }

    /// Whether these are the account's name and password. Takes as long for wrong ones as for right ones.
    #[must_use]
    pub fn verify(&self, user: &str, password: &str) -> bool {
        let given = hash(&self.salt, password);
        let same_password = given.as_str().as_bytes().ct_eq(self.hash.as_str().as_bytes());
        let same_user = user.as_bytes().ct_eq(DEV_USER.as_bytes());
        (same_user & same_password).into()
    }
}

impl DevAdmin {
    /// What changes when the password does, and tells nothing of it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        hash(&self.salt, self.hash.as_str()).to_string()
    }
}

fn hash(salt: &str, password: &str) -> Digest {
    Digest::sha256(format!("{salt}:{password}").as_bytes())
}

#[cfg(test)]
mod tests;
