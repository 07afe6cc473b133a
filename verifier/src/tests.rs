//! The walk over closures in memory, sound and damaged in every way; never a real registry.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::FutureExt as _;
use mcr_oci::{Descriptor, Digest, FindingKind, Manifest, media_type};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{
    Absence, Limits, Look, Options, PlatformFilter, Problem, Report, Root, Source, StoredBlob, StoredManifest, walk,
};

#[derive(Default)]
struct Memory {
    manifests: HashMap<Digest, (String, Vec<u8>)>,
    blobs: HashMap<Digest, u64>,
    asked: Mutex<HashMap<Digest, usize>>,
    running: AtomicUsize,
    most: AtomicUsize,
}

impl Memory {
    async fn note(&self, digest: &Digest) {
        *self.asked.lock().unwrap().entry(digest.clone()).or_default() += 1;
        let now = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        yielding::Once(false).await;
        self.running.fetch_sub(1, Ordering::SeqCst);
    }

    fn put_blob(&mut self, content: &str, kind: &str) -> Value {
        let digest = Digest::sha256(content.as_bytes());
        self.blobs.insert(digest.clone(), content.len() as u64);
        json!({ "mediaType": kind, "digest": digest.as_str(), "size": content.len() })
    }

    fn put_manifest(&mut self, value: &Value) -> Value {
        let bytes = value.to_string().into_bytes();
        let digest = Digest::sha256(&bytes);
        let kind = value["mediaType"].as_str().unwrap().to_owned();
        let descriptor = json!({ "mediaType": kind, "digest": digest.as_str(), "size": bytes.len() });
        self.manifests.insert(digest, (kind, bytes));
        descriptor
    }

    fn image(&mut self, name: &str) -> Value {
        let config = self.put_blob(&format!("config of {name}"), "application/vnd.oci.image.config.v1+json");
        let shared = self.put_blob("a layer of all images", "application/vnd.oci.image.layer.v1.tar");
        let own = self.put_blob(&format!("layer of {name}"), "application/vnd.oci.image.layer.v1.tar");
        self.put_manifest(&json!({
            "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": config, "layers": [shared, own]
        }))
    }

    fn index(&mut self, children: &[Value]) -> Value {
        self.put_manifest(&json!({ "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": children }))
    }
}

/// One turn of the executor, so that looks really overlap.
mod yielding {
    use std::pin::Pin;
    use std::task::{Context, Poll};

    pub(super) struct Once(pub(super) bool);
    impl Future for Once {
        type Output = ();
        fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
            if std::mem::replace(&mut self.0, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        }
    }
}

impl Source for Memory {
    type Error = Infallible;

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Look<StoredManifest>, Infallible> {
        self.note(&descriptor.digest).await;
        Ok(match self.manifests.get(&descriptor.digest) {
            None => Look::Broken(Problem::bare(FindingKind::ManifestMissing)),
            Some((kind, bytes)) => {
                Look::Whole(StoredManifest { media_type: Some(kind.clone()), bytes: Arc::from(bytes.as_slice()) })
            }
        })
    }

    async fn blob(&self, descriptor: &Descriptor) -> Result<Look<StoredBlob>, Infallible> {
        self.note(&descriptor.digest).await;
        Ok(match self.blobs.get(&descriptor.digest) {
            None => Look::Broken(Problem::bare(FindingKind::BlobMissing)),
            Some(size) => Look::Whole(StoredBlob { size: *size }),
        })
    }
}

fn named(descriptor: &Value) -> Root {
    let digest = digest_of(descriptor);
    Root::Named(Box::new(Descriptor::new(
        descriptor["mediaType"].as_str().unwrap(),
        digest,
        descriptor["size"].as_u64().unwrap(),
    )))
}

fn digest_of(descriptor: &Value) -> Digest {
    Digest::parse(descriptor["digest"].as_str().unwrap()).unwrap()
}

fn walked(root: &Root, memory: &Memory, options: &Options) -> Report {
    let mut future = Box::pin(walk(root, memory, options));
    // The looks only ever yield: polling again and again is a whole executor here.
    loop {
        if let Some(report) = (&mut future).now_or_never() {
            return report.unwrap();
        }
    }
}

