//! Snapshots, copies with their blobs, and restores of real registries: under load, damaged, killed at every step; never
//! what a migration or the collector does by itself.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and damages files on purpose"
)]

mod copies;
mod damaged;
mod hold;
mod kills;
mod load;
mod losses;
mod noticed;
mod scene;
