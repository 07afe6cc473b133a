//! An origin and a sink in memory, for tests of what goes between them; never a file or a request.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::stream::{self, StreamExt as _};
use mcr_oci::{Digest, Finding, Manifest, RepositoryName, media_type};
use mcr_verifier::{Look, Problem};
use serde_json::json;

use crate::origin::{Blob, BlobBytes, Closure, Loose, Origin, Piece, Place, Places, TagAt, Tags, Trouble, Untagged};
use crate::sink::{Brought, Image, Landed, Means, Sink, TagHere, TagMoved};

/// A whole image of one manifest, with a blob of its own.
pub(crate) fn image(name: &str, made_ms: Option<i64>) -> Closure {
    of_bytes(name, made_ms, 10)
}

/// The same, whose blob is said to be of `size` bytes.
pub(crate) fn of_bytes(blob: &str, created_ms: Option<i64>, size: u64) -> Closure {
    let layer = Digest::sha256(blob.as_bytes());
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": layer.as_str(), "size": size},
        "layers": [],
        "annotations": {"size": size.to_string()},
    });
    let bytes: Arc<[u8]> = manifest.to_string().into_bytes().into();
    let parsed = Manifest::parse(&bytes, Some(media_type::OCI_MANIFEST)).unwrap();
    let piece = Piece { digest: Digest::sha256(&bytes), bytes, manifest: Arc::new(parsed) };
    Closure { manifests: vec![piece], blobs: vec![Blob { digest: layer, size }], created_ms, ..Closure::default() }
}

pub(crate) fn root(closure: &Closure) -> Digest {
    closure.manifests.last().unwrap().digest.clone()
}

/// What an origin holds.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) places: Places,
    pub(crate) tags: HashMap<String, Tags>,
    pub(crate) closures: HashMap<Digest, Closure>,
    /// What refers to what; an origin that has some is asked by subject.
    pub(crate) referrers: HashMap<Digest, Vec<Digest>>,
    pub(crate) loose_findings: Vec<Finding>,
    /// Blobs whose bytes are none of that size.
    pub(crate) broken: HashMap<(Digest, u64), Problem>,
    pub(crate) walking: AtomicUsize,
    pub(crate) most_walking: AtomicUsize,
}

impl Memory {
    pub(crate) fn repository(&mut self, name: &str) {
        let here = RepositoryName::parse(name).unwrap();
        self.places.repositories.push(Place { here, there: name.to_owned(), registry: 0 });
        self.tags.entry(name.to_owned()).or_default();
    }

    pub(crate) fn tag(&mut self, repository: &str, tag: &str, closure: &Closure, at_ms: Option<i64>) {
        if !self.tags.contains_key(repository) {
            self.repository(repository);
        }
        let at = TagAt { tag: tag.parse().unwrap(), digest: root(closure), at_ms };
        self.tags.get_mut(repository).unwrap().tags.push(at);
        self.closures.insert(root(closure), closure.clone());
    }

    pub(crate) fn refers(&mut self, referrer: &Closure, subject: &Closure) {
        self.referrers.entry(root(subject)).or_default().push(root(referrer));
        self.closures.insert(root(referrer), referrer.clone());
    }
}

impl Origin for Memory {
    fn name(&self) -> &str {
        "memory"
    }

    async fn repositories(&self) -> Result<Places, Trouble> {
        Ok(self.places.clone())
    }

    async fn tags(&self, place: &Place) -> Result<Tags, Trouble> {
        Ok(self.tags.get(&place.there).cloned().unwrap_or_default())
    }

    async fn closure(&self, _: &Place, root: &Digest) -> Result<Closure, Trouble> {
        let walking = self.walking.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_walking.fetch_max(walking, Ordering::SeqCst);
        tokio::task::yield_now().await;
        self.walking.fetch_sub(1, Ordering::SeqCst);
        self.closures.get(root).cloned().ok_or_else(|| Trouble(format!("no {root}")))
    }