fn found(report: &Report) -> Vec<(FindingKind, Digest)> {
    report.findings.iter().map(|l| (l.finding.kind, l.finding.digest.clone().unwrap())).collect()
}

#[test]
fn a_whole_index_is_sound_and_each_digest_is_asked_for_once() {
    let mut memory = Memory::default();
    let children = [memory.image("amd64"), memory.image("arm64")];
    let index = memory.index(&children);
    let report = walked(&named(&index), &memory, &Options::default());
    assert!(report.is_sound(), "{:?}", report.findings);
    assert_eq!((report.checked.indexes, report.checked.manifests), (1, 2));
    assert_eq!((report.checked.configs, report.checked.layers), (2, 3));
    assert!(memory.asked.lock().unwrap().values().all(|n| *n == 1));
}

#[test]
fn every_missing_piece_is_named_with_its_path() {
    let mut memory = Memory::default();
    let (whole, broken, gone) = (memory.image("a"), memory.image("b"), memory.image("c"));
    let index = memory.index(&[whole, broken.clone(), gone.clone()]);
    let layer = Digest::sha256(b"layer of b");
    memory.blobs.remove(&layer);
    memory.manifests.remove(&digest_of(&gone));
    let report = walked(&named(&index), &memory, &Options::default());
    assert_eq!(found(&report), [(FindingKind::BlobMissing, layer), (FindingKind::ManifestMissing, digest_of(&gone))]);
    assert_eq!(report.findings[0].finding.path, [digest_of(&index), digest_of(&broken)]);
    assert_eq!(report.findings[1].finding.path, [digest_of(&index)]);
}

#[test]
fn a_shared_broken_layer_is_reported_on_every_path_and_looked_at_once() {
    let mut memory = Memory::default();
    let children = [memory.image("a"), memory.image("b")];
    let index = memory.index(&children);
    let shared = Digest::sha256(b"a layer of all images");
    memory.blobs.remove(&shared);
    let report = walked(&named(&index), &memory, &Options::default());
    assert_eq!(report.findings.len(), 2);
    assert_eq!(memory.asked.lock().unwrap()[&shared], 1);
}

#[test]
fn sizes_types_and_bytes_that_differ_are_findings() {
    let mut memory = Memory::default();
    let image = memory.image("a");
    memory.blobs.insert(Digest::sha256(b"layer of a"), 7);
    let mut wrong_type = memory.image("b");
    wrong_type["mediaType"] = json!(media_type::DOCKER_MANIFEST);
    let mut wrong_size = memory.image("c");
    wrong_size["size"] = json!(3);
    let rotten = memory.image("d");
    memory.manifests.get_mut(&digest_of(&rotten)).unwrap().1.push(b' ');
    let index = memory.index(&[image, wrong_type, wrong_size, rotten]);
    let kinds: Vec<_> = found(&walked(&named(&index), &memory, &Options::default())).into_iter().map(|f| f.0).collect();
    assert_eq!(
        kinds,
        [
            FindingKind::BlobSizeMismatch,
            FindingKind::ManifestInvalid,
            FindingKind::BlobSizeMismatch,
            FindingKind::ManifestCorrupt
        ]
    );
}

#[test]
fn what_is_absent_rightly_is_skipped() {
    let mut memory = Memory::default();
    let config = memory.put_blob("c", "application/vnd.oci.image.config.v1+json");
    let foreign = json!({
        "mediaType": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "digest": Digest::sha256(b"elsewhere").as_str(), "size": 1
    });
    let image = memory.put_manifest(&json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": config, "layers": [foreign],
        "subject": { "mediaType": media_type::OCI_MANIFEST, "digest": Digest::sha256(b"nowhere").as_str(), "size": 9 }
    }));
    let report = walked(&named(&image), &memory, &Options::default());
    assert!(report.is_sound());
    assert_eq!(report.skipped.len(), 1);
}

