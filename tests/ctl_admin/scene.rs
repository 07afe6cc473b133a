//! Registries with accounts and content, and `mcrctl` of one of their users; never what a command is expected to say.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use mcr_tests::accounts::{ADMIN, Mode, Registry};
use mcr_tests::process::{self, Output};
use mcr_tests::server::binary;
use mcr_tests::{Index, Random, push};
use serde_json::Value;
use tempfile::TempDir;

/// Longest any command of these tests may take.
const LIMIT: Duration = Duration::from_secs(60);

/// A person's shell: a home of its own, and the registry in `MCR_ADDR`.
pub(crate) struct Shell {
    home: TempDir,
    environment: Vec<(String, String)>,
}

impl Shell {
    /// Somebody who has not logged in at the registry at `url`, whose certificate is trusted through `ca`.
    pub(crate) fn at(url: &str, ca: Option<&Path>) -> Self {
        let home = tempfile::Builder::new().prefix("mcr-test-shell-").tempdir().unwrap();
        let mut shell = Self { home, environment: vec![("MCR_ADDR".to_owned(), url.to_owned())] };
        if let Some(ca) = ca {
            shell.set("MCR_CA_CERT", ca.to_str().unwrap());
        }
        shell
    }

    /// Somebody who has not logged in.
    pub(crate) fn nobody(registry: &Registry) -> Self {
        Self::at(&registry.server().url(), Some(&registry.issuer().certificate()))
    }

    /// The account `name`, with its password in the environment.
    pub(crate) fn of(registry: &Registry, name: &str) -> Self {
        let mut shell = Self::nobody(registry);
        shell.set("MCR_USERNAME", name).set("MCR_PASSWORD", &registry.password(name));
        shell
    }

    /// An administrator.
    pub(crate) fn admin(registry: &Registry) -> Self {
        Self::of(registry, ADMIN)
    }

    pub(crate) fn set(&mut self, name: &str, value: &str) -> &mut Self {
        self.environment.retain(|(other, _)| other != name);
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn unset(&mut self, name: &str) -> &mut Self {
        self.environment.retain(|(other, _)| other != name);
        self
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.home.path().to_owned()
    }

    /// A program in this shell.
    pub(crate) fn program(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).env_clear().current_dir(self.home.path()).env("HOME", self.home.path());
        let path = std::env::var_os("PATH").unwrap_or_default();
        let own = std::env::join_paths(std::iter::once(self.home()).chain(std::env::split_paths(&path))).unwrap();
        command.env("PATH", own).envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    pub(crate) fn mcrctl(&self, arguments: &[&str]) -> Command {
        self.program(&binary("mcrctl"), arguments)
    }

    /// Runs it to its end; stdin is empty.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        process::run_within(&mut self.mcrctl(arguments), LIMIT)
    }

    /// What it says on stdout, where it ends with 0.
    #[track_caller]
    pub(crate) fn says(&self, arguments: &[&str]) -> String {
        self.run(arguments).ok().text()
    }

    /// The one document it prints with `--json`, and its exit code.
    #[track_caller]
    pub(crate) fn json(&self, arguments: &[&str]) -> (i32, Value) {
        let output = self.run(&[&["--json"], arguments].concat());
        let json = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        (output.code.expect("it was not killed"), json)
    }

    /// Runs it and insists on an exit code; what it said on both streams.
    #[track_caller]
    pub(crate) fn exits(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.code, Some(code), "{output:?}");
        if code != 0 && !output.stderr.is_empty() {
            assert_eq!(output.stderr.lines().count(), 1, "an error is one line: {output:?}");
        }
        output.all()
    }

    /// With these lines on stdin, which is no terminal.
    #[track_caller]
    pub(crate) fn given(&self, input: &str, arguments: &[&str]) -> (Option<i32>, String) {
        fed(self.mcrctl(arguments), input)
    }

    /// On a terminal, at which somebody types these lines.
    #[track_caller]
    pub(crate) fn typed(&self, input: &str, arguments: &[&str]) -> (Option<i32>, String) {
        let quoted: Vec<String> = arguments.iter().map(|word| format!("'{word}'")).collect();
        let line = format!("{} {}", binary("mcrctl").display(), quoted.join(" "));
        let mut command = self.program(Path::new("script"), &["-qefc", &line, "/dev/null"]);
        command.env("SHELL", "/bin/sh");
        fed(command, input)
    }
}

/// Runs a command with `input` on its stdin, which stays open until it ends.
#[track_caller]
fn fed(mut command: Command, input: &str) -> (Option<i32>, String) {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || {
        for line in input.split_inclusive('\n') {
            // A terminal throws away what was typed before it was asked for without echo.
            std::thread::sleep(Duration::from_millis(700));
            let _ = stdin.write_all(line.as_bytes());
        }
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

/// A registry with a password file.
pub(crate) fn registry() -> Registry {
    Registry::start(Mode::Htpasswd)
}

/// Pushes a small index as the administrator.
pub(crate) fn push_index(registry: &Registry, repository: &str, tag: &str, seed: u64) -> Index {
    let index = Index::random(&mut Random::new(seed), 500);
    push::index(&registry.admin(), repository, tag, &index);
    index
}

/// The words of each line of a table.
pub(crate) fn words(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split_whitespace().collect()).collect()
}
