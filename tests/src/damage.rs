//! What a failing disk or a careless hand does to the files under a server; never through its API.

use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use mcr_oci::Digest;

/// Where the file of `digest` lies: `layers/<algorithm>/<first 2 hex>/<full hex>`.
#[must_use]
pub fn blob_path(data: &Path, digest: &Digest) -> PathBuf {
    let hex = digest.hex();
    let algorithm = data.join("layers").join(digest.algorithm().as_str());
    algorithm.join(&hex[..2]).join(hex)
}

/// Cuts the file of `digest` to `length` bytes.
///
/// # Panics
/// Where it cannot.
#[track_caller]
pub fn truncate(data: &Path, digest: &Digest, length: u64) {
    let file = open(data, digest);
    file.set_len(length).expect("a file can be cut");
}

/// Flips one bit at `offset` in the file of `digest`; its length stays, its times change as they do.
///
/// # Panics
/// Where it cannot.
#[track_caller]
pub fn flip(data: &Path, digest: &Digest, offset: u64) {
    let path = blob_path(data, digest);
    let bytes = std::fs::read(&path).expect("the blob's file");
    let at = usize::try_from(offset).expect("small files");
    let mut file = open(data, digest);
    file.seek(SeekFrom::Start(offset)).expect("it can be sought");
    file.write_all(&[bytes[at] ^ 0x40]).expect("it can be written");
}

/// Appends bytes to the file of `digest`.
///
/// # Panics
/// Where it cannot.
#[track_caller]
pub fn lengthen(data: &Path, digest: &Digest) {
    let mut file = open(data, digest);
    file.seek(SeekFrom::End(0)).expect("it can be sought");
    file.write_all(b"more").expect("it can be written");
}

/// Removes the file of `digest`.
///
/// # Panics
/// Where it cannot.
#[track_caller]
pub fn remove(data: &Path, digest: &Digest) {
    std::fs::remove_file(blob_path(data, digest)).expect("the blob's file");
}

/// Sets the modification time an hour back, without a change of content: what a restore or `touch` does.
///
/// # Panics
/// Where it cannot.
#[track_caller]
pub fn touch(data: &Path, digest: &Digest) {
    let file = open(data, digest);
    let past = SystemTime::now() - Duration::from_secs(3600);
    file.set_modified(past).expect("its time can be set");
}

#[track_caller]
fn open(data: &Path, digest: &Digest) -> std::fs::File {
    let path = blob_path(data, digest);
    let file = std::fs::OpenOptions::new().write(true).open(&path);
    file.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names in `layers/quarantine`.
#[must_use]
pub fn quarantined(data: &Path) -> Vec<String> {
    names(&data.join("layers").join("quarantine"))
}

/// The names in `uploads`.
#[must_use]
pub fn uploads(data: &Path) -> Vec<String> {
    names(&data.join("uploads"))
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Every file below `directory`, relative, with its bytes: to show that nothing was touched.
///
/// # Panics
/// Where the tree cannot be read.
#[must_use]
#[track_caller]
pub fn tree(directory: &Path) -> std::collections::BTreeMap<PathBuf, Vec<u8>> {
    let mut files = std::collections::BTreeMap::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(next) = waiting.pop() {
        for entry in std::fs::read_dir(&next).expect("a directory") {
            let entry = entry.expect("its entry");
            let path = entry.path();
            if entry.file_type().expect("its kind").is_dir() {
                waiting.push(path);
            } else {
                let name = path.strip_prefix(directory).expect("it is below").to_owned();
                files.insert(name, std::fs::read(&path).expect("a file"));
            }
        }
    }
    files
}

/// What `look` sees of a running server once it writes nothing more by itself: its journal follows a push within a
/// second.
#[must_use]
pub fn settled<T: PartialEq>(look: impl Fn() -> T) -> T {
    let mut before = look();
    loop {
        std::thread::sleep(Duration::from_millis(1200));
        let now = look();
        if now == before {
            return now;
        }
        before = now;
    }
}
