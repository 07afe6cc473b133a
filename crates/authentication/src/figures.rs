//! What is counted, for `mcr_auth_*`; never what it is called there.

use std::sync::atomic::{AtomicU64, Ordering};

/// Figures since the start. Every one only grows.
#[derive(Debug, Default)]
pub struct Figures {
    /// Passwords that were checked and right.
    pub logins_ok: AtomicU64,
    /// Passwords, refresh tokens and API tokens that were wrong.
    pub logins_failed: AtomicU64,
    /// Tries that were not looked at: too many wrong ones before.
    pub logins_throttled: AtomicU64,
    /// Answers "cannot be found out now".
    pub unavailable: AtomicU64,
    /// Access tokens given.
    pub tokens_issued: AtomicU64,
    /// Bearer tokens that were known from shortly before.
    pub bearer_hits: AtomicU64,
    /// Bearer tokens that had to be read.
    pub bearer_misses: AtomicU64,
    /// Passwords that were known to be right from shortly before.
    pub password_hits: AtomicU64,
    /// Identity tokens that were known from shortly before.
    pub validation_hits: AtomicU64,
    /// Identity tokens the identity service was asked about.
    pub validation_misses: AtomicU64,
}

/// Counts one.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
