//! Credentials where users have them: files, helpers, options; and what happens without.

use std::fs;

use mcr_tests::distribution::{Distribution, Setup};
use mcr_tests::process;
use mcr_tests::server::{Options, Server};
use mcr_tests::tools;
use tempfile::tempdir;

use crate::push_index;
use crate::said::{mcrctl, run};

/// docker-registry with an htpasswd file for ci and its password.
fn secured() -> (Distribution, tempfile::TempDir) {
    let home = tempdir().unwrap();
    let file = home.path().join("htpasswd");
    let made = process::run(tools::command("htpasswd").args(["-Bbn", "ci", "s3cret"])).ok();
    fs::write(&file, made.stdout).unwrap();
    let auth = format!("auth:\n  htpasswd: {{realm: test, path: {}}}\n", file.display());
    let registry = Distribution::with(Setup { extra: auth, ..Setup::default() });
    push_index(&registry.client().with_basic("ci", "s3cret"), "infra/ci", "latest", 1);
    (registry, home)
}

fn auth_file(registry: &Distribution) -> String {
    // ci:s3cret
    format!("{{\"auths\":{{\"{}\":{{\"auth\":\"Y2k6czNjcmV0\"}}}}}}", registry.address())
}

#[test]
fn without_credentials_nothing_is_known() {
    let (registry, _home) = secured();
    let url = registry.url();
    for command in [&["verify", "infra/ci:latest"][..], &["probe"]] {
        let output = run(&[&["--addr", &url], command].concat());
        assert_eq!(output.code, Some(3), "{output:?}");
        assert!(output.all().contains("401"), "{output:?}");
        let wrong = [&["--addr", &url, "--username", "ci", "--password-stdin"], command].concat();
        assert_eq!(run(&wrong).code, Some(3), "an empty password on stdin");
    }
}

#[test]
fn docker_and_podman_files_and_helpers_are_used() {
    let (registry, _home) = secured();
    let url = registry.url();
    let home = tempdir().unwrap();
    let verify = ["--addr", &url, "verify", "infra/ci:latest"];

    fs::create_dir_all(home.path().join("docker")).unwrap();
    let docker = home.path().join("docker/config.json");
    fs::write(&docker, auth_file(&registry)).unwrap();
    let _ = process::run(mcrctl(&verify).env("DOCKER_CONFIG", home.path().join("docker"))).ok();
    let _ = process::run(mcrctl(&verify).env("REGISTRY_AUTH_FILE", &docker)).ok();
    fs::create_dir_all(home.path().join("run/containers")).unwrap();
    fs::copy(&docker, home.path().join("run/containers/auth.json")).unwrap();
    let _ = process::run(mcrctl(&verify).env("XDG_RUNTIME_DIR", home.path().join("run"))).ok();

    let helper = home.path().join("docker-credential-test");
    let script = "#!/bin/sh\nread host\necho '{\"ServerURL\":\"x\",\"Username\":\"ci\",\"Secret\":\"s3cret\"}'\n";
    process::install_script(&helper, script);
    let config = home.path().join("helper.json");
    fs::write(&config, format!("{{\"credHelpers\":{{\"{}\":\"test\"}}}}", registry.address())).unwrap();
    let path = format!("{}:{}", home.path().display(), std::env::var("PATH").unwrap());
    let _ = process::run(mcrctl(&verify).env("REGISTRY_AUTH_FILE", &config).env("PATH", &path)).ok();
    fs::write(&config, "{\"credsStore\":\"test\"}").unwrap();
    let _ = process::run(mcrctl(&verify).env("REGISTRY_AUTH_FILE", &config).env("PATH", path)).ok();

    // Options go before files; a broken file is named, not passed over.
    let _ = process::run(mcrctl(&verify).env("MCR_USERNAME", "ci").env("MCR_PASSWORD", "s3cret")).ok();
    fs::write(&config, "{broken").unwrap();
    let broken = process::run(mcrctl(&verify).env("REGISTRY_AUTH_FILE", &config));
    assert_eq!(broken.code, Some(3), "{broken:?}");
    assert!(broken.all().contains("helper.json"), "{broken:?}");
}

#[test]
fn our_own_registry_with_its_certificate_and_password() {
    let server = Server::with(Options::secured());
    push_index(&server.client(), "infra/ci", "latest", 1);
    let certificate = server.certificate();
    let base = ["--addr", &server.url(), "--ca-cert", certificate.to_str().unwrap()].map(str::to_owned);
    let base: Vec<&str> = base.iter().map(String::as_str).collect();
    for command in [&["verify", "--level", "full", "infra/ci:latest"][..], &["probe"]] {
        let arguments = [&base, command].concat();
        let with = process::run(mcrctl(&arguments).env("MCR_USERNAME", "admin").env("MCR_PASSWORD", server.password()));
        assert_eq!(with.code, Some(0), "{with:?}");
        assert!(!with.all().contains(server.password()));
        assert_eq!(run(&arguments).code, Some(3));
    }
    let distrusting = run(&["--addr", &server.url(), "probe"]);
    assert_eq!(distrusting.code, Some(3));
    assert!(distrusting.stderr.contains("--ca-cert"), "{distrusting:?}");
}
