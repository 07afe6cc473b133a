//! What the running server learns of snapshots that another process took, and takes itself.

use mcr_tests::{Random, Server, clock};

use crate::scene::{filled, names, run, snapshot};

#[test]
fn the_server_books_what_another_process_took_once() {
    let mut server = Server::start();
    let _ = filled(&server, &mut Random::new(50));
    let client = server.client();
    assert_eq!(client.get("/v1/snapshot").expect(200).json()["snapshots"], serde_json::json!([]));
    let taken = snapshot(server.data(), &[]);
    let events = |server: &Server| {
        let answer = server.client().get("/v1/audit?event=snapshot_taken").expect(200).json();
        answer["events"].as_array().unwrap().clone()
    };
    clock::wait_until("the event", || events(&server).len() == 1);
    let event = &events(&server)[0];
    assert_eq!(event["details"]["snapshot"], taken["name"], "{event:#}");
    let shown = client.get("/v1/snapshot").expect(200).json();
    assert_eq!((&shown["snapshots"][0]["name"], &shown["snapshots"][0]["blobs"]), (&taken["name"], &taken["blobs"]));
    let metrics = client.get("/metrics").expect(200).text();
    let line = metrics.lines().find(|line| line.starts_with("mcr_snapshot_last_success_timestamp"));
    assert!(line.is_some_and(|line| !line.ends_with(" 0")), "{line:?}");
    let _ = server.stop();
    server.restart();
    // One that the server takes itself is told as the deed of who asked.
    let client = server.client();
    let asked = client.request("POST", "/v1/snapshot").header("Content-Type", "application/json").body(b"{}");
    let made = asked.call().expect(201).json();
    assert_eq!(names(&server.data().join("backups"), "mcr-").len(), 2);
    assert!(run("snapshot", server.data(), &["--check", made["name"].as_str().unwrap()]).code == Some(0));
    let told = events(&server);
    assert_eq!(told.len(), 2, "{told:#?}");
}
