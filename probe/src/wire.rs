//! A repository on the wire as a source of the walk: what a registry answers, as a look or a problem; never a retry
//! (the client's) and never a path (the verifier's).

use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mcr_client::{Announced, BlobAnswer, Client, Error, ManifestAnswer, Tail, Whole};
use mcr_oci::{Descriptor, Digest, EdgeTarget, FindingKind, MANIFEST_MAX, Manifest, Reference, RepositoryName};
use mcr_verifier::{Look, Problem, Source, StoredBlob, StoredManifest};

use crate::level::Level;
use crate::pace::Pace;
use crate::watch::{Unwatched, Watch};

/// Longest look at a manifest, a HEAD or a last byte, with every retry and every wait that was asked for.
const LOOK_LIMIT: Duration = Duration::from_secs(180);
/// Slowest download of a blob that is waited for, in bytes a second, beyond [`LOOK_LIMIT`].
const SLOWEST_DOWNLOAD: u64 = 64 << 10;

/// The registry as a whole does not answer any more: nothing can be said about anything.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Gone(pub String);

/// A repository of a registry.
pub struct Wire<'a> {
    client: &'a Client,
    repository: &'a RepositoryName,
    level: Level,
    pace: Pace,
    watch: &'a dyn Watch,
    /// Said once: further digests need not ask again whether the registry is there.
    gone: AtomicBool,
    /// Blobs whose bytes the watcher was told to expect; only at the level that downloads them.
    expected: Mutex<HashSet<Digest>>,
}

impl std::fmt::Debug for Wire<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Wire").field("repository", &self.repository).field("level", &self.level).finish()
    }
}

/// What a manifest's place answered.
pub(crate) enum Fetched {
    /// Bytes, not yet hashed.
    Found { manifest: StoredManifest, digest_header: Option<String> },
    /// None, and why.
    Broken(Problem),
}

impl<'a> Wire<'a> {
    pub(crate) fn new(
        client: &'a Client,
        repository: &'a RepositoryName,
        level: Level,
        pace: Pace,
        watch: &'a dyn Watch,
    ) -> Self {
        Self { client, repository, level, pace, watch, gone: AtomicBool::new(false), expected: Mutex::default() }
    }

    /// A repository that is looked at by itself, with `jobs` requests at once and nobody who watches.
    #[must_use]
    pub fn alone(client: &'a Client, repository: &'a RepositoryName, level: Level, jobs: usize) -> Self {
        Self::new(client, repository, level, Pace::new(jobs), &Unwatched)
    }

    /// A repository that is looked at beside others of the same registry, with the places that all of them share.
    #[must_use]
    pub fn beside(client: &'a Client, repository: &'a RepositoryName, level: Level, pace: &Pace) -> Self {
        Self::new(client, repository, level, pace.clone(), &Unwatched)
    }

    /// Where a tag leads: the digest of the bytes that are served for it, in the algorithm the registry names.
    ///
    /// # Errors
    /// [`Gone`] where the registry as a whole does not answer.
    pub async fn digest_of(&self, reference: &Reference) -> Result<Look<Digest>, Gone> {
        Ok(match self.fetch(reference).await? {
            Fetched::Found { manifest, digest_header } => {
                let said = digest_header.and_then(|said| Digest::parse(&said).ok());
                let right = said.filter(|said| Digest::of(said.algorithm(), &manifest.bytes) == *said);
                Look::Whole(right.unwrap_or_else(|| Digest::sha256(&manifest.bytes)))
            }
            Fetched::Broken(problem) => Look::Broken(problem),
        })
    }

    /// What the end of a blob's transfer says of it.
    ///
    /// # Errors
    /// [`Gone`] where the registry as a whole does not answer.
    pub async fn judge_transfer(
        &self,
        answer: Result<BlobAnswer<Whole>, Error>,
        size: u64,
    ) -> Result<Look<StoredBlob>, Gone> {
        Ok(match self.settle(Ok(answer), FindingKind::BlobUnservable).await? {
            Ok(BlobAnswer::Found(whole)) => judge_whole(whole, size),
            Ok(BlobAnswer::Missing { status, detail }) => Look::Broken(missing(status, detail)),
            Err(problem) => Look::Broken(problem),
        })
    }

    /// Tells the watcher how much a manifest's blobs will be to download.
    pub(crate) fn expect(&self, manifest: &Manifest) {
        if self.level == Level::Full
            && let Ok(mut expected) = self.expected.lock()
        {
            let blobs = manifest.edges.iter().filter(|edge| edge.is_required() && edge.target() == EdgeTarget::Blob);
            let new = blobs.filter(|edge| expected.insert(edge.descriptor.digest.clone()));
            self.watch.expects(new.map(|edge| edge.descriptor.size).sum());
        }
    }

