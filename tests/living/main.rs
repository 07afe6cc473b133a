//! Living with it, end to end: what garbage collection and retention take and what they leave, plans that wait for a
//! person, schedules, undo. Races with pushes are in `race`, the scrub in `scrub`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking"
)]

mod collecting;
mod killed;
mod plans;
mod retention;
mod scene;
mod schedules;
mod undo;
mod versions;
mod waiting;
