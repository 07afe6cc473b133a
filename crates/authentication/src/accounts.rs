//! The accounts that this program knows by itself: the password file as it is now, the one of `--dev`; never a token,
//! a limit on guessing, or another service.

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use mcr_access::{ADMIN_ROLE, Account, AccountKind, CheckPassword};
use subtle::ConstantTimeEq as _;

use crate::checks::Checks;
use crate::files::{self, Signature};
use crate::htpasswd::{Accounts, HtpasswdError, MAX_FILE, MAX_PASSWORD};
use crate::secrets::fingerprint;
use crate::settings::{Denied, HtpasswdSettings};

/// Why a password file is not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("{}: cannot be read: {source}", .path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{}: {source}", .path.display())]
    Content { path: PathBuf, source: HtpasswdError },
}

/// An account whose password was right, and what stands and falls with that.
pub(crate) struct Checked {
    pub(crate) account: Arc<Account>,
    pub(crate) fingerprint: String,
}

/// One state of the file. Never changed: another takes its place.
pub(crate) struct Snapshot {
    accounts: Accounts,
    /// Tells this state from those before it.
    pub(crate) generation: u64,
}

impl Snapshot {
    /// The account of that name, if its password is still the one that was fingerprinted.
    pub(crate) fn bound(&self, name: &str, fingerprint: &str) -> Option<Arc<Account>> {
        let entry = self.accounts.get(name)?;
        is_equal(&entry.fingerprint, fingerprint).then(|| Arc::clone(&entry.account))
    }

    /// The account of that name.
    pub(crate) fn account(&self, name: &str) -> Option<Arc<Account>> {
        self.accounts.get(name).map(|entry| Arc::clone(&entry.account))
    }
}

/// The password file, as it was last whole.
pub(crate) struct PasswordFile {
    settings: HtpasswdSettings,
    current: RwLock<Arc<Snapshot>>,
    /// Of the file that was last looked at, good or not, so that a bad one is told once.
    looked_at: Mutex<Option<Signature>>,
    /// Of the file as it was when it was last asked whether it changed.
    seen: Mutex<Option<Signature>>,
}

impl PasswordFile {
    /// # Errors
    /// [`FileError`]: a server does not start with a file it cannot believe.
    pub(crate) fn open(settings: HtpasswdSettings) -> Result<Self, FileError> {
        let (accounts, signature) = read(&settings)?;
        tracing::info!(accounts = accounts.len(), "read the password file");
        let current = RwLock::new(Arc::new(Snapshot { accounts, generation: 0 }));
        Ok(Self { settings, current, looked_at: Mutex::new(Some(signature)), seen: Mutex::new(Some(signature)) })
    }

    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether the file is another than the one last looked at, and has been so since the last question: `htpasswd`
    /// writes it in place, and half of it would be an account less for everybody in the other half. Blocks.
    pub(crate) fn has_changed(&self) -> bool {
        let now = files::signature(&self.settings.file).ok();
        let before = std::mem::replace(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner), now);
        now == before && now != *self.looked_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the file as it is now; one that is wrong is logged, and the accounts of the last good one go on. Blocks.
    pub(crate) fn reload(&self) {
        // One at a time, so that an older state cannot follow a newer one.
        let mut looked_at = self.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
        let before = files::signature(&self.settings.file).ok();
        match read(&self.settings) {
            Ok((accounts, signature)) => {
                *looked_at = Some(signature);
                let count = accounts.len();
                let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
                let generation = current.generation.wrapping_add(1);
                *current = Arc::new(Snapshot { accounts, generation });
                drop(current);
                tracing::info!(accounts = count, "read the password file anew");
            }
            Err(error) => {
                *looked_at = before;
                tracing::error!(%error, "the password file is not taken; the accounts of the last good one go on");
            }
        }
    }

