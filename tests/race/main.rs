//! Garbage collection and retention without a pause against clients that push, mount, delete and pull what they share,
//! with `kill -9` in between: incident 14. Never one of them alone.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking"
)]

mod client;
mod game;
mod ledger;
mod race;
mod store;
