//! Referrers: listed at once, filtered, also of a subject that is not there.

use mcr_oci::media_type;
use mcr_tests::{Blob, Image, Random, Response, Server, push};
use serde_json::{Value, json};

fn referrers(server: &Server, digest: &str, query: &str) -> Response {
    let answer = server.client().get(&format!("/v2/a/referrers/{digest}{query}")).expect(200);
    assert_eq!(answer.required("content-type"), media_type::OCI_INDEX);
    let json = answer.json();
    assert_eq!(json["schemaVersion"], 2);
    assert_eq!(json["mediaType"], media_type::OCI_INDEX);
    answer
}

fn listed(answer: &Response) -> Vec<Value> {
    answer.json()["manifests"].as_array().unwrap().clone()
}

fn digests(answer: &Response) -> Vec<String> {
    let all = listed(answer);
    let mut digests: Vec<String> = all.iter().map(|one| one["digest"].as_str().unwrap().to_owned()).collect();
    digests.sort();
    digests
}

#[test]
fn nothing_refers_to_what_is_unknown() {
    let server = Server::start();
    let unknown = Blob::new("unknown").digest;
    assert!(listed(&referrers(&server, unknown.as_str(), "")).is_empty());
    for bad in ["sha256:short", "tag", "md5:d41d8cd98f00b204e9800998ecf8427e"] {
        let answer = server.client().get(&format!("/v2/a/referrers/{bad}"));
        let _ = answer.expect_error(400, "DIGEST_INVALID");
    }
}

#[test]
fn a_referrer_is_listed_at_once_with_type_and_annotations() {
    let server = Server::start();
    let client = server.client();
    let random = &mut Random::new(81);
    let subject = Image::random(random, 1, 100);
    push::image(&client, "a", "v1", &subject);
    let plain = Image::random(random, 1, 100).changed(|manifest| {
        manifest["subject"] = subject.manifest.descriptor(media_type::OCI_MANIFEST);
        manifest["annotations"] = json!({"who": "me"});
    });
    let typed = Image::random(random, 1, 100).about(&subject.manifest, "application/vnd.example.sbom");
    for referrer in [&plain, &typed] {
        push::blobs_of(&client, "a", referrer);
        let put = push::put_image(&client, "a", referrer.digest().as_str(), referrer).expect(201);
        assert_eq!(put.required("oci-subject"), subject.digest().as_str());
    }
    let answer = referrers(&server, subject.digest().as_str(), "");
    assert_eq!(answer.header("oci-filters-applied"), None);
    let all = listed(&answer);
    assert_eq!(all.len(), 2);
    let of = |image: &Image| {
        let mut same = all.iter().filter(|one| one["digest"] == image.digest().as_str());
        same.next().unwrap_or_else(|| panic!("{all:?}")).clone()
    };
    let one = of(&plain);
    assert_eq!(one["annotations"], json!({"who": "me"}));
    assert_eq!(one["mediaType"], media_type::OCI_MANIFEST);
    assert_eq!(one["size"], plain.manifest.size());
    // Without artifactType it is the config's type.
    assert_eq!(one["artifactType"], media_type::OCI_CONFIG);
    assert_eq!(of(&typed)["artifactType"], "application/vnd.example.sbom");
}

#[test]
fn referrers_are_filtered_by_type() {
    let server = Server::start();
    let client = server.client();
    let random = &mut Random::new(82);
    let subject = Image::random(random, 1, 100);
    let [sbom, signature] = ["application/vnd.example.sbom", "application/vnd.example.signature+json"]
        .map(|kind| Image::random(random, 1, 100).about(&subject.manifest, kind));
    push::image(&client, "a", sbom.digest().as_str(), &sbom);
    push::image(&client, "a", signature.digest().as_str(), &signature);
    let digest = subject.digest().as_str();
    let filtered = referrers(&server, digest, "?artifactType=application/vnd.example.sbom");
    assert_eq!(filtered.required("oci-filters-applied"), "artifactType");
    assert_eq!(digests(&filtered), [sbom.digest().as_str()]);
    let encoded = "?artifactType=application%2Fvnd.example.signature%2Bjson";
    assert_eq!(digests(&referrers(&server, digest, encoded)), [signature.digest().as_str()]);
    assert!(listed(&referrers(&server, digest, "?artifactType=none/such")).is_empty());
    assert_eq!(listed(&referrers(&server, digest, "")).len(), 2);
}