    fn asks_by_subject(&self) -> bool {
        true
    }

    async fn loose(&self, _: &Place, subjects: &[Digest]) -> Result<Untagged, Trouble> {
        let mut loose = Vec::new();
        for subject in subjects {
            for digest in self.referrers.get(subject).into_iter().flatten() {
                loose.push(Loose { digest: digest.clone(), subject: Some(subject.clone()) });
            }
        }
        Ok(Untagged { loose, findings: self.loose_findings.clone() })
    }

    async fn blob(&self, _: &Place, blob: &Blob) -> Result<Look<BlobBytes>, Trouble> {
        Ok(match self.broken.get(&(blob.digest.clone(), blob.size)) {
            Some(problem) => Look::Broken(problem.clone()),
            None => Look::Whole(BlobBytes::Stream(stream::empty().boxed())),
        })
    }
}

/// What a sink came to hold.
#[derive(Default)]
pub(crate) struct Shelf {
    pub(crate) tags: Mutex<BTreeMap<String, BTreeMap<String, TagHere>>>,
    pub(crate) held: Mutex<HashSet<Digest>>,
    /// The blobs that were brought, in order.
    pub(crate) brought: Mutex<Vec<Digest>>,
    /// Tags, or digests where there are none, in the order in which they landed.
    pub(crate) landed: Mutex<Vec<String>>,
    pub(crate) whole_only: bool,
}

impl Shelf {
    pub(crate) fn has(&self, repository: &str, tag: &str, digest: Digest, imported: bool, moved_ms: i64) {
        let at = TagHere { digest: digest.clone(), moved_ms: Some(moved_ms), imported: Some(imported) };
        self.tags.lock().unwrap().entry(repository.to_owned()).or_default().insert(tag.to_owned(), at);
        self.held.lock().unwrap().insert(digest);
    }

    pub(crate) fn landed(&self) -> Vec<String> {
        self.landed.lock().unwrap().clone()
    }
}

impl Sink for Shelf {
    async fn tags(&self, repository: &RepositoryName) -> Result<BTreeMap<String, TagHere>, Trouble> {
        Ok(self.tags.lock().unwrap().get(repository.as_str()).cloned().unwrap_or_default())
    }

    async fn repositories(&self) -> Result<Vec<RepositoryName>, Trouble> {
        Ok(self.tags.lock().unwrap().keys().map(|name| name.parse().unwrap()).collect())
    }

    fn takes_partial(&self, _: &RepositoryName) -> bool {
        !self.whole_only
    }

    async fn holds(&self, _: &RepositoryName, root: &Digest) -> Result<bool, Trouble> {
        Ok(self.held.lock().unwrap().contains(root))
    }

    async fn bring<O: Origin>(&self, origin: &O, place: &Place, blob: &Blob) -> Result<Brought, Trouble> {
        self.brought.lock().unwrap().push(blob.digest.clone());
        Ok(match origin.blob(place, blob).await? {
            Look::Whole(_) => Brought::Now(Means::Sent, blob.size),
            Look::Broken(problem) => Brought::Broken(problem),
        })
    }

    async fn land(&self, _: &RepositoryName, images: Vec<Image>) -> Result<Vec<Landed>, Trouble> {
        let land = |image: Image| {
            let root = image.manifests.last().unwrap().digest.clone();
            self.held.lock().unwrap().insert(root.clone());
            let mut landed = self.landed.lock().unwrap();
            landed.extend(image.tags.iter().map(|tag| tag.tag.to_string()));
            if image.tags.is_empty() {
                landed.push(root.to_string());
            }
            let moved = image.tags.iter().map(|tag| TagMoved { tag: tag.tag.to_string(), previous: None }).collect();
            Landed::Whole { moved, created: 1, refused: Vec::new() }
        };
        Ok(images.into_iter().map(land).collect())
    }
}
