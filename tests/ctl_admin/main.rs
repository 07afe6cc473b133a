//! `mcrctl` as administrators and CI jobs use it, against real registries with accounts: every command, its tables and
//! its JSON, what it asks before it deletes, its exit codes. Never the API's own behaviour, which has suites of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods, reason = "tests")]

mod audit;
mod failures;
mod keeping;
mod logins;
mod operations;
mod policies;
mod repositories;
mod scene;
mod tokens;
