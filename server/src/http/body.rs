//! Bodies as the edge sends and receives them; never what is in them.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use mcr_registry::{BlobBody, BodyLost};
use tokio::sync::mpsc;
use tokio_util::task::TaskTracker;

/// Bytes of an unread request body that are read and thrown away after an early answer, so that
/// the client sees the answer and not a reset connection.
const DRAINED: u64 = 8 << 20;
/// How long that may take.
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// The body of a response.
#[derive(Debug)]
pub enum OutBody {
    /// Nothing, or no more.
    Empty,
    /// Bytes in hand.
    Full(Bytes),
    /// A blob on its way.
    Blob(BlobBody),
    /// Bytes as somebody makes them, none at the end: where the end does not come, the connection is cut.
    Pieces(mpsc::Receiver<Result<Option<Bytes>, mcr_registry::Error>>),
}

impl Body for OutBody {
    type Data = Bytes;
    type Error = mcr_registry::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        match this {
            Self::Empty => Poll::Ready(None),
            Self::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                *this = Self::Empty;
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Self::Blob(blob) => blob.poll_next(context).map(|chunk| chunk.map(|c| c.map(Frame::data))),
            Self::Pieces(pieces) => pieces.poll_recv(context).map(|piece| {
                let piece = piece.unwrap_or_else(|| Err(cut_off()));
                if !matches!(&piece, Ok(Some(_))) {
                    *this = Self::Empty;
                }
                piece.transpose().map(|piece| piece.map(Frame::data))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.size_hint().exact() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Empty => 0,
            Self::Full(bytes) => bytes.len() as u64,
            Self::Blob(blob) => blob.remaining(),
            Self::Pieces(_) => return SizeHint::default(),
        })
    }
}

/// Whoever made the pieces went away before the end.
fn cut_off() -> mcr_registry::Error {
    mcr_registry::Error::Unavailable { message: "the answer was cut off".to_owned(), retry_after: 5 }
}

/// The body of a request, with a limit on the silence between its bytes.
#[derive(Debug)]
pub struct InBody {
    incoming: Option<Incoming>,
    silence: Duration,
    tasks: TaskTracker,
}

impl InBody {
    /// Wraps a request's body; `tasks` takes care of what is left of it.
    #[must_use]
    pub fn new(incoming: Incoming, silence: Duration, tasks: TaskTracker) -> Self {
        Self { incoming: Some(incoming), silence, tasks }
    }

    /// The whole body, if it is at most `limit` bytes; `None` if it is longer. `expected` is the length
    /// announced, so that the bytes are gathered without growing again and again.
    ///
    /// # Errors
    /// [`BodyLost`] when it ends early or falls silent.
    pub async fn whole(&mut self, limit: usize, expected: usize) -> Result<Option<Bytes>, BodyLost> {
        use mcr_registry::Body as _;
        // Most manifests come in one frame, which is then not copied.
        let first = self.next().await.transpose()?.unwrap_or_default();
        if first.len() > limit {
            return Ok(None);
        }
        let mut whole: Option<Vec<u8>> = None;
        while let Some(frame) = self.next().await {
            let frame = frame?;
            let whole = whole.get_or_insert_with(|| {
                let mut whole = Vec::with_capacity(expected.clamp(first.len(), limit));
                whole.extend_from_slice(&first);
                whole
            });
            if whole.len() + frame.len() > limit {
                return Ok(None);
            }
            whole.extend_from_slice(&frame);
        }
        Ok(Some(whole.map_or(first, Bytes::from)))
    }
}

impl mcr_registry::Body for InBody {
    async fn next(&mut self) -> Option<Result<Bytes, BodyLost>> {
        loop {
            let incoming = self.incoming.as_mut()?;
            match tokio::time::timeout(self.silence, incoming.frame()).await {
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(bytes) if bytes.is_empty() => {}
                    Ok(bytes) => return Some(Ok(bytes)),
                    // Trailers carry nothing for us.
                    Err(_) => {}
                },
                Ok(Some(Err(error))) => {
                    self.incoming = None;
                    return Some(Err(BodyLost(error.to_string())));
                }
                Ok(None) => {
                    self.incoming = None;
                    return None;
                }
                Err(_) => {
                    self.incoming = None;
                    return Some(Err(BodyLost(format!("no bytes for {} s", self.silence.as_secs()))));
                }
            }
        }
    }
}

impl Drop for InBody {
    /// An answer given before the body was read: read on a little, else the client meets a reset
    /// connection instead of the answer (`clients.md` section 5).
    fn drop(&mut self) {
        let Some(mut incoming) = self.incoming.take() else { return };
        if incoming.is_end_stream() {
            return;
        }
        self.tasks.spawn(async move {
            let drain = async {
                let mut left = DRAINED;
                while let Some(Ok(frame)) = incoming.frame().await {
                    left = left.saturating_sub(frame.data_ref().map_or(0, |d| d.len() as u64));
                    if left == 0 {
                        break;
                    }
                }
            };
            // Whatever is left after this is the connection's end.
            drop(tokio::time::timeout(DRAIN_TIME, drain).await);
        });
    }
}
