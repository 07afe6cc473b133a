//! Tests of digests: published vectors, strictness, and that no text makes parsing panic.

use proptest::prelude::*;

use super::*;

const EMPTY_256: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// The examples of FIPS 180 and the empty JSON of image-spec, as published: the message, its SHA-256, its SHA-512.
const VECTORS: [(&str, &str, &str); 4] = [
    (
        "",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877eec2f63b931bd47417a81a538327af927da3e",
    ),
    (
        "abc",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
    ),
    (
        "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
        "204a8fc6dda82f0a0ced7beb8e08a41657c16ef468b228a8279be331a703c33596fd15c13b1b07f9aa1d3bea57789ca031ad85c7a71dd70354ec631238ca3445",
    ),
    (
        "{}",
        "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
        "27c74670adb75075fad058d5ceaf7b20c4e7786c83bae8a32f626f9782af34c9a33c2046ef60fd2a7878d378e29fec851806bbd9a67878f3a9f1cda4830763fd",
    ),
];

#[test]
fn published_vectors_hold() {
    for (message, sha256, sha512) in VECTORS {
        assert_eq!(Digest::of(Algorithm::Sha256, message.as_bytes()).hex(), sha256, "{message}");
        assert_eq!(Digest::of(Algorithm::Sha512, message.as_bytes()).hex(), sha512, "{message}");
        assert_eq!(Digest::sha256(message.as_bytes()).as_str(), format!("sha256:{sha256}"));
    }
}

#[test]
fn a_million_letters_in_uneven_pieces_hash_as_published() {
    let letters = vec![b'a'; 1_000_000];
    let mut hasher = Hasher::new(Algorithm::Sha256);
    for piece in letters.chunks(977) {
        hasher.update(piece);
    }
    assert_eq!(hasher.finish().hex(), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

#[test]
fn a_hasher_can_be_cloned_to_look_at_the_digest_so_far() {
    let mut hasher = Hasher::new(Algorithm::Sha512);
    hasher.update(b"ab");
    let so_far = hasher.clone();
    hasher.update(b"c");
    assert_eq!(so_far.finish(), Digest::of(Algorithm::Sha512, b"ab"));
    assert_eq!(hasher.finish(), Digest::of(Algorithm::Sha512, b"abc"));
}

#[test]
fn parts_are_told_apart() {
    let digest = Digest::of(Algorithm::Sha512, b"");
    assert_eq!(digest.algorithm(), Algorithm::Sha512);
    assert_eq!(digest.hex().len(), Algorithm::Sha512.hex_len());
    assert_eq!(Digest::parse(EMPTY_256).unwrap().algorithm(), Algorithm::Sha256);
}

#[test]
fn what_is_not_exact_is_malformed() {
    let upper = EMPTY_256.replace("e3b0", "E3B0");
    let wrong = [
        "",
        "sha256",
        "sha256:",
        ":",
        "sha256:garbage",
        "sha256:baddigeststring",
        &upper,
        &EMPTY_256[..70],
        &format!("{EMPTY_256}0"),
        &format!(" {EMPTY_256}"),
        &EMPTY_256.replace("sha256", "SHA256"),
        &EMPTY_256.replace("sha256", "sha512"),
        &EMPTY_256.replace(':', "::"),
        "sha256:../../../../../../../../../../../../../../../../../../etc/passwd",
        "md5:",
        "md5:../x",
        "+:abc",
    ];
    for text in wrong {
        assert!(matches!(Digest::parse(text), Err(DigestError::Malformed(_))), "{text}");
    }
}

#[test]
fn other_algorithms_are_named() {
    for (text, name) in [
        ("md5:d41d8cd98f00b204e9800998ecf8427e", "md5"),
        ("sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709", "sha1"),
        ("sha256+b64u:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564", "sha256+b64u"),
        ("multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8", "multihash+base58"),
    ] {
        let error = Digest::parse(text).unwrap_err();
        assert_eq!(error, DigestError::UnsupportedAlgorithm(name.to_owned()));
        assert_eq!(error.code(), ErrorCode::DigestInvalid);
    }
}

#[test]
fn messages_stay_short_and_on_one_line() {
    let error = Digest::parse(&format!("sha256:\n{}", "é".repeat(10_000))).unwrap_err().to_string();
    assert!(error.len() < 400 && !error.contains('\n'), "{error}");
}

#[test]
fn json_is_the_plain_text() {
    let digest: Digest = serde_json::from_str(&format!("\"{EMPTY_256}\"")).unwrap();
    assert_eq!(serde_json::to_string(&digest).unwrap(), format!("\"{EMPTY_256}\""));
    assert!(serde_json::from_str::<Digest>("\"sha256:0\"").is_err());
    assert!(serde_json::from_str::<Digest>("null").is_err());
}

proptest! {
    #[test]
    fn what_was_computed_is_read_back(bytes: Vec<u8>, long: bool) {
        let algorithm = if long { Algorithm::Sha512 } else { Algorithm::Sha256 };
        let digest = Digest::of(algorithm, &bytes);
        prop_assert_eq!(digest.algorithm(), algorithm);
        prop_assert_eq!(&Digest::parse(digest.as_str()).unwrap(), &digest);
        prop_assert_eq!(format!("{}:{}", algorithm, digest.hex()), digest.to_string());
    }

    #[test]
    fn pieces_do_not_matter(bytes: Vec<u8>, cut: usize) {
        let (one, two) = bytes.split_at(cut % (bytes.len() + 1));
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(one);
        hasher.update(two);
        prop_assert_eq!(hasher.finish(), Digest::sha256(&bytes));
    }

    #[test]
    fn no_text_makes_it_panic_and_what_is_accepted_is_unchanged(text in "\\PC*|(sha256|sha512|md5)?:?[0-9a-fA-F]{0,130}") {
        if let Ok(digest) = Digest::parse(&text) {
            prop_assert_eq!(digest.as_str(), text);
        }
    }

    #[test]
    fn digests_sort_as_their_text(one: Vec<u8>, two: Vec<u8>, long: bool) {
        let algorithm = if long { Algorithm::Sha512 } else { Algorithm::Sha256 };
        let (one, two) = (Digest::of(algorithm, &one), Digest::sha256(&two));
        prop_assert_eq!(one.cmp(&two), one.as_str().cmp(two.as_str()));
    }
}
