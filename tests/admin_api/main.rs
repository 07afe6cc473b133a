//! The admin API over the wire: every endpoint of REST with good and bad input, the same over gRPC, and nothing that
//! anybody sends makes it answer as if it were broken. Who may what is in `access`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking"
)]

mod accounts;
mod audit;
mod garbage;
mod grpc;
mod inputs;
mod keeping;
mod openapi;
mod parity;
mod policy;
mod repositories;
mod scene;
mod session;
mod verify;