    /// Fetches a manifest by tag or digest.
    pub(crate) async fn fetch(&self, reference: &Reference) -> Result<Fetched, Gone> {
        let answer = self.within(LOOK_LIMIT, self.client.manifest(self.repository, reference)).await;
        Ok(match self.settle(answer, FindingKind::ManifestUnservable).await? {
            Ok(ManifestAnswer::Found { media_type, digest_header, bytes }) => {
                Fetched::Found { manifest: StoredManifest { media_type, bytes }, digest_header }
            }
            Ok(ManifestAnswer::Missing { status, detail }) => {
                Fetched::Broken(Problem { kind: FindingKind::ManifestMissing, status: Some(status), detail })
            }
            Ok(ManifestAnswer::TooLarge { announced }) => {
                let length = announced.map_or_else(String::new, |length| format!(": {length} bytes"));
                let detail = format!("larger than the {MANIFEST_MAX} bytes a manifest may have{length}");
                Fetched::Broken(Problem::new(FindingKind::ManifestInvalid, detail))
            }
            Ok(ManifestAnswer::EndedEarly { announced, received }) => {
                let detail = format!("its body ends after {received} of {announced} bytes");
                Fetched::Broken(Problem::new(FindingKind::ManifestCorrupt, detail))
            }
            Err(problem) => Fetched::Broken(problem),
        })
    }

    async fn head(&self, descriptor: &Descriptor) -> Result<Look<StoredBlob>, Gone> {
        let answer = self.within(LOOK_LIMIT, self.client.head_blob(self.repository, &descriptor.digest)).await;
        Ok(match self.settle(answer, FindingKind::BlobUnservable).await? {
            // Who announces nothing says nothing wrong; a closer look will measure.
            Ok(BlobAnswer::Found(Announced { size })) => {
                Look::Whole(StoredBlob { size: size.unwrap_or(descriptor.size) })
            }
            Ok(BlobAnswer::Missing { status, detail }) => Look::Broken(missing(status, detail)),
            Err(problem) => Look::Broken(problem),
        })
    }

    async fn tail(&self, descriptor: &Descriptor) -> Result<Look<StoredBlob>, Gone> {
        let size = descriptor.size;
        let asked = self.client.blob_tail(self.repository, &descriptor.digest, size);
        let answer = self.within(LOOK_LIMIT, asked).await;
        Ok(match self.settle(answer, FindingKind::BlobUnservable).await? {
            Ok(BlobAnswer::Found(tail)) => judge_tail(tail, size),
            Ok(BlobAnswer::Missing { status, detail }) => Look::Broken(missing(status, detail)),
            Err(problem) => Look::Broken(problem),
        })
    }

    async fn whole(&self, descriptor: &Descriptor) -> Result<Look<StoredBlob>, Gone> {
        let size = descriptor.size;
        let limit = LOOK_LIMIT + Duration::from_secs(size / SLOWEST_DOWNLOAD);
        let watch = self.watch;
        let sink = |chunk: &[u8]| watch.received(chunk.len() as u64);
        let asked = self.client.blob_verified(self.repository, &descriptor.digest, size, sink);
        let answer = self.within(limit, asked).await;
        Ok(match self.settle(answer, FindingKind::BlobUnservable).await? {
            Ok(BlobAnswer::Found(whole)) => judge_whole(whole, size),
            Ok(BlobAnswer::Missing { status, detail }) => Look::Broken(missing(status, detail)),
            Err(problem) => Look::Broken(problem),
        })
    }

    async fn within<T>(
        &self,
        limit: Duration,
        asked: impl Future<Output = Result<T, Error>>,
    ) -> Result<Result<T, Error>, Duration> {
        let _place = self.pace.place().await;
        tokio::time::timeout(limit, asked).await.map_err(|_| limit)
    }

    /// One digest's failure is its own problem while the registry otherwise answers, else everybody's.
    async fn settle<T>(
        &self,
        answer: Result<Result<T, Error>, Duration>,
        unservable: FindingKind,
    ) -> Result<Result<T, Problem>, Gone> {
        let error = match answer {
            Ok(Ok(found)) => return Ok(Ok(found)),
            Ok(Err(error)) => error,
            Err(limit) => {
                let detail = format!("did not come to an end within {} s", limit.as_secs());
                return self.undetermined(Problem::new(FindingKind::Unreachable, detail)).await.map(Err);
            }
        };
        let detail = Some(error.to_string());
        match error {
            Error::Failing { status, .. } => {
                self.still_there(&error).await?;
                Ok(Err(Problem { kind: unservable, status, detail }))
            }
            Error::Unauthorized { status, .. } | Error::Busy { status, .. } => {
                Ok(Err(Problem { kind: FindingKind::Unreachable, status: Some(status), detail }))
            }
            Error::Unreachable { .. }
            | Error::Unexpected { .. }
            | Error::NotFound { .. }
            | Error::Unclear { .. }
            | Error::Credentials { .. } => {
                self.still_there(&error).await?;
                Ok(Err(Problem { kind: FindingKind::Unreachable, status: None, detail }))
            }
        }
    }

