//! The client programs people use, and the official conformance program, against a real server. A program that cannot
//! be had is said loudly, never skipped in silence.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking"
)]

mod buildah;
mod conformance;
mod containerd;
mod crane;
mod docker;
mod oras;
mod podman;
mod skopeo;
mod storage;