#[test]
fn a_sparse_index_may_lack_children_but_not_their_layers() {
    let mut memory = Memory::default();
    let (here, absent) = (memory.image("a"), memory.image("b"));
    let index = memory.index(&[here, absent.clone()]);
    memory.manifests.remove(&digest_of(&absent));
    let sparse = Options { absence: Absence::OfChildrenAllowed, ..Options::default() };
    assert!(walked(&named(&index), &memory, &sparse).is_sound());
    memory.blobs.remove(&Digest::sha256(b"config of a"));
    assert_eq!(found(&walked(&named(&index), &memory, &sparse))[0].0, FindingKind::BlobMissing);
}

#[test]
fn a_child_of_another_type_may_be_a_blob_or_a_manifest() {
    let mut memory = Memory::default();
    let layer = memory.put_blob("cached", "application/vnd.oci.image.layer.v1.tar+gzip");
    let odd = {
        let mut image = memory.image("odd");
        image["mediaType"] = json!("application/vnd.example.unknown");
        image
    };
    let index = memory.index(&[layer]);
    assert!(walked(&named(&index), &memory, &Options::default()).is_sound());
    let index = memory.index(&[odd]);
    let report = walked(&named(&index), &memory, &Options::default());
    assert_eq!(found(&report).into_iter().map(|f| f.0).collect::<Vec<_>>(), [FindingKind::ManifestInvalid]);
}

#[test]
fn jobs_bound_what_runs_at_once() {
    let mut memory = Memory::default();
    let children: Vec<_> = (0..20).map(|n| memory.image(&n.to_string())).collect();
    let index = memory.index(&children);
    walked(&named(&index), &memory, &Options { jobs: 3, ..Options::default() });
    let most = memory.most.load(Ordering::SeqCst);
    assert!((2..=3).contains(&most), "{most}");
}

#[test]
fn nesting_and_findings_are_bounded() {
    let mut memory = Memory::default();
    let mut level = [memory.image("left"), memory.image("right")];
    for floor in 0..20 {
        // Two indexes over the same two: without a bound there are a million paths to the bottom.
        level = ["left", "right"].map(|side| {
            memory.put_manifest(&json!({
                "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": level,
                "annotations": { "place": format!("{side} {floor}") }
            }))
        });
    }
    let tower = memory.index(&level);
    memory.blobs.remove(&Digest::sha256(b"a layer of all images"));
    let limits = Limits { findings: 100, ..Limits::default() };
    let report = walked(&named(&tower), &memory, &Options { limits, ..Options::default() });
    assert!(report.findings_cut && report.findings.len() == 100);
    let shallow = Limits { depth: 5, ..Limits::default() };
    let report = walked(&named(&tower), &memory, &Options { limits: shallow, ..Options::default() });
    assert!(report.findings.iter().all(|l| l.finding.kind == FindingKind::ManifestInvalid));
}

#[test]
fn a_pushed_root_is_walked_without_being_asked_for() {
    let mut memory = Memory::default();
    let image = memory.image("a");
    let digest = digest_of(&image);
    let (kind, bytes) = memory.manifests.remove(&digest).unwrap();
    let manifest = Arc::new(Manifest::parse(&bytes, Some(&kind)).unwrap());
    let root = Root::Parsed { digest: digest.clone(), manifest, size: bytes.len() as u64 };
    assert!(walked(&root, &memory, &Options::default()).is_sound());
    assert!(!memory.asked.lock().unwrap().contains_key(&digest));
}

