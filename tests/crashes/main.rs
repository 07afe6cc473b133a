//! Processes that are killed, disks that are full, read-only, failing or forgetful; never damage to single files (that is
//! in `integrity`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking"
)]

mod clients;
mod faults;
mod first_life;
mod full_disk;
mod kills;
mod lost_writes;
mod promises;
mod read_only;
mod resuming;
mod second_life;
mod stopping;
