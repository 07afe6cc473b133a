//! What a session is: its id, its sidecar, and the memory of which sessions are open and how far they were hashed.
//! The memory only saves work: everything in it can be found again on disk.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcr_oci::Hasher;
use serde::{Deserialize, Serialize};

use crate::FileStat;

/// Hex digits of an id: 128 random bits, so that nobody guesses another's session.
const ID_LENGTH: usize = 32;

/// Sessions not being written to whose hash is remembered, about 300 bytes each. The others are read again.
const REMEMBERED_MAX: usize = 512;

/// The version of the sidecar's format.
const VERSION: u32 = 1;

/// The most bytes a sidecar may have: a repository's name has at most 255.
pub(crate) const SIDECAR_MAX: u64 = 4096;

/// Names an upload session: 32 lower-case hex digits, so it is safe as a file's name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UploadId(String);

/// The text is not the id of an upload session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an upload id is {ID_LENGTH} lower-case hex digits")]
pub struct UploadIdError;

impl UploadId {
    /// Takes exactly 32 lower-case hex digits.
    ///
    /// # Errors
    /// For anything else, a path trick included.
    pub fn parse(text: &str) -> Result<UploadId, UploadIdError> {
        let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() == ID_LENGTH && text.bytes().all(is_hex) {
            Ok(UploadId(text.to_owned()))
        } else {
            Err(UploadIdError)
        }
    }

    /// The 32 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UploadId {
    type Err = UploadIdError;

    fn from_str(text: &str) -> Result<UploadId, UploadIdError> {
        UploadId::parse(text)
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What is known of a session without reading its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadInfo {
    /// The repository it was begun for.
    pub repository: String,
    /// Bytes received so far.
    pub size: u64,
    /// When it was begun, in ms since 1970, by the caller's clock.
    pub started_ms: i64,
    /// When the last bytes came, in ms since 1970, by the file system's clock.
    pub last_write_ms: i64,
}

/// The sidecar: what a restart cannot learn from the bytes.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sidecar {
    version: u32,
    pub(crate) repository: String,
    pub(crate) started_ms: i64,
}

impl Sidecar {
    pub(crate) fn new(repository: &str, started_ms: i64) -> Sidecar {
        Sidecar { version: VERSION, repository: repository.to_owned(), started_ms }
    }

    pub(crate) fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }

    /// `None` for what a power loss left of one, or what another version wrote: the session is lost then.
    pub(crate) fn from_json(bytes: &[u8]) -> Option<Sidecar> {
        let sidecar: Sidecar = serde_json::from_slice(bytes).ok()?;
        (sidecar.version == VERSION).then_some(sidecar)
    }
}

/// Which sessions are being written to, and the hashes of some that are not.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    claimed: HashSet<UploadId>,
    remembered: VecDeque<(UploadId, Remembered)>,
}

/// A hash over all of a session's bytes, and the stat of the file they were in. Another stat makes it worthless.
#[derive(Debug)]
pub(crate) struct Remembered {
    pub(crate) hasher: Hasher,
    pub(crate) stat: FileStat,
}

/// The right to write to a session. Dropping it gives the session back.
#[derive(Debug)]
pub(crate) struct Claim {
    sessions: Arc<Sessions>,
    pub(crate) id: UploadId,
    /// What is to be remembered of the session, and after the claim: what was.
    pub(crate) remembered: Option<Remembered>,
}

impl Sessions {
    /// Claims a session, so that no second writer mixes its bytes under the first one's hash; `None` when it is taken.
    pub(crate) fn claim(self: &Arc<Sessions>, id: &UploadId) -> Option<Claim> {
        let mut state = self.lock();
        if !state.claimed.insert(id.clone()) {
            return None;
        }
        let position = state.remembered.iter().position(|(known, _)| known == id);
        let remembered = position.and_then(|position| state.remembered.remove(position));
        Some(Claim {
            sessions: Arc::clone(self),
            id: id.clone(),
            remembered: remembered.map(|(_, remembered)| remembered),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut state = self.sessions.lock();
        state.claimed.remove(&self.id);
        if let Some(remembered) = self.remembered.take() {
            if state.remembered.len() >= REMEMBERED_MAX {
                state.remembered.pop_front();
            }
            state.remembered.push_back((self.id.clone(), remembered));
        }
    }
}

#[cfg(test)]
mod tests;
