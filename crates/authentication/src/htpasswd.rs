//! A password file as text: its accounts, or what is wrong with which line; never a file call, never a check.

use std::collections::HashMap;
use std::str::FromStr as _;
use std::sync::Arc;

use bcrypt::HashParts;
use mcr_access::{ADMIN_ROLE, Account, AccountKind, GUEST_ROLE, PROBE_ACCOUNT, USER_ROLE};
use mcr_oci::glob;
use mcr_registry::IMPORT;

use crate::names::is_name;
use crate::secrets::fingerprint;
use crate::settings::HtpasswdSettings;

/// Longest password that is right for anybody, in bytes. bcrypt ignores what comes after; to take a longer one would be
/// to take any that begins the same.
pub const MAX_PASSWORD: usize = 72;

/// Longest file, in bytes.
pub(crate) const MAX_FILE: u64 = 4 << 20;
/// Most accounts of one file.
const MAX_ACCOUNTS: usize = 20_000;
/// Highest cost of a hash: one more would keep a thread for over five seconds.
const MAX_COST: u32 = 16;

/// What is wrong in a password file, and where. Says nothing of hashes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HtpasswdError {
    /// A line without a colon.
    #[error("line {0}: expected NAME:HASH")]
    NoColon(usize),
    /// A name that no account can have.
    #[error("line {0}: not the name of an account: 1 to 255 bytes without control characters")]
    Name(usize),
    /// The probe's name.
    #[error("line {0}: the name {PROBE_ACCOUNT} is the registry's own probe's; take another")]
    Probe(usize),
    /// The name that imports stand under: what such an account pushes would be taken for the old registry's.
    #[error("line {0}: the name {IMPORT} stands for what mcrsrv import brought; take another")]
    Import(usize),
    /// A name for the second time.
    #[error("line {line}: {name} stands in line {first} already; remove one of them")]
    Twice {
        /// Where.
        line: usize,
        /// Where it stood first.
        first: usize,
        /// The name.
        name: String,
    },
    /// A hash of another kind, or a damaged one.
    #[error("line {0}: not a bcrypt hash ($2y$, $2a$ or $2b$); make one with `htpasswd -B`")]
    Hash(usize),
    /// A hash that takes too long to check.
    #[error("line {0}: cost {1} is too high; make a hash with a cost of at most {MAX_COST} (`htpasswd -B -C 12`)")]
    Cost(usize, u32),
    /// Too many lines.
    #[error("more than {MAX_ACCOUNTS} accounts; use an identity service")]
    TooMany,
    /// Nobody could run the registry.
    #[error("no account of it is named by [auth] admins; add one with `htpasswd -B`")]
    NoAdmin,
}

/// An account of the file.
pub(crate) struct Entry {
    pub(crate) account: Arc<Account>,
    pub(crate) hash: Arc<str>,
    pub(crate) cost: u32,
    /// What binds tokens to this hash.
    pub(crate) fingerprint: String,
    line: usize,
}

/// All accounts of a file.
#[derive(Default)]
pub(crate) struct Accounts {
    by_name: HashMap<String, Entry>,
    highest_cost: u32,
}

impl Accounts {
    /// Reads the text of a file. Empty lines and those that begin with `#` are passed over.
    ///
    /// # Errors
    /// The first line that is wrong.
    pub(crate) fn parse(text: &str, settings: &HtpasswdSettings) -> Result<Self, HtpasswdError> {
        let mut accounts = Self::default();
        for (at, line) in text.lines().enumerate().map(|(at, line)| (at + 1, line.trim_end())) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (name, hash) = line.split_once(':').ok_or(HtpasswdError::NoColon(at))?;
            if name == PROBE_ACCOUNT {
                return Err(HtpasswdError::Probe(at));
            }
            if name == IMPORT {
                return Err(HtpasswdError::Import(at));
            }
            if !is_name(name) {
                return Err(HtpasswdError::Name(at));
            }
            if let Some(first) = accounts.by_name.get(name) {
                return Err(HtpasswdError::Twice { line: at, first: first.line, name: name.to_owned() });
            }
            if accounts.by_name.len() >= MAX_ACCOUNTS {
                return Err(HtpasswdError::TooMany);
            }
            let cost = cost(hash).ok_or(HtpasswdError::Hash(at))?;
            if cost > MAX_COST {
                return Err(HtpasswdError::Cost(at, cost));
            }
            accounts.highest_cost = accounts.highest_cost.max(cost);
            let entry = Entry {
                account: Arc::new(account(name, settings)),
                hash: Arc::from(hash),
                cost,
                fingerprint: fingerprint(name, hash),
                line: at,
            };
            accounts.by_name.insert(name.to_owned(), entry);
        }
        let is_admin = |entry: &Entry| entry.account.has_role(ADMIN_ROLE);
        if accounts.by_name.values().any(is_admin) { Ok(accounts) } else { Err(HtpasswdError::NoAdmin) }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Entry> {
        self.by_name.get(name)
    }

    pub(crate) fn len(&self) -> usize {
        self.by_name.len()
    }

    /// The highest cost of its hashes: what every wrong pair costs, so that the time it takes tells nothing.
    pub(crate) fn highest_cost(&self) -> u32 {
        self.highest_cost
    }
}

/// The cost of a bcrypt hash of a kind we take; none for anything else. `$2x$` is of a version that is broken.
fn cost(hash: &str) -> Option<u32> {
    let known = ["$2y$", "$2a$", "$2b$"].iter().any(|kind| hash.starts_with(kind));
    let cost = known.then(|| HashParts::from_str(hash).ok()).flatten()?.get_cost();
    // Below four there is no bcrypt, the check would be an error.
    (cost >= 4).then_some(cost)
}

/// What the configuration says of a name: an administrator before a guest, everyone else a person.
fn account(name: &str, settings: &HtpasswdSettings) -> Account {
    let named = |globs: &[String]| globs.iter().any(|pattern| glob::matches(pattern, name));
    let system = named(&settings.system);
    let kind = if system { AccountKind::System } else { AccountKind::Human };
    let roles: &[&str] = if named(&settings.admins) {
        &[ADMIN_ROLE]
    } else if named(&settings.guests) {
        &[GUEST_ROLE]
    } else if system {
        &[]
    } else {
        &[USER_ROLE]
    };
    Account::new(name, name, kind, roles)
}

#[cfg(test)]
mod tests;
