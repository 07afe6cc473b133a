//! Random ways through one session, against a plain vector of bytes.

use mcr_oci::{Algorithm, Digest};
use proptest::prelude::*;

use super::support::{Place, content, read, reopen};
use crate::{CommitError, Disk};

#[derive(Clone, Debug)]
enum Step {
    Append(usize),
    CutBack(usize),
    Reopen,
    Restart,
    Announce(bool),
    TryWrongDigest,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..5000_usize).prop_map(Step::Append),
        1 => (0..8000_usize).prop_map(Step::CutBack),
        2 => Just(Step::Reopen),
        1 => Just(Step::Restart),
        1 => any::<bool>().prop_map(Step::Announce),
        1 => Just(Step::TryWrongDigest),
    ]
}

fn algorithm(wide: bool) -> Algorithm {
    if wide { Algorithm::Sha512 } else { Algorithm::Sha256 }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_session_holds_what_was_appended(steps in prop::collection::vec(step(), 0..25), wide: bool, seed: u64) {
        let place = Place::new();
        // Its syncs cost nothing; the behaviour suite has shown that it works as the real one does.
        let disk = Disk::forgetful();
        let mut store = place.open(&disk);
        let id = store.create_upload("a/b", 1).unwrap();
        let mut upload = reopen(&store, &id);
        let mut model: Vec<u8> = Vec::new();
        for (number, step) in steps.into_iter().enumerate() {
            match step {
                Step::Append(length) => {
                    let bytes = content(seed.wrapping_add(number as u64), length);
                    upload.append(&bytes).unwrap();
                    model.extend(bytes);
                }
                Step::CutBack(size) => {
                    upload.truncate_to(size as u64).unwrap();
                    model.truncate(size);
                }
                Step::Reopen => {
                    drop(upload);
                    upload = reopen(&store, &id);
                }
                Step::Restart => {
                    drop(upload);
                    store = place.open(&disk);
                    store.sweep().unwrap();
                    upload = reopen(&store, &id);
                }
                Step::Announce(wide) => upload.set_algorithm(algorithm(wide)),
                Step::TryWrongDigest => match store.commit_upload(upload, &Digest::sha256(b"something else")) {
                    Err(CommitError::DigestMismatch { computed, upload: kept, .. }) => {
                        prop_assert_eq!(computed, Digest::sha256(&model));
                        upload = *kept;
                    }
                    other => panic!("{other:?}"),
                },
            }
            prop_assert_eq!(upload.size(), model.len() as u64);
        }
        let digest = Digest::of(algorithm(wide), &model);
        let committed = store.commit_upload(upload, &digest).unwrap();
        prop_assert_eq!(committed.size, model.len() as u64);
        prop_assert_eq!(read(&store, &digest), model);
    }
}
