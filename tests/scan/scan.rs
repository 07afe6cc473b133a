//! Running `mcrctl scan` and reading what it says; never what it should say.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use mcr_oci::Digest;
use mcr_tests::process::{self, Output};
use mcr_tests::server::binary;
use serde_json::Value;

/// No scan of a test's tree takes longer.
const LIMIT: Duration = Duration::from_secs(60);

/// What a scan said with `--json`.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) code: Option<i32>,
    pub(crate) json: Value,
    pub(crate) stderr: String,
}

/// `mcrctl` in an environment of its own.
pub(crate) fn mcrctl(state: &Path) -> Command {
    let mut command = Command::new(binary("mcrctl"));
    command.env("XDG_STATE_HOME", state).env_remove("MCR_ADDR");
    command
}

/// `mcrctl --json scan` with these words.
pub(crate) fn scan<I: AsRef<OsStr>>(words: impl IntoIterator<Item = I>) -> Scan {
    let state = tempfile::tempdir().unwrap();
    scan_with(&mut mcrctl(state.path()), words)
}

/// The same with a prepared command.
pub(crate) fn scan_with<I: AsRef<OsStr>>(command: &mut Command, words: impl IntoIterator<Item = I>) -> Scan {
    let output = process::run_within(command.args(["--json", "scan"]).args(words), LIMIT);
    assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
    read(&output)
}

pub(crate) fn read(output: &Output) -> Scan {
    let json = serde_json::from_slice(&output.stdout);
    let json = json.unwrap_or_else(|error| panic!("{error}: {output:?}"));
    Scan { code: output.code, json, stderr: output.stderr.clone() }
}

/// A scan for people.
pub(crate) fn text<I: AsRef<OsStr>>(words: impl IntoIterator<Item = I>) -> Output {
    let state = tempfile::tempdir().unwrap();
    process::run_within(mcrctl(state.path()).arg("scan").args(words), LIMIT)
}

impl Scan {
    /// The registry called `name`, or the only one.
    #[track_caller]
    pub(crate) fn registry(&self, name: Option<&str>) -> &Value {
        let registries = self.json["registries"].as_array().unwrap_or_else(|| panic!("{self:?}"));
        match name {
            None => {
                assert_eq!(registries.len(), 1, "{self:?}");
                &registries[0]
            }
            Some(name) => registries.iter().find(|registry| registry["name"] == name).unwrap(),
        }
    }

    pub(crate) fn findings(&self) -> Vec<&Value> {
        let registries = self.json["registries"].as_array().into_iter().flatten();
        registries.flat_map(|registry| registry["findings"].as_array().unwrap()).collect()
    }

    /// Kind and digest of every finding, sorted.
    pub(crate) fn found(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut found: Vec<_> =
            self.findings().into_iter().map(|finding| (text(&finding["kind"]), text(&finding["digest"]))).collect();
        found.sort();
        found
    }

    /// Insists on exactly these findings, and on the exit code that goes with them.
    #[track_caller]
    pub(crate) fn expect(&self, expected: &[(&str, &Digest)]) -> &Self {
        let mut expected: Vec<(String, String)> =
            expected.iter().map(|(kind, digest)| ((*kind).to_owned(), digest.to_string())).collect();
        expected.sort();
        assert_eq!(self.found(), expected, "{self:#?}");
        let code = if expected.is_empty() { 0 } else { 1 };
        assert_eq!(self.code, Some(code), "{self:#?}");
        assert_eq!(self.json["sound"], expected.is_empty());
        self
    }

    #[track_caller]
    pub(crate) fn expect_sound(&self) -> &Self {
        self.expect(&[])
    }

    /// The only finding of this kind.
    #[track_caller]
    pub(crate) fn one(&self, kind: &str) -> &Value {
        let of_kind: Vec<&Value> = self.findings().into_iter().filter(|finding| finding["kind"] == kind).collect();
        assert_eq!(of_kind.len(), 1, "{kind}: {self:#?}");
        of_kind[0]
    }
}
