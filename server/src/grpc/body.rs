//! The body of an answer, which ends when its time is over or the server stops; never what is in it.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Status, body};

/// A body with an end: a stream that a client never closes would otherwise hold a shutdown up.
pub(super) struct Timed {
    inner: body::Body,
    over: Pin<Box<Sleep>>,
    stopping: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Timed {
    pub(super) fn new(inner: body::Body, time: Duration, stopping: CancellationToken) -> Self {
        Self { inner, over: Box::pin(tokio::time::sleep(time)), stopping: Box::pin(stopping.cancelled_owned()) }
    }
}

impl http_body::Body for Timed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(context) {
            return Poll::Ready(frame);
        }
        // Only what does not come by itself is cut off: an answer that is ready is given also while stopping.
        if this.over.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err(Status::deadline_exceeded("the call took too long"))));
        }
        if this.stopping.as_mut().poll(context).is_ready() {
            return Poll::Ready(Some(Err(Status::unavailable("the registry is shutting down"))));
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
