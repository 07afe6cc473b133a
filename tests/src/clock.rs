//! Waiting for something to become true, with an end; never a fixed sleep as a synchronisation.

use std::time::{Duration, Instant};

/// How long a test waits for what should happen soon.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks `ready` until it is true, at most [`PATIENCE`].
///
/// # Panics
/// Where that time passes: with `what` was waited for.
#[track_caller]
pub fn wait_until(what: &str, mut ready: impl FnMut() -> bool) {
    let start = Instant::now();
    while !ready() {
        assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} for this in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
