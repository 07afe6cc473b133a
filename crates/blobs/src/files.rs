//! Every blob's file, shard by shard, whatever the rows say; never a judgement on one.

use std::ops::ControlFlow;

use mcr_oci::{Algorithm, Digest};

use crate::layout::ALGORITHMS;
use crate::{Error, FileStat, Store};

/// A directory of blobs: those of one algorithm whose digests begin with the same byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    algorithm: Algorithm,
    first: u8,
}

/// Every directory that blobs may lie in, in order.
pub fn shards() -> impl Iterator<Item = Shard> {
    ALGORITHMS.into_iter().flat_map(|algorithm| (0..=u8::MAX).map(move |first| Shard { algorithm, first }))
}

impl Store {
    /// Shows `visit` each blob file of a directory, in the file system's order, until it breaks off: with its stat, or
    /// with why the disk does not say it. A file that comes or goes meanwhile may be shown or not. What is no blob's
    /// name, or no file, is passed over.
    ///
    /// # Errors
    /// When the directory cannot be read; then not everything was shown.
    pub fn visit_files(
        &self,
        shard: Shard,
        mut visit: impl FnMut(Digest, Result<FileStat, Error>) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let directory = self.layout.algorithm(shard.algorithm).join(format!("{:02x}", shard.first));
        self.disk.names(&directory, |name| {
            let Ok(digest) = Digest::parse(&format!("{}:{name}", shard.algorithm.as_str())) else {
                return ControlFlow::Continue(());
            };
            // A name in another directory than its own is no blob: nobody would look for it there.
            if !name.starts_with(&format!("{:02x}", shard.first)) {
                return ControlFlow::Continue(());
            }
            match self.stat(&digest).transpose() {
                None => ControlFlow::Continue(()),
                Some(stat) => visit(digest, stat),
            }
        })?;
        Ok(())
    }
}
