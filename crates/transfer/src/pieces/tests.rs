//! Tests of pieces: what is right comes whole, and what is not never comes to its end.

use futures_util::FutureExt as _;
use futures_util::stream;

use super::*;

const CONTENT: &[u8] = b"0123456789";

/// What came of these pieces, where a descriptor says `size` bytes of the digest of [`CONTENT`].
fn read(pieces: &[&'static [u8]], size: u64) -> (Vec<u8>, Result<(), FindingKind>) {
    let pieces: Vec<_> = pieces.iter().map(|piece| Ok(Bytes::from_static(piece))).collect();
    let mut pieces = Pieces::new(BlobBytes::Stream(stream::iter(pieces).boxed()), &Digest::sha256(CONTENT), size);
    let mut came = Vec::new();
    let all = async {
        loop {
            match pieces.next().await.unwrap() {
                Ok(Some(piece)) => came.extend_from_slice(&piece),
                // As often as one asks.
                Ok(None) => return pieces.next().await.unwrap().map(|end| assert!(end.is_none())),
                Err(problem) => return Err(problem),
            }
        }
    };
    let ended = all.now_or_never().unwrap().map_err(|problem| problem.kind);
    (came, ended)
}

#[test]
fn what_is_right_comes_whole() {
    assert_eq!(read(&[b"0123456789"], 10), (CONTENT.to_vec(), Ok(())));
    assert_eq!(read(&[b"0123", b"", b"456", b"789"], 10), (CONTENT.to_vec(), Ok(())));
    let mut empty = Pieces::new(BlobBytes::Stream(stream::empty().boxed()), &Digest::sha256(b""), 0);
    assert!(matches!(empty.next().now_or_never(), Some(Ok(Ok(None)))));
}

#[test]
fn the_last_piece_of_what_is_wrong_never_comes() {
    let (came, ended) = read(&[b"0123", b"xxxxxx"], 10);
    assert_eq!((came.as_slice(), ended), (&b"0123"[..], Err(FindingKind::BlobCorrupt)));
    assert_eq!(read(&[b"0123", b"45"], 10), (b"0123".to_vec(), Err(FindingKind::BlobTruncated)));
    assert_eq!(read(&[b"0123456789", b"x"], 10), (Vec::new(), Err(FindingKind::BlobSizeMismatch)));
    assert_eq!(read(&[], 10).1, Err(FindingKind::BlobTruncated));
}

#[tokio::test]
async fn a_file_is_read_to_its_end() {
    use std::io::{Seek as _, Write as _};
    let content = vec![b'x'; 3 * READ + 7];
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&content).unwrap();
    file.rewind().unwrap();
    let size = content.len() as u64;
    let mut pieces = Pieces::new(BlobBytes::File { file, size }, &Digest::sha256(&content), size);
    let mut came = 0;
    while let Some(piece) = pieces.next().await.unwrap().unwrap() {
        came += piece.len();
    }
    assert_eq!(came, content.len());
}
