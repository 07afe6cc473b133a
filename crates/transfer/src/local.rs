//! The registry of this machine as a sink; never the origin, and never a weaker check than a push's.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, BoxStream, StreamExt as _};
use mcr_oci::{Digest, FindingKind, RepositoryName, Tag};
use mcr_registry::{AdoptedBy, Adopter, BlobTaken, ManifestTaken, TakenManifest};
use mcr_verifier::{Look, Problem};
use tokio::sync::Semaphore;

use crate::options::Watch;
use crate::origin::{Blob, BlobBytes, Origin, Piece, Place, StreamEnd, Trouble};
use crate::sink::{Brought, Image, ImageTag, Landed, Means, RefusedTag, Sink, TagHere, TagMoved};

/// Images that are committed side by side: their writes share transactions.
const COMMITS_AT_ONCE: usize = 64;
/// Blobs that are linked in one write.
const LINKS_A_WRITE: usize = 5_000;
/// Bytes of a stream that are written together.
const WRITTEN_TOGETHER: usize = 512 * 1024;

/// The registry of this machine.
pub struct LocalSink {
    adopter: Adopter,
    /// Files get second names instead of being copied.
    link: bool,
    /// Files hashed at once.
    hashing: Arc<Semaphore>,
    watch: Arc<dyn Watch>,
    /// Blobs known to be here, sound: an image in many repositories is looked at once.
    sound: Mutex<HashSet<Digest>>,
}

impl std::fmt::Debug for LocalSink {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("LocalSink").field("link", &self.link).finish_non_exhaustive()
    }
}

impl LocalSink {
    /// The registry behind `adopter`, hashing at most `hashing` files at once; with `link`, files of the origin get a
    /// second name here.
    #[must_use]
    pub fn new(adopter: Adopter, link: bool, hashing: usize, watch: Arc<dyn Watch>) -> Self {
        let hashing = Arc::new(Semaphore::new(hashing.clamp(1, Semaphore::MAX_PERMITS)));
        Self { adopter, link, hashing, watch, sound: Mutex::default() }
    }

    fn is_sound(&self, digest: &Digest) -> bool {
        self.sound.lock().unwrap_or_else(PoisonError::into_inner).contains(digest)
    }

    fn note_sound(&self, digest: &Digest) {
        self.sound.lock().unwrap_or_else(PoisonError::into_inner).insert(digest.clone());
    }

    async fn take(&self, blob: &Blob, bytes: BlobBytes) -> Result<Brought, Trouble> {
        let (taken, sent) = match bytes {
            BlobBytes::File { file, .. } => {
                let place = Arc::clone(&self.hashing).acquire_owned().await.map_err(Trouble::of)?;
                let watch = Arc::clone(&self.watch);
                let tell = move |more| watch.bytes(more);
                let taken = self.adopter.take_file(&blob.digest, file, self.link, place, tell).await;
                (taken.map_err(Trouble::of)?, false)
            }
            BlobBytes::Stream(stream) => match self.stream(blob, stream).await? {
                Ok(taken) => (taken, true),
                Err(problem) => return Ok(Brought::Broken(problem)),
            },
        };
        Ok(match taken {
            BlobTaken::Whole(how, size) => {
                self.note_sound(&blob.digest);
                Brought::Now(if sent { Means::Sent } else { means(how) }, size)
            }
            BlobTaken::Differs { computed, size } => Brought::Broken(differs(blob, &computed, size)),
            BlobTaken::Unreadable(why) => {
                Brought::Broken(Problem::new(FindingKind::Unreachable, format!("its bytes cannot be read: {why}")))
            }
            BlobTaken::NoLink(why) => {
                return Err(Trouble(format!(
                    "no hard link can be made of {}: {why}; leave --hardlinks out",
                    blob.digest
                )));
            }
        })
    }

