//! `mcrsrv import` of trees that real registries made, of running ones, and of a stand-in for the one written in Go;
//! never a tree made up by the test, except where no registry would make it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and damages files on purpose"
)]

mod again;
mod go;
mod hostile;
mod remote;
mod scale;
mod scene;
mod trees;
mod wire;
