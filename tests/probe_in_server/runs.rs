//! When runs are made and how they end: never two at once, cut off by SIGTERM, past a new certificate, without a catalog.

use std::time::{Duration, Instant};

use mcr_tests::clock::wait_until;
use mcr_tests::{Image, Options, Random, Server, push};
use serde_json::Value;

use crate::scene::{EACH_SECOND, after_a_run, document, figures, first_run, mcrctl, probing, sql};

/// Every opened blob takes a moment, so that a run takes longer than a second.
const SLOW: &str = "blob.open=sleep:250";

fn history(document: &Value) -> &[Value] {
    document["probe"]["history"].as_array().unwrap()
}

/// A server whose runs take some seconds.
fn slow() -> Server {
    let server = Server::with(probing().env("MCR_FAULTS", SLOW));
    let random = &mut Random::new(311);
    for n in 0..16 {
        push::image(&server.client(), "a", &format!("v{n}"), &Image::random(random, 1, 200));
    }
    server
}

#[test]
fn runs_never_overlap_however_often_they_are_due() {
    let server = slow();
    let client = server.client();
    let mut shown = Value::Null;
    wait_until("three runs over everything", || {
        shown = document(&client);
        history(&shown).iter().filter(|run| run["tags"] == 16).count() >= 3
    });
    let took = history(&shown)[0]["duration_ms"].as_u64().unwrap();
    assert!(took > 1_000, "the schedule comes faster than a run ends: {took} ms");
    // Newest first.
    for pair in history(&shown).windows(2) {
        let (later, earlier) = (&pair[0], &pair[1]);
        assert!(later["started_at"].as_str() >= earlier["ended_at"].as_str(), "{earlier:#}\n{later:#}");
    }
}

#[test]
fn sigterm_cuts_a_run_off_and_it_is_written_down() {
    let mut server = slow();
    let client = server.client();
    wait_until("a whole run", || history(&document(&client)).iter().any(|run| run["tags"] == 16));
    // Runs follow each other: one is under way now, or begins within a second.
    std::thread::sleep(Duration::from_millis(1_200));
    let (code, took) = server.stop();
    assert_eq!(code, Some(0), "{}", server.log());
    assert!(took < Duration::from_secs(5), "it took {took:?}");
    let rows =
        sql(server.data(), "SELECT outcome, reason, catalog_accessible FROM probe_runs ORDER BY id DESC LIMIT 1");
    assert_eq!(rows, ["incomplete|the server was stopped while it ran|None"]);
    server.restart();
    let shown = document(&server.client());
    assert_eq!(shown["probe"]["last_run"]["tags"], 16, "the last complete run stands: {shown:#}");
    assert_eq!(shown["probe"]["last_attempt"]["outcome"], "incomplete");
    let figures = figures(&server.client());
    assert!(figures.iter().any(|line| line == "registry_manifest_integrity_catalog_accessible 1"), "{figures:#?}");
}

#[test]
fn a_new_certificate_is_pinned_by_the_next_run() {
    let secured = || Options::secured().env("MCR_PROBE_SCHEDULE", EACH_SECOND);
    let server = Server::with(secured());
    let image = Image::random(&mut Random::new(313), 1, 1_000);
    push::image(&server.client(), "a", "v1", &image);
    assert_eq!(after_a_run(&server.client())["sound"], true);
    // Another server's certificate: our own client knows the old one only, and is told of the new one.
    let other = Server::with(secured());
    for file in ["cert.pem", "key.pem"] {
        let from = other.certificate().with_file_name(file);
        std::fs::write(server.certificate().with_file_name(file), std::fs::read(from).unwrap()).unwrap();
    }
    server.signal("HUP");
    wait_until("the certificate is taken over", || server.log().contains("certificate taken over"));
    let trusting = mcr_tests::tls::trusting(&other.certificate());
    let client = mcr_tests::Client::new(server.client().address(), Some(trusting));
    let client = client.with_basic("admin", server.password());
    let shown = after_a_run(&client);
    assert_eq!(shown["sound"], true, "{shown:#}");
    assert!(history(&shown).iter().all(|run| run["outcome"] == "complete"), "{shown:#}");
}

