//! What everybody in the race shares: the server as it runs now, the layers all images are made of, the end; never a step.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use mcr_tests::{Blob, Client, Failure, Random, Response};

use crate::ledger::Ledger;

/// Repositories where everybody pushes, and where retention and deleters are at work.
pub(crate) const SHARED: [&str; 3] = ["race/a", "race/b", "race/c"];
/// Layers that all images share.
const LAYERS: usize = 24;
/// How long a promise is relied on: the lease is ten seconds.
pub(crate) const RELIED_ON: Duration = Duration::from_secs(8);

/// Everybody's view.
pub(crate) struct Game {
    /// The server of now; another address after each restart.
    client: RwLock<Arc<Client>>,
    stop: AtomicBool,
    /// Layers to make images of.
    pub(crate) layers: Vec<Blob>,
    /// What was promised.
    pub(crate) ledger: Ledger,
}

impl Game {
    pub(crate) fn new(client: Arc<Client>, random: &mut Random) -> Self {
        let layers = (0..LAYERS)
            .map(|_| {
                let length = 200 + random.below(30_000);
                Blob::random(random, length)
            })
            .collect();
        Self { client: RwLock::new(client), stop: AtomicBool::new(false), layers, ledger: Ledger::default() }
    }

    /// The server as it runs now.
    pub(crate) fn client(&self) -> Arc<Client> {
        Arc::clone(&self.client.read().unwrap())
    }

    /// It runs somewhere else now.
    pub(crate) fn moved(&self, client: Arc<Client>) {
        *self.client.write().unwrap() = client;
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(crate) fn over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Why a step came to nothing.
pub(crate) enum Lost {
    /// The server went away in the middle: nothing was promised.
    Connection,
    /// It answered what it must not.
    Answer(String),
}

impl From<Failure> for Lost {
    fn from(_: Failure) -> Self {
        Self::Connection
    }
}

/// An answer with one of these statuses, or what is wrong with it. A server that stops answers 503.
pub(crate) fn expect(response: Response, what: &str, statuses: &[u16]) -> Result<Response, Lost> {
    if statuses.contains(&response.status) {
        return Ok(response);
    }
    if response.status == 503 {
        return Err(Lost::Connection);
    }
    Err(Lost::Answer(format!("{what}: {} {}", response.status, response.text())))
}

/// Since when the oldest promise that a push relies on stands.
pub(crate) struct Promises(Instant);

impl Promises {
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }

    /// Whether every promise must still hold.
    pub(crate) fn hold(&self) -> bool {
        self.0.elapsed() < RELIED_ON
    }
}
