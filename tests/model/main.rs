//! Random histories of several clients, each answer known beforehand from a model of maps; kills and stops in between.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking"
)]

mod catalogue;
mod histories;
mod neighbour;
mod neighbours;
mod step;
mod world;
