//! Names, tags and digests in URLs: which are taken, and what is answered to the others; tags as parameters.

use mcr_tests::{Image, Random, Server, pull, push};

fn with_image() -> (Server, Image) {
    let server = Server::start();
    let image = Image::random(&mut Random::new(91), 1, 100);
    push::image(&server.client(), "a", "v1", &image);
    (server, image)
}

#[test]
fn bad_repository_names_are_name_invalid() {
    let server = Server::start();
    let client = server.client();
    let long = format!("a/{}", "b".repeat(254));
    for name in ["UPPER", "a/B", "-a", "a-", "a..b", "a___b", "a/-b", "a.", "a%20b", "a~b", "_a", "a//b", &long] {
        for (method, target) in [
            ("GET", format!("/v2/{name}/tags/list")),
            ("GET", format!("/v2/{name}/manifests/v1")),
            ("POST", format!("/v2/{name}/blobs/uploads/")),
            ("PUT", format!("/v2/{name}/manifests/v1")),
        ] {
            let answer = client.request(method, &target).body(b"").call();
            assert_eq!(answer.status, 400, "{method} {target}: {}", answer.text());
            let _ = answer.expect_error(400, "NAME_INVALID");
        }
    }
}

#[test]
fn good_repository_names_are_taken() {
    let (server, image) = with_image();
    let client = server.client();
    let long = format!("a/{}", "b".repeat(253));
    let confusing = ["manifests", "a/blobs/uploads", "tags/list/x", "v2", "a/manifests/b", "referrers/x"];
    for name in ["a0/b.c/d_e/f__g/h--i", "0", &long].into_iter().chain(confusing) {
        push::image(&client, name, "v1", &image);
        let _ = pull::assert_whole(&client, name, "v1");
        assert_eq!(pull::tags(&client, name), ["v1"], "{name}");
        let _ = client.delete(&format!("/v2/{name}/manifests/v1")).expect(202);
    }
}

#[test]
fn a_bad_tag_is_refused_when_pushed_and_unknown_when_pulled() {
    let (server, image) = with_image();
    let client = server.client();
    let long = "t".repeat(129);
    for tag in [".INVALID_MANIFEST_NAME", "-x", "a+b", "a%20b", "%C3%A4", &long] {
        let put = push::put_image(&client, "a", tag, &image);
        assert_eq!(put.status, 400, "{tag}: {}", put.text());
        let _ = put.expect_error(400, "NAME_INVALID");
        let get = client.get(&format!("/v2/a/manifests/{tag}"));
        assert_eq!(get.status, 404, "{tag}: {}", get.text());
        let _ = get.expect_error(404, "MANIFEST_UNKNOWN");
    }
    let longest = "T".repeat(128);
    for tag in [longest.as_str(), "_", "0", "a.b-c_D"] {
        let _ = push::put_image(&client, "a", tag, &image).expect(201);
        let _ = client.get(&format!("/v2/a/manifests/{tag}")).expect(200);
    }
}

#[test]
fn an_unreadable_digest_is_digest_invalid_everywhere() {
    let (server, image) = with_image();
    let client = server.client();
    let upper = image.digest().as_str().to_uppercase().replace("SHA256", "sha256");
    let long = format!("{}0", image.digest());
    for digest in ["sha256:garbage", "sha256:", "md5:d41d8cd98f00b204e9800998ecf8427e", "x:y", &upper, &long] {
        for target in [format!("/v2/a/manifests/{digest}"), format!("/v2/a/blobs/{digest}")] {
            for method in ["GET", "DELETE"] {
                let answer = client.request(method, &target).call();
                assert_eq!(answer.status, 400, "{method} {target}: {}", answer.text());
                let _ = answer.expect_error(400, "DIGEST_INVALID");
            }
            let _ = client.head(&target).expect(400);
        }
        let put = push::put_image(&client, "a", digest, &image);
        let _ = put.expect_error(400, "DIGEST_INVALID");
    }
}

#[test]
fn unknown_manifests_are_404() {
    let (server, image) = with_image();
    let client = server.client();
    let unknown = mcr_tests::Blob::new("unknown").digest;
    for reference in ["v2", unknown.as_str()] {
        let target = format!("/v2/a/manifests/{reference}");
        let _ = client.get(&target).expect_error(404, "MANIFEST_UNKNOWN");
        assert!(client.head(&target).expect(404).body.is_empty());
    }
    let nowhere = client.get(&format!("/v2/never/manifests/{}", image.digest())).expect(404);
    assert!(["NAME_UNKNOWN", "MANIFEST_UNKNOWN"].contains(&nowhere.codes()[0].as_str()));
    // Homebrew looks for these words.
    let text = nowhere.messages().to_lowercase() + &nowhere.codes()[0].to_lowercase().replace('_', " ");
    assert!(text.contains("name unknown") || text.contains("manifest unknown"), "{}", nowhere.text());
}

#[test]
fn a_push_by_digest_may_name_its_tags() {
    let (server, image) = with_image();
    let client = server.client();
    let reference = format!("{}?tag=one&tag=two&tag=v1", image.digest());
    let put = push::put_image(&client, "a", &reference, &image).expect(201);
    let named: Vec<&str> = put
        .headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("oci-tag"))
        .map(|(_, value)| value.as_str())
        .collect();
    let named = named.join(", ");
    for tag in ["one", "two", "v1"] {
        assert!(named.split(", ").any(|other| other == tag), "{tag} in {named}");
        let got = client.get(&format!("/v2/a/manifests/{tag}")).expect(200);
        assert_eq!(got.digest(), *image.digest());
    }
    assert_eq!(pull::tags(&client, "a"), ["one", "two", "v1"]);
}

#[test]
fn a_bad_tag_among_the_parameters_refuses_the_whole_push() {
    let (server, image) = with_image();
    let client = server.client();
    let other = image.changed(|manifest| manifest["annotations"] = serde_json::json!({"other": "one"}));
    let reference = format!("{}?tag=good&tag=.bad", other.digest());
    let _ = push::put_image(&client, "a", &reference, &other).expect_error(400, "NAME_INVALID");
    assert_eq!(pull::tags(&client, "a"), ["v1"]);
    let _ = client.get(&format!("/v2/a/manifests/{}", other.digest())).expect(404);
}
