//! What changes while the gate is open: the password file, the authorities of the identity service, the keys; never
//! what they are used for.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::gate::{Gate, Inner, State};
use crate::issue::REFRESH;
use crate::key_file;

/// How often files are looked at.
const POLL: Duration = Duration::from_secs(2);
/// How often keys are looked at, and a service that is down.
const SELDOM: Duration = Duration::from_secs(30);

impl Gate {
    /// Reads the password file anew, and the authorities of the identity service if they changed: SIGHUP. What is
    /// wrong is logged, and the last good state goes on. Blocks for a small file.
    pub fn reload(&self) {
        if let State::File(file) = &self.inner.state {
            file.reload();
        }
        if let Some(http) = &self.inner.http {
            http.reload_if_changed();
        }
    }

    /// Watches the files and the keys until `stop`.
    pub async fn watch(self, stop: CancellationToken) {
        let mut ticks = interval(POLL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seldom = Instant::now();
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            let rarely = Instant::now() >= seldom;
            let inner = Arc::clone(&self.inner);
            let looked = tokio::task::spawn_blocking(move || inner.look(rarely)).await;
            if let Err(error) = looked {
                tracing::error!(%error, "the files of logins could not be looked at");
            }
            if rarely {
                seldom = Instant::now() + SELDOM;
                if let State::Service(validations) = &self.inner.state {
                    stop.run_until_cancelled(validations.look_after()).await;
                }
            }
        }
    }
}

impl Inner {
    /// Looks at the files once. Blocks.
    pub(crate) fn look(&self, keys_too: bool) {
        if let State::File(file) = &self.state
            && file.has_changed()
        {
            file.reload();
        }
        if let Some(http) = &self.http {
            http.reload_if_changed();
        }
        if keys_too {
            self.rotate_keys();
        }
    }

    /// Takes a new key if one is due. Where it cannot be written down, the old one goes on.
    fn rotate_keys(&self) {
        match key_file::rotate(&self.keys_path, &self.ring(), self.clock.now_ms(), REFRESH) {
            Ok(None) => {}
            Ok(Some(next)) => *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next),
            Err(error) => tracing::error!(%error, "a new key for tokens is due; the old one goes on"),
        }
    }
}