    async fn stream(
        &self,
        blob: &Blob,
        mut stream: BoxStream<'static, Result<Bytes, StreamEnd>>,
    ) -> Result<Result<BlobTaken, Problem>, Trouble> {
        let mut incoming = self.adopter.begin(blob.digest.algorithm(), blob.size).await.map_err(Trouble::of)?;
        let mut gathered = BytesMut::new();
        while let Some(next) = stream.next().await {
            match next {
                Ok(bytes) => gathered.extend_from_slice(&bytes),
                Err(StreamEnd::Broken(problem)) => return Ok(Err(problem)),
                Err(StreamEnd::Gone(trouble)) => return Err(trouble),
            }
            if gathered.len() >= WRITTEN_TOGETHER {
                let whole = gathered.split().freeze();
                self.watch.bytes(whole.len() as u64);
                incoming.append(whole).await.map_err(Trouble::of)?;
            }
        }
        self.watch.bytes(gathered.len() as u64);
        incoming.append(gathered.freeze()).await.map_err(Trouble::of)?;
        let taken = incoming.finish(&blob.digest).await.map_err(Trouble::of)?;
        Ok(Ok(taken))
    }

    /// Links blobs of several images at once; gives those that are not here.
    async fn link_all(&self, repository: &RepositoryName, images: &[Image]) -> Result<HashSet<Digest>, Trouble> {
        let mut digests: Vec<Digest> =
            images.iter().flat_map(|image| &image.blobs).map(|blob| blob.digest.clone()).collect();
        digests.sort_unstable();
        digests.dedup();
        let mut missing = HashSet::new();
        for part in digests.chunks(LINKS_A_WRITE) {
            missing.extend(self.adopter.link(repository, part.to_vec()).await.map_err(Trouble::of)?);
        }
        Ok(missing)
    }

    async fn commit(&self, repository: &RepositoryName, mut image: Image) -> Result<Landed, Trouble> {
        if image.absent > 0 && !self.adopter.takes_partial(repository) {
            return Ok(Landed::Incomplete(Vec::new()));
        }
        let Some(root) = image.manifests.pop() else { return Ok(Landed::nothing()) };
        let mut stay = Stay(Vec::new());
        // Asked before anything is written: an image whose tags all stay leaves no child behind.
        let names = image.tags.iter().map(|tag| tag.tag.clone()).collect();
        for tag in self.adopter.held_tags(repository, &root.digest, names).await.map_err(Trouble::of)? {
            if let Some(landed) = stay.take_out(&mut image.tags, &tag) {
                return Ok(landed);
            }
        }
        let mut made = 0;
        for piece in image.manifests {
            match self.put(repository, piece, image.pushed_ms, &[]).await? {
                ManifestTaken::Whole { created, .. } => made += u64::from(created),
                other => return Ok(left_out(other)),
            }
        }
        loop {
            match self.put(repository, root.clone(), image.pushed_ms, &image.tags).await? {
                ManifestTaken::Whole { moved, created } => {
                    let moved = moved.into_iter().map(|(tag, previous)| TagMoved { tag: tag.to_string(), previous });
                    let (moved, created) = (moved.collect(), made + u64::from(created));
                    return Ok(Landed::Whole { moved, created, refused: stay.0 });
                }
                // It was pushed a moment ago.
                ManifestTaken::Held(tag) => {
                    if let Some(landed) = stay.take_out(&mut image.tags, &tag) {
                        return Ok(landed);
                    }
                }
                other => return Ok(left_out(other)),
            }
        }
    }

    async fn put(
        &self,
        repository: &RepositoryName,
        piece: Piece,
        pushed_ms: i64,
        tags: &[ImageTag],
    ) -> Result<ManifestTaken, Trouble> {
        let tags = tags.iter().map(|tag| (tag.tag.clone(), tag.at_ms)).collect();
        let Piece { digest, bytes, manifest } = piece;
        let taken = TakenManifest { digest, bytes, manifest, pushed_ms, tags };
        self.adopter.take_manifest(repository, taken).await.map_err(Trouble::of)
    }
}

/// Tags that stay as they are.
struct Stay(Vec<RefusedTag>);

