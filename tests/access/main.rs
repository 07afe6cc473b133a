//! Who may do what, with real programs: clients, proxies, an identity service that fails, and those who attack.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking"
)]

mod attacks;
mod audit;
mod journey;
mod outage;
mod programs;
mod proxies;
mod standin;
mod tokens;
