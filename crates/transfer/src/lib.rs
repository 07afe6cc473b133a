//! Whole images from one registry to another: where they come from, where they go, and the run between; never half an
//! image, never a request's or a command's words.
//!
//! An [`Origin`] lists repositories and tags, walks closures and opens blobs; a [`Sink`] takes blobs and then images.
//! The [`run()`] between them is the same whether an origin is a tree on disk or a registry on the wire, and whether a sink
//! is the registry of this machine or one that is pushed to. What is broken at an origin is data, told as findings.

mod closure;
mod dry;
mod local;
mod options;
mod origin;
mod pieces;
mod remote_sink;
mod report;
mod repository;
mod run;
pub mod save;
mod shown;
mod sink;
#[cfg(test)]
mod testing;
mod tree;
mod wire;

pub use dry::{DrySink, Known};
pub use local::LocalSink;
pub use options::{Options, Times, Unwatched, Watch};
pub use origin::{
    Blob, BlobBytes, Closure, Loose, Origin, Piece, Place, Places, StreamEnd, TagAt, Tags, Trouble, Untagged,
};
pub use remote_sink::RemoteSink;
pub use report::{BrokenTag, Bytes, Counts, LeftTag, MAX_LISTED_TAGS, MovedTag, Report, Verdict};
pub use run::run;
pub use shown::Shown;
pub use sink::{Brought, Image, ImageTag, Landed, Means, RefusedTag, Sink, TagHere, TagMoved};
pub use tree::TreeOrigin;
pub use wire::RegistryOrigin;
