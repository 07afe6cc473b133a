//! A store in a directory of its own, and short words for what every test does.

use std::fs;
use std::path::{Path, PathBuf};

use mcr_oci::{Algorithm, Digest};
use tempfile::TempDir;

use crate::{Committed, Disk, Options, Store, Upload, UploadId};

/// A data directory that is removed when the test ends. Stores come and go in it, as processes do.
pub(super) struct Place {
    directory: TempDir,
}

impl Place {
    pub(super) fn new() -> Place {
        Place { directory: tempfile::tempdir().unwrap() }
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(super) fn options(&self) -> Options {
        options(self.path())
    }

    pub(super) fn open(&self, disk: &Disk) -> Store {
        Store::open(self.options(), disk.clone()).unwrap()
    }

    /// The blob's final path, spelled out here once more so that the layout is tested and not assumed.
    pub(super) fn blob(&self, digest: &Digest) -> PathBuf {
        let algorithm = match digest.algorithm() {
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha512 => "sha512",
        };
        let layers = self.path().join("layers");
        layers.join(algorithm).join(&digest.hex()[..2]).join(digest.hex())
    }

    pub(super) fn uploads(&self) -> Vec<String> {
        names(&self.path().join("uploads"))
    }
}

pub(super) fn options(path: &Path) -> Options {
    Options { layers: path.join("layers"), uploads: path.join("uploads") }
}

pub(super) fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<_> = entries.map(name).collect();
    names.sort();
    names
}

/// Bytes that do not repeat, another sequence for each seed.
pub(super) fn content(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// Begins a session and writes `bytes` to it in pieces.
pub(super) fn begin(store: &Store, bytes: &[u8]) -> Upload {
    let id = store.create_upload("library/alpine", 1_000).unwrap();
    let mut upload = reopen(store, &id);
    for piece in bytes.chunks(1000) {
        upload.append(piece).unwrap();
    }
    upload
}

pub(super) fn reopen(store: &Store, id: &UploadId) -> Upload {
    store.open_upload(id).unwrap().unwrap()
}

/// Pushes `bytes` through a session.
pub(super) fn push(store: &Store, bytes: &[u8]) -> Committed {
    store.commit_upload(begin(store, bytes), &Digest::sha256(bytes)).unwrap()
}

/// What a reader of the blob gets.
pub(super) fn read(store: &Store, digest: &Digest) -> Vec<u8> {
    let blob = store.open_blob(digest).unwrap().unwrap();
    let mut bytes = vec![0; usize::try_from(blob.stat().size).unwrap() + 1];
    let mut length = 0;
    loop {
        match blob.read_at(&mut bytes[length..], length as u64).unwrap() {
            0 => break,
            read => length += read,
        }
    }
    bytes.truncate(length);
    bytes
}

/// Every file below the shards hashes to its name: what must hold after any crash. Answers how many there are.
pub(super) fn assert_all_whole(place: &Place) -> usize {
    let mut blobs = 0;
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let directory = place.path().join("layers").join(algorithm.as_str());
        if !directory.exists() {
            continue;
        }
        for shard in names(&directory) {
            for hex in names(&directory.join(&shard)) {
                let bytes = fs::read(directory.join(&shard).join(&hex)).unwrap();
                let digest = Digest::of(algorithm, &bytes);
                assert_eq!(digest.hex(), hex, "a blob that is not whole at its final path");
                assert!(hex.starts_with(&shard));
                blobs += 1;
            }
        }
    }
    blobs
}
