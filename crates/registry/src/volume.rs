//! Is the blob volume there, and has it room: looked at once a second and on suspicion; never what is done about it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use mcr_blobs::Store;
use tokio_util::sync::CancellationToken;

use crate::blocking::Blocking;
use crate::error::Error;

/// How often the marker and the free space are looked at.
const EVERY: Duration = Duration::from_secs(1);

/// What is known of the volume that holds the blobs.
#[derive(Debug)]
pub(crate) struct Volume {
    state: Arc<State>,
    stop: CancellationToken,
}

/// What a look at the marker said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marker {
    /// It is this registry's.
    Ours,
    /// There is none, or another registry's.
    Gone,
    /// It cannot be read.
    Unknown,
}

#[derive(Debug)]
struct State {
    blobs: Arc<Store>,
    id: String,
    present: AtomicBool,
    available: AtomicU64,
    reserve: u64,
}

impl Volume {
    /// `id` is what the marker must say.
    pub(crate) fn new(blobs: Arc<Store>, id: String, reserve: u64) -> Self {
        // Also where nothing is kept in reserve, a disk without a free byte is a full one.
        let reserve = reserve.max(1);
        let state = State { blobs, id, present: AtomicBool::new(true), available: AtomicU64::new(u64::MAX), reserve };
        let _ = state.look();
        Self { state: Arc::new(state), stop: CancellationToken::new() }
    }

    /// The loop that keeps the picture fresh; ends after [`Volume::stop`].
    pub(crate) fn watch(&self) -> impl Future<Output = ()> + Send + use<> {
        let (state, stop) = (Arc::clone(&self.state), self.stop.clone());
        let blocking = Blocking::new(1);
        async move {
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(EVERY) => {}
                }
                let state = Arc::clone(&state);
                // A look that fails says so itself; the next one comes in a second.
                drop(blocking.run(move || state.look()).await);
            }
        }
    }

    /// The registry's id, which the marker must say.
    pub(crate) fn registry_id(&self) -> &str {
        &self.state.id
    }

    /// Ends the loops that run beside the requests.
    pub(crate) fn stop(&self) {
        self.stop.cancel();
    }

    /// Whether the loops that run beside the requests shall end.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// Waits for [`Volume::stop`].
    pub(crate) async fn stopped(&self) {
        self.stop.cancelled().await;
    }

    /// Whether [`Volume::stop`] was called.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stop.is_cancelled()
    }

    /// False while the marker is missing although blobs are booked.
    pub(crate) fn present(&self) -> bool {
        self.state.present.load(Ordering::Acquire)
    }

    /// Looks at the marker now, on this (blocking) thread; true where it was read and is this registry's. A file that
    /// is absent is only believed absent if this says true.
    pub(crate) fn look_now(&self) -> bool {
        self.state.look() == Marker::Ours
    }

    /// The same for who answers a client: why nothing may be called absent now.
    pub(crate) fn must_be_here(&self) -> Result<(), Error> {
        match self.state.look() {
            Marker::Ours => Ok(()),
            Marker::Gone => Err(away()),
            Marker::Unknown => Err(Error::unavailable(
                "the blob directory's marker cannot be read now, so that nobody knows what is gone; try again shortly",
            )),
        }
    }

    /// Free bytes at the last look.
    pub(crate) fn available(&self) -> u64 {
        self.state.available.load(Ordering::Acquire)
    }

    /// As if so many bytes were free, until the next look.
    #[cfg(test)]
    pub(crate) fn pretend_available(&self, bytes: u64) {
        self.state.available.store(bytes, Ordering::Release);
    }

    /// True when the reserve is touched.
    pub(crate) fn below_reserve(&self) -> bool {
        self.available() < self.state.reserve
    }

    /// Looks at the free space now, on this (blocking) thread, and refuses new bytes when they
    /// would touch the reserve.
    pub(crate) fn room_for(&self, bytes: u64) -> Result<(), Error> {
        let space = self.state.blobs.free_space()?;
        self.state.available.store(space.available, Ordering::Release);
        if space.available.saturating_sub(bytes) < self.state.reserve {
            return Err(self.full());
        }
        Ok(())
    }

    /// The refusal of anything new while the reserve is touched.
    pub(crate) fn full(&self) -> Error {
        Error::DiskFull(format!(
            "this registry's disk is full: {} MiB are free, {} MiB are kept in reserve; free space, then push again",
            self.available() >> 20,
            self.state.reserve >> 20
        ))
    }
}

/// The refusal of everything while the marker is missing.
pub(crate) fn away() -> Error {
    Error::unavailable(
        "the blob directory of this registry is not mounted (its marker file is missing): nothing is served until it is back",
    )
}

impl State {
    fn look(&self) -> Marker {
        let marker = match self.blobs.marker() {
            Ok(Some(id)) if id == self.id => Marker::Ours,
            Ok(_) => Marker::Gone,
            Err(error) => {
                tracing::error!(%error, "the blob volume's marker cannot be read");
                Marker::Unknown
            }
        };
        // Not knowing is not absence: reads go on and say what they meet.
        let present = marker != Marker::Gone;
        if self.present.swap(present, Ordering::AcqRel) != present {
            if present {
                tracing::warn!("the blob directory is back: serving again");
            } else {
                tracing::error!(
                    "the blob directory's marker is missing or another registry's: serving nothing until it is back"
                );
            }
        }
        if let Ok(space) = self.blobs.free_space() {
            self.available.store(space.available, Ordering::Release);
        }
        marker
    }
}
