//! Incident 6: keep the newest of versions that are indexes over platforms, with attestations, signatures and referrers
//! of many kinds; what is kept stays whole, whatever the age of its pieces.

use mcr_oci::media_type;
use mcr_tests::content::index_of;
use mcr_tests::{Blob, Image, Random, layout, process, pull, push, tools};
use serde_json::{Value, json};

use crate::scene::{Living, as_configured};

const REPOSITORY: &str = "team/app";
const KEEP_TWO: &str = "[[retention.rule]]\nrepositories = [\"**\"]\nkeep_last = 2\n";
const SBOM: &str = "application/spdx+json";
const SIGNATURE: &str = "application/vnd.dev.cosign.artifact.sig.v1+json";

/// One release as a build makes it.
struct Version {
    index: Blob,
    images: Vec<Image>,
    attestations: Vec<Image>,
    /// Signed by a tag, as cosign does.
    signature: Image,
    /// Signed and described by referrers, as newer tools do.
    referrers: Vec<Image>,
}

impl Version {
    /// `base` is a layer that all releases share.
    fn build(random: &mut Random, base: &Blob) -> Self {
        let images: Vec<Image> = ["amd64", "arm64"]
            .map(|architecture| Image::over(architecture, vec![base.clone(), Blob::random(random, 400)]))
            .to_vec();
        // Docker's attestations are children of their own, for the platform unknown/unknown.
        let attestations: Vec<Image> = images
            .iter()
            .map(|_| {
                let unknown = json!({"os": "unknown", "architecture": "unknown"});
                Image::with_config(Blob::random(random, 50), vec![Blob::random(random, 200)], unknown)
            })
            .collect();
        let children: Vec<Value> = images
            .iter()
            .map(Image::descriptor)
            .chain(attestations.iter().zip(&images).map(|(attestation, image)| {
                let mut child = attestation.descriptor();
                child["annotations"] = json!({
                    "vnd.docker.reference.type": "attestation-manifest",
                    "vnd.docker.reference.digest": image.digest().as_str(),
                });
                child
            }))
            .collect();
        let index = index_of(&children);
        let artifact = |random: &mut Random| {
            Image::with_config(Blob::random(random, 30), vec![Blob::random(random, 90)], json!({}))
        };
        let about = |random: &mut Random, kind: &str| {
            let of_index = |manifest: &mut Value| {
                manifest["subject"] = index.descriptor(media_type::OCI_INDEX);
                manifest["artifactType"] = Value::from(kind);
            };
            artifact(random).changed(of_index)
        };
        let referrers =
            vec![about(random, SBOM), about(random, SIGNATURE), artifact(random).about(&images[0].manifest, SBOM)];
        Self { signature: artifact(random), referrers, index, images, attestations }
    }

    fn signature_tag(&self) -> String {
        format!("{}.sig", self.index.digest.as_str().replace(':', "-"))
    }

    /// Its pieces, as a build pushes them: children by digest long before the index.
    fn push_pieces(&self, living: &Living) {
        for image in self.images.iter().chain(&self.attestations) {
            push::image(&living.client(), REPOSITORY, image.digest().as_str(), image);
        }
    }

    fn push(&self, living: &Living, tag: &str) {
        let client = living.client();
        let _ = push::put_index(&client, REPOSITORY, tag, &self.index).expect(201);
        push::image(&client, REPOSITORY, &self.signature_tag(), &self.signature);
        for referrer in &self.referrers {
            push::image(&client, REPOSITORY, referrer.digest().as_str(), referrer);
        }
    }

    fn all(&self) -> impl Iterator<Item = &Image> {
        self.images.iter().chain(&self.attestations).chain([&self.signature]).chain(&self.referrers)
    }

    #[track_caller]
    fn assert_whole(&self, living: &Living, tag: &str) {
        let client = living.client();
        let pulled = pull::assert_whole(&client, REPOSITORY, tag);
        assert_eq!(pulled.manifests.len(), 1 + self.images.len() + self.attestations.len(), "{tag}");
        let _ = pull::assert_whole(&client, REPOSITORY, &self.signature_tag());
        for referrer in &self.referrers {
            let _ = pull::assert_whole(&client, REPOSITORY, referrer.digest().as_str());
        }
        let listed = client.get(&format!("/v2/{REPOSITORY}/referrers/{}", self.index.digest)).expect(200).json();
        assert_eq!(listed["manifests"].as_array().unwrap().len(), 2, "{tag}: {listed}");
    }

    #[track_caller]
    fn assert_gone(&self, living: &Living) {
        let client = living.client();
        for digest in self.all().map(Image::digest).chain([&self.index.digest]) {
            assert_eq!(client.get(&format!("/v2/{REPOSITORY}/manifests/{digest}")).status, 404, "{digest}");
        }
    }
}

