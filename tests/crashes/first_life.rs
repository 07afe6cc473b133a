//! A client of the registry as a library, pushing until its disk is gone; never a look at what was kept.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use mcr_access::{AccountKind, Action, Builtins, Identity, Permit, Policy, decide};
use mcr_oci::{Digest, Reference, RepositoryName, Tag, media_type};
use mcr_registry::{Body, BodyLost, Chunk, Error, PushManifest, Registry};
use mcr_tests::{Blob, Image, Index, Random};

/// What a registry said 201 to.
#[derive(Debug, Default)]
pub(crate) struct Acknowledged {
    /// By repository and digest.
    pub(crate) manifests: Vec<(String, Digest)>,
    /// Likewise.
    pub(crate) blobs: Vec<(String, Blob)>,
    /// Where each tag was put last; each client has its own.
    pub(crate) tags: BTreeMap<(String, String), Digest>,
}

/// A permit of the administrator.
pub(crate) fn permit<A: Action>(repository: &str) -> Permit<A> {
    let admin = Identity::new("admin", AccountKind::Human, true, None);
    let policy = Policy::new(&Builtins::everything(), Vec::new());
    decide(&policy, &admin, &RepositoryName::parse(repository).unwrap()).unwrap()
}

/// A body in frames.
pub(crate) struct Frames(std::vec::IntoIter<Bytes>);

impl Frames {
    fn of(bytes: &[u8], size: usize) -> Self {
        let frames: Vec<Bytes> = bytes.chunks(size.max(1)).map(Bytes::copy_from_slice).collect();
        Self(frames.into_iter())
    }
}

impl Body for Frames {
    async fn next(&mut self) -> Option<Result<Bytes, BodyLost>> {
        // Somebody else's turn, as between frames from a socket.
        tokio::task::yield_now().await;
        self.0.next().map(Ok)
    }
}

fn chunk(bytes: &[u8], announced: bool) -> Chunk<Frames> {
    let length = announced.then_some(u64::try_from(bytes.len()).unwrap());
    Chunk { range: None, length, body: Frames::of(bytes, 10_000) }
}

/// One of the clients of a registry.
pub(crate) struct FirstLife {
    registry: Registry,
    acknowledged: Arc<Mutex<Acknowledged>>,
    random: Random,
    number: usize,
    /// Layers that all clients use, so that pushes of one digest meet.
    shared: Vec<Blob>,
}

impl FirstLife {
    pub(crate) fn new(
        registry: Registry,
        acknowledged: Arc<Mutex<Acknowledged>>,
        random: Random,
        number: usize,
    ) -> Self {
        let mut same = Random::new(430);
        let shared = (0..5).map(|size| Blob::random(&mut same, 500 + size * 90_000)).collect();
        Self { registry, acknowledged, random, number, shared }
    }

    /// Pushes an image or an index under one of this client's tags.
    pub(crate) async fn push(&mut self) -> Result<(), Error> {
        let repository = format!("team/{}", self.random.below(2));
        let tag = format!("c{}-t{}", self.number, self.random.below(4));
        if !self.random.once_in(4) {
            let image = self.image("amd64");
            self.push_blobs(&repository, &image).await?;
            return self.put(&repository, Some(tag), &image.manifest, media_type::OCI_MANIFEST).await;
        }
        let index = Index::over(vec![self.image("amd64"), self.image("arm64")]);
        for image in &index.images {
            self.push_blobs(&repository, image).await?;
            self.put(&repository, None, &image.manifest, media_type::OCI_MANIFEST).await?;
        }
        self.put(&repository, Some(tag), &index.manifest, media_type::OCI_INDEX).await
    }

    fn image(&mut self, architecture: &str) -> Image {
        let length = if self.random.once_in(5) { 300_000 } else { 1 + self.random.below(30_000) };
        let own = Blob::random(&mut self.random, length);
        Image::over(architecture, vec![self.random.pick(&self.shared).clone(), own])
    }

    async fn push_blobs(&mut self, repository: &str, image: &Image) -> Result<(), Error> {
        for blob in image.blobs() {
            // As clients do: what is there is not sent again, and that promise must hold as well.
            match self.registry.blob_info(&permit(repository), &blob.digest).await {
                Ok(_) => {}
                Err(Error::BlobUnknown { .. } | Error::NameUnknown(_)) => self.push_blob(repository, blob).await?,
                Err(error) => return Err(error),
            }
            self.acknowledged.lock().unwrap().blobs.push((repository.to_owned(), blob.clone()));
        }
        Ok(())
    }

    async fn push_blob(&mut self, repository: &str, blob: &Blob) -> Result<(), Error> {
        let (registry, permit) = (&self.registry, permit(repository));
        match self.random.below(4) {
            0 => {
                let from = self::permit(&format!("team/{}", self.random.below(2)));
                if registry.mount(&permit, &from, &blob.digest).await?.is_none() {
                    registry.upload_whole(&permit, chunk(&blob.bytes, true), blob.digest.clone()).await?;
                }
            }
            1 => {
                registry.upload_whole(&permit, chunk(&blob.bytes, true), blob.digest.clone()).await?;
            }
            way => {
                let session = registry.begin_upload(&permit).await?;
                let (first, rest) = blob.bytes.split_at(self.random.below(blob.size()));
                registry.append(&permit, &session.id, chunk(first, way == 2)).await?;
                registry.finish_upload(&permit, &session.id, chunk(rest, way == 2), blob.digest.clone()).await?;
            }
        }
        Ok(())
    }

    async fn put(&self, repository: &str, tag: Option<String>, manifest: &Blob, kind: &str) -> Result<(), Error> {
        let digest = manifest.digest.clone();
        let reference = match &tag {
            Some(tag) => Reference::Tag(Tag::parse(tag).unwrap()),
            None => Reference::Digest(digest.clone()),
        };
        let bytes = Bytes::copy_from_slice(&manifest.bytes);
        let push = PushManifest { reference, media_type: Some(kind.to_owned()), bytes, tags: Vec::new() };
        self.registry.push_manifest(&permit(repository), push).await?;
        let mut acknowledged = self.acknowledged.lock().unwrap();
        acknowledged.manifests.push((repository.to_owned(), digest.clone()));
        if let Some(tag) = tag {
            acknowledged.tags.insert((repository.to_owned(), tag), digest);
        }
        Ok(())
    }
}
