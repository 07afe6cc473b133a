//! An OCI registry client: challenges, retries, redirects, verified streams; never a judgement about what is served.

mod absent;
mod answers;
mod api;
mod auth;
mod blobs;
mod challenge;
mod client;
mod content_range;
mod credentials;
mod error;
mod exchange;
mod files;
mod manifests;
mod pages;
mod payload;
mod push;
mod response;
mod settings;
#[cfg(test)]
mod testing;
mod text;
mod tls;
mod tries;
mod wire;

pub use answers::{Announced, BlobAnswer, Download, ManifestAnswer, Piece, Reply, Tail, Whole};
pub use api::{About, Call};
pub use blobs::BlobReader;
pub use client::Client;
pub use credentials::{CredentialFiles, Kept};
pub use error::{Error, PushError, SetupError};
pub use pages::Pages;
pub use payload::Content;
pub use push::Pushed;
pub use reqwest::Url;
pub use settings::{Login, Settings, Trust};
pub use wire::http2;