/// Five releases; the pieces of the last one were pushed first of all.
fn five(living: &Living) -> Vec<Version> {
    let random = &mut Random::new(5401);
    let base = Blob::random(random, 5000);
    let versions: Vec<Version> = (0..5).map(|_| Version::build(random, &base)).collect();
    versions[4].push_pieces(living);
    for (number, version) in versions.iter().enumerate() {
        version.push_pieces(living);
        version.push(living, &format!("v{}", number + 1));
    }
    versions
}

#[test]
fn keep_last_takes_no_piece_of_what_is_kept() {
    let living = Living::with(KEEP_TWO, &[]);
    let versions = five(&living);
    let done = living.retain(&json!({"yes": true}));
    assert_eq!(done["state"], "done", "{done}");
    let mut expected = vec!["v4".to_owned(), "v5".to_owned(), versions[3].signature_tag(), versions[4].signature_tag()];
    expected.sort();
    assert_eq!(pull::tags(&living.client(), REPOSITORY), expected, "signatures are not counted, and follow");
    let check = || {
        versions[..3].iter().for_each(|version| version.assert_gone(&living));
        versions[3].assert_whole(&living, "v4");
        versions[4].assert_whole(&living, "v5");
    };
    check();
    // And their bytes, and nobody else's.
    let collected = living.collect_until(&json!({"yes": true}), || {
        !versions[..3]
            .iter()
            .flat_map(|version| version.all().flat_map(Image::blobs).skip(1))
            .any(|blob| living.holds(blob) && *blob != versions[3].images[0].layers[0])
    });
    check();
    assert!(
        versions[3..].iter().flat_map(|version| version.all().flat_map(Image::blobs)).all(|blob| living.holds(blob))
    );
    assert_eq!(living.collect(&as_configured())["progress"]["bytes_freed"], 0, "{collected}");
    // Anything that deletes may be asked what it was about.
    let audit = living.get("/v1/audit?event=retention_completed");
    assert_eq!(audit["events"].as_array().unwrap().len(), 1, "{audit}");
}

#[test]
fn a_wrong_run_is_undone_as_a_whole() {
    let living = Living::with(KEEP_TWO, &[("MCR_GC_UNDO", "7d")]);
    let versions = five(&living);
    let before = pull::tags(&living.client(), REPOSITORY);
    assert_eq!(before.len(), 10);
    let done = living.retain(&json!({"yes": true}));
    assert!(pull::tags(&living.client(), REPOSITORY).len() == 4, "{done}");
    let wanted = json!({"run": done["id"]});
    let dry = living.post("/v1/restore", &json!({"run": done["id"], "dry_run": true})).expect(200).json();
    assert_eq!((&dry["dry_run"], &dry["tags_restored"]), (&json!(true), &json!(6)), "{dry}");
    assert_eq!(pull::tags(&living.client(), REPOSITORY).len(), 4, "a dry run changes nothing");
    let back = living.post("/v1/restore", &wanted).expect(200).json();
    assert_eq!((&back["tags_restored"], &back["refused"]), (&json!(6), &json!([])), "{back}");
    assert_eq!(pull::tags(&living.client(), REPOSITORY), before);
    for (number, version) in versions.iter().enumerate() {
        version.assert_whole(&living, &format!("v{}", number + 1));
    }
    // What was undone is not done again by itself: the rule waits for somebody who looks at it.
    assert_eq!(living.retain(&as_configured())["state"], "needs_confirmation");
}

/// With what real tools push: skopeo from an OCI layout, with all its platforms.
#[test]
fn real_images_are_kept_whole() {
    let living = Living::with(KEEP_TWO, &[("MCR_GC_UNDO", "7d")]);
    let home = tempfile::tempdir().unwrap();
    let index = layout::real_index();
    layout::write_index(home.path(), "real", &index);
    for tag in ["one", "two", "three"] {
        let mut skopeo = tools::command("skopeo");
        skopeo.args(["copy", "--all", "--dest-tls-verify=false"]);
        skopeo.arg(format!("oci:{}:real", home.path().display()));
        skopeo.arg(format!("docker://{}/real/app:{tag}", living.server.authority()));
        let _ = process::run(&mut skopeo).ok();
    }
    // All three are one image: who goes takes nothing from those who stay.
    let done = living.retain(&json!({"yes": true}));
    assert_eq!(done["progress"]["tags_removed"], 1, "{done}");
    assert_eq!(done["progress"]["manifests_buried"], 0, "{done}");
    assert_eq!(pull::tags(&living.client(), "real/app"), ["three", "two"]);
    let pulled = pull::assert_whole(&living.client(), "real/app", "three");
    assert_eq!(pulled.manifests.len(), 1 + index.images.len());
}
