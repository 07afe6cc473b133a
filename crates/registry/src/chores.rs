//! What the registry does by itself once in a while for logins and the audit trail; never for blobs.

use std::time::{Duration, Instant};

use crate::error::Error;
use crate::registry::Registry;

/// How often it looks whether something is due.
const TICK: Duration = Duration::from_secs(5);
/// How often the head of the audit chain is logged and old rows are cut off.
const HOUR: Duration = Duration::from_secs(3600);

/// The loop; ends when the registry closes.
pub(crate) async fn chores(registry: Registry) {
    // The first head of a run stands in the log soon after the start.
    let mut hourly = Instant::now();
    loop {
        tokio::select! {
            () = registry.parts.volume.stopped() => return,
            () = tokio::time::sleep(TICK) => {}
        }
        registry.flush_pulls(false).await;
        if hourly <= Instant::now() {
            hourly = Instant::now() + HOUR;
            tell("the head of the audit chain could not be read", registry.log_audit_head().await);
            tell("ended logins could not be forgotten", registry.forget_logins().await);
            tell("old plans could not be tidied", registry.tidy_plans().await);
            let stopped = registry.parts.volume.stopped();
            let aged = tokio::select! {
                () = stopped => return,
                aged = registry.age_audit() => aged,
            };
            match aged {
                Ok(0) => {}
                Ok(rows) => tracing::info!(rows, "audit rows older than [audit] keep were cut off"),
                Err(error) => tell("old audit rows could not be cut off", Err(error)),
            }
        }
    }
}

fn tell(what: &str, outcome: Result<(), Error>) {
    if let Err(error) = outcome {
        tracing::warn!(%error, "{what}");
    }
}
