//! What operators are given: alert rules, examples, dashboard, runbooks and pipelines, each run with the real programs
//! it is for; never the tools' own behaviour, which has suites of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and breaks registries on purpose"
)]

mod alerts;
mod dashboard;
mod examples;
mod nights;
mod page;
mod pages;
mod pipelines;
mod probe;
mod rules;
mod runbooks;
mod scene;
mod stack;
mod yaml;
