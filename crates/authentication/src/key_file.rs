//! The file of signing keys: made at first start, refused where others can read it; never what a key signs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mcr_access::{KeyError, KeyRing};

use crate::files;

/// Longest file, in bytes.
const MAX_FILE: u64 = 64 << 10;

/// Why there are no keys to sign with.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It cannot be read or written.
    #[error("{}: the file of token keys cannot be {done}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// `read` or `written`.
        done: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Others can read it, so what it signs proves nothing.
    #[error(
        "{0}: others than its owner can read the token keys; if nobody did, `chmod 600 {0}`, else remove it: new keys are \
         made, and everybody logs in again"
    )]
    Open(String),
    /// Something else is in it.
    #[error(
        "{path}: {reason}; put it back from a backup, or remove it: new keys are made, and everybody logs in again"
    )]
    Content {
        /// The file.
        path: String,
        /// What is wrong.
        reason: KeyError,
    },
    /// No key can be made.
    #[error("no token key can be made: {0}")]
    Make(KeyError),
}

/// Reads the keys, or makes the first.
///
/// # Errors
/// [`KeyFileError`], one line that says what to do.
pub(crate) fn load_or_make(path: &Path, now_ms: i64) -> Result<KeyRing, KeyFileError> {
    let failed = |done| move |source| KeyFileError::File { path: path.to_owned(), done, source };
    let file = match files::read(path, MAX_FILE) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let ring = KeyRing::generate(now_ms).map_err(KeyFileError::Make)?;
            if files::write_new_secret(path, &ring.to_text()).map_err(failed("written"))? {
                tracing::info!(path = %path.display(), "made the first keys for tokens");
                return Ok(ring);
            }
            // Somebody else made one in between.
            files::read(path, MAX_FILE).map_err(failed("read"))?
        }
        Err(error) => return Err(failed("read")(error)),
    };
    if file.open_to_others {
        return Err(KeyFileError::Open(path.display().to_string()));
    }
    let content = |reason| KeyFileError::Content { path: path.display().to_string(), reason };
    KeyRing::parse(&file.text).map_err(content)
}

/// The ring that takes the place of `ring`, written down before it signs anything; none while nothing is due.
///
/// # Errors
/// [`KeyFileError`]; the old ring goes on.
pub(crate) fn rotate(
    path: &Path,
    ring: &KeyRing,
    now_ms: i64,
    longest: Duration,
) -> Result<Option<KeyRing>, KeyFileError> {
    let Some(next) = ring.rotated(now_ms, longest).map_err(KeyFileError::Make)? else { return Ok(None) };
    let failed = |source| KeyFileError::File { path: path.to_owned(), done: "written", source };
    files::replace_secret(path, &next.to_text()).map_err(failed)?;
    tracing::info!("took a new key for tokens; what the old ones signed is good until it runs out");
    Ok(Some(next))
}

#[cfg(test)]
mod tests;
