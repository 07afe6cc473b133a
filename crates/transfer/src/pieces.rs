//! The bytes of one blob as they come, counted and hashed, the last of them held back until they are known to be right;
//! never where they come from, or go.

use std::fs::File;
use std::io::Read as _;

use bytes::Bytes;
use futures_util::stream::{BoxStream, StreamExt as _};
use mcr_oci::{Digest, FindingKind, Hasher};
use mcr_verifier::Problem;

use crate::origin::{BlobBytes, StreamEnd, Trouble};

/// So much of a file is read at once, in bytes.
const READ: usize = 1 << 20;
/// So many bytes a dry run asks for: what was cut to less, or is gone, is seen by them.
const BEGINNING: u64 = 64 * 1024;

/// A blob under way. What it hands out ends with `None` only where every byte of it was right; the last piece comes only
/// then, so that what it was written to cannot be taken for whole else.
pub(crate) struct Pieces {
    from: From,
    hasher: Option<Hasher>,
    digest: Digest,
    size: u64,
    received: u64,
    held: Option<Bytes>,
    /// All of it came, and was right.
    whole: bool,
}

enum From {
    File(Option<File>),
    Stream(BoxStream<'static, Result<Bytes, StreamEnd>>),
}

impl Pieces {
    /// Of a blob that a descriptor says to be of `size` bytes.
    pub(crate) fn new(bytes: BlobBytes, digest: &Digest, size: u64) -> Self {
        let from = match bytes {
            BlobBytes::File { file, .. } => From::File(Some(file)),
            BlobBytes::Stream(stream) => From::Stream(stream),
        };
        let hasher = Some(Hasher::new(digest.algorithm()));
        Self { from, hasher, digest: digest.clone(), size, received: 0, held: None, whole: false }
    }

    /// The next piece; `None` after the last. What is wrong with the blob is a problem.
    ///
    /// # Errors
    /// [`Trouble`] where its place as a whole is gone.
    pub(crate) async fn next(&mut self) -> Result<Result<Option<Bytes>, Problem>, Trouble> {
        loop {
            if self.whole {
                return Ok(Ok(self.held.take()));
            }
            let piece = match self.raw().await {
                Ok(piece) => piece,
                Err(StreamEnd::Broken(problem)) => return Ok(Err(problem)),
                Err(StreamEnd::Gone(trouble)) => return Err(trouble),
            };
            let Some(piece) = piece else {
                match self.verdict() {
                    None => self.whole = true,
                    Some(problem) => return Ok(Err(problem)),
                }
                continue;
            };
            self.received = self.received.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
            if self.received > self.size {
                let detail = format!("it is longer than the {} bytes its descriptor says", self.size);
                return Ok(Err(Problem::new(FindingKind::BlobSizeMismatch, detail)));
            }
            if let Some(hasher) = &mut self.hasher {
                hasher.update(&piece);
            }
            if let Some(before) = self.held.replace(piece) {
                return Ok(Ok(Some(before)));
            }
        }
    }

    /// Whether the first bytes can be had; what is wrong, where not. Nothing else may be asked of it then.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub(crate) async fn begins(mut self) -> Result<Option<Problem>, Trouble> {
        let (wanted, mut came) = (self.size.min(BEGINNING), 0);
        while came < wanted {
            match self.raw().await {
                Ok(Some(bytes)) => came += bytes.len() as u64,
                Ok(None) => {
                    let detail = format!("the descriptor says {} bytes, {came} came", self.size);
                    return Ok(Some(Problem::new(FindingKind::BlobTruncated, detail)));
                }
                Err(StreamEnd::Broken(problem)) => return Ok(Some(problem)),
                Err(StreamEnd::Gone(trouble)) => return Err(trouble),
            }
        }
        Ok(None)
    }

    /// What is wrong with all that came.
    fn verdict(&mut self) -> Option<Problem> {
        let computed = self.hasher.take()?.finish();
        if self.received < self.size {
            let detail = format!("the descriptor says {} bytes, {} came", self.size, self.received);
            return Some(Problem::new(FindingKind::BlobTruncated, detail));
        }
        let detail = format!("its bytes hash to {computed}");
        (computed != self.digest).then(|| Problem::new(FindingKind::BlobCorrupt, detail))
    }

    async fn raw(&mut self) -> Result<Option<Bytes>, StreamEnd> {
        match &mut self.from {
            From::Stream(stream) => stream.next().await.transpose(),
            From::File(file) => {
                let Some(mut taken) = file.take() else { return Ok(None) };
                let read = tokio::task::spawn_blocking(move || {
                    let mut buffer = vec![0; READ];
                    let length = loop {
                        match taken.read(&mut buffer) {
                            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                            read => break read,
                        }
                    };
                    buffer.truncate(*length.as_ref().unwrap_or(&0));
                    (taken, length.map(|_| buffer))
                });
                let broken = |detail: String| StreamEnd::Broken(Problem::new(FindingKind::BlobUnservable, detail));
                let (taken, read) = read.await.map_err(|error| broken(error.to_string()))?;
                let buffer = read.map_err(|error| broken(format!("it cannot be read: {error}")))?;
                *file = Some(taken);
                Ok((!buffer.is_empty()).then(|| Bytes::from(buffer)))
            }
        }
    }
}

#[cfg(test)]
mod tests;