#[test]
fn walks_of_one_repository_share_what_they_looked_at() {
    let mut memory = Memory::default();
    let shared = memory.image("amd64");
    let (sound, broken) = (memory.image("arm64"), memory.image("s390x"));
    let lost = memory.manifests[&digest_of(&broken)].1.clone();
    let lost: Value = serde_json::from_slice(&lost).unwrap();
    let lost = digest_of(&lost["layers"][1]);
    memory.blobs.remove(&lost);
    let first = memory.index(&[shared.clone(), sound.clone()]);
    let second = memory.index(&[shared.clone(), broken.clone()]);
    let roots = [named(&first), named(&second), named(&shared)];
    let mut known = crate::Memory::default();
    let walked = |roots: &[Root], known: &mut crate::Memory| {
        let options = Options::default();
        let mut future = Box::pin(crate::walk_all(roots, &memory, &options, known));
        loop {
            if let Some(reports) = (&mut future).now_or_never() {
                drop(future);
                let reports = reports.unwrap();
                reports.iter().for_each(|report| known.forget_sound(report));
                return reports;
            }
        }
    };
    let reports = walked(&roots, &mut known);
    assert!(reports[0].is_sound() && reports[2].is_sound());
    assert_eq!(found(&reports[1]), [(FindingKind::BlobMissing, lost.clone())]);
    // A second round asks nothing, and says the same, sound subtrees remembered without their edges.
    let again = walked(&[named(&second), named(&broken), named(&first)], &mut known);
    assert_eq!(found(&again[0]), [(FindingKind::BlobMissing, lost.clone())]);
    assert_eq!(again[0].findings[0].finding.path, [digest_of(&second), digest_of(&broken)]);
    assert_eq!(found(&again[1]), [(FindingKind::BlobMissing, lost)]);
    assert!(again[2].is_sound());
    assert_eq!((known.indexes(), known.manifest(&digest_of(&first))), (2, None));
    assert!(known.manifest(&digest_of(&second)).is_some());
    assert!(memory.asked.lock().unwrap().values().all(|asked| *asked == 1));
}

#[test]
fn a_cache_may_lack_anything_but_the_root() {
    let mut memory = Memory::default();
    let image = memory.image("amd64");
    let index = memory.index(std::slice::from_ref(&image));
    memory.blobs.clear();
    let options = Options { absence: Absence::Allowed, ..Options::default() };
    let report = walked(&named(&index), &memory, &options);
    assert!(report.is_sound(), "{:?}", report.findings);
    assert_eq!(report.skipped.len(), 3);
    memory.manifests.clear();
    assert_eq!(found(&walked(&named(&index), &memory, &options)), [(FindingKind::ManifestMissing, digest_of(&index))]);
}

#[test]
fn only_the_platforms_asked_for_are_looked_at() {
    let mut memory = Memory::default();
    let (mut here, mut there) = (memory.image("amd64"), memory.image("arm64"));
    here["platform"] = json!({ "os": "linux", "architecture": "amd64" });
    there["platform"] = json!({ "os": "linux", "architecture": "arm64", "variant": "v8" });
    memory.manifests.remove(&digest_of(&there));
    let index = memory.index(&[here, there]);
    for (filter, findings) in [("linux/amd64", 0), ("linux/arm64", 1), ("linux/arm64/v8", 1), ("linux/arm64/v7", 0)] {
        let options = Options { platform: PlatformFilter::parse(filter), ..Options::default() };
        let report = walked(&named(&index), &memory, &options);
        assert_eq!(report.findings.len(), findings, "{filter}");
    }
    for bad in ["", "linux", "linux/", "/amd64", "a/b/", "a/b/c/d"] {
        assert_eq!(PlatformFilter::parse(bad), None, "{bad}");
    }
}

proptest! {
    #[test]
    fn exactly_what_was_removed_is_reported(images in 1_usize..6, removed in proptest::collection::vec((0_usize..6, 0_usize..3), 0..4)) {
        let mut memory = Memory::default();
        let children: Vec<_> = (0..images).map(|n| memory.image(&n.to_string())).collect();
        let index = memory.index(&children);
        let mut expected = std::collections::BTreeSet::new();
        for (image, piece) in removed {
            let n = image % images;
            let digest = match piece {
                0 => Digest::sha256(format!("config of {n}").as_bytes()),
                1 => Digest::sha256(format!("layer of {n}").as_bytes()),
                _ => Digest::sha256(b"a layer of all images"),
            };
            memory.blobs.remove(&digest);
            expected.insert(digest);
        }
        let report = walked(&named(&index), &memory, &Options::default());
        let reported: std::collections::BTreeSet<_> = found(&report).into_iter().map(|f| f.1).collect();
        prop_assert_eq!(reported, expected);
    }
}
