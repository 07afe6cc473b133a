//! A disk that fails to answer is 503, never 404 and never a reason to quarantine what may be sound.

use mcr_tests::{Image, Options, Random, Server, damage, pull, push};

/// A registry with `a:v1`, run again with these faults armed.
fn with_faults(faults: &str) -> (Server, Image) {
    let mut server = Server::start();
    let image = Image::random(&mut Random::new(261), 1, 200_000);
    push::image(&server.client(), "a", "v1", &image);
    let _ = server.stop();
    *server.options() = Options::faulty(faults);
    server.restart();
    (server, image)
}

fn recover(server: &mut Server) {
    server.kill();
    *server.options() = Options::default();
    server.restart();
    assert!(damage::quarantined(server.data()).is_empty());
    assert_eq!(pull::assert_all_whole(&server.client()), 1);
}

#[test]
fn an_open_that_fails_is_503() {
    for fault in ["blob.open=eio", "blob.open=eacces"] {
        let (mut server, image) = with_faults(fault);
        let client = server.client();
        let target = format!("/v2/a/blobs/{}", image.layers[0].digest);
        for _ in 0..3 {
            let answer = client.get(&target);
            assert_eq!(answer.status, 503, "{fault}: {}", answer.text());
            assert!(!answer.codes().is_empty());
        }
        recover(&mut server);
    }
}

#[test]
fn a_stat_that_fails_is_503_for_who_asks_and_who_commits() {
    let (mut server, image) = with_faults("blob.stat=eio,blob.open=eio");
    let client = server.client();
    let blob = format!("/v2/a/blobs/{}", image.layers[0].digest);
    let _ = client.head(&blob).expect(503);
    let other = image.changed(|manifest| manifest["annotations"] = serde_json::json!({"a": "b"}));
    let put = push::put_image(&client, "a", "v2", &other);
    assert_eq!(put.status, 503, "{}", put.text());
    let mount = client.post(&format!("/v2/b/blobs/uploads/?mount={}&from=a", image.layers[0].digest));
    assert!([202, 503].contains(&mount.status), "{}", mount.status);
    recover(&mut server);
    assert_eq!(pull::tags(&server.client(), "a"), ["v1"]);
}

#[test]
fn a_read_that_fails_ends_the_transfer_as_an_error() {
    let (mut server, image) = with_faults("blob.read=eio");
    let target = format!("/v2/a/blobs/{}", image.layers[0].digest);
    let outcome = server.client().request("GET", &target).send();
    match outcome {
        Ok(answer) => assert_eq!(answer.status, 503, "{}", answer.text()),
        // Before the head or after it: the connection ends, and no whole answer came.
        Err(failure) => eprintln!("{failure}"),
    }
    assert!(server.alive());
    recover(&mut server);
}

#[test]
fn a_write_that_fails_is_a_clear_error_and_lists_nothing() {
    for (fault, status) in [
        ("blob.write=eio", 503),
        ("blob.write=erofs", 503),
        ("blob.write=enospc", 507),
        ("blob.sync=eio", 503),
        ("blob.sync=enospc", 507),
        ("metadata.before_commit=eio", 503),
        ("metadata.before_commit=enospc", 507),
    ] {
        let (mut server, _) = with_faults(fault);
        let client = server.client();
        let fresh = Image::random(&mut Random::new(262), 1, 5000);
        let answer = push::try_blob(&client, "b", &fresh.layers[0]).unwrap();
        assert_eq!(answer.status, status, "{fault}: {}", answer.text());
        assert!(!answer.codes().is_empty(), "{fault}: {}", answer.text());
        if status == 507 {
            assert!(answer.messages().contains("disk"), "{fault}: {}", answer.messages());
        }
        let _ = client.head(&format!("/v2/b/blobs/{}", fresh.layers[0].digest)).expect(404);
        // Pulls go on.
        let _ = pull::assert_whole(&client, "a", "v1");
        assert_eq!(pull::catalog(&client), ["a"]);
        recover(&mut server);
    }
}

#[test]
fn a_failure_that_passes_is_forgotten() {
    let (server, _) = with_faults("blob.sync=eio@1,metadata.before_commit=eio@1");
    let client = server.client();
    let fresh = Image::random(&mut Random::new(263), 2, 5000);
    for blob in fresh.blobs() {
        let mut tries = 0;
        while push::try_blob(&client, "b", blob).unwrap().status != 201 {
            tries += 1;
            assert!(tries < 5, "it does not recover");
        }
    }
    let _ = push::put_image(&client, "b", "v1", &fresh).expect(201);
    assert_eq!(pull::assert_all_whole(&client), 2);
}
