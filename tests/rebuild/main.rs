//! A lost database: made again from the blobs and the journal beside them; never a snapshot (that is in `backup`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking"
)]

mod closed;
mod damage;
mod kills;
mod loss;
mod whole;
