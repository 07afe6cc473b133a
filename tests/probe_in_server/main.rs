//! The probe inside `mcrsrv`: through its own listener, what it finds, where that is shown, and that it survives.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and damages files on purpose"
)]

mod account;
mod findings;
mod pages;
mod runs;
mod scene;
