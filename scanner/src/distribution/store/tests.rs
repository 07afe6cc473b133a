//! The table of blobs: sizes and marks of many digests, evenly spread or not; never a tree on disk.

use mcr_oci::{Algorithm, Digest};

use super::{SHARDS, SIZE_MAX, Shard, Store, Stored};
use crate::io::Answer;
use crate::key::Key;

fn store(blobs: &[(Key, u64)]) -> Store {
    let mut shards: Vec<Shard> = (0..SHARDS).map(|_| Shard::default()).collect();
    for (key, size) in blobs {
        shards[key.shard()].blobs.push(Stored::new(*key, *size));
    }
    for shard in &mut shards {
        shard.blobs.sort_unstable();
        shard.named = (0..shard.blobs.len().div_ceil(64)).map(|_| std::sync::atomic::AtomicU64::new(0)).collect();
    }
    Store {
        shards: [shards, Vec::new()],
        directories: [Answer::Absent, Answer::Absent],
        temporary: 0,
        unreachable: Vec::new(),
    }
}

#[test]
fn an_entry_takes_sixteen_bytes() {
    assert_eq!(size_of::<Stored>(), 16);
}

#[test]
fn sizes_and_marks_are_each_digests_own() {
    let digests: Vec<Digest> = (0..60_000_u64).map(|n| Digest::sha256(&n.to_le_bytes())).collect();
    let blobs: Vec<(Key, u64)> = digests.iter().zip(0..).map(|(digest, n)| (Key::of(digest).1, n * 7)).collect();
    let store = store(&blobs);
    for (n, digest) in digests.iter().enumerate().filter(|(n, _)| n % 3 == 0) {
        assert_eq!(store.size_of_named(0, Key::of(digest).1), Some(n as u64 * 7));
    }
    for (n, digest) in digests.iter().enumerate() {
        assert_eq!(store.size(0, Key::of(digest).1), Some(n as u64 * 7), "{n}");
        assert_eq!(store.is_named(digest), n % 3 == 0, "{n}");
    }
    assert_eq!(store.total().0, 60_000);
    assert_eq!(store.unnamed().0, 40_000);
    assert_eq!(store.size(0, Key::of(&Digest::sha256(b"none")).1), None);
    assert_eq!(store.size(1, Key::of(&digests[0]).1), None);
}

#[test]
fn digests_that_somebody_crowded_together_are_found() {
    let key = |n: u16| {
        let hex = format!("ab{:04x}{:058x}", 0x7000 + n % 16, n);
        Key::of_hex(hex.as_bytes(), Algorithm::Sha256).unwrap()
    };
    // What follows the fifteenth byte is not told apart, so the number goes before it.
    let crowded = |n: u16| {
        let mut key = key(n);
        key.0[9..11].copy_from_slice(&n.to_be_bytes());
        key
    };
    let blobs: Vec<(Key, u64)> = (0..3_000).map(|n| (crowded(n), u64::from(n))).collect();
    let store = store(&blobs);
    for n in 0..3_000 {
        assert_eq!(store.size(0, crowded(n)), Some(u64::from(n)));
    }
}

#[test]
fn sizes_reach_far() {
    let key = Key::of(&Digest::sha256(b"large")).1;
    for size in [0, 1, 255, 5 << 30, SIZE_MAX, u64::MAX] {
        assert_eq!(store(&[(key, size)]).size(0, key), Some(size.min(SIZE_MAX)));
    }
}
