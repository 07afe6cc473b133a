//! Seeded randomness, so that a failing run can be repeated (`MCR_SEED`); never for secrets.

use std::time::{SystemTime, UNIX_EPOCH};

/// A small generator (splitmix64): the same seed gives the same numbers on every machine.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A generator from `MCR_SEED`, else from the time; says which, so that a failure can be repeated.
    ///
    /// # Panics
    /// Where `MCR_SEED` is no number.
    #[must_use]
    pub fn announced(what: &str) -> Self {
        let seed = std::env::var("MCR_SEED").map_or_else(
            |_| {
                let since = SystemTime::now().duration_since(UNIX_EPOCH);
                since.map_or(1, |since| since.as_secs() ^ u64::from(since.subsec_nanos()))
            },
            |seed| seed.parse().expect("MCR_SEED is a number"),
        );
        eprintln!("{what}: MCR_SEED={seed}");
        Self::new(seed)
    }

    /// A generator that starts at `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is at least 1.
    pub fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).unwrap_or(u64::MAX);
        usize::try_from(self.bits() % end).unwrap_or(0)
    }

    /// True once in `times`.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of `choices`.
    ///
    /// # Panics
    /// Where there is none.
    pub fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    /// `length` random bytes.
    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            bytes.extend_from_slice(&self.bits().to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }

    /// A generator of its own for thread `number`.
    pub fn fork(&mut self, number: usize) -> Self {
        Self(self.bits() ^ u64::try_from(number).unwrap_or(0))
    }
}
