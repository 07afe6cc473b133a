//! Images that are moved by us: out of any registry into a tar that other programs load, and from one registry into
//! another over the wire; never from a tree on disk, which the suite `import` is about.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and breaks registries on purpose"
)]

mod hostile;
mod imports;
mod loads;
mod saves;
mod scene;
