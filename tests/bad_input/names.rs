//! Path tricks in names, tags, session ids: dots, slashes, escapes, other letters, lengths; never digests.

use mcr_oci::media_type;
use mcr_tests::push::open_upload;
use mcr_tests::{Image, Random, damage, push};

use crate::watched::{Watched, assert_refused};

/// What is no repository name, as it goes into a path.
fn bad_names() -> Vec<String> {
    let texts = [
        "..",
        ".",
        "a/..",
        "../a",
        "a/../b",
        "a/./b",
        "a//b",
        "/a",
        "a/",
        "%2e%2e",
        "%2e%2e%2fa",
        "a%2f..%2fb",
        "a%00",
        "%00",
        "a%00/b",
        "a%0a",
        "a%20b",
        "a%5cb",
        "..%5c..",
        "%c0%ae%c0%ae",
        "%252e%252e",
        "A",
        "aB",
        "-a",
        "a-",
        "_a",
        "a__",
        "a...b",
        "a.-b",
        "%c3%a4",
        "%e2%84%aa",
        "%f0%9f%92%a9",
        "a%3fb",
        "a%23b",
        "~root",
        "a:b",
        "a@b",
        "*",
        "con%7c",
        "%ef%bc%8f",
        "a%e2%80%aeb",
    ];
    let mut names = texts.map(str::to_owned).to_vec();
    names.extend(["a".repeat(256), "a/".repeat(200) + "a", "a".repeat(10_000), "../".repeat(100) + "etc/passwd"]);
    names
}

/// What is no tag.
fn bad_tags() -> Vec<String> {
    let texts = [
        "..",
        ".",
        "-",
        "%2e%2e",
        "%00",
        "a%00",
        "a%20b",
        "a%2fb",
        "..%2f..%2fx",
        "a%5cb",
        "%c3%a4",
        "%e2%84%aa",
        "a%0d%0ab",
        "%252e%252e",
        "a*b",
        "a@b",
        "~",
    ];
    let mut tags = texts.map(str::to_owned).to_vec();
    tags.extend(["a".repeat(129), "a".repeat(20_000)]);
    tags
}

#[test]
fn bad_names_are_refused_everywhere() {
    let mut watched = Watched::start();
    let client = watched.server.client();
    let image = Image::random(&mut Random::new(331), 1, 10);
    for name in bad_names() {
        let blob = format!("/v2/{name}/blobs/{}", image.digest());
        let manifest = format!("/v2/{name}/manifests/v1");
        let shown: String = name.chars().take(60).collect();
        for (method, target) in [
            ("GET", manifest.clone()),
            ("DELETE", manifest.clone()),
            ("GET", blob.clone()),
            ("DELETE", blob),
            ("GET", format!("/v2/{name}/tags/list")),
            ("GET", format!("/v2/{name}/referrers/{}", image.digest())),
            ("POST", format!("/v2/{name}/blobs/uploads/")),
        ] {
            let answer = client.request(method, &target).call();
            assert_refused(&format!("{method} {shown}"), &answer);
            assert!([400, 404].contains(&answer.status), "{method} {shown}: {}", answer.status);
        }
        let put = client.request("PUT", &manifest).header("Content-Type", media_type::OCI_MANIFEST);
        assert_refused(&shown, &put.body(&image.manifest.bytes).call());
        // A mount from a bad name is a session in a good one (clients fall back to an upload).
        let mount = format!("/v2/rude/names/blobs/uploads/?mount={}&from={name}", image.digest());
        let opened = client.post(&mount).expect(202);
        let _ = client.delete(&push::location(&opened)).expect(204);
    }
    watched.assert_nothing_stored();
    watched.assert_unharmed();
}

#[test]
fn bad_tags_are_refused_and_unknown() {
    let mut watched = Watched::start();
    let client = watched.server.client();
    let image = Image::random(&mut Random::new(332), 1, 10);
    push::image(&client, "rude/tags", "v1", &image);
    for tag in bad_tags() {
        let target = format!("/v2/rude/tags/manifests/{tag}");
        let put = client.request("PUT", &target).header("Content-Type", media_type::OCI_MANIFEST);
        assert_refused(&tag, &put.body(&image.manifest.bytes).call());
        assert_refused(&tag, &client.get(&target).expect(404));
        assert_refused(&tag, &client.delete(&target).expect(404));
        let query = format!("/v2/rude/tags/manifests/{}?tag=good&tag={tag}", image.digest());
        let put = client.request("PUT", &query).header("Content-Type", media_type::OCI_MANIFEST);
        assert_refused(&tag, &put.body(&image.manifest.bytes).call().expect(400));
    }
    assert_eq!(mcr_tests::pull::tags(&client, "rude/tags"), ["v1"]);
    watched.assert_unharmed();
}

#[test]
fn bad_session_ids_are_unknown_and_touch_no_file() {
    let mut watched = Watched::start();
    let client = watched.server.client();
    let session = open_upload(&client, "rude/ids");
    let _ = client.request("PATCH", &session).body(b"kept").call().expect(202);
    let id = session.rsplit('/').next().unwrap().to_owned();
    let uploads = watched.server.data().join("uploads");
    let before = damage::tree(&uploads);
    let mut ids: Vec<String> =
        ["..", ".", "%2e%2e", "..%2f..%2fmcr.db", "%2fetc%2fpasswd", "%00", "*", "null", "-1", "a%0ab", "%c3%a4"]
            .map(str::to_owned)
            .to_vec();
    ids.extend([
        id.to_uppercase() + "A",
        id.clone() + "0",
        id[1..].to_owned(),
        format!("{id}.session"),
        format!("{id}%00"),
        format!("{id}%2f"),
        format!(".%2f{id}"),
        format!("..%2fuploads%2f{id}"),
        "0".repeat(32),
        "0".repeat(20_000),
    ]);
    for id in ids {
        let target = format!("/v2/rude/ids/blobs/uploads/{id}");
        for method in ["GET", "PATCH", "PUT", "DELETE"] {
            let shown: String = id.chars().take(60).collect();
            let query = if method == "PUT" { format!("?digest=sha256:{}", "0".repeat(64)) } else { String::new() };
            let answer = client.request(method, &format!("{target}{query}")).body(b"rude").call();
            assert_refused(&format!("{method} {shown}"), &answer);
            assert!([400, 404, 405].contains(&answer.status), "{method} {shown}: {}", answer.status);
        }
    }
    // A session belongs to its repository.
    let foreign = format!("/v2/rude/other/blobs/uploads/{id}");
    for method in ["GET", "PATCH", "DELETE"] {
        let _ = client.request(method, &foreign).body(b"rude").call().expect_error(404, "BLOB_UPLOAD_UNKNOWN");
    }
    assert!(damage::tree(&uploads) == before, "files of sessions changed");
    let _ = client.delete(&session).expect(204);
    watched.assert_nothing_stored();
    watched.assert_unharmed();
}
