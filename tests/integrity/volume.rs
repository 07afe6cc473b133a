//! A blob volume that is not mounted: said everywhere, nothing quarantined, well again when it is back.

use mcr_tests::clock::wait_until;
use mcr_tests::{Image, Random, Server, damage, pull, push};

fn unmount(server: &Server) {
    let layers = server.data().join("layers");
    std::fs::rename(&layers, server.data().join("layers.away")).unwrap();
    std::fs::create_dir(&layers).unwrap();
}

fn mount(server: &Server) {
    let layers = server.data().join("layers");
    // What the server may have written into the mount point lies under the volume, as with a real mount.
    std::fs::rename(&layers, server.data().join("layers.under")).unwrap();
    std::fs::rename(server.data().join("layers.away"), &layers).unwrap();
}

fn with_image() -> (Server, Image) {
    let server = Server::start();
    let image = Image::random(&mut Random::new(281), 2, 1000);
    push::image(&server.client(), "a", "v1", &image);
    (server, image)
}

fn assert_away(server: &Server, image: &Image) {
    let client = server.client();
    wait_until("/v2/ is 503", || client.get("/v2/").status == 503);
    let ready = client.get("/readyz").expect(503);
    assert!(ready.text().contains("layers"), "{}", ready.text());
    let health = client.get("/v1/health").expect(503);
    assert!(health.text().contains("layers"), "{}", health.text());
    let _ = client.get("/healthz").expect(200);
    let layer = &image.layers[0];
    for _ in 0..2 {
        let _ = client.get(&format!("/v2/a/blobs/{}", layer.digest)).expect(503);
        let _ = client.head(&format!("/v2/a/blobs/{}", layer.digest)).expect(503);
        let _ = client.post("/v2/a/blobs/uploads/").expect(503);
        let put = push::put_image(&client, "a", "v2", image);
        assert_eq!(put.status, 503, "{}", put.text());
    }
    let under = damage::tree(&server.data().join("layers"));
    assert!(under.keys().all(|name| !name.starts_with("quarantine")), "{under:?}");
}

fn assert_back(server: &Server) {
    let client = server.client();
    wait_until("/v2/ is 200 again", || client.get("/v2/").status == 200);
    let _ = client.get("/readyz").expect(200);
    let health = client.get("/v1/health").expect(200);
    assert!(!health.text().contains("degraded"), "{}", health.text());
    assert!(damage::quarantined(server.data()).is_empty());
    assert_eq!(pull::assert_all_whole(&client), 1);
    push::image(&client, "b", "v1", &Image::random(&mut Random::new(282), 1, 100));
    assert_eq!(pull::assert_all_whole(&client), 2);
}

#[test]
fn a_volume_that_goes_while_running_comes_back_without_harm() {
    let (server, image) = with_image();
    unmount(&server);
    assert_away(&server, &image);
    mount(&server);
    assert_back(&server);
}

#[test]
fn a_server_started_before_its_volume_waits_for_it() {
    let (mut server, image) = with_image();
    let _ = server.stop();
    unmount(&server);
    server.restart();
    assert_away(&server, &image);
    mount(&server);
    assert_back(&server);
}

#[test]
fn a_blob_asked_for_first_while_the_volume_is_away_is_not_called_missing() {
    let (server, image) = with_image();
    unmount(&server);
    // No look at health first: the first request after the unmount is a client's.
    let target = format!("/v2/a/blobs/{}", image.layers[1].digest);
    for method in ["HEAD", "GET"] {
        let _ = server.client().request(method, &target).call().expect(503);
    }
    let mounted = server.client().post(&format!("/v2/b/blobs/uploads/?mount={}&from=a", image.layers[0].digest));
    assert_eq!(mounted.status, 503, "{}", mounted.text());
    mount(&server);
    assert_back(&server);
}
