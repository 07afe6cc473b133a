//! Damage under a running registry, and what it makes of it: detected, never served as whole, reported, healed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and damages files on purpose"
)]

mod broken_images;
mod cut;
mod failing_disk;
mod flipped;
mod healing;
mod incidents;
mod ownership;
mod twelve;
mod volume;
