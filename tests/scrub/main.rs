//! The scrub of a running server: what it finds, that nothing damaged is served, and that pushing again heals, by every client.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and damages files on purpose"
)]

mod fault;
mod faults;
mod healing;
mod living;
mod oras;
mod scene;
mod store;
