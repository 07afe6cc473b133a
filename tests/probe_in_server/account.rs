//! Whom the probe asks as: known without anybody else being able to be it, over TLS and without; its reads leave no trace.

use base64::Engine as _;
use mcr_tests::{Image, Options, Random, Server, push};

use crate::scene::{EACH_SECOND, after_a_run, document, mcrctl, probing, sql};

#[test]
fn it_gets_in_where_everybody_needs_a_password() {
    let server = Server::with(Options::secured().env("MCR_PROBE_SCHEDULE", EACH_SECOND));
    push::image(&server.client(), "a", "v1", &Image::random(&mut Random::new(321), 2, 5_000));
    let shown = after_a_run(&server.client());
    assert_eq!((&shown["sound"], &shown["tags"][0]["state"]), (&true.into(), &"sound".into()), "{shown:#}");
    // Who may not list learns nothing.
    let address = server.client().address();
    let stranger = mcr_tests::Client::new(address, Some(mcr_tests::tls::trusting(&server.certificate())));
    let refused = stranger.get("/v1/integrity").expect(401);
    assert!(refused.required("www-authenticate").starts_with("Bearer realm=\"https://"));
    assert!(refused.json()["error"].as_str().unwrap().contains("authentication required"), "{}", refused.text());
    let certificate = server.certificate().display().to_string();
    assert_eq!(mcrctl(&server, &["--ca-cert", &certificate]).code, Some(3), "401 on a read is not known");
}

#[test]
fn nobody_else_can_be_it() {
    for options in [probing(), Options::secured().env("MCR_PROBE_SCHEDULE", EACH_SECOND)] {
        let server = Server::with(options);
        let client = server.client();
        for (user, password) in [("mcr-probe", ""), ("mcr-probe", "guess"), ("mcr-probe", "mcr-probe")] {
            let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
            for header in [format!("Basic {pair}"), format!("Bearer {user}.{password}")] {
                let asked = client.request("GET", "/v2/_catalog").anonymous().header("authorization", &header);
                let _ = asked.call().expect_error(401, "UNAUTHORIZED");
            }
        }
        // What the probe sends is in no output.
        let _ = after_a_run(&client);
        assert!(!server.log().contains("mcr-probe."), "{}", server.log());
    }
}

#[test]
fn its_reads_leave_no_trace() {
    let mut server = Server::with(probing().env("MCR_INTEGRITY_FRESH_FOR", "0s"));
    push::image(&server.client(), "a", "v1", &Image::random(&mut Random::new(322), 2, 5_000));
    let _ = after_a_run(&server.client());
    let _ = server.stop();
    let trace = "SELECT count(*), max(seq) FROM audit; SELECT count(*) FROM blobs WHERE scrub_requested_at IS NOT NULL";
    let before = sql(server.data(), trace);
    assert_eq!(before[1], "0", "blobs are old at once here, and the probe asks no scrub for them");
    server.restart();
    let _ = after_a_run(&server.client());
    let runs = document(&server.client())["probe"]["history"].as_array().unwrap().len();
    assert!(runs > 2);
    let _ = server.stop();
    assert_eq!(sql(server.data(), trace), before);
}

#[test]
fn the_catalog_takes_the_parameter_it_asks_with() {
    let server = Server::start();
    let client = server.client();
    push::image(&client, "a", "v1", &Image::random(&mut Random::new(323), 1, 100));
    let plain = client.get("/v2/_catalog").expect(200).json();
    assert_eq!(client.get("/v2/_catalog?proxy=true").expect(200).json(), plain);
    assert_eq!(client.get("/v2/_catalog?proxy=true&n=1&unknown=7").expect(200).json(), plain);
}
