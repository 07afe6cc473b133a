//! The scrub: a pass in the background that hashes every blob and manifest again, the longest unseen first, at a set
//! pace; never the judgement on a blob, which is `integrity.rs`'s.
//!
//! Contract section 14. A pass begins when the oldest hash comes so near to `full_pass` that the pace still allows to
//! hash everything before it is older, and covers all that was hashed before it began. Its position is the hash times
//! in the database, so a restart goes on with it.

mod chores;
mod examine;
mod pace;
mod run;
mod state;
mod sweep;

use std::time::Duration;

use crate::registry::Registry;
use run::{Next, Runner};

pub(crate) use state::Scrub;
pub use state::{ScrubActivity, ScrubFigures, ScrubState};

/// How long it waits after the start, so that it does not compete with it.
const AFTER_START: Duration = Duration::from_secs(1);

/// The loop; ends when the registry closes.
pub(crate) async fn scrub(registry: Registry) {
    let mut runner = Runner::new(registry.clone());
    let mut wait = AFTER_START;
    loop {
        tokio::select! {
            () = registry.parts.volume.stopped() => return,
            () = tokio::time::sleep(wait) => {}
        }
        match runner.turn().await {
            Next::Stopped => return,
            Next::Wait(time) => wait = time,
        }
    }
}

#[cfg(test)]
mod tests;
