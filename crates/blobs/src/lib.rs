//! Bytes by digest: upload sessions, durable commit, checked open, quarantine and removal of files.
//! What the bytes mean to a repository, and every word of HTTP, live elsewhere.
//!
//! The one promise: a file stands at a digest's final path only after its bytes were hashed, matched that digest
//! and were synced; [`Committed`] is answered only after the directory entries that lead to it were synced as well.
//!
//! All calls block. Callers keep them off their async threads, and hold their lock on the digest over a commit,
//! a quarantine or a removal *and* the recording of its outcome.

mod adopt;
mod blob;
mod commit;
mod copies;
mod directories;
mod disk;
mod error;
mod files;
mod hash;
mod journal;
mod layout;
mod marker;
mod put;
mod quarantine;
mod read_only;
mod session;
mod sessions;
mod store;
mod sweep;
mod upload;

pub use adopt::{Adopted, StageError, Staged, Staging, Syncs};
pub use blob::{BlobFile, FileStat};
pub use commit::{CommitError, Committed};
pub use copies::{Brought, Copies, Tell};
pub use disk::Disk;
pub use error::Error;
pub use files::{Shard, shards};
pub use hash::Hashed;
pub use journal::{JOURNAL_LINE_MAX, JournalLine, JournalReader, JournalSegment, JournalWriter};
pub use put::PutError;
pub use quarantine::ExpiredQuarantine;
pub use read_only::ReadOnly;
pub use session::{UploadId, UploadIdError, UploadInfo};
pub use store::{Options, Space, Store};
pub use upload::Upload;

#[cfg(test)]
mod tests;
