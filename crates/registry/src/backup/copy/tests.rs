//! Tests of copies: what cannot be read does not end them, what is damaged there is healed, and they end when asked.

#![expect(clippy::disallowed_methods, reason = "tests damage files behind the program's back")]

use std::fs;

use mcr_metadata::take_snapshot;
use mcr_oci::Digest;

use super::*;
use crate::testing::{Bed, NOW};

/// A registry of some blobs, a snapshot of it, and a place for copies.
struct Scene {
    bed: Bed,
    blobs: Vec<Digest>,
    request: CopyRequest,
}

async fn scene() -> Scene {
    let bed = Bed::new();
    let mut blobs = Vec::new();
    let length = usize::try_from(fs::metadata(tempfile::tempdir().unwrap().path()).unwrap().len()).unwrap();
    for (content, tag) in [("one", "1"), ("2".repeat(length).as_str(), "2"), ("three", "3"), ("four", "4")] {
        bed.push("a/b", content, tag).await;
        blobs.push(Digest::sha256(content.as_bytes()));
    }
    let folder = SnapshotFolder::beside(&bed.database());
    let snapshot = take_snapshot(&bed.database(), &folder, NOW).unwrap().file.path;
    let root = bed.directory.path();
    let (layers, directory) = (root.join("layers"), root.join("copy"));
    Scene { request: CopyRequest { snapshot, layers, directory, keep: 14, deep: false }, bed, blobs }
}

impl Scene {
    fn copy(&self, deep: bool) -> Result<CopyReport, BackupError> {
        copy_to(&CopyRequest { deep, ..self.request.clone() }, &Progress::default())
    }

    fn check(&self) -> Vec<(FindingKind, Option<Digest>)> {
        let directory = &self.request.directory;
        let snapshot = directory.join(self.request.snapshot.file_name().unwrap());
        let report = super::super::check(&snapshot, directory, &Progress::default()).unwrap();
        report.judgement.findings.into_iter().map(|finding| (finding.kind, finding.digest)).collect()
    }
}

fn blob(directory: &Path, digest: &Digest) -> PathBuf {
    directory.join("sha256").join(&digest.hex()[..2]).join(digest.hex())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_cannot_be_read_is_told_and_the_others_are_copied() {
    let scene = scene().await;
    let lost = &scene.blobs[1];
    // As long as a directory: reading one fails, for root as well, and is no "nothing is there".
    let (path, aside) = (blob(&scene.request.layers, lost), scene.request.layers.join("aside"));
    fs::rename(&path, &aside).unwrap();
    fs::create_dir(&path).unwrap();
    let report = scene.copy(false).unwrap();
    assert_eq!((report.copied, report.blobs), (3, 4));
    let [finding] = report.judgement.findings.as_slice() else { panic!("{:?}", report.judgement) };
    assert_eq!((finding.kind, finding.digest.as_ref()), (FindingKind::Unreachable, Some(lost)), "never missing");
    assert!(report.snapshot.exists(), "the snapshot is there, so that what was copied is of use");
    let live =
        super::super::check(&scene.request.snapshot, &scene.request.layers, &Progress::default()).unwrap().judgement;
    assert_eq!(live.findings.iter().map(|finding| finding.kind).collect::<Vec<_>>(), [FindingKind::Unreachable]);
    assert_eq!(scene.check(), [(FindingKind::BlobMissing, Some(lost.clone()))]);
    fs::remove_dir(&path).unwrap();
    fs::rename(&aside, &path).unwrap();
    let report = scene.copy(false).unwrap();
    assert_eq!((report.copied, report.present, report.judgement.findings_total), (1, 3, 0));
    assert_eq!(scene.check(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_goes_meanwhile_has_lost_nothing() {
    let scene = scene().await;
    let layers = &scene.request.layers;
    let opened = Snapshot::open(&scene.request.snapshot).unwrap();
    let id = opened.registry_id().unwrap().unwrap();
    fs::remove_file(layers.join("mcr-registry-id")).unwrap();
    fs::remove_file(blob(layers, &scene.blobs[0])).unwrap();
    assert!(matches!(present(&ReadOnly::new(layers), layers, &id), Err(BackupError::Refused(_))));
    assert!(matches!(scene.copy(false), Err(BackupError::Refused(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_copy_is_replaced_when_the_copies_are_read() {
    let scene = scene().await;
    scene.copy(false).unwrap();
    let rotten = &scene.blobs[2];
    let copy = blob(&scene.request.directory, rotten);
    fs::write(&copy, "thrEe").unwrap();
    let report = scene.copy(false).unwrap();
    assert_eq!((report.present, report.reread, report.healed), (4, 0, 0), "the length alone is believed");
    assert_eq!(scene.check(), [(FindingKind::BlobCorrupt, Some(rotten.clone()))]);
    let report = scene.copy(true).unwrap();
    assert_eq!((report.present, report.reread, report.copied, report.healed), (3, 3, 1, 1));
    assert_eq!((report.judgement.findings_total, scene.check()), (0, Vec::new()));
    assert_eq!(fs::read(&copy).unwrap(), b"three");
    // Where the registry has lost it too, that is told, and what is there stays for whoever looks into it.
    fs::write(&copy, "thrEe").unwrap();
    fs::remove_file(blob(&scene.request.layers, rotten)).unwrap();
    let report = scene.copy(true).unwrap();
    let [finding] = report.judgement.findings.as_slice() else { panic!("{:?}", report.judgement) };
    assert_eq!((finding.kind, finding.digest.as_ref()), (FindingKind::BlobCorrupt, Some(rotten)));
    assert_eq!((report.healed, fs::read(&copy).unwrap()), (0, b"thrEe".to_vec()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_ends_when_it_is_asked_to() {
    let scene = scene().await;
    let progress = Progress::default();
    progress.stop();
    assert!(matches!(copy_to(&scene.request, &progress), Err(BackupError::Stopped)));
    let named = fs::read_dir(&scene.request.directory).unwrap().flatten();
    let snapshots = named.filter(|entry| entry.file_name().to_string_lossy().starts_with("mcr-2")).count();
    assert_eq!(snapshots, 0, "a snapshot stands there only when its blobs do");
    let checked = super::super::check(&scene.request.snapshot, &scene.request.layers, &progress);
    assert!(matches!(checked, Err(BackupError::Stopped)));
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_among_what_they_are_copies_of_are_refused() {
    let scene = scene().await;
    for inside in [scene.request.layers.join("copy"), scene.bed.directory.path().to_owned()] {
        let request = CopyRequest { directory: inside.clone(), ..scene.request.clone() };
        let refused = copy_to(&request, &Progress::default()).unwrap_err().to_string();
        assert!(refused.contains("lie one in the other"), "{}: {refused}", inside.display());
    }
}
