//! Other people's programs that the suites drive: where they are, and what is said when one cannot be had; never a
//! silent skip.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where `scripts/setup-tests.sh` puts what is no Debian package.
///
/// # Panics
/// Where there is no home directory.
#[must_use]
pub fn cache() -> PathBuf {
    std::env::var_os("MCR_TOOLS").map_or_else(
        || {
            let home = std::env::var_os("HOME").map(PathBuf::from);
            home.expect("HOME is set").join(".cache").join("mcr-tools")
        },
        PathBuf::from,
    )
}

/// The program `name`, if it is installed.
#[must_use]
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = vec![cache()];
    places.extend(std::env::split_paths(&path));
    places.extend(["/usr/sbin", "/sbin"].map(PathBuf::from));
    places.iter().map(|place| place.join(name)).find(|path| path.is_file())
}

/// A command of the program `name`, which the set-up installs.
///
/// # Panics
/// Where it is not there.
#[must_use]
#[track_caller]
pub fn command(name: &str) -> Command {
    let found = find(name);
    let path = found.unwrap_or_else(|| panic!("{name} is missing: run scripts/setup-tests.sh"));
    Command::new(path)
}

/// A program that the module mirror of this machine may refuse: its path, or a loud note that its test did not run.
///
/// # Panics
/// Where it is missing although `MCR_REQUIRE_<NAME>=1` says that it must not be.
#[must_use]
#[track_caller]
pub fn optional(name: &str, what: &str) -> Option<PathBuf> {
    let chosen = std::env::var_os(format!("MCR_{}", variable(what))).map(PathBuf::from);
    let found = chosen.filter(|path| path.is_file()).or_else(|| find(name));
    if found.is_none() {
        let reason = std::fs::read_to_string(cache().join(format!("{name}.missing")));
        let reason = reason.unwrap_or_else(|_| "run scripts/setup-tests.sh".to_owned());
        not_run(what, reason.trim());
    }
    found
}

fn variable(what: &str) -> String {
    let last = what.split_whitespace().find(|word| *word == "conformance");
    last.unwrap_or(what).to_ascii_uppercase()
}

/// Says past the capture of the test runner that something was not tested, and keeps it for the summary of `make test`.
///
/// # Panics
/// Where `MCR_REQUIRE_<NAME>=1` says that it must be tested.
#[track_caller]
pub fn not_run(what: &str, why: &str) {
    let line = format!("NOT RUN: {what}: {why}\n");
    let _ = std::io::stderr().write_all(format!("\n{line}").as_bytes());
    let notes = notes();
    let file = notes.join(what.replace(|letter: char| !letter.is_ascii_alphanumeric(), "-"));
    std::fs::create_dir_all(&notes).expect("a directory for the notes");
    std::fs::write(&file, &line).expect("a note can be written");
    let required = std::env::var_os(format!("MCR_REQUIRE_{}", variable(what)));
    assert!(required.is_none_or(|value| value != "1"), "{line}");
}

/// Where notes of [`not_run`] are kept: beside the built programs.
fn notes() -> PathBuf {
    let directory = std::env::var_os("MCR_NOT_RUN").map(PathBuf::from);
    directory.unwrap_or_else(|| {
        let test = std::env::current_exe().expect("a test knows itself");
        let profile = test.parent().and_then(Path::parent);
        profile.expect("target/debug/deps").join("mcr-not-run")
    })
}

/// The root of this repository.
///
/// # Panics
/// Where the manifest has no parent directory.
#[must_use]
pub fn repository_root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the workspace").to_owned()
}
