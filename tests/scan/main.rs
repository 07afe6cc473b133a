//! `mcrctl scan` over trees that real registries made and that were then damaged; never a tree made up by the test,
//! except where no registry would make it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and damages files on purpose"
)]

mod answers;
mod caches;
mod damage;
mod deep;
mod hostile;
mod mcr;
mod oci_layout;
mod registries;
mod repair;
mod scan;
