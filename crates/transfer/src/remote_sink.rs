//! A running registry as a sink: images pushed through its API as any client pushes them; never a time of a push, which
//! that API does not take.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use mcr_client::{Announced, BlobAnswer, Client, Content, Error, PushError, Pushed};
use mcr_oci::{Digest, Reference, RepositoryName, Tag};
use mcr_verifier::{Look, Problem};

use crate::dry::would_bring;
use crate::options::Watch;
use crate::origin::{Blob, Origin, Piece, Place, Trouble};
use crate::pieces::Pieces;
use crate::sink::{Brought, Image, ImageTag, Landed, Means, RefusedTag, Sink, TagHere, TagMoved};

/// How often a blob is opened anew at its origin because sending it failed on the way.
const OPENED_MAX: usize = 4;

/// Of so many blobs it is remembered which repository has them, to mount them out of it.
const MOUNTABLE_MAX: usize = 200_000;

/// So many blobs that are not taken are remembered; what names others is refused by its own manifest.
const REFUSED_MAX: usize = 100_000;

/// A registry that is pushed to.
pub struct RemoteSink {
    client: Client,
    watch: Arc<dyn Watch>,
    jobs: usize,
    dry: bool,
    /// A repository that has a blob, for those this run met.
    mountable: Mutex<HashMap<Digest, RepositoryName>>,
    /// Repositories that cannot be listed or take no uploads, and why.
    refusing: Mutex<HashMap<RepositoryName, String>>,
    /// Blobs that a repository did not take, and why: the images that need them go no further.
    refused: Mutex<HashMap<(RepositoryName, Digest), String>>,
    /// Blobs that a dry run counted.
    counted: Mutex<HashSet<Digest>>,
}

/// What pushing something came to.
enum Taken<T> {
    Yes(T),
    /// Not in this repository, and why.
    No(String),
}

impl std::fmt::Debug for RemoteSink {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("RemoteSink").field("client", &self.client).finish_non_exhaustive()
    }
}

impl RemoteSink {
    /// The registry that `client` speaks to, asked `jobs` things at once; with `dry` it is asked and not changed.
    /// `watch` is told of bytes as they are sent.
    #[must_use]
    pub fn new(client: Client, jobs: usize, dry: bool, watch: Arc<dyn Watch>) -> Self {
        Self {
            client,
            watch,
            jobs: jobs.max(1),
            dry,
            mountable: Mutex::default(),
            refusing: Mutex::default(),
            refused: Mutex::default(),
            counted: Mutex::default(),
        }
    }

    async fn tag(&self, repository: &RepositoryName, name: String) -> Result<Option<(String, TagHere)>, Trouble> {
        // What no client can ask for is in nobody's way.
        let Ok(tag) = Tag::parse(&name) else { return Ok(None) };
        let digest = self.held(repository, &Reference::Tag(tag)).await?;
        // Who pointed it there, and when, is for administrators to know.
        Ok(digest.map(|digest| (name, TagHere { digest, moved_ms: None, imported: None })))
    }

    /// What a reference leads to, whole; `None` also where the registry knows of damage below it, so that it is pushed
    /// again, and where we may not look: pushing it says more.
    async fn held(&self, repository: &RepositoryName, reference: &Reference) -> Result<Option<Digest>, Trouble> {
        match self.client.holds_manifest(repository, reference).await {
            Err(Error::Unauthorized { status: 403, .. }) => Ok(None),
            held => held.map_err(Trouble::of),
        }
    }

    /// What a push that failed means.
    ///
    /// # Errors
    /// [`Trouble`] where nothing can be pushed any more.
    fn judged<E>(error: PushError<E>) -> Result<Taken<E>, Trouble> {
        match error {
            PushError::Content(why) => Ok(Taken::Yes(why)),
            // Read-only, or a full disk: true of every repository.
            PushError::Refused { status: 405 | 507, .. } => Err(Trouble(told(error))),
            PushError::Refused { .. } | PushError::Registry(Error::Unauthorized { status: 403, .. }) => {
                Ok(Taken::No(told(error)))
            }
            PushError::Registry(error) => Err(Trouble::of(error)),
        }
    }

    /// What sending a blob would come to.
    async fn would_send<O: Origin>(&self, origin: &O, place: &Place, blob: &Blob) -> Result<Brought, Trouble> {
        if locked(&self.counted).contains(&blob.digest) {
            return Ok(Brought::Known);
        }
        let brought = would_bring(origin, place, blob).await?;
        if !matches!(brought, Brought::Broken(_)) {
            locked(&self.counted).insert(blob.digest.clone());
        }
        Ok(brought)
    }

    /// Remembers what is not taken: this blob, or, where not even an upload can be begun, anything of its repository.
    fn note_refused(&self, repository: &RepositoryName, blob: &Digest, begins: bool, why: String) {
        if begins {
            locked(&self.refusing).entry(repository.clone()).or_insert(why);
            return;
        }
        let mut refused = locked(&self.refused);
        if refused.len() < REFUSED_MAX {
            refused.insert((repository.clone(), blob.clone()), why);
        }
    }