#[test]
fn a_catalog_that_cannot_be_had_is_said_and_keeps_the_last_run() {
    let server = Server::with(probing());
    let client = server.client();
    push::image(&client, "a", "v1", &Image::random(&mut Random::new(314), 1, 1_000));
    let before = after_a_run(&client);
    assert_eq!(before["sound"], true);
    // An unmounted volume: nothing is served, and nothing is judged.
    let marker = server.data().join("layers/mcr-registry-id");
    let id = std::fs::read(&marker).unwrap();
    std::fs::remove_file(&marker).unwrap();
    // A 503 that says when to come back is waited for, ten times over.
    let gone = || figures(&client).iter().any(|line| line == "registry_manifest_integrity_catalog_accessible 0");
    let began = Instant::now();
    while !gone() {
        assert!(began.elapsed() < Duration::from_secs(120), "{:#?}", figures(&client));
        std::thread::sleep(Duration::from_millis(100));
    }
    wait_until("it is written down", || history(&document(&client))[0]["outcome"] == "incomplete");
    let shown = document(&client);
    assert_eq!(shown["probe"]["last_run"]["outcome"], "complete");
    assert_eq!(shown["findings"], Value::Array(Vec::new()), "what could not be looked at is not broken");
    assert!(figures(&client).iter().any(|line| line == "registry_manifest_integrity_failures 0"));
    assert_eq!(mcrctl(&server, &[]).code, Some(3), "it was whole once, and nobody knows now");
    std::fs::write(&marker, id).unwrap();
    wait_until("a whole run", || history(&document(&client))[0]["outcome"] == "complete");
    assert!(figures(&client).iter().any(|line| line == "registry_manifest_integrity_catalog_accessible 1"));
    assert_eq!(mcrctl(&server, &[]).code, Some(0));
}

#[test]
fn pushes_and_deletes_beside_runs_are_no_findings() {
    let server = Server::with(probing());
    let client = server.client();
    let random = &mut Random::new(315);
    let until = Instant::now() + Duration::from_secs(6);
    let mut n = 0;
    while Instant::now() < until {
        let image = Image::random(random, 1, 300);
        push::image(&client, &format!("busy{}", n % 7), &format!("v{}", n % 3), &image);
        if n % 4 == 3 {
            let _ = client.delete(&format!("/v2/busy{}/manifests/{}", n % 7, image.digest()));
        }
        n += 1;
    }
    let shown = after_a_run(&client);
    assert_eq!(shown["sound"], true, "{shown:#}");
    let wrong: Vec<&Value> =
        history(&shown).iter().filter(|run| run["findings"] != 0 || !run["reason"].is_null()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(history(&shown).iter().any(|run| run["tags"].as_u64() > Some(5)), "{shown:#}");
}

#[test]
fn a_probe_that_is_off_does_not_run() {
    let mut server = Server::with(probing());
    let _ = first_run(&server.client());
    let _ = server.stop();
    server.options().environment.clear();
    server.restart();
    let client = server.client();
    let shown = document(&client);
    assert!(shown["probe"]["schedule"].is_null() && shown["probe"]["next_run"].is_null(), "{shown:#}");
    assert_eq!(shown["sound"], Value::Null);
    assert_eq!(figures(&client), [""; 0], "old figures would pass for news");
    assert_eq!(mcrctl(&server, &[]).code, Some(3));
}

#[test]
fn a_database_of_schema_1_is_migrated() {
    let mut server = Server::with(probing());
    let image = Image::random(&mut Random::new(316), 1, 1_000);
    push::image(&server.client(), "a", "v1", &image);
    let _ = server.stop();
    // What schema 4 brought goes first, then what schema 3 and 2 did.
    let schema_1 = "DROP TABLE plan_steps; DROP TABLE plans; DROP TABLE retention_rules; DROP TABLE manifest_pulls; \
        DROP TABLE scrub_passes; DROP TABLE snapshots; DROP INDEX manifests_deleted; DROP INDEX manifests_by_run; \
        DROP INDEX repository_blobs_by_run; \
        DROP TABLE policy_rules; DROP TABLE api_tokens; DROP TABLE revoked_sessions; \
        DROP INDEX audit_by_time; \
        DROP TABLE probe_runs; DROP TABLE probe_findings; DROP TABLE probe_tags; PRAGMA user_version = 1";
    let _ = sql(server.data(), schema_1);
    server.restart();
    let client = server.client();
    let _ = mcr_tests::pull::assert_whole(&client, "a", "v1");
    let shown = first_run(&client);
    assert_eq!((&shown["sound"], &shown["tags"][0]["state"]), (&true.into(), &"sound".into()), "{shown:#}");
    let _ = server.stop();
    assert_eq!(sql(server.data(), "SELECT user_version FROM pragma_user_version"), ["4"]);
}