impl Stay {
    /// Takes a tag out of those that an image shall get; what becomes of the image where none is left.
    fn take_out(&mut self, tags: &mut Vec<ImageTag>, held: &Tag) -> Option<Landed> {
        let refused = RefusedTag::held(held);
        let before = tags.len();
        tags.retain(|tag| tag.tag != *held);
        if tags.is_empty() || tags.len() == before {
            return Some(Landed::Refused(refused.why));
        }
        self.0.push(refused);
        None
    }
}

/// What a manifest that was not taken makes of its image.
fn left_out(taken: ManifestTaken) -> Landed {
    match taken {
        ManifestTaken::Incomplete(findings) => Landed::Incomplete(findings),
        ManifestTaken::Refused(why) => Landed::Refused(why),
        ManifestTaken::Held(tag) => Landed::Refused(RefusedTag::held(&tag).why),
        ManifestTaken::Whole { .. } => Landed::nothing(),
    }
}

impl Sink for LocalSink {
    async fn tags(&self, repository: &RepositoryName) -> Result<BTreeMap<String, TagHere>, Trouble> {
        let tags = self.adopter.tags(repository).await.map_err(Trouble::of)?;
        let here = tags.into_iter().map(|tag| {
            let imported = Some(tag.is_imported());
            (tag.tag, TagHere { digest: tag.digest, moved_ms: Some(tag.moved_ms), imported })
        });
        Ok(here.collect())
    }

    async fn repositories(&self) -> Result<Vec<RepositoryName>, Trouble> {
        self.adopter.repositories().await.map_err(Trouble::of)
    }

    fn takes_partial(&self, repository: &RepositoryName) -> bool {
        self.adopter.takes_partial(repository)
    }

    async fn holds(&self, repository: &RepositoryName, root: &Digest) -> Result<bool, Trouble> {
        self.adopter.holds_manifest(repository, root).await.map_err(Trouble::of)
    }

    async fn bring<O: Origin>(&self, origin: &O, place: &Place, blob: &Blob) -> Result<Brought, Trouble> {
        if self.is_sound(&blob.digest) {
            return Ok(Brought::Known);
        }
        if self.adopter.holds_blob(&blob.digest).await.map_err(Trouble::of)? {
            self.note_sound(&blob.digest);
            return Ok(Brought::Already);
        }
        match origin.blob(place, blob).await? {
            Look::Whole(bytes) => self.take(blob, bytes).await,
            Look::Broken(problem) => Ok(Brought::Broken(problem)),
        }
    }

    async fn land(&self, repository: &RepositoryName, images: Vec<Image>) -> Result<Vec<Landed>, Trouble> {
        let missing = self.link_all(repository, &images).await?;
        if !missing.is_empty() {
            // Something took them away between their coming and now; the walk of each image says which it needs.
            tracing::warn!(%repository, blobs = missing.len(), "blobs that were brought are not sound any more");
        }
        let count = images.len();
        let mut done: HashMap<usize, Landed> = HashMap::with_capacity(count);
        let mut under_way = stream::iter(images.into_iter().enumerate())
            .map(|(number, image)| async move { (number, self.commit(repository, image).await) })
            .buffer_unordered(COMMITS_AT_ONCE);
        while let Some((number, landed)) = under_way.next().await {
            done.insert(number, landed?);
        }
        Ok((0..count).filter_map(|number| done.remove(&number)).collect())
    }
}

fn means(how: AdoptedBy) -> Means {
    match how {
        AdoptedBy::Reflinked => Means::Reflinked,
        AdoptedBy::Hardlinked => Means::Hardlinked,
        AdoptedBy::Copied => Means::Copied,
    }
}

fn differs(blob: &Blob, computed: &Digest, size: u64) -> Problem {
    let kind = match size.cmp(&blob.size) {
        std::cmp::Ordering::Less => FindingKind::BlobTruncated,
        std::cmp::Ordering::Greater => FindingKind::BlobSizeMismatch,
        std::cmp::Ordering::Equal => {
            return Problem::new(FindingKind::BlobCorrupt, format!("its bytes hash to {computed}"));
        }
    };
    Problem::new(kind, format!("the descriptor says {} bytes, {size} are there", blob.size))
}
