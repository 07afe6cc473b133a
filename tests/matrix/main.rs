//! Who may do what: every endpoint asked by every kind of caller, and what rules do end to end; never a client program.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking"
)]

mod cell;
mod complete;
mod explained;
mod golden;
mod grpc;
mod leaks;
mod listings;
mod mounts;
mod rows;
mod rows_grpc;
mod rows_keeping;
mod rows_rest;
mod rules;
mod world;
