//! Tests of what is remembered of sessions, and of the sidecar.

use std::sync::Arc;

use mcr_oci::{Algorithm, Hasher};

use super::{REMEMBERED_MAX, Remembered, Sessions, Sidecar, UploadId};
use crate::FileStat;

fn id(number: usize) -> UploadId {
    UploadId::parse(&format!("{number:032x}")).unwrap()
}

fn remembered() -> Remembered {
    let stat = FileStat { inode: 1, size: 2, mtime_ns: 3, ctime_ns: 4 };
    let hasher = Hasher::new(Algorithm::Sha256);
    Remembered { hasher, stat }
}

#[test]
fn a_session_is_claimed_once_at_a_time() {
    let sessions = Arc::new(Sessions::default());
    let claim = sessions.claim(&id(1)).unwrap();
    assert!(sessions.claim(&id(1)).is_none());
    assert!(sessions.claim(&id(2)).is_some());
    drop(claim);
    assert!(sessions.claim(&id(1)).is_some());
}

#[test]
fn what_is_remembered_is_handed_out_once() {
    let sessions = Arc::new(Sessions::default());
    sessions.claim(&id(1)).unwrap().remembered = Some(remembered());
    let again = sessions.claim(&id(1)).unwrap().remembered.take();
    assert_eq!(again.map(|it| it.stat), Some(remembered().stat));
    assert!(sessions.claim(&id(1)).unwrap().remembered.is_none());
}

#[test]
fn the_memory_is_bounded_and_loses_the_oldest() {
    let sessions = Arc::new(Sessions::default());
    for number in 0..REMEMBERED_MAX + 100 {
        sessions.claim(&id(number)).unwrap().remembered = Some(remembered());
    }
    assert_eq!(sessions.lock().remembered.len(), REMEMBERED_MAX);
    assert!(sessions.lock().claimed.is_empty());
    assert!(sessions.claim(&id(99)).unwrap().remembered.is_none());
    assert!(sessions.claim(&id(100)).unwrap().remembered.is_some());
}

#[test]
fn a_sidecar_reads_back() {
    let sidecar = Sidecar::new("library/alpine", 1_776_000_000_123);
    let json = sidecar.to_json().unwrap();
    assert_eq!(
        String::from_utf8(json.clone()).unwrap(),
        r#"{"version":1,"repository":"library/alpine","started_ms":1776000000123}"#
    );
    assert_eq!(Sidecar::from_json(&json), Some(sidecar));
    for torn in (0..json.len()).map(|length| &json[..length]) {
        assert_eq!(Sidecar::from_json(torn), None);
    }
}
