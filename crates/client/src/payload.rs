//! Bodies of uploads: bytes that go out piece by piece, anew for every try, and whether somebody takes them; never where
//! they go.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use tokio::time::{Instant, sleep_until};

/// A body that went out whole is waited for so many times longer than a silence: a registry hashes and syncs it before
/// it answers.
const STORING: u32 = 15;

/// Where the bytes of an upload come from. They are read anew for every try.
pub trait Content: Clone + Send + Sync + 'static {
    /// Why they cannot be had.
    type Error: Send + 'static;
    /// The bytes in order; the first error is the end.
    type Pieces: Stream<Item = Result<Bytes, Self::Error>> + Send + 'static;

    /// Begins at the first byte.
    fn open(&self) -> Self::Pieces;
}

impl Content for Bytes {
    type Error = Infallible;
    type Pieces = stream::Iter<std::option::IntoIter<Result<Bytes, Infallible>>>;

    fn open(&self) -> Self::Pieces {
        stream::iter((!self.is_empty()).then(|| Ok(self.clone())))
    }
}

/// A body with its type, as a request holds it.
#[derive(Clone)]
pub(crate) struct Payload {
    /// `Content-Type`.
    pub(crate) media_type: String,
    pub(crate) streamed: Arc<dyn Streamed>,
}

impl fmt::Debug for Payload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Payload({}, {} bytes)", self.media_type, self.streamed.length())
    }
}

/// A body that can be sent more than once.
pub(crate) trait Streamed: Send + Sync {
    /// Its length in bytes.
    fn length(&self) -> u64;
    /// The body from its first byte, and how it goes out.
    fn open(self: Arc<Self>) -> (reqwest::Body, Arc<Flow>);
    /// Whether its bytes could not be had: no further try changes that.
    fn has_failed(&self) -> bool;
}

/// One content on its way, and why it could not be had.
#[derive(Debug)]
pub(crate) struct Upload<C: Content> {
    content: C,
    length: u64,
    failure: Mutex<Option<C::Error>>,
}

impl<C: Content> Upload<C> {
    pub(crate) fn new(content: &C, length: u64) -> Arc<Self> {
        Arc::new(Self { content: content.clone(), length, failure: Mutex::default() })
    }

    /// Why the bytes could not be had, where that is what went wrong.
    pub(crate) fn failure(&self) -> Option<C::Error> {
        locked(&self.failure).take()
    }
}

impl<C: Content> Streamed for Upload<C> {
    fn length(&self) -> u64 {
        self.length
    }

    fn open(self: Arc<Self>) -> (reqwest::Body, Arc<Flow>) {
        let flow = Arc::new(Flow(Mutex::new(State::Taking(Instant::now()))));
        let pieces = Box::pin(self.content.open());
        let body = Body { pieces, upload: self, flow: Arc::clone(&flow) };
        (reqwest::Body::wrap_stream(body), flow)
    }

    fn has_failed(&self) -> bool {
        locked(&self.failure).is_some()
    }
}

/// Who is waited for.
#[derive(Debug)]
enum State {
    /// The one who takes: since when it has not asked for more.
    Taking(Instant),
    /// The one who gives, which has limits of its own.
    Giving,
    /// Everything is out, since when.
    Out(Instant),
}

/// How a body goes out.
#[derive(Debug)]
pub(crate) struct Flow(Mutex<State>);

impl Flow {
    /// Waits for `answer` as long as the body moves; `None` where nothing was taken for `patience`, or no answer came
    /// within [`STORING`] times that after all of it was.
    pub(crate) async fn watch<T>(&self, patience: Duration, answer: impl Future<Output = T>) -> Option<T> {
        tokio::pin!(answer);
        loop {
            let until = match *locked(&self.0) {
                State::Taking(since) => since + patience,
                State::Giving => Instant::now() + patience,
                State::Out(since) => since + patience.saturating_mul(STORING),
            };
            if until <= Instant::now() {
                return None;
            }
            tokio::select! {
                biased;
                answer = &mut answer => return Some(answer),
                () = sleep_until(until) => {}
            }
        }
    }

    fn set(&self, state: State) {
        *locked(&self.0) = state;
    }
}

struct Body<C: Content> {
    pieces: Pin<Box<C::Pieces>>,
    upload: Arc<Upload<C>>,
    flow: Arc<Flow>,
}

impl<C: Content> Stream for Body<C> {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        this.flow.set(State::Giving);
        let Poll::Ready(piece) = this.pieces.as_mut().poll_next(context) else { return Poll::Pending };
        this.flow.set(match &piece {
            Some(Ok(_)) => State::Taking(Instant::now()),
            Some(Err(_)) | None => State::Out(Instant::now()),
        });
        Poll::Ready(match piece {
            Some(Ok(bytes)) => Some(Ok(bytes)),
            None => None,
            Some(Err(error)) => {
                *locked(&this.upload.failure) = Some(error);
                Some(Err(std::io::Error::other("its bytes could not be had")))
            }
        })
    }
}

/// A lock that a panic elsewhere does not spoil: every value behind one is whole at any time.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