    async fn undetermined(&self, problem: Problem) -> Result<Problem, Gone> {
        let slow = Error::Unexpected { what: self.repository.to_string(), reason: "too slow".to_owned() };
        self.still_there(&slow).await.map(|()| problem)
    }

    /// Whether the registry as a whole answers; asked only after something failed with `error`.
    ///
    /// # Errors
    /// [`Gone`] where it does not.
    pub async fn still_there(&self, error: &Error) -> Result<(), Gone> {
        if self.gone.load(Ordering::Relaxed) {
            return Err(Gone(error.to_string()));
        }
        match self.within(LOOK_LIMIT, self.client.ping()).await {
            // Credentials that are refused now were taken before: something answers, and that is what is asked.
            Ok(Ok(()) | Err(Error::Unauthorized { .. })) => Ok(()),
            Ok(Err(gone)) => {
                self.gone.store(true, Ordering::Relaxed);
                Err(Gone(gone.to_string()))
            }
            Err(limit) => {
                self.gone.store(true, Ordering::Relaxed);
                Err(Gone(format!("{} did not answer within {} s", self.client.host(), limit.as_secs())))
            }
        }
    }

    /// The repository that is looked at.
    pub(crate) fn repository(&self) -> &RepositoryName {
        self.repository
    }
}

impl Source for Wire<'_> {
    type Error = Gone;

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Look<StoredManifest>, Gone> {
        let fetched = self.fetch(&Reference::Digest(descriptor.digest.clone())).await?;
        self.watch.looked(&descriptor.digest);
        Ok(match fetched {
            Fetched::Found { manifest, .. } => {
                if self.level == Level::Full
                    && let Ok(parsed) = Manifest::parse(&manifest.bytes, manifest.media_type.as_deref())
                {
                    self.expect(&parsed);
                }
                Look::Whole(manifest)
            }
            Fetched::Broken(problem) => Look::Broken(problem),
        })
    }

    async fn blob(&self, descriptor: &Descriptor) -> Result<Look<StoredBlob>, Gone> {
        let head = self.head(descriptor).await?;
        let closer = match (&head, self.level) {
            (Look::Broken(_), _) | (Look::Whole(_), Level::Head) => false,
            // Its size is already wrong: that is the finding, and nothing is learned from its last byte.
            (Look::Whole(announced), Level::Tail | Level::Full) => announced.size == descriptor.size,
        };
        let look = match (closer, self.level) {
            // Nothing to ask the last byte of: the whole is as cheap.
            (true, Level::Tail) if descriptor.size > 0 => self.tail(descriptor).await?,
            (true, _) => self.whole(descriptor).await?,
            (false, _) => head,
        };
        self.watch.looked(&descriptor.digest);
        Ok(look)
    }
}

fn missing(status: u16, detail: Option<String>) -> Problem {
    Problem { kind: FindingKind::BlobMissing, status: Some(status), detail }
}

fn judge_tail(tail: Tail, size: u64) -> Look<StoredBlob> {
    let truncated = |detail: String| Look::Broken(Problem::new(FindingKind::BlobTruncated, detail));
    match tail {
        Tail::Whole => Look::Whole(StoredBlob { size }),
        Tail::OtherSize { size } => Look::Whole(StoredBlob { size }),
        Tail::EndedEarly { announced, received } => {
            truncated(format!("asked for its last byte: the answer ends after {received} of {announced} bytes"))
        }
        Tail::NotSatisfiable { size: Some(stored) } if stored > size => Look::Whole(StoredBlob { size: stored }),
        Tail::NotSatisfiable { size: stored } => {
            let stored = stored.map_or_else(String::new, |stored| format!(", only {stored} are there"));
            truncated(format!("byte {size} cannot be had{stored}"))
        }
    }
}

fn judge_whole(whole: Whole, size: u64) -> Look<StoredBlob> {
    match whole {
        Whole::Verified { bytes } => Look::Whole(StoredBlob { size: bytes }),
        Whole::OtherSize { announced } => Look::Whole(StoredBlob { size: announced }),
        Whole::EndedEarly { announced, received } => {
            let detail = format!("its body ends after {received} of {announced} bytes");
            Look::Broken(Problem::new(FindingKind::BlobTruncated, detail))
        }
        Whole::WrongBytes { computed } => {
            let detail = format!("its {size} bytes hash to {computed}");
            Look::Broken(Problem::new(FindingKind::BlobCorrupt, detail))
        }
    }
}
