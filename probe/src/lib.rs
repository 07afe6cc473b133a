//! Closures over the wire: one reference, or everything a catalog lists; never a file, a row or a server's insides.
//!
//! [`verify`] looks at one reference, [`run()`] at every tag. Both stand on `mcr_verifier::walk_all` over [`Wire`],
//! so that what is complete means the same in a CI job, in the probe and in the server's commit check.

mod gauges;
mod kinds;
mod level;
mod pace;
mod reference;
mod repository;
mod run;
mod schedule;
mod second_look;
mod watch;
mod wire;

pub use gauges::{BrokenTag, Exposition, Gauges, MAX_BROKEN_SERIES};
pub use kinds::{Kind, KindRule, KindRules};
pub use level::Level;
pub use pace::Pace;
pub use reference::{Verified, VerifyOptions, verify};
pub use run::{MAX_FINDINGS, MAX_REPOSITORIES, ProbeOptions, Run, RunFailure, run};
pub use schedule::{Schedule, ScheduleError, Ticks, Zone};
pub use watch::{TagOutcome, TagState, Watch};
pub use wire::{Gone, Wire};

#[cfg(test)]
mod tests;
