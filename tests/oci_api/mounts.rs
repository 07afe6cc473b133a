//! Mounting blobs from other repositories: taken, or turned into an ordinary upload; never a 404 or 403.

use mcr_tests::push::location;
use mcr_tests::{Blob, Random, Response, Server, push};

fn mount(server: &Server, to: &str, query: &str) -> Response {
    let client = server.client();
    client.post(&format!("/v2/{to}/blobs/uploads/?{query}"))
}

fn with_blob() -> (Server, Blob) {
    let server = Server::start();
    let blob = Blob::random(&mut Random::new(11), 500);
    push::blob(&server.client(), "team/source", &blob);
    (server, blob)
}

#[test]
fn a_mount_links_the_blob() {
    let (server, blob) = with_blob();
    let client = server.client();
    let forms = [
        format!("mount={}&from=team/source", blob.digest),
        format!("from=team%2Fsource&mount={}", blob.digest.as_str().replace(':', "%3A")),
        // crane says where the image came from, too.
        format!("from=team%2Fsource&mount={}&origin=registry.example", blob.digest),
    ];
    for (number, query) in forms.iter().enumerate() {
        let to = format!("target{number}");
        let mounted = mount(&server, &to, query).expect(201);
        assert_eq!(mounted.required("docker-content-digest"), blob.digest.as_str());
        assert!(client.get(&location(&mounted)).expect(200).body == blob.bytes);
        let _ = client.head(&format!("/v2/{to}/blobs/{}", blob.digest)).expect(200);
    }
    // Once more, where it is already.
    let _ = mount(&server, "target0", &forms[0]).expect(201);
}

#[test]
fn a_mount_without_source_takes_the_blob_from_wherever_it_is() {
    let (server, blob) = with_blob();
    let _ = mount(&server, "target", &format!("mount={}", blob.digest)).expect(201);
    let _ = server.client().head(&format!("/v2/target/blobs/{}", blob.digest)).expect(200);
}

#[test]
fn what_cannot_be_mounted_becomes_an_upload() {
    let (server, blob) = with_blob();
    let client = server.client();
    let digest = &blob.digest;
    let unknown = Blob::new("not here").digest;
    for query in [
        format!("mount={unknown}&from=team/source"),
        format!("mount={unknown}"),
        format!("mount={digest}&from=never/pushed"),
        format!("mount={digest}&from=Not%20A%20Name"),
        format!("mount={digest}&from="),
        "mount=sha256:garbage&from=team/source".to_owned(),
        "mount=md5:d41d8cd98f00b204e9800998ecf8427e&from=team/source".to_owned(),
        "mount=&from=team/source".to_owned(),
        "from=team/source".to_owned(),
    ] {
        let opened = mount(&server, "target", &query);
        if query.ends_with("from=") && opened.status == 201 {
            continue;
        }
        let opened = opened.expect(202);
        let session = location(&opened);
        // What came is a session like any other; skopeo cancels it at once.
        let _ = client.get(&session).expect(204);
        let _ = client.delete(&session).expect(204);
    }
    assert!(mcr_tests::damage::uploads(server.data()).is_empty());
}

#[test]
fn a_deleted_blob_cannot_be_mounted_from_there() {
    let (server, blob) = with_blob();
    let client = server.client();
    let _ = mount(&server, "kept", &format!("mount={}&from=team/source", blob.digest)).expect(201);
    let _ = client.delete(&format!("/v2/team/source/blobs/{}", blob.digest)).expect(202);
    let _ = mount(&server, "target", &format!("mount={}&from=team/source", blob.digest)).expect(202);
    let _ = mount(&server, "target", &format!("mount={}&from=kept", blob.digest)).expect(201);
}

#[test]
fn a_mounted_blob_completes_an_image() {
    let server = Server::start();
    let client = server.client();
    let image = mcr_tests::Image::random(&mut Random::new(12), 2, 400);
    push::image(&client, "team/source", "latest", &image);
    for blob in image.blobs() {
        let query = format!("mount={}&from=team/source", blob.digest);
        let _ = mount(&server, "copy", &query).expect(201);
    }
    let _ = push::put_image(&client, "copy", "latest", &image).expect(201);
    let _ = mcr_tests::pull::assert_whole(&client, "copy", "latest");
    // The copy stands on its own.
    let _ = client.delete(&format!("/v2/team/source/manifests/{}", image.digest())).expect(202);
    for blob in image.blobs() {
        let _ = client.delete(&format!("/v2/team/source/blobs/{}", blob.digest)).expect(202);
    }
    let _ = mcr_tests::pull::assert_whole(&client, "copy", "latest");
}
