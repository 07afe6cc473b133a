//! Tests of saving: what is taken of an index, and what ends it between the plan and the last byte.

use std::collections::HashMap;
use std::sync::Mutex;

use futures_util::stream::{self, StreamExt as _};
use mcr_oci::{FindingKind, media_type};
use mcr_verifier::{Look, Problem};
use serde_json::{Value, json};

use super::shelf::Found;
use super::*;
use crate::origin::BlobBytes;

/// Images in memory, all of one repository.
#[derive(Debug, Default)]
struct Memory {
    root: Option<Digest>,
    manifests: HashMap<Digest, Bytes>,
    blobs: Mutex<HashMap<Digest, Bytes>>,
}

impl Memory {
    fn blob(&mut self, bytes: &str) -> Value {
        let digest = Digest::sha256(bytes.as_bytes());
        self.blobs.lock().unwrap().insert(digest.clone(), Bytes::copy_from_slice(bytes.as_bytes()));
        json!({"mediaType": "application/octet-stream", "digest": digest.as_str(), "size": bytes.len()})
    }

    fn manifest(&mut self, manifest: &Value, platform: Option<(&str, &str)>) -> Value {
        let bytes = manifest.to_string();
        let digest = Digest::sha256(bytes.as_bytes());
        let mut descriptor =
            json!({"mediaType": manifest["mediaType"], "digest": digest.as_str(), "size": bytes.len()});
        if let Some((os, architecture)) = platform {
            descriptor["platform"] = json!({"os": os, "architecture": architecture});
        }
        self.root = Some(digest.clone());
        self.manifests.insert(digest, bytes.into());
        descriptor
    }

    /// An image that docker could load, of one layer.
    fn image(&mut self, os: &str, architecture: &str) -> Value {
        let layer = self.blob(&format!("layer for {architecture}"));
        let config = self.blob(&json!({"architecture": architecture, "rootfs": {"diff_ids": ["x"]}}).to_string());
        let image =
            json!({"schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": config, "layers": [layer]});
        self.manifest(&image, Some((os, architecture)))
    }

    fn index(&mut self, children: &[Value], platform: Option<(&str, &str)>) -> Value {
        let index = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": children});
        self.manifest(&index, platform)
    }
}

impl Shelf for Memory {
    async fn check(&self, _: &RepositoryName, _: &Reference, _: Option<&PlatformFilter>) -> Result<Found, Trouble> {
        Ok(Found { digest: self.root.clone(), findings: Vec::new() })
    }

    async fn manifest(&self, _: &RepositoryName, digest: &Digest) -> Result<Option<(Option<String>, Bytes)>, Trouble> {
        Ok(self.manifests.get(digest).map(|bytes| (None, bytes.clone())))
    }

    async fn blob(&self, _: &RepositoryName, digest: &Digest, _: u64) -> Result<Look<BlobBytes>, Trouble> {
        Ok(match self.blobs.lock().unwrap().get(digest).cloned() {
            Some(bytes) => Look::Whole(BlobBytes::Stream(stream::iter([Ok(bytes)]).boxed())),
            None => Look::Broken(Problem::bare(FindingKind::BlobMissing)),
        })
    }
}

fn choice(only: Option<&str>) -> Choice {
    let docker = PlatformFilter::of("linux", "amd64");
    Choice { only: only.map(|only| PlatformFilter::parse(only).unwrap()), docker }
}

async fn planned(memory: Memory, only: Option<&str>) -> Result<(Arc<Memory>, Plan<Memory>), SaveError> {
    let shelf = Arc::new(memory);
    let wanted = Wanted {
        shelf: Arc::clone(&shelf),
        repository: "a".parse().unwrap(),
        reference: "v1".parse().unwrap(),
        name: "host/a".to_owned(),
    };
    Ok((shelf, plan(vec![wanted], &choice(only)).await?))
}

