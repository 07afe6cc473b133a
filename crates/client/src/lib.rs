//! An OCI registry client: challenges, retries, redirects, verified streams; never a judgement about what is served.

mod answers;
mod blobs;
mod client;
mod credentials;
mod error;
mod manifests;
mod pages;
mod settings;
mod text;

pub use answers::{Announced, BlobAnswer, ManifestAnswer, Tail, Whole};
pub use client::Client;
pub use credentials::CredentialFiles;
pub use error::{Error, SetupError};
pub use pages::Pages;
pub use reqwest::Url;
pub use settings::{Login, Settings, Trust};
