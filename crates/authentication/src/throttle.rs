//! How often wrong credentials may be tried; never whether they are wrong.
//!
//! Every try takes a token from each bucket that counts it and gets them back unless it was wrong, so that many tries
//! at once cannot pass one look. What counts what:
//!
//! | bucket | tries at once | one more every | a day |
//! |---|---|---|---|
//! | one account from one address | 10 | 10 s | 8 650 |
//! | one account from anywhere | 20 | 6 s | 14 420 |
//! | one address, whatever the account | 50 | 2 s | 43 250 |
//! | one wrong pair again, from anywhere | 5 | 10 s | |
//!
//! Nobody is locked out for another. A pair that was wrong before is only in its own bucket: a job with an old password
//! in a loop takes one token from its neighbours and no more. A pair that was right within [`GOOD_FOR`] is in none at
//! all: whoever logs in regularly gets in while somebody guesses, from the same address or from a thousand. An address
//! that many share (a proxy that names no client) has no bucket. IPv6 addresses count by their /64.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quick_cache::sync::Cache;
use tokio::time::Instant;

use crate::secrets::{Mark, Marker};
use crate::settings::Peer;

/// How long a credential that was right is in no bucket. It is checked all the same.
pub(crate) const GOOD_FOR: Duration = Duration::from_secs(24 * 3600);
/// How long a pair that was wrong is known for it.
const WRONG_FOR: Duration = Duration::from_secs(600);

/// Buckets kept; one that was not needed for long makes room.
const BUCKETS: usize = 16 * 1024;
/// Credentials remembered as right, and as wrong.
const CREDENTIALS: usize = 8 * 1024;

/// How much a bucket holds, and how fast it fills.
#[derive(Clone, Copy)]
struct Size {
    burst: u32,
    every: Duration,
}

const ACCOUNT_AT_ADDRESS: Size = Size { burst: 10, every: Duration::from_secs(10) };
const ACCOUNT: Size = Size { burst: 20, every: Duration::from_secs(6) };
const ADDRESS: Size = Size { burst: 50, every: Duration::from_secs(2) };
/// How often one refresh token is told of: as often as an equal pair.
const REFRESH_TOKEN: Size = Size { burst: 1, every: Duration::from_secs(30) };
const SAME_PAIR: Size = Size { burst: 5, every: Duration::from_secs(10) };

/// A bucket of tokens.
struct Bucket {
    size: Size,
    /// When it would be full: it is behind that by what was taken.
    full_at: Mutex<Instant>,
}

impl Bucket {
    fn new(size: Size) -> Self {
        Self { size, full_at: Mutex::new(Instant::now()) }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Instant> {
        self.full_at.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a token, or says how long until there is one.
    fn take(&self) -> Result<(), Duration> {
        let now = Instant::now();
        let mut full_at = self.lock();
        let then = (*full_at).max(now) + self.size.every;
        let ahead = then.duration_since(now);
        let room = self.size.every * self.size.burst;
        if ahead > room {
            return Err(ahead.saturating_sub(room));
        }
        *full_at = then;
        Ok(())
    }

    fn put_back(&self) {
        let mut full_at = self.lock();
        if let Some(earlier) = full_at.checked_sub(self.size.every) {
            *full_at = earlier;
        }
    }
}

/// The buckets, and what was right or wrong lately. Names and passwords are in it as marks only.
pub(crate) struct Throttle {
    buckets: Cache<Mark, Arc<Bucket>>,
    good: Cache<Mark, Instant>,
    wrong: Cache<Mark, Instant>,
    marker: Marker,
}

/// What is tried.
pub(crate) struct Attempt<'a> {
    /// The account; none for a token, which names none.
    pub(crate) account: Option<&'a str>,
    /// The mark of the credential.
    pub(crate) credential: Mark,
    pub(crate) peer: Peer,
}

/// Leave to try. What it took is given back once the try was right, or could not be looked at. Whoever hangs up before
/// the answer gets nothing back: the check runs on without them, and hanging up early would make it free.
pub(crate) struct Leave<'a> {
    throttle: &'a Throttle,
    credential: Mark,
    taken: Vec<Arc<Bucket>>,
}

