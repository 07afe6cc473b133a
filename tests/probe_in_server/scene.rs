//! What the tests here share: servers that probe themselves often, their document, `mcrctl integrity`; never a test.

use std::path::Path;
use std::process::Command;

use mcr_tests::clock::wait_until;
use mcr_tests::process::{self, Output};
use mcr_tests::server::binary;
use mcr_tests::{Client, Options, Server};
use serde_json::Value;

/// A schedule that comes every second.
pub(crate) const EACH_SECOND: &str = "* * * * * *";
/// A schedule that does not come while a test runs: only the first run after the start does.
pub(crate) const RARELY: &str = "0 0 1 1 *";

/// A server that probes itself every second.
pub(crate) fn probing() -> Options {
    Options::default().env("MCR_PROBE_SCHEDULE", EACH_SECOND)
}

/// `/v1/integrity`.
#[track_caller]
pub(crate) fn document(client: &Client) -> Value {
    client.get("/v1/integrity").expect(200).json()
}

/// The document once a complete run is shown that began after now.
#[track_caller]
pub(crate) fn after_a_run(client: &Client) -> Value {
    let began = |document: &Value| document["probe"]["last_run"]["started_at"].as_str().unwrap_or("").to_owned();
    let before = began(&document(client));
    // Two of them: the first may have begun before what the test did last.
    let mut seen = vec![before];
    let mut shown = Value::Null;
    wait_until("two more complete runs", || {
        shown = document(client);
        let now = began(&shown);
        if !seen.contains(&now) {
            seen.push(now);
        }
        seen.len() > 2
    });
    shown
}

/// The first complete run.
#[track_caller]
pub(crate) fn first_run(client: &Client) -> Value {
    let mut shown = Value::Null;
    wait_until("the first complete run", || {
        shown = document(client);
        !shown["probe"]["last_run"].is_null()
    });
    shown
}

/// The figures of the probe, without the comments.
#[track_caller]
pub(crate) fn figures(client: &Client) -> Vec<String> {
    let text = client.get("/metrics").expect(200).text();
    text.lines().filter(|line| line.starts_with("registry_manifest_integrity_")).map(str::to_owned).collect()
}

/// `mcrctl integrity` against a server.
#[track_caller]
pub(crate) fn mcrctl(server: &Server, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary("mcrctl"));
    for name in ["MCR_ADDR", "MCR_TOKEN", "MCR_USERNAME", "MCR_PASSWORD", "REGISTRY_AUTH_FILE"] {
        command.env_remove(name);
    }
    command.env("HOME", server.data()).args(["--addr", &server.url(), "integrity"]).args(arguments);
    process::run(&mut command)
}

/// Runs SQL on the database of a server that is stopped; each row as text, columns separated by `|`.
#[track_caller]
pub(crate) fn sql(data: &Path, statements: &str) -> Vec<String> {
    let script = "import sqlite3, sys\n\
                  db = sqlite3.connect(sys.argv[1], isolation_level=None)\n\
                  for statement in sys.argv[2].split(';'):\n\
                  \x20   for row in db.execute(statement): print('|'.join(str(column) for column in row))\n";
    let mut command = Command::new("python3");
    command.args(["-c", script]).arg(data.join("mcr.db")).arg(statements);
    process::run(&mut command).ok().text().lines().map(str::to_owned).collect()
}
