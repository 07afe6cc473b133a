//! Keys: what a file may hold, when one takes the place of another.

use super::*;

const DAY: i64 = 24 * 3600 * 1000;
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

#[test]
fn a_ring_is_read_back_as_it_was_written() {
    let ring = KeyRing::generate(5).unwrap();
    let read = KeyRing::parse(&ring.to_text()).unwrap();
    assert_eq!(read.to_text(), ring.to_text());
    let key = ring.current().unwrap();
    let sealed = key.seal("secret", "one").unwrap();
    assert_eq!(read.current().unwrap().unseal(&sealed, "one").as_deref(), Some("secret"));
}

#[test]
fn what_is_no_ring_is_refused() {
    let good = KeyRing::generate(0).unwrap().to_text();
    let two = format!(
        "{{\"format\":1,\"keys\":[{0},{0}]}}",
        good.split_once('[').unwrap().1.rsplit_once(']').unwrap().0.trim()
    );
    for bad in [
        "",
        "{}",
        "null",
        "{\"format\":1,\"keys\":[]}",
        &good.replace("\"format\": 1", "\"format\": 2"),
        &good.replace("null", "3"),
        &good.replacen("\"ed25519_seed\": \"", "\"ed25519_seed\": \"AAAA", 1),
        &good[..good.len() / 2],
        &two,
    ] {
        assert!(matches!(KeyRing::parse(bad), Err(KeyError::Format(_))), "{bad}");
    }
}

#[test]
fn a_key_is_followed_after_its_time_and_goes_when_its_last_token_has_run_out() {
    let ring = KeyRing::generate(0).unwrap();
    let first = ring.current().unwrap().id().to_owned();
    assert!(ring.rotated(30 * DAY, LONGEST).unwrap().is_none());

    let after = ring.rotated(30 * DAY + 1, LONGEST).unwrap().unwrap();
    assert_ne!(after.current().unwrap().id(), first);
    assert!(after.find(&first).is_some(), "what it signed is still good");
    assert!(after.rotated(60 * DAY + 1, LONGEST).unwrap().is_none());

    let later = after.rotated(60 * DAY + 2, LONGEST).unwrap().unwrap();
    assert!(later.find(&first).is_none());
    assert_eq!(KeyRing::parse(&later.to_text()).unwrap().to_text(), later.to_text());
}

#[test]
fn a_registry_that_slept_for_years_has_one_new_key_and_the_last_old_one() {
    let ring = KeyRing::generate(0).unwrap();
    let first = ring.current().unwrap().id().to_owned();
    let after = ring.rotated(1000 * DAY, LONGEST).unwrap().unwrap();
    assert_eq!(after.keys.len(), 2);
    assert!(after.find(&first).is_some());
}

#[test]
fn nothing_secret_is_shown() {
    let ring = KeyRing::generate(0).unwrap();
    let (shown, text) = (format!("{ring:?}"), ring.to_text());
    for secret in ["ed25519_seed", "aes256_key"] {
        let value = text.split_once(&format!("\"{secret}\": \"")).unwrap().1.split_once('"').unwrap().0;
        assert!(value.len() == 43 && !shown.contains(value));
    }
}

#[test]
fn what_was_sealed_for_one_token_opens_in_no_other() {
    let ring = KeyRing::generate(0).unwrap();
    let key = ring.current().unwrap();
    let sealed = key.seal("identity", "one").unwrap();
    assert!(!sealed.contains("identity"));
    assert_eq!(key.unseal(&sealed, "two"), None);
    assert_eq!(Key::generate(0).unwrap().unseal(&sealed, "one"), None);
    for broken in ["", "AAAA", "!", &sealed[1..]] {
        assert_eq!(key.unseal(broken, "one"), None, "{broken}");
    }
    assert_ne!(key.seal("identity", "one").unwrap(), sealed, "no nonce is used twice");
}