impl Leave<'_> {
    /// The credential was right.
    pub(crate) fn right(self) {
        self.throttle.wrong.remove(&self.credential);
        self.throttle.good.insert(self.credential, Instant::now() + GOOD_FOR);
        self.give_back();
    }

    /// It could not be looked at.
    pub(crate) fn unseen(self) {
        self.give_back();
    }

    /// The credential was wrong: what was taken stays taken.
    pub(crate) fn wrong(self) {
        self.throttle.good.remove(&self.credential);
        self.throttle.wrong.insert(self.credential, Instant::now() + WRONG_FOR);
    }

    fn give_back(&self) {
        self.taken.iter().for_each(|bucket| bucket.put_back());
    }
}

impl Throttle {
    /// # Errors
    /// No randomness.
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self {
            buckets: Cache::new(BUCKETS),
            good: Cache::new(CREDENTIALS),
            wrong: Cache::new(CREDENTIALS),
            marker: Marker::new()?,
        })
    }

    /// Leave to try a credential, or the seconds until it is given. Whoever gets none is not looked at further.
    pub(crate) fn leave(&self, attempt: &Attempt<'_>) -> Result<Leave<'_>, u32> {
        let mut leave = Leave { throttle: self, credential: attempt.credential, taken: Vec::new() };
        if self.was_right(&attempt.credential) {
            return Ok(leave);
        }
        for (mark, size) in self.counted(attempt) {
            let bucket = self.bucket(mark, size);
            if let Err(wait) = bucket.take() {
                leave.unseen();
                return Err(seconds(wait));
            }
            leave.taken.push(bucket);
        }
        Ok(leave)
    }

    /// Whether one more wrong try that no bucket counts may be told, as many as an address may make: rows of the audit
    /// trail are by address, and one customer has 2^64 of them.
    pub(crate) fn may_tell(&self, peer: &Peer) -> bool {
        let Some(address) = peer.address.filter(|_| !peer.is_shared).map(network) else { return true };
        self.bucket(self.marker.mark(&["told", &address]), ADDRESS).take().is_ok()
    }

    /// Whether the use of a refresh token is to be told: each pull of docker is one, and none is a row of its own.
    pub(crate) fn may_tell_refresh(&self, id: &str) -> bool {
        self.bucket(self.marker.mark(&["refresh", id]), REFRESH_TOKEN).take().is_ok()
    }

    /// Whether a credential was right lately, and not wrong since.
    pub(crate) fn was_right(&self, credential: &Mark) -> bool {
        is_fresh(&self.good, credential)
    }

    /// Whether a credential was wrong lately.
    pub(crate) fn was_wrong(&self, credential: &Mark) -> bool {
        is_fresh(&self.wrong, credential)
    }

    /// The buckets that count a try; the wider first, so that those of an attacker make no others give way.
    fn counted(&self, attempt: &Attempt<'_>) -> Vec<(Mark, Size)> {
        if self.was_wrong(&attempt.credential) {
            return vec![(attempt.credential, SAME_PAIR)];
        }
        let address = attempt.peer.address.filter(|_| !attempt.peer.is_shared).map(network);
        let mut counted = Vec::with_capacity(3);
        if let Some(address) = &address {
            counted.push((self.marker.mark(&["address", address]), ADDRESS));
        }
        if let Some(account) = attempt.account {
            if let Some(address) = &address {
                counted.push((self.marker.mark(&["both", account, address]), ACCOUNT_AT_ADDRESS));
            }
            counted.push((self.marker.mark(&["account", account]), ACCOUNT));
        }
        counted
    }

    fn bucket(&self, mark: Mark, size: Size) -> Arc<Bucket> {
        let made = self.buckets.get_or_insert_with(&mark, || Ok::<_, ()>(Arc::new(Bucket::new(size))));
        made.unwrap_or_else(|()| Arc::new(Bucket::new(size)))
    }
}

fn is_fresh(cache: &Cache<Mark, Instant>, mark: &Mark) -> bool {
    cache.get(mark).is_some_and(|until| Instant::now() < until)
}

/// What counts as one address: an IPv4 address, or the network that one customer has.
fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).to_string()
        }
    }
}

/// Whole seconds, at least one.
fn seconds(wait: Duration) -> u32 {
    u32::try_from(wait.as_secs().saturating_add(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
