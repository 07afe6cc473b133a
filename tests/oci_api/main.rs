//! Our own conformance suite: every row of what clients send and need, against a real server. Never a client program
//! (those are in `clients`), never damage (that is in `integrity`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking"
)]

mod base;
mod blobs;
mod configured;
mod deletes;
mod descriptors;
mod encoding;
mod indexes;
mod lists;
mod manifests;
mod messages;
mod mounts;
mod references;
mod referrers;
mod regressions;
mod secured;
mod sessions;
mod status;
mod uploads;
