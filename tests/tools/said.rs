//! What `mcrctl` said: its exit code, its JSON and the kinds of findings in it; never an opinion.

use std::process::Command;
use std::time::Duration;

use mcr_tests::process::{self, Output};
use mcr_tests::server::binary;
use serde_json::Value;

/// Longest any command of these tests may take.
const LIMIT: Duration = Duration::from_secs(120);

/// `mcrctl` with nothing of the machine's own credentials or settings.
pub(crate) fn mcrctl(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary("mcrctl"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MCR_") && name != "MCR_FAULTS" {
            command.env_remove(name);
        }
    }
    for name in ["REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "DOCKER_CONFIG"] {
        command.env_remove(name);
    }
    command.env("HOME", "/nonexistent").args(arguments);
    command
}

/// Runs it to its end.
#[track_caller]
pub(crate) fn run(arguments: &[&str]) -> Output {
    process::run_within(&mut mcrctl(arguments), LIMIT)
}

/// Its exit code and, sorted, the kinds of its findings; run with `--json`.
#[track_caller]
pub(crate) fn judged(arguments: &[&str]) -> (i32, Vec<String>, Value) {
    let output = run(&[&["--json"], arguments].concat());
    let json: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let code = output.code.unwrap_or_else(|| panic!("killed: {output:?}"));
    let mut kinds: Vec<String> = findings(&json).iter().map(|finding| text(&finding["kind"])).collect();
    kinds.sort();
    (code, kinds, json)
}

/// Every finding of a document of `verify` or `probe`.
pub(crate) fn findings(json: &Value) -> Vec<Value> {
    let of = |value: &Value| value["findings"].as_array().cloned().unwrap_or_default();
    match json["references"].as_array() {
        Some(references) => references.iter().flat_map(of).collect(),
        None => of(json),
    }
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
