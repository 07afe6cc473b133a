//! What a registry answered about a manifest or a blob, as data; never an error, and never what it means.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mcr_oci::Digest;

use crate::error::Error;
use crate::response::{Answer, Cut};

/// The answer to a GET of a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManifestAnswer {
    /// 200 with a whole body. Not hashed: whoever asked by digest has to.
    Found {
        /// `Content-Type` as sent, parameters included.
        media_type: Option<String>,
        /// `Docker-Content-Digest` as sent.
        digest_header: Option<String>,
        /// The body, at most [`mcr_oci::MANIFEST_MAX`] bytes.
        bytes: Arc<[u8]>,
    },
    /// The registry says that there is none: 404, 410, 451, or another 4xx with an error of the specification.
    Missing {
        /// The status.
        status: u16,
        /// Code and message of the answer, in one line, if it had any.
        detail: Option<String>,
    },
    /// Larger than [`mcr_oci::MANIFEST_MAX`]; it was not read to its end.
    TooLarge {
        /// `Content-Length`, if it was sent.
        announced: Option<u64>,
    },
    /// The body ended before the announced length, as often as it was tried.
    EndedEarly {
        /// `Content-Length`.
        announced: u64,
        /// How many bytes came the last time.
        received: u64,
    },
}

/// The answer to a question about a blob: it is there, or it is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlobAnswer<T> {
    /// It is there, and this was found.
    Found(T),
    /// The registry says that it is not: 404, 410, 451, or another 4xx with an error of the specification.
    Missing {
        /// The status.
        status: u16,
        /// Code and message of the answer, in one line, if it had any.
        detail: Option<String>,
    },
}

/// What a HEAD of a blob announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced {
    /// `Content-Length` in bytes; absent where the registry did not send it.
    pub size: Option<u64>,
}

/// What came of asking for the last byte of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tail {
    /// The byte came (206), or the range was ignored (200) and exactly the expected bytes came.
    Whole,
    /// The registry's idea of the length differs: the total of `Content-Range`, or what a 200 announced or sent.
    OtherSize {
        /// That length in bytes; where a body without `Content-Length` is longer than expected, what was read of it.
        size: u64,
    },
    /// The bytes that were announced did not come, as often as it was tried.
    EndedEarly {
        /// What that answer announced: 1 for a range that was honoured, the whole length for one that was ignored.
        announced: u64,
        /// What came of it the last time.
        received: u64,
    },
    /// 416: the registry holds fewer bytes than that.
    NotSatisfiable {
        /// The length from `Content-Range: bytes */N`, if it was sent.
        size: Option<u64>,
    },
}

/// What came of reading a whole blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whole {
    /// The expected length, and the digest holds.
    Verified {
        /// The length in bytes.
        bytes: u64,
    },
    /// The registry announced, or sent, another length.
    OtherSize {
        /// That length in bytes; where a body without `Content-Length` is longer than expected, what was read of it.
        announced: u64,
    },
    /// The bytes ended before the expected length, as often as it was tried.
    EndedEarly {
        /// The length that was announced.
        announced: u64,
        /// How many bytes came.
        received: u64,
    },
    /// The expected length, and other bytes.
    WrongBytes {
        /// What they hash to.
        computed: Digest,
    },
}

/// What a blob that is being read brings next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes, hashed but not yet to be believed.
    Bytes(Bytes),
    /// Its end: the blob as a whole, or that it is not there.
    End(BlobAnswer<Whole>),
}

/// The answer of a registry's own API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status; refusals are answers too.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
    /// `Location`, where something was made.
    pub location: Option<String>,
    /// `Retry-After`, of a 429 or 503 that was not waited for.
    pub retry_after: Option<Duration>,
    /// Whether a login was sent.
    pub logged_in: bool,
}

/// An answer whose body comes piece by piece.
#[derive(Debug)]
pub struct Download {
    pub(crate) what: String,
    pub(crate) answer: Answer,
    pub(crate) logged_in: bool,
}

impl Download {
    /// The status; refusals are answers too.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.answer.status()
    }

    /// Whether a login was sent.
    #[must_use]
    pub fn logged_in(&self) -> bool {
        self.logged_in
    }

    /// `Content-Type` without parameters, in lower case.
    #[must_use]
    pub fn media_type(&self) -> Option<String> {
        self.answer.essence()
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// [`Error::Failing`] where the body broke off: what came so far is not all.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        self.answer.chunk().await.map_err(|cut| {
            let (Cut::Stalled(reason) | Cut::Ended(reason)) = cut;
            Error::Failing { status: None, attempts: 1, over: Duration::ZERO, what: self.what.clone(), reason }
        })
    }
}
