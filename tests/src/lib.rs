//! The harness of the suites: real `mcrsrv` processes, a raw HTTP client, content, damage; never an assertion about
//! one feature of the registry.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and looks at files behind the server's back on purpose"
)]

pub mod accounts;
pub mod authority;
pub mod clock;
pub mod containerd;
pub mod content;
pub mod damage;
pub mod distribution;
pub mod docker;
pub mod forgetful_fs;
pub mod go_mcr;
pub mod grpc;
pub mod http;
pub mod identity;
pub mod layout;
pub mod memory;
pub mod mount;
pub mod nginx;
pub mod ports;
pub mod process;
pub mod proxy;
pub mod pull;
pub mod push;
pub mod random;
pub mod server;
pub mod storage;
pub mod tls;
pub mod tools;
pub mod traefik;
pub mod world;

pub use content::{Blob, Image, Index};
pub use http::{Client, Failure, Response};
pub use random::Random;
pub use server::{Options, Server};

/// Whether this is the long version of the suites (`make test-long`).
#[must_use]
pub fn long() -> bool {
    std::env::var_os("MCR_LONG").is_some_and(|value| value == "1")
}
