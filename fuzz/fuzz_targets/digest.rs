//! Fuzzes digests: parsing any text, and hashing any bytes in two pieces; never the hash functions themselves.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mcr_oci::{Algorithm, Digest, Hasher};

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        parse(text);
    }
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        hash(algorithm, data);
    }
});

/// What is accepted is a digest by the letter; what is refused is refused in one short line.
fn parse(text: &str) {
    match Digest::parse(text) {
        Ok(digest) => {
            assert_eq!(digest.as_str(), text);
            assert_eq!(format!("{}:{}", digest.algorithm(), digest.hex()), text);
            assert_eq!(digest.hex().len(), digest.algorithm().hex_len());
            assert!(digest.hex().bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
        }
        Err(error) => {
            let message = error.to_string();
            assert!(message.len() < 400 && !message.contains(char::is_control), "{message}");
        }
    }
}

/// Pieces do not matter, and what was computed is read back.
fn hash(algorithm: Algorithm, data: &[u8]) {
    let (one, two) = data.split_at(data.len() / 3);
    let mut hasher = Hasher::new(algorithm);
    hasher.update(one);
    hasher.update(two);
    let digest = hasher.finish();
    assert_eq!(digest, Digest::of(algorithm, data));
    assert_eq!(Digest::parse(digest.as_str()), Ok(digest));
}