    /// Whether the pair is right. Every wrong one costs the same, whether there is such an account or not, and
    /// whatever the cost of its hash.
    ///
    /// # Errors
    /// [`Denied::Unavailable`] where too many wait.
    pub(crate) async fn check(&self, checks: &Checks, name: &str, password: &str) -> Result<Option<Checked>, Denied> {
        // Says nothing of the account: it is the same for every name.
        if password.len() > MAX_PASSWORD {
            return Ok(None);
        }
        let snapshot = self.snapshot();
        let (password, highest) = (password.to_owned(), snapshot.accounts.highest_cost());
        let Some(entry) = snapshot.accounts.get(name) else {
            checks.run(move || beside(None, highest).for_each(|cost| spend(&password, cost))).await?;
            return Ok(None);
        };
        let (hash, cost) = (Arc::clone(&entry.hash), entry.cost);
        let right = checks
            .run(move || {
                let right = bcrypt::verify(&password, &hash).unwrap_or(false);
                if !right {
                    beside(Some(cost), highest).for_each(|cost| spend(&password, cost));
                }
                right
            })
            .await?;
        let checked = || Checked { account: Arc::clone(&entry.account), fingerprint: entry.fingerprint.clone() };
        Ok(right.then(checked))
    }
}

/// The costs of the hashes that are made for nothing, so that with the one `done` it is the work of one of `highest`: a
/// step of cost is twice the work.
fn beside(done: Option<u32>, highest: u32) -> impl Iterator<Item = u32> {
    let one = done.is_none().then_some(highest);
    done.into_iter().flat_map(move |cost| cost..highest).chain(one)
}

/// Does the work of a check, for nothing. The result is looked at, so that no compiler finds it to be of no use.
fn spend(password: &str, cost: u32) {
    let _ = black_box(bcrypt::hash_with_salt(password, cost, [0x5a; 16]));
}

fn read(settings: &HtpasswdSettings) -> Result<(Accounts, Signature), FileError> {
    let path = || settings.file.clone();
    let file = files::read(&settings.file, MAX_FILE).map_err(|source| FileError::Read { path: path(), source })?;
    let accounts =
        Accounts::parse(&file.text, settings).map_err(|source| FileError::Content { path: path(), source })?;
    Ok((accounts, file.signature))
}

/// The one administrator of `--dev`.
pub(crate) struct Dev {
    passwords: Arc<dyn CheckPassword>,
    fingerprint: String,
}

impl Dev {
    /// # Errors
    /// No randomness.
    pub(crate) fn new(passwords: Arc<dyn CheckPassword>) -> std::io::Result<Self> {
        let kept = match passwords.fingerprint() {
            Some(kept) => kept,
            None => mcr_seams::random_hex(16)?,
        };
        Ok(Self { passwords, fingerprint: fingerprint("--dev", &kept) })
    }

    /// # Errors
    /// [`Denied::Unavailable`] where too many wait.
    pub(crate) async fn check(&self, checks: &Checks, name: &str, password: &str) -> Result<Option<Checked>, Denied> {
        let (passwords, pair) = (Arc::clone(&self.passwords), (name.to_owned(), password.to_owned()));
        let right = checks.run(move || passwords.check(&pair.0, &pair.1)).await?;
        Ok(right.then(|| Checked { account: admin(name), fingerprint: self.fingerprint.clone() }))
    }

    pub(crate) fn bound(&self, name: &str, fingerprint: &str) -> Option<Arc<Account>> {
        is_equal(&self.fingerprint, fingerprint).then(|| admin(name))
    }
}

fn admin(name: &str) -> Arc<Account> {
    Arc::new(Account::new(name, name, AccountKind::Human, &[ADMIN_ROLE]))
}

fn is_equal(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::beside;

    #[test]
    fn every_wrong_pair_is_the_same_work() {
        let work = |costs: &mut dyn Iterator<Item = u32>| costs.map(|cost| 1_u64 << cost).sum::<u64>();
        for highest in 4..=16 {
            assert_eq!(work(&mut beside(None, highest)), 1 << highest, "no such account");
            for cost in 4..=highest {
                assert_eq!((1 << cost) + work(&mut beside(Some(cost), highest)), 1 << highest, "{cost} of {highest}");
            }
        }
    }
}
