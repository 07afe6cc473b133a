//! Tests of what a restore changes before it fails or refuses, and of what it says of that.

#![expect(clippy::disallowed_methods, reason = "tests damage files behind the program's back")]

use std::collections::BTreeMap;
use std::fs;

use mcr_metadata::take_snapshot;
use mcr_oci::FindingKind;

use super::*;
use crate::backup::{CopyRequest, copy_to};
use crate::testing::{Bed, NOW};

/// A registry that is closed, a snapshot of it, and a backup.
struct Scene {
    directory: tempfile::TempDir,
    clock: Clock,
    blobs: Vec<Digest>,
    request: RestoreRequest,
}

async fn scene() -> Scene {
    let bed = Bed::new();
    let mut blobs = Vec::new();
    let length = usize::try_from(fs::metadata(tempfile::tempdir().unwrap().path()).unwrap().len()).unwrap();
    for (content, tag) in [("1".repeat(length).as_str(), "one"), ("two", "two"), ("three", "three")] {
        bed.push("a/b", content, tag).await;
        blobs.push(Digest::sha256(content.as_bytes()));
    }
    let folder = SnapshotFolder::beside(&bed.database());
    let snapshot = take_snapshot(&bed.database(), &folder, NOW).unwrap().file.path;
    let (directory, clock) = (bed.directory, bed.clock);
    bed.registry.close().await;
    let root = directory.path();
    let paths = Paths { database: root.join("mcr.db"), layers: root.join("layers"), uploads: root.join("uploads") };
    let copy = CopyRequest {
        snapshot: snapshot.clone(),
        layers: paths.layers.clone(),
        directory: root.join("copy"),
        keep: 1,
        deep: false,
    };
    copy_to(&copy, &Progress::default()).unwrap();
    let actor = Actor { name: "mcrsrv".to_owned(), address: None };
    let request = RestoreRequest { paths, snapshot, blobs: None, strict: false, dry_run: false, deep: false, actor };
    Scene { directory, clock, blobs, request }
}

impl Scene {
    fn with_backup(mut self) -> Self {
        self.request.blobs = Some(self.directory.path().join("copy"));
        self
    }

    fn restore(&self) -> Result<RestoreReport, NotRestored> {
        restore(&self.request, &self.clock, &Progress::default())
    }

    fn blob(&self, number: usize) -> PathBuf {
        let hex = self.blobs[number].hex();
        self.request.paths.layers.join("sha256").join(&hex[..2]).join(hex)
    }

    /// Every path with its content.
    fn tree(&self) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
        let mut found = BTreeMap::new();
        let mut todo = vec![self.directory.path().to_owned()];
        while let Some(path) = todo.pop() {
            if path.is_dir() {
                todo.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
                found.insert(path, None);
            } else {
                found.insert(path.clone(), Some(fs::read(&path).unwrap()));
            }
        }
        found
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_and_a_strict_one_that_refuses_change_nothing() {
    let mut scene = scene().await.with_backup();
    // One that the backup has, one that neither has, and what a killed upload left.
    fs::write(scene.blob(0), "damaged").unwrap();
    fs::remove_file(scene.blob(1)).unwrap();
    let hex = scene.blobs[1].hex();
    fs::remove_file(scene.directory.path().join("copy/sha256").join(&hex[..2]).join(hex)).unwrap();
    fs::write(scene.request.paths.uploads.join("0123456789abcdef0123456789abcdef.tmp"), "half").unwrap();
    fs::remove_dir(scene.request.paths.layers.join("quarantine")).unwrap();
    let before = scene.tree();
    scene.request.dry_run = true;
    let report = scene.restore().unwrap();
    assert_eq!((report.switched, report.brought, report.judgement.incomplete), (false, 1, 1));
    assert_eq!((report.changed, scene.tree() == before), (Changed::default(), true));
    (scene.request.dry_run, scene.request.strict) = (false, true);
    let report = scene.restore().unwrap();
    assert_eq!((report.switched, report.brought, report.judgement.incomplete), (false, 1, 1));
    assert_eq!((report.changed, scene.tree() == before), (Changed::default(), true));
    // Where nothing has to be left out it goes on.
    fs::write(scene.blob(1), "two").unwrap();
    let report = scene.restore().unwrap();
    assert_eq!((report.switched, report.brought, report.judgement.incomplete), (true, 1, 0));
    assert_eq!(report.changed, Changed { begun: true, brought: 1, set_aside: 1, in_place: true });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_before_it_failed_is_said() {
    let mut scene = scene().await.with_backup();
    fs::write(scene.blob(0), "damaged").unwrap();
    // The old database cannot be kept: every name for it is taken.
    let stamp = |n: i64| rfc3339(NOW + n * 1000).split('.').next().unwrap().replace(['-', ':'], "").replace('T', "-");
    let names = (0..100).map(|n| scene.directory.path().join(format!("mcr.db.before-restore-{}", stamp(n))));
    let names: Vec<PathBuf> = names.collect();
    names.iter().for_each(|name| fs::write(name, "an earlier one").unwrap());
    let failed = scene.restore().unwrap_err();
    assert_eq!(failed.changed, Changed { begun: true, brought: 1, set_aside: 1, in_place: false });
    let said = failed.to_string();
    assert!(said.starts_with("the database is as it was, blobs brought from the backup: 1, damaged files"), "{said}");
    assert!(said.ends_with("run the command again, it goes on"), "{said}");
    names.iter().for_each(|name| fs::remove_file(name).unwrap());
    assert!(scene.restore().unwrap().switched);
    scene.request.snapshot = scene.directory.path().join("nothing.db");
    let said = scene.restore().unwrap_err().to_string();
    assert!(said.starts_with("nothing was changed: "), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_that_cannot_be_read_is_told_and_its_tag_stays() {
    let mut scene = scene().await;
    scene.request.deep = true;
    // The length of a directory: reading one fails, for root as well, and is no "nothing is there".
    fs::remove_file(scene.blob(0)).unwrap();
    fs::create_dir(scene.blob(0)).unwrap();
    let report = scene.restore().unwrap();
    assert_eq!((report.switched, report.unreadable, report.hashed, report.judgement.incomplete), (true, 1, 2, 0));
    let [finding] = report.judgement.findings.as_slice() else { panic!("{:?}", report.judgement) };
    assert_eq!((finding.kind, finding.digest.as_ref()), (FindingKind::Unreachable, Some(&scene.blobs[0])));
    assert_eq!(report.judgement.findings_total, 1);
    assert!(scene.blob(0).is_dir(), "never quarantined");
}
