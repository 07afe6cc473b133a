//! Power loss under the real server: everything acknowledged is there after the disk forgot what was not synced.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking"
)]

#[path = "../crashes/clients.rs"]
mod clients;
mod losses;
#[path = "../crashes/promises.rs"]
mod promises;
mod strictness;
