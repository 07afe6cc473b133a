//! Rules are lost with the database: administrators alone, read-only, until there is one again.

use mcr_tests::{Client, Image, Options, Random, Server, push};
use serde_json::json;

use crate::loss::{lose_database, restore, wait_tagged, wait_whole};

#[track_caller]
fn refused(client: &Client, random: &mut Random) {
    let opened = client.post("/v2/demo/app/blobs/uploads/");
    assert_eq!(opened.status, 405, "{}", opened.text());
    assert!(opened.text().contains("policy rules are lost"), "{}", opened.text());
    let _ = random;
}

#[test]
fn it_takes_nothing_until_there_is_a_rule() {
    let random = &mut Random::announced("closed");
    let mut server = Server::with(Options { anonymous: false, ..Options::default() });
    wait_whole(&server);
    push::image(&server.client(), "demo/app", "1", &Image::random(random, 1, 2000));
    wait_tagged(&server, "1");
    server.kill();
    lose_database(&server);
    let said = restore(&server, &[]).ok().text();
    assert!(said.contains("serves administrators only") && said.contains("mcrctl policy create"), "{said}");
    server.restart();
    assert!(server.log().contains("serves administrators only"), "{}", server.log());
    let client = server.client();
    let _ = client.get("/v2/demo/app/manifests/1").expect(200);
    refused(&client, random);
    let health = client.nobody().get("/v1/health").expect(200).text();
    assert!(health.contains("degraded") && health.contains("policy rules are lost"), "{health}");
    // Also after another start.
    server.kill();
    server.restart();
    let client = server.client();
    refused(&client, random);
    let rule = json!({ "priority": 10, "description": "as before", "effect": "allow", "actions": ["registry:pull"] });
    let made = client.request("POST", "/v1/policy/rules").header("Content-Type", "application/json");
    let _ = made.body(rule.to_string().as_bytes()).call().expect(201);
    push::image(&client, "demo/app", "2", &Image::random(random, 1, 2000));
    server.kill();
    server.restart();
    push::image(&server.client(), "demo/app", "3", &Image::random(random, 1, 2000));
}