    /// Why an image cannot go to a repository, as far as its blobs told.
    fn refusal(&self, repository: &RepositoryName, image: &Image) -> Option<String> {
        if let Some(why) = locked(&self.refusing).get(repository) {
            return Some(why.clone());
        }
        let refused = locked(&self.refused);
        if refused.is_empty() {
            return None;
        }
        image.blobs.iter().find_map(|blob| refused.get(&(repository.clone(), blob.digest.clone())).cloned())
    }

    async fn send<O: Origin>(
        &self,
        origin: &O,
        place: &Place,
        blob: &Blob,
        from: Option<&RepositoryName>,
    ) -> Result<Brought, Trouble> {
        for _ in 0..OPENED_MAX {
            let bytes = match origin.blob(place, blob).await? {
                Look::Whole(bytes) => bytes,
                Look::Broken(problem) => return Ok(Brought::Broken(problem)),
            };
            let pieces = Pieces::new(bytes, &blob.digest, blob.size);
            let once = Once { pieces: Arc::new(Mutex::new(Some(pieces))), watch: Arc::clone(&self.watch) };
            let error = match self.client.push_blob(&place.here, &blob.digest, blob.size, &once, from).await {
                Ok(Pushed::Mounted) => return Ok(Brought::Known),
                Ok(Pushed::Sent) => return Ok(Brought::Now(Means::Sent, blob.size)),
                Err(error) => error,
            };
            let begins = refused_at_its_beginning(&error);
            match Self::judged(error)? {
                Taken::Yes(Ended::Broken(problem)) => return Ok(Brought::Broken(problem)),
                Taken::Yes(Ended::Gone(trouble)) => return Err(trouble),
                // Read once already: from its beginning, then.
                Taken::Yes(Ended::Spent) => {}
                Taken::No(why) => {
                    self.note_refused(&place.here, &blob.digest, begins, why);
                    return Ok(Brought::Known);
                }
            }
        }
        let why = self.client.trouble().unwrap_or_else(|| "it breaks off".to_owned());
        Err(Trouble(format!("{} cannot be sent: {why}", blob.digest)))
    }

    async fn land_one(&self, repository: &RepositoryName, image: Image) -> Result<Landed, Trouble> {
        if let Some(why) = self.refusal(repository, &image) {
            return Ok(Landed::Refused(why));
        }
        let Some((root, children)) = image.manifests.split_last() else { return Ok(Landed::nothing()) };
        let mut created = 0;
        for piece in children {
            let reference = Reference::Digest(piece.digest.clone());
            if self.held(repository, &reference).await?.is_none() {
                created += 1;
                if let Taken::No(why) = self.put(repository, &reference, piece).await? {
                    return Ok(Landed::Refused(why));
                }
            }
        }
        let by_digest = Reference::Digest(root.digest.clone());
        let new = self.held(repository, &by_digest).await?.is_none();
        if new
            && image.tags.is_empty()
            && let Taken::No(why) = self.put(repository, &by_digest, root).await?
        {
            return Ok(Landed::Refused(why));
        }
        let (mut moved, mut refused, count) = (Vec::new(), Vec::new(), image.tags.len());
        for ImageTag { tag, .. } in image.tags {
            let reference = Reference::Tag(tag.clone());
            let previous = self.held(repository, &reference).await?;
            if previous.as_ref() == Some(&root.digest) {
                continue;
            }
            let tag = tag.to_string();
            match self.put(repository, &reference, root).await? {
                Taken::Yes(()) => moved.push(TagMoved { tag, previous }),
                // An immutable one, most often: the others go on.
                Taken::No(why) => refused.push(RefusedTag { tag, why }),
            }
        }
        match refused.pop() {
            Some(last) if refused.len() + 1 == count => Ok(Landed::Refused(last.why)),
            last => {
                refused.extend(last);
                Ok(Landed::Whole { moved, created: created + u64::from(new), refused })
            }
        }
    }

    async fn put(
        &self,
        repository: &RepositoryName,
        reference: &Reference,
        piece: &Piece,
    ) -> Result<Taken<()>, Trouble> {
        if self.dry {
            return Ok(Taken::Yes(()));
        }
        let bytes = Bytes::from_owner(Arc::clone(&piece.bytes));
        let media_type = &piece.manifest.media_type;
        match self.client.push_manifest(repository, reference, &piece.digest, media_type, bytes).await {
            Ok(()) => Ok(Taken::Yes(())),
            Err(error) => Self::judged(error).map(|judged| match judged {
                Taken::Yes(never) => match never {},
                Taken::No(why) => Taken::No(why),
            }),
        }
    }
}

