//! Tests of the randomness; never a test of its quality.

use super::*;

#[test]
fn hex_has_twice_the_length_and_differs() {
    let (one, two) = (random_hex(16).unwrap(), random_hex(16).unwrap());
    assert_eq!(one.len(), 32);
    assert!(one.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
    assert_ne!(one, two);
    assert_eq!(random_hex(0).unwrap(), "");
}

#[test]
fn bytes_differ() {
    assert_ne!(random_bytes::<32>().unwrap(), random_bytes::<32>().unwrap());
}
