//! SIGTERM: what is under way is finished, nothing new is taken, the exit code is 0.

use std::time::Duration;

use mcr_tests::push::{location, open_upload, with_query};
use mcr_tests::{Blob, Image, Options, Random, Server, pull, push};

#[test]
fn an_upload_under_way_is_finished() {
    let mut server = Server::start();
    let client = server.client();
    let blob = Blob::random(&mut Random::new(401), 100_000);
    let session = open_upload(&client, "a");
    let target = with_query(&session, &format!("digest={}", blob.digest));
    let mut connection = client.connect().unwrap();
    let head =
        format!("PUT {target} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n", server.authority(), blob.size());
    connection.send(head.as_bytes()).unwrap();
    connection.send(&blob.bytes[..50_000]).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let rest = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(700));
        connection.send(&blob.bytes[50_000..]).unwrap();
        connection.read_response("PUT").unwrap().expect(201);
        blob
    });
    let (code, took) = server.stop();
    assert_eq!(code, Some(0), "{}", server.log());
    assert!(took >= Duration::from_millis(500), "it did not wait: {took:?}");
    let blob = rest.join().unwrap();
    server.restart();
    let got = server.client().get(&format!("/v2/a/blobs/{}", blob.digest)).expect(200);
    assert!(got.body == blob.bytes);
}

#[test]
fn a_client_that_never_ends_does_not_hold_it_for_ever() {
    let mut server = Server::with(Options::default().env("MCR_SERVER_SHUTDOWN_TIMEOUT", "2s"));
    let client = server.client();
    let session = open_upload(&client, "a");
    let mut connection = client.connect().unwrap();
    let head = format!("PATCH {session} HTTP/1.1\r\nHost: {}\r\nContent-Length: 1000\r\n\r\nhalf", server.authority());
    connection.send(head.as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let (code, took) = server.stop();
    assert_eq!(code, Some(0), "{}", server.log());
    assert!(took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn what_was_pushed_before_is_there_after() {
    let mut server = Server::start();
    let random = &mut Random::new(402);
    for round in 0..3 {
        let image = Image::random(random, 2, 1000);
        push::image(&server.client(), "a", &format!("v{round}"), &image);
        let opened = open_upload(&server.client(), "a");
        let patched = server.client().request("PATCH", &opened).body(b"kept").call().expect(202);
        let (code, _) = server.stop();
        assert_eq!(code, Some(0), "{}", server.log());
        server.restart();
        assert_eq!(pull::assert_all_whole(&server.client()), round + 1);
        let status = server.client().get(&location(&patched)).expect(204);
        assert_eq!(status.required("range"), "0-3");
    }
}