/// The index's entry of this digest.
fn digest(descriptor: &Value) -> Digest {
    descriptor["digest"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn platforms_are_found_through_indexes_in_indexes() {
    let build = || {
        let mut memory = Memory::default();
        let (one, two) = (memory.image("linux", "amd64"), memory.image("linux", "arm64"));
        let unknown = memory.image("unknown", "unknown");
        let inner = memory.index(&[two.clone(), unknown.clone()], None);
        let outer = memory.index(&[inner, one.clone()], None);
        (memory, one, two, outer)
    };
    let (memory, one, _, outer) = build();
    let (_, plan) = planned(memory, None).await.unwrap();
    let image = &plan.images[0];
    assert_eq!((image.digest.clone(), image.note.clone()), (digest(&outer), None));
    assert!(image.image_id.is_some());
    assert_eq!(plan.blobs(), 5 + 6, "two indexes, three images, each with a config and a layer");
    drop(one);
    let (memory, _, two, _) = build();
    let (_, plan) = planned(memory, Some("linux/arm64")).await.unwrap();
    assert_eq!((plan.images[0].digest.clone(), plan.blobs()), (digest(&two), 3));
    let (memory, ..) = build();
    let refused = planned(memory, Some("linux/s390x")).await.unwrap_err();
    assert!(refused.to_string().contains("linux/amd64"), "{refused}");
}

#[tokio::test]
async fn docker_gets_the_only_image_there_is_or_a_note() {
    let mut memory = Memory::default();
    let (arm, attestation) = (memory.image("linux", "arm64"), memory.image("unknown", "unknown"));
    memory.index(&[arm, attestation], None);
    let (_, plan) = planned(memory, None).await.unwrap();
    assert!(plan.images[0].image_id.is_some());
    let mut memory = Memory::default();
    let children = [memory.image("linux", "arm64"), memory.image("windows", "amd64")];
    memory.index(&children, None);
    let (_, plan) = planned(memory, None).await.unwrap();
    assert!(plan.images[0].note.as_ref().is_some_and(|note| note.contains("--platform")), "{:?}", plan.images);
}

#[tokio::test]
async fn what_goes_or_rots_between_the_plan_and_the_last_byte_ends_it() {
    let never = || std::future::pending::<String>();
    for (change, kind) in [(None, FindingKind::BlobMissing), (Some("lAyer for amd64"), FindingKind::BlobCorrupt)] {
        let mut memory = Memory::default();
        memory.image("linux", "amd64");
        let (shelf, plan) = planned(memory, None).await.unwrap();
        let layer = Digest::sha256(b"layer for amd64");
        match change {
            None => drop(shelf.blobs.lock().unwrap().remove(&layer)),
            Some(bytes) => drop(shelf.blobs.lock().unwrap().insert(layer.clone(), Bytes::from(bytes))),
        }
        let SaveError::Unsound(findings) = write(plan, Vec::new(), &|_| (), never()).await.unwrap_err() else {
            panic!("it is unsound");
        };
        assert_eq!((findings[0].kind, findings[0].digest.as_ref()), (kind, Some(&layer)));
    }
}

#[tokio::test]
async fn whoever_writes_and_whoever_waits_may_end_it() {
    struct Full;
    impl io::Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let plan = async || {
        let mut memory = Memory::default();
        memory.image("linux", "amd64");
        planned(memory, None).await.unwrap().1
    };
    let full = write(plan().await, Full, &|_| (), std::future::pending()).await;
    assert!(matches!(full, Err(SaveError::Output(error)) if error.kind() == io::ErrorKind::StorageFull));
    let counted = std::sync::atomic::AtomicU64::new(0);
    let whole = plan().await;
    let bytes = whole.bytes();
    let count = |more| {
        counted.fetch_add(more, std::sync::atomic::Ordering::Relaxed);
    };
    let tar = write(whole, Vec::new(), &count, std::future::pending()).await.unwrap();
    assert_eq!((counted.into_inner(), tar.len() % 512), (bytes, 0));
    let mut archive = ::tar::Archive::new(&*tar);
    let names: Vec<String> =
        archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect();
    assert_eq!(names[..3], ["oci-layout", "index.json", "manifest.json"]);
}
