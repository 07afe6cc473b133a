//! `mcrctl status` against a real server: what it prints, and its exit codes.

use std::process::Command;

use mcr_tests::server::binary;
use mcr_tests::{Image, Options, Random, Server, damage, process, push};

fn mcrctl(arguments: &[&str]) -> process::Output {
    let mut command = Command::new(binary("mcrctl"));
    for name in ["MCR_ADDR", "MCR_CA_CERT", "MCR_TOKEN", "MCR_USERNAME", "MCR_PASSWORD"] {
        command.env_remove(name);
    }
    process::run(command.args(arguments))
}

#[test]
fn a_well_registry_is_ok_in_the_first_line() {
    let server = Server::start();
    let output = mcrctl(&["--addr", &server.authority(), "--plain-http", "status"]).ok();
    assert_eq!(output.text().lines().next(), Some("ok"), "{output:?}");
    let json = mcrctl(&["--addr", &server.url(), "--json", "status"]).ok();
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("one JSON document on stdout");
    assert_eq!(json["status"], "ok");
    let quiet = mcrctl(&["--addr", &server.url(), "--quiet", "status"]).ok();
    assert!(quiet.all().is_empty(), "{quiet:?}");
}

#[test]
fn tls_is_checked_against_the_given_certificate() {
    let server = Server::with(Options::secured());
    let certificate = server.certificate().display().to_string();
    let output = mcrctl(&["--addr", &server.authority(), "--ca-cert", &certificate, "status"]).ok();
    assert_eq!(output.text().lines().next(), Some("ok"), "{output:?}");
    let output = mcrctl(&["--addr", &server.authority(), "--insecure", "status"]).ok();
    assert_eq!(output.text().lines().next(), Some("ok"), "{output:?}");
    let untrusted = mcrctl(&["--addr", &server.authority(), "status"]);
    assert_eq!(untrusted.code, Some(3), "{untrusted:?}");
    assert_eq!(untrusted.stderr.trim_end().lines().count(), 1, "{untrusted:?}");
}

#[test]
fn exit_codes_tell_broken_from_unreachable_and_from_wrong_usage() {
    let nobody = mcrctl(&["--addr", "127.0.0.1:1", "--plain-http", "--timeout", "5s", "status"]);
    assert_eq!(nobody.code, Some(3), "{nobody:?}");
    assert_eq!(mcrctl(&["status", "--no-such-flag"]).code, Some(2));
    assert_eq!(mcrctl(&["no-such-command"]).code, Some(2));
    assert_eq!(mcrctl(&["--addr", "not a url", "status"]).code, Some(2));
}

#[test]
fn a_degraded_registry_is_told_with_its_reasons() {
    let server = Server::start();
    let client = server.client();
    let image = Image::random(&mut Random::new(151), 1, 1000);
    push::image(&client, "a", "v1", &image);
    damage::truncate(server.data(), &image.layers[0].digest, 1);
    let _ = client.head(&format!("/v2/a/blobs/{}", image.layers[0].digest)).expect(404);
    let output = mcrctl(&["--addr", &server.url(), "status"]);
    assert!(output.text().starts_with("degraded"), "{output:?}");
    assert!([Some(0), Some(1)].contains(&output.code), "{output:?}");
}
