//! The official conformance program of the distribution specification: versions 1.1 and dev, nothing failed, nothing
//! skipped but what is stated here. The table of results is kept in `docs/conformance.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use mcr_tests::{Options, Server, process, tools};

/// What the program's own defaults for a version leave out. Sparse manifests are refused here on purpose.
const OFF_IN_1_1: &[&str] =
    &["Blob upload cancel", "Manifest put with tag params", "Sparse Manifests", "Tag Param", "Tag Param sha512"];
const OFF_IN_DEV: &[&str] = &["Sparse Manifests"];

/// The results of one run: what was tested, and how it ended.
type Results = BTreeMap<String, String>;

/// Runs the program against `server`; `None` where it cannot be had, which was said then.
fn run(server: &Server, version: &str) -> Option<Results> {
    let program = tools::optional("oci-conformance", "official conformance program")?;
    let home = tempfile::tempdir().unwrap();
    let mut command = Command::new(program);
    // Only what is said here: neither its variables of old nor a file lying about.
    command.env_clear().current_dir(home.path());
    command.env("OCI_REGISTRY", server.authority()).env("OCI_VERSION", version);
    command.env("OCI_RESULTS_DIR", home.path().join("results"));
    if server.url().starts_with("https") {
        // Its "insecure" checks the certificate all the same: trusted it has to be.
        command.env("SSL_CERT_FILE", server.certificate());
        command.env("OCI_TLS", "enabled").env("OCI_USERNAME", "admin").env("OCI_PASSWORD", server.password());
    } else {
        command.env("OCI_TLS", "disabled");
    }
    let output = process::run_within(&mut command, Duration::from_secs(300));
    let text = output.text();
    let bad: Vec<&str> = text.lines().filter(|line| line.contains(": FAIL") || line.contains(": Error")).collect();
    assert_eq!(output.code, Some(0), "{version}: {bad:#?}\n{}", output.stderr);
    for count in ["FAIL", "Error"] {
        let line = text.lines().find(|line| line.trim_start().starts_with(&format!("{count}.")));
        assert!(line.is_some_and(|line| line.trim_end().ends_with(" 0")), "{version}: {line:?} {bad:#?}");
    }
    Some(read(&home.path().join("results/results.yaml")))
}

/// The two flat lists at the end of `results.yaml`.
fn read(path: &Path) -> Results {
    let text = std::fs::read_to_string(path).unwrap();
    let lists = text.lines().skip_while(|line| *line != "apis:");
    let entries = lists.filter_map(|line| line.strip_prefix("  ")?.split_once(": "));
    entries.map(|(name, status)| (name.to_owned(), status.to_owned())).collect()
}

#[track_caller]
fn assert_passed(version: &str, results: &Results, off: &[&str], skipped: &[&str]) {
    assert!(results.len() > 40, "{version}: {results:?}");
    for (name, status) in results {
        let wanted = match name.as_str() {
            name if off.contains(&name) => "Disabled",
            name if skipped.contains(&name) => "Skip",
            _ => "Pass",
        };
        assert_eq!(status, wanted, "{version}: {name}");
    }
}

fn table(stable: &Results, dev: &Results) -> String {
    let mut text = String::from(
        "# Conformance\n\nResults of the official program of `opencontainers/distribution-spec` (commit 967efdc079b9), \
         versions 1.1 and dev, against `mcrsrv server --dev`. Written by `make conformance`; `make test` runs the \
         program and fails where this table is out of date. \"Disabled\" is what the program leaves out by itself for \
         a version, and sparse manifests, which this registry refuses on purpose.\n\n| tested | 1.1 | dev |\n|---|---|---|\n",
    );
    for (name, status) in stable {
        let other = dev.get(name).map_or("-", String::as_str);
        let _ = writeln!(text, "| {name} | {status} | {other} |");
    }
    text
}

#[test]
fn versions_1_1_and_dev_pass() {
    let server = Server::start();
    let Some(stable) = run(&server, "1.1") else { return };
    let Some(dev) = run(&server, "dev") else { return };
    assert_passed("1.1", &stable, OFF_IN_1_1, &[]);
    assert_passed("dev", &dev, OFF_IN_DEV, &[]);
    let path = tools::repository_root().join("docs/conformance.md");
    let wanted = table(&stable, &dev);
    if std::env::var_os("MCR_BLESS").is_some() {
        std::fs::write(&path, &wanted).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == wanted, "docs/conformance.md is out of date: make conformance");
}

#[test]
fn dev_passes_over_tls_with_a_password() {
    let server = Server::with(Options::secured());
    let Some(dev) = run(&server, "dev") else { return };
    // Its token is for the target alone: a mount that names no source finds none, and an upload begins.
    assert_passed("dev over TLS", &dev, OFF_IN_DEV, &["Blob anonymous mount"]);
}
