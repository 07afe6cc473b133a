//! Digests in few bytes, for tables of millions; never a digest that is shown.

use mcr_oci::{Algorithm, Digest};

/// The algorithms whose directories are looked at, in the order of their tables.
pub(crate) const ALGORITHMS: [Algorithm; 2] = [Algorithm::Sha256, Algorithm::Sha512];

/// The first 120 bits of a digest. Two digests that share them were made on purpose, by somebody who computed 2⁶⁰
/// hashes for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key(pub(crate) [u8; 15]);

impl Key {
    /// The key of these hex digits, if they are a digest's and nothing else.
    pub(crate) fn of_hex(hex: &[u8], algorithm: Algorithm) -> Option<Self> {
        let digits = hex.iter().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        if hex.len() != algorithm.hex_len() || !digits {
            return None;
        }
        let mut key = [0; 15];
        for (byte, pair) in key.iter_mut().zip(hex.chunks_exact(2)) {
            if let [high, low] = pair {
                *byte = value(*high) << 4 | value(*low);
            }
        }
        Some(Self(key))
    }

    /// The key of a digest, and which table it belongs in.
    pub(crate) fn of(digest: &Digest) -> (usize, Self) {
        let algorithm = digest.algorithm();
        // A digest is checked hex: the key is always there.
        let key = Self::of_hex(digest.hex().as_bytes(), algorithm).unwrap_or(Self([0; 15]));
        (table(algorithm), key)
    }

    /// The byte that the shards of a blob store are named by.
    pub(crate) fn shard(self) -> usize {
        usize::from(self.0[0])
    }
}

/// The table of an algorithm.
pub(crate) fn table(algorithm: Algorithm) -> usize {
    match algorithm {
        Algorithm::Sha256 => 0,
        Algorithm::Sha512 => 1,
    }
}

/// The digest of these hex digits.
pub(crate) fn digest_of(hex: &[u8], algorithm: Algorithm) -> Option<Digest> {
    let hex = std::str::from_utf8(hex).ok()?;
    Digest::parse(&format!("{algorithm}:{hex}")).ok()
}

fn value(digit: u8) -> u8 {
    match digit {
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit.wrapping_sub(b'0') & 0x0f,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_the_first_bytes_of_the_digest() {
        let digest = Digest::sha256(b"a");
        let (table, key) = Key::of(&digest);
        assert_eq!(table, 0);
        let hex: String = key.0.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, digest.hex()[..30]);
        assert_eq!(digest_of(digest.hex().as_bytes(), Algorithm::Sha256), Some(digest.clone()));
        assert_eq!(Key::of(&Digest::of(Algorithm::Sha512, b"a")).0, 1);
    }

    #[test]
    fn what_is_no_digest_has_no_key() {
        let hex = Digest::sha256(b"a").hex().to_owned();
        for bad in [&hex[1..], &hex.to_uppercase(), &format!("{hex}0"), "", &format!("g{}", &hex[1..])] {
            assert_eq!(Key::of_hex(bad.as_bytes(), Algorithm::Sha256), None, "{bad}");
        }
    }
}
