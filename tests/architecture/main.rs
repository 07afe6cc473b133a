//! The house as the code has it: arrows, homes of libraries, lints, file headers and lengths; never behaviour.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking"
)]

mod arrows;
mod files;
