//! The registry after a power loss, on what the disk kept: everything acknowledged and everything listed is read whole.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use mcr_access::{AccountKind, Identity};
use mcr_blobs::Disk;
use mcr_oci::{Digest, EdgeTarget, Manifest, Reference, Tag};
use mcr_registry::{Error, Reading, Registry};
use mcr_tests::Random;

use crate::first_life::{Acknowledged, FirstLife, permit};

pub(crate) struct SecondLife {
    registry: Registry,
}

impl SecondLife {
    /// Opens the registry again, on a disk that forgets nothing.
    pub(crate) fn begin(home: &Path) -> Self {
        Self { registry: crate::lost_writes::open(home, Disk::real()).unwrap() }
    }

    /// Insists that everything acknowledged can be read, and hashes.
    pub(crate) async fn assert_kept(&self, acknowledged: &Acknowledged) {
        for (repository, digest) in &acknowledged.manifests {
            self.assert_whole(repository, Reference::Digest(digest.clone())).await;
        }
        for (repository, blob) in &acknowledged.blobs {
            let bytes = self.blob(repository, &blob.digest).await.unwrap();
            assert!(bytes == blob.bytes, "{repository}@{}", blob.digest);
        }
        for ((repository, tag), digest) in &acknowledged.tags {
            let reference = Reference::Tag(Tag::parse(tag).unwrap());
            let served = self.registry.manifest(&permit(repository), reference, Reading::Get).await.unwrap();
            // A client has one push under way at most: its tag may be one step ahead of what it was told, and the
            // step itself is then whole.
            if served.manifest.digest != *digest {
                self.assert_whole(repository, Reference::Digest(served.manifest.digest.clone())).await;
            }
        }
    }

    /// Insists that every tag of every repository can be pulled whole.
    pub(crate) async fn assert_all_listed_whole(&self) {
        let admin = Identity::new("admin", AccountKind::Human, true, None);
        let (whole, shown) = (self.registry.permit_global(&admin).unwrap(), self.registry.visible(&admin));
        let page = self.registry.catalog(&whole, None, None, shown).await.unwrap();
        for repository in page.names {
            let listed = self.registry.tags(&permit(&repository), None, None).await.unwrap();
            for tag in listed.tags {
                self.assert_whole(&repository, Reference::Tag(Tag::parse(&tag).unwrap())).await;
            }
        }
    }

    /// Insists that pushes work.
    pub(crate) async fn assert_goes_on(&self, random: &mut Random) {
        let acknowledged = Arc::new(Mutex::new(Acknowledged::default()));
        let mut client = FirstLife::new(self.registry.clone(), Arc::clone(&acknowledged), random.fork(9), 9);
        for _ in 0..3 {
            client.push().await.unwrap();
        }
        let acknowledged = std::mem::take(&mut *acknowledged.lock().unwrap());
        self.assert_kept(&acknowledged).await;
    }

    async fn assert_whole(&self, repository: &str, root: Reference) {
        let mut seen = BTreeSet::new();
        let mut waiting = vec![root];
        while let Some(reference) = waiting.pop() {
            let served = self.registry.manifest(&permit(repository), reference.clone(), Reading::Get).await;
            let served = served.unwrap_or_else(|error| panic!("{repository} {reference:?}: {error}"));
            assert!(served.warning.is_none(), "{repository} {reference:?}: {:?}", served.warning);
            let manifest = &served.manifest;
            assert_eq!(Digest::sha256(&manifest.bytes), manifest.digest);
            let parsed = Manifest::parse(&manifest.bytes, Some(&manifest.media_type)).unwrap();
            for edge in parsed.edges {
                let digest = edge.descriptor.digest.clone();
                if !seen.insert(digest.clone()) {
                    continue;
                }
                if edge.target() == EdgeTarget::Manifest {
                    waiting.push(Reference::Digest(digest));
                } else {
                    let bytes = self.blob(repository, &digest).await;
                    let bytes = bytes.unwrap_or_else(|error| panic!("{repository} {reference:?}, {digest}: {error}"));
                    assert_eq!(Digest::of(digest.algorithm(), &bytes), digest, "{repository} {reference:?}");
                }
            }
        }
    }

    async fn blob(&self, repository: &str, digest: &Digest) -> Result<Vec<u8>, Error> {
        let mut body = self.registry.open_blob(&permit(repository), digest, None).await?.body;
        let mut bytes = Vec::new();
        while let Some(piece) = std::future::poll_fn(|context| body.poll_next(context)).await {
            bytes.extend_from_slice(&piece?);
        }
        Ok(bytes)
    }
}
