//! Tests of the self-signed certificate.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use super::*;

struct Place {
    _dir: tempfile::TempDir,
    cert: PathBuf,
    key: PathBuf,
}

fn place() -> Place {
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = (dir.path().join("tls/cert.pem"), dir.path().join("tls/key.pem"));
    Place { _dir: dir, cert, key }
}

fn ensure(place: &Place, listen: Option<&str>, clock: &Clock) -> bool {
    let listen = listen.map(|address| address.parse().unwrap());
    ensure_certificate(&place.cert, &place.key, listen, clock).unwrap()
}

#[test]
fn it_is_made_once_and_kept() {
    let (place, clock) = (place(), Clock::system());
    assert!(ensure(&place, None, &clock));
    assert!(!ensure(&place, None, &clock));
    assert!(!ensure(&place, Some("127.0.0.1"), &clock));
    assert!(!ensure(&place, Some("0.0.0.0"), &clock));
    let mode = |path: &Path| path.metadata().unwrap().mode() & 0o777;
    assert_eq!((mode(&place.key), mode(&place.cert)), (0o600, 0o644));
    let loaded = tls::load(&place.cert, &place.key).unwrap();
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    assert!(is_for(&loaded.certified.cert[0], &names));
    assert!(!is_for(&loaded.certified.cert[0], &["registry.example".to_owned()]));
}

#[test]
fn it_is_made_anew_near_its_end() {
    let place = place();
    let clock = Clock::fixed(1_800_000_000_000);
    assert!(ensure(&place, None, &clock));
    let end = tls::load(&place.cert, &place.key).unwrap().not_after.unwrap();
    assert_eq!((end - 1_800_000_000) / DAY, DAYS - 2, "to midnight of the last day");
    clock.set((end - RENEW_BEFORE - 1) * 1000);
    assert!(!ensure(&place, None, &clock));
    clock.set((end - RENEW_BEFORE) * 1000);
    assert!(ensure(&place, None, &clock));
    assert!(!ensure(&place, None, &clock));
}

#[test]
fn it_is_made_anew_for_other_names_and_when_unusable() {
    let (place, clock) = (place(), Clock::system());
    ensure(&place, None, &clock);
    assert!(ensure(&place, Some("10.1.2.3"), &clock));
    assert!(!ensure(&place, Some("10.1.2.3"), &clock));
    files::replace(&place.key, b"damaged", 0o600).unwrap();
    assert!(ensure(&place, Some("10.1.2.3"), &clock));
    files::replace(&place.cert, b"", 0o644).unwrap();
    assert!(ensure(&place, Some("10.1.2.3"), &clock));
}

#[test]
fn somebody_elses_certificate_is_kept() {
    let (place, clock) = (place(), Clock::system());
    ensure(&place, None, &clock);
    let key = KeyPair::generate().unwrap();
    let cert = CertificateParams::new(vec!["registry.example".to_owned()]).unwrap().self_signed(&key).unwrap();
    files::replace(&place.cert, cert.pem().as_bytes(), 0o644).unwrap();
    files::replace(&place.key, key.serialize_pem().as_bytes(), 0o600).unwrap();
    assert!(!ensure(&place, Some("10.1.2.3"), &clock));
}
