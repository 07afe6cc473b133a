//! What no decent client sends, against a real server: each is answered by a clear OCI error or a closed connection,
//! and leaves the server as it was. Never damage to its files (that is in `integrity`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and looks at the server's files"
)]

mod digests;
mod framing;
mod gone;
mod heads;
mod http2;
mod json;
mod manifest_sizes;
mod names;
mod open_uploads;
mod ranges;
mod raw;
mod slow;
mod watched;
