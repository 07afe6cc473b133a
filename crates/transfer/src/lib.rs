//! Whole images from one registry to another: where they come from, where they go, and the run between; never half an
//! image, never a request's or a command's words.
//!
//! An [`Origin`] lists repositories and tags, walks closures and opens blobs; a [`Sink`] takes blobs and then images.
//! The run between them is the same whether an origin is a tree on disk or a registry on the wire, and whether a sink
//! is the registry of this machine or one that is pushed to. What is broken at an origin is data, told as findings.

mod origin;
mod pieces;
pub mod save;
mod sink;

pub use origin::{Blob, BlobBytes, Closure, Loose, Origin, Piece, Place, Places, StreamEnd, TagAt, Tags, Trouble};
pub use sink::{Brought, Image, ImageTag, Landed, Means, Sink, TagHere, TagMoved};