impl Sink for RemoteSink {
    async fn tags(&self, repository: &RepositoryName) -> Result<BTreeMap<String, TagHere>, Trouble> {
        let mut tags = BTreeMap::new();
        let mut pages = self.client.tags(repository);
        loop {
            let names = match pages.next().await {
                Ok(Some(names)) => names,
                Ok(None) | Err(Error::NotFound { .. }) => return Ok(tags),
                Err(error @ Error::Unauthorized { status: 403, .. }) => {
                    locked(&self.refusing).entry(repository.clone()).or_insert_with(|| error.to_string());
                    return Ok(tags);
                }
                Err(error) => return Err(Trouble::of(error)),
            };
            let mut answers = stream::iter(names).map(|name| self.tag(repository, name)).buffer_unordered(self.jobs);
            while let Some(answer) = answers.next().await {
                tags.extend(answer?);
            }
        }
    }

    async fn holds(&self, repository: &RepositoryName, root: &Digest) -> Result<bool, Trouble> {
        Ok(self.held(repository, &Reference::Digest(root.clone())).await?.is_some())
    }

    async fn bring<O: Origin>(&self, origin: &O, place: &Place, blob: &Blob) -> Result<Brought, Trouble> {
        if locked(&self.refusing).contains_key(&place.here) {
            return Ok(Brought::Known);
        }
        let held = match self.client.holds_blob(&place.here, &blob.digest).await {
            Ok(held) => held,
            // Whether it is taken says more than whether we may look.
            Err(Error::Unauthorized { status: 403, .. }) => BlobAnswer::Missing { status: 403, detail: None },
            Err(error) => return Err(Trouble::of(error)),
        };
        let known = locked(&self.mountable).get(&blob.digest).cloned();
        let brought = match held {
            BlobAnswer::Found(Announced { size }) if size.is_none_or(|size| size == blob.size) => match known {
                Some(_) => Brought::Known,
                None => Brought::Already,
            },
            BlobAnswer::Found(_) | BlobAnswer::Missing { .. } if self.dry => {
                self.would_send(origin, place, blob).await?
            }
            BlobAnswer::Found(_) | BlobAnswer::Missing { .. } => self.send(origin, place, blob, known.as_ref()).await?,
        };
        let is_there = !locked(&self.refused).contains_key(&(place.here.clone(), blob.digest.clone()))
            && !locked(&self.refusing).contains_key(&place.here);
        if is_there && !matches!(brought, Brought::Broken(_)) {
            let mut mountable = locked(&self.mountable);
            if mountable.len() < MOUNTABLE_MAX {
                mountable.insert(blob.digest.clone(), place.here.clone());
            }
        }
        Ok(brought)
    }

    async fn land(&self, repository: &RepositoryName, images: Vec<Image>) -> Result<Vec<Landed>, Trouble> {
        let mut landed = Vec::new();
        for image in images {
            landed.push(self.land_one(repository, image).await?);
        }
        Ok(landed)
    }
}

/// Whether not even an upload could be begun: that is what a repository answers to whoever may not push to it, while
/// the end of an upload is refused for its bytes.
fn refused_at_its_beginning<E>(error: &PushError<E>) -> bool {
    match error {
        PushError::Refused { what, .. } | PushError::Registry(Error::Unauthorized { what, .. }) => {
            what.starts_with("POST ")
        }
        _ => false,
    }
}

fn told<E>(error: PushError<E>) -> String {
    match error {
        PushError::Registry(error) => error.to_string(),
        PushError::Refused { status, what, reason } => format!("{what}: refused with {status}: {reason}"),
        PushError::Content(_) => "its bytes could not be had".to_owned(),
    }
}

/// The bytes of one blob, to be sent once: opening them anew is for whoever knows the origin.
#[derive(Clone)]
struct Once {
    pieces: Arc<Mutex<Option<Pieces>>>,
    watch: Arc<dyn Watch>,
}

/// Why bytes did not come to their end.
enum Ended {
    Broken(Problem),
    Gone(Trouble),
    /// They were read before.
    Spent,
}

impl Content for Once {
    type Error = Ended;
    type Pieces = BoxStream<'static, Result<Bytes, Ended>>;

    fn open(&self) -> Self::Pieces {
        let Some(pieces) = locked(&self.pieces).take() else {
            return stream::iter([Err(Ended::Spent)]).boxed();
        };
        let next = |state: Option<(Pieces, Arc<dyn Watch>)>| async move {
            let (mut pieces, watch) = state?;
            match pieces.next().await {
                Ok(Ok(None)) => None,
                Ok(Ok(Some(piece))) => {
                    watch.bytes(piece.len() as u64);
                    Some((Ok(piece), Some((pieces, watch))))
                }
                Ok(Err(problem)) => Some((Err(Ended::Broken(problem)), None)),
                Err(trouble) => Some((Err(Ended::Gone(trouble)), None)),
            }
        };
        stream::unfold(Some((pieces, Arc::clone(&self.watch))), next).boxed()
    }
}

/// A lock that a panic elsewhere does not spoil: every value behind one is whole at any time.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
