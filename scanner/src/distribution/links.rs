//! The links of one repository: files that hold a digest; never the bytes they lead to.

use std::sync::atomic::{AtomicU8, Ordering};

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
        Answer::There(0) => Link::Damaged("is empty".to_owned()),
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
