//! A set of row numbers in little memory: a bit each where they lie close together; never what the rows are.

use std::collections::BTreeMap;

/// Numbers that share one entry.
const CHUNK: i64 = 256;

/// Row numbers. A million that lie close together take some 300 KiB; each that lies alone some 60 bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct IdSet(BTreeMap<i64, [u64; 4]>);

impl IdSet {
    /// Puts `id` in; says whether it was not in.
    pub(crate) fn insert(&mut self, id: i64) -> bool {
        let (chunk, word, bit) = place(id);
        let words = self.0.entry(chunk).or_default();
        let Some(word) = words.get_mut(word) else { return false };
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// Whether `id` is in.
    pub(crate) fn contains(&self, id: i64) -> bool {
        let (chunk, word, bit) = place(id);
        self.0.get(&chunk).and_then(|words| words.get(word)).is_some_and(|word| word & bit != 0)
    }

    /// The first one behind `after`.
    pub(crate) fn next(&self, after: i64) -> Option<i64> {
        let first = after.checked_add(1)?;
        for (chunk, words) in self.0.range(first.div_euclid(CHUNK)..) {
            let base = chunk * CHUNK;
            let ids = (0..CHUNK).map(|offset| base + offset).filter(|id| *id >= first);
            let is_in = |id: &i64| {
                let (_, word, bit) = place(*id);
                words.get(word).is_some_and(|word| word & bit != 0)
            };
            if let Some(found) = ids.into_iter().find(is_in) {
                return Some(found);
            }
        }
        None
    }
}

/// Chunk, word and bit of a number.
fn place(id: i64) -> (i64, usize, u64) {
    let within = id.rem_euclid(CHUNK);
    let word = usize::try_from(within / 64).unwrap_or(0);
    (id.div_euclid(CHUNK), word, 1 << (within % 64))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set(ids in prop::collection::vec(prop_oneof![0..1000_i64, any::<i64>().prop_map(|id| id >> 8)], 0..200)) {
            let (mut set, mut model) = (IdSet::default(), BTreeSet::new());
            for id in &ids {
                prop_assert_eq!(set.insert(*id), model.insert(*id));
            }
            for id in ids.iter().flat_map(|id| [id - 1, *id, id + 1]) {
                prop_assert_eq!(set.contains(id), model.contains(&id));
                prop_assert_eq!(set.next(id), model.range(id + 1..).next().copied());
            }
        }
    }
}
