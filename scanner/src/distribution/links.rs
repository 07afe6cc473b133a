//! The links of one repository: files that hold a digest; never the bytes they lead to.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::time::Duration;

use mcr_oci::Digest;

use crate::io::{Answer, Directory, Tree};
use crate::key::Key;

/// More than any digest is long, in bytes.
const LINK_MAX: usize = 256;

/// What a link says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Link {
    /// It names this digest.
    To(Digest),
    /// There is none.
    Absent,
    /// It is there and names nothing; one clause that says what it is.
    Damaged(String),
    /// It could not be looked at; one clause that says why.
    Unreachable(String),
}

/// Reads the link `name` of `at`.
pub(crate) fn read(tree: &Tree, at: &Directory, name: &[u8]) -> Link {
    let mut buffer = [0; LINK_MAX];
    let answer = tree.read_few(at, name, &mut buffer);
    match answer {
        Answer::There(0) => Link::Damaged(EMPTY.to_owned()),
        // As distribution reads it: nothing before the digest, nothing behind it.
        Answer::There(length) => buffer
            .get(..length)
            .and_then(|bytes| std::str::from_utf8(bytes).ok())
            .and_then(|text| Digest::parse(text).ok())
            .map_or_else(|| Link::Damaged("holds no digest".to_owned()), Link::To),
        Answer::Absent => Link::Absent,
        Answer::Odd(what) => Link::Damaged(format!("cannot be read: {what}")),
        Answer::Failed(_) | Answer::Outside => Link::Unreachable(answer.reason()),
    }
}

/// Reads a link that somebody may be writing: registry:2 empties a file before it writes it, and a scan may run
/// beside it. An empty link that is older than a moment is what it is.
pub(crate) fn read_settled(tree: &Tree, at: &Directory, name: &[u8], patience: &Patience) -> Link {
    loop {
        let link = read(tree, at, name);
        if link != Link::Damaged(EMPTY.to_owned()) {
            return link;
        }
        let written = tree.stat(at, name).there().map(|stat| stat.mtime_ns);
        if !patience.waits(written) {
            return link;
        }
    }
}

/// What an empty link is.
const EMPTY: &str = "is empty";

/// Between two looks at a link that somebody may be writing.
const PAUSE: Duration = Duration::from_millis(20);

/// How long before the scan began a file may have been written to be one that somebody is writing, in milliseconds.
const FRESH_MS: i64 = 1_000;

/// Pauses of one scan: two seconds.
const PAUSES_MAX: u32 = 100;

/// How often a scan still waits for links that somebody may be writing.
#[derive(Debug)]
pub(crate) struct Patience {
    fresh_from_ns: i128,
    left: AtomicU32,
}

impl Patience {
    /// The patience of a scan that begins now.
    pub(crate) fn new(now_ms: i64) -> Self {
        Self {
            fresh_from_ns: i128::from(now_ms.saturating_sub(FRESH_MS)) * 1_000_000,
            left: AtomicU32::new(PAUSES_MAX),
        }
    }

    /// Waits a moment, if what was `written` then may still be written to, and says whether it did.
    pub(crate) fn waits(&self, written: Option<i128>) -> bool {
        let is_fresh = written.is_some_and(|written| written >= self.fresh_from_ns);
        let waits = is_fresh
            && self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        if waits {
            std::thread::sleep(PAUSE);
        }
        waits
    }
}

/// What is known of one link, in 16 bytes.
#[derive(Debug)]
struct Known {
    key: Key,
    state: AtomicU8,
}

/// What is known of the links of one kind, sorted by digest.
#[derive(Debug, Default)]
pub(crate) struct Table {
    known: Vec<Known>,
}

impl Table {
    /// A table of these digests, each with a state.
    pub(crate) fn new(links: Vec<(Key, u8)>) -> Self {
        let mut known: Vec<Known> =
            links.into_iter().map(|(key, state)| Known { key, state: AtomicU8::new(state) }).collect();
        known.sort_unstable_by_key(|known| known.key);
        Self { known }
    }

    /// The state of a link that was there when the table was made.
    pub(crate) fn state(&self, key: Key) -> Option<u8> {
        self.find(key).map(|known| known.state.load(Ordering::Relaxed))
    }

    /// Adds bits to the state of a link; says whether they were new.
    pub(crate) fn raise(&self, key: Key, bits: u8) -> bool {
        self.find(key).is_some_and(|known| known.state.fetch_or(bits, Ordering::Relaxed) & bits != bits)
    }

    fn find(&self, key: Key) -> Option<&Known> {
        let at = self.known.binary_search_by(|known| known.key.cmp(&key)).ok()?;
        self.known.get(at)
    }
}