#[test]
fn an_attestation_may_come_before_its_subject() {
    let server = Server::start();
    let client = server.client();
    let random = &mut Random::new(83);
    let subject = Image::random(random, 1, 100);
    let referrer = Image::random(random, 1, 100).about(&subject.manifest, "application/vnd.docker.attestation");
    push::image(&client, "a", referrer.digest().as_str(), &referrer);
    let digest = subject.digest().as_str();
    assert_eq!(digests(&referrers(&server, digest, "")), [referrer.digest().as_str()]);
    push::image(&client, "a", "v1", &subject);
    assert_eq!(digests(&referrers(&server, digest, "")), [referrer.digest().as_str()]);
    // Another repository has referrers of its own.
    let other = client.get(&format!("/v2/b/referrers/{digest}")).expect(200);
    assert!(listed(&other).is_empty());
}

#[test]
fn a_deleted_referrer_is_no_longer_listed_and_a_deleted_subject_changes_nothing() {
    let server = Server::start();
    let client = server.client();
    let random = &mut Random::new(84);
    let subject = Image::random(random, 1, 100);
    push::image(&client, "a", "v1", &subject);
    let [one, two] = ["x/one", "x/two"].map(|kind| Image::random(random, 1, 100).about(&subject.manifest, kind));
    push::image(&client, "a", one.digest().as_str(), &one);
    push::image(&client, "a", two.digest().as_str(), &two);
    let _ = client.delete(&format!("/v2/a/manifests/{}", one.digest())).expect(202);
    let digest = subject.digest().as_str();
    assert_eq!(digests(&referrers(&server, digest, "")), [two.digest().as_str()]);
    // A subject is a weak edge: it may be deleted under its referrers.
    let _ = client.delete(&format!("/v2/a/manifests/{digest}")).expect(202);
    assert_eq!(digests(&referrers(&server, digest, "")), [two.digest().as_str()]);
}

#[test]
fn an_index_may_have_a_subject() {
    let server = Server::start();
    let client = server.client();
    let random = &mut Random::new(85);
    let subject = Image::random(random, 1, 100);
    push::image(&client, "a", "v1", &subject);
    let index = Blob::new(
        json!({
            "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [],
            "artifactType": "x/bundle", "subject": subject.manifest.descriptor(media_type::OCI_MANIFEST),
            "annotations": {"a": "b"},
        })
        .to_string(),
    );
    let put = push::put_index(&client, "a", index.digest.as_str(), &index).expect(201);
    assert_eq!(put.required("oci-subject"), subject.digest().as_str());
    let all = listed(&referrers(&server, subject.digest().as_str(), ""));
    assert_eq!(all[0]["artifactType"], "x/bundle");
    assert_eq!(all[0]["mediaType"], media_type::OCI_INDEX);
    // An index without a type has none to tell.
    let bare = Blob::new(
        json!({
            "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": [],
            "subject": subject.manifest.descriptor(media_type::OCI_MANIFEST),
        })
        .to_string(),
    );
    let _ = push::put_index(&client, "a", bare.digest.as_str(), &bare).expect(201);
    let all = listed(&referrers(&server, subject.digest().as_str(), ""));
    let one = all.iter().find(|one| one["digest"] == bare.digest.as_str()).unwrap();
    assert_eq!(one.get("artifactType"), None, "left out, not empty");
}

#[test]
fn a_push_without_subject_has_no_subject_header() {
    let server = Server::start();
    let client = server.client();
    let image = Image::random(&mut Random::new(86), 1, 100);
    push::blobs_of(&client, "a", &image);
    let put = push::put_image(&client, "a", "v1", &image).expect(201);
    assert_eq!(put.header("oci-subject"), None);
}
