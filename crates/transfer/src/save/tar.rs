//! The headers of a tar: names, lengths, and nothing that changes from one day to the next; never what is in its files.

use std::io;

use bytes::Bytes;
use tar::{Builder, EntryType, Header};

/// Everything in a tar is a multiple of this, in bytes.
const BLOCK: u64 = 512;

/// What stands in front of a file of `size` bytes. Long names and lengths get what GNU made for them.
pub(super) fn file(path: &str, size: u64) -> io::Result<Bytes> {
    header(path, size, EntryType::Regular, 0o644)
}

/// A directory.
pub(super) fn directory(path: &str) -> io::Result<Bytes> {
    header(path, 0, EntryType::Directory, 0o755)
}

/// What stands behind a file of `size` bytes.
pub(super) fn padding(size: u64) -> Bytes {
    const ZEROS: [u8; BLOCK as usize] = [0; BLOCK as usize];
    let over = usize::try_from(size.next_multiple_of(BLOCK).saturating_sub(size)).unwrap_or_default();
    Bytes::from_static(&ZEROS).slice(..over)
}

/// What stands at the end.
pub(super) fn end() -> Bytes {
    const ZEROS: [u8; 2 * BLOCK as usize] = [0; 2 * BLOCK as usize];
    Bytes::from_static(&ZEROS)
}

fn header(path: &str, size: u64, kind: EntryType, mode: u32) -> io::Result<Bytes> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    let mut builder = Builder::new(Vec::new());
    // Its bytes come behind it, from elsewhere.
    builder.append_data(&mut header, path, io::empty())?;
    Ok(std::mem::take(builder.get_mut()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_and_lengths_can_be_read_back() {
        let long = format!("blobs/sha512/{}", "a".repeat(128));
        for (path, size) in [("oci-layout", 30), (long.as_str(), 5), ("blobs/sha256/x", 9 << 30)] {
            let bytes = file(path, size).unwrap();
            assert_eq!(bytes.len() % 512, 0);
            let mut archive = ::tar::Archive::new(&*bytes);
            let entry = archive.entries().unwrap().next().unwrap().unwrap();
            assert_eq!(entry.path().unwrap().to_str(), Some(path));
            assert_eq!((entry.size(), entry.header().mtime().unwrap()), (size, 0));
        }
        assert_eq!([0, 1, 511, 512, 513].map(|size| padding(size).len()), [0, 511, 1, 0, 511]);
    }
}
