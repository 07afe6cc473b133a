//! Other programs: run to their end within a time, with what they said; never through a shell, never left running.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a client program may take for one command.
const LIMIT: Duration = Duration::from_secs(180);

/// What a program said and how it ended.
#[derive(Clone, Debug)]
pub struct Output {
    /// The command line, for messages.
    pub command: String,
    /// The exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// What it wrote on stdout.
    pub stdout: Vec<u8>,
    /// What it wrote on stderr, as text.
    pub stderr: String,
}

impl Output {
    /// stdout as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// stdout and stderr together, for looking for a message.
    #[must_use]
    pub fn all(&self) -> String {
        format!("{}{}", self.text(), self.stderr)
    }

    /// This output, if the program ended with 0.
    ///
    /// # Panics
    /// Where it did not.
    #[must_use]
    #[track_caller]
    pub fn ok(self) -> Self {
        let (text, code) = (self.text(), self.code);
        assert_eq!(code, Some(0), "{}\n{text}\n{}", self.command, self.stderr);
        self
    }

    /// This output, if the program ended with something else than 0.
    ///
    /// # Panics
    /// Where it ended with 0.
    #[must_use]
    #[track_caller]
    pub fn failed(self) -> Self {
        let (text, code) = (self.text(), self.code);
        assert_ne!(code, Some(0), "{}\n{text}\n{}", self.command, self.stderr);
        self
    }
}

/// Puts a copy of the file `from` at `to` that can be run.
///
/// Copied by a program, not by this process: a file that this process has open for writing is open
/// in every child that another test forks just then, and such a file cannot be run (`ETXTBSY`).
///
/// # Panics
/// Where it cannot be copied.
#[track_caller]
pub fn install(from: &Path, to: &Path) {
    drop(run(Command::new("install").arg("--mode=755").args([from, to])).ok());
}

/// Puts a program of these lines at `to`, as [`install`] does.
///
/// # Panics
/// Where it cannot be written.
#[track_caller]
pub fn install_script(to: &Path, lines: &str) {
    let file = tempfile::NamedTempFile::new().expect("a file for the script");
    std::fs::write(file.path(), lines).expect("the script is written");
    install(file.path(), to);
}

/// Runs `command` to its end.
///
/// # Panics
/// Where it cannot be started or takes more than three minutes (then it is killed).
#[track_caller]
pub fn run(command: &mut Command) -> Output {
    run_within(command, LIMIT)
}

/// Runs `command` to its end, at most `limit`.
///
/// # Panics
/// Where it cannot be started or takes longer (then it is killed).
#[track_caller]
pub fn run_within(command: &mut Command, limit: Duration) -> Output {
    let line = format!("{command:?}");
    let files = tempfile::tempdir().expect("a directory for the output");
    let [stdout, stderr] = ["stdout", "stderr"].map(|name| files.path().join(name));
    let open = |path: &PathBuf| std::fs::File::create(path).expect("a file for the output");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(open(&stdout))
        .stderr(open(&stderr))
        .spawn()
        .unwrap_or_else(|error| panic!("{line}: {error}"));
    let code = wait_within(&mut child, limit);
    let read = |path: &PathBuf| std::fs::read(path).expect("the output can be read");
    let output = Output {
        code: code.flatten(),
        stdout: read(&stdout),
        stderr: String::from_utf8_lossy(&read(&stderr)).into_owned(),
        command: line,
    };
    assert!(code.is_some(), "took over {limit:?}: {output:?}");
    output
}

/// Waits for `child` at most `limit`, then kills it and says `None`.
fn wait_within(child: &mut Child, limit: Duration) -> Option<Option<i32>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            return Some(status.code());
        }
        if start.elapsed() > limit {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A program that runs in the background until this is dropped: then it gets SIGTERM, later SIGKILL.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts `command` with both outputs into the file `log`.
    ///
    /// # Panics
    /// Where it cannot be started.
    #[must_use]
    #[track_caller]
    pub fn start(command: &mut Command, log: PathBuf) -> Self {
        let out = std::fs::File::create(&log).expect("a log file");
        let err = out.try_clone().expect("a second handle");
        let child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn();
        let child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child, log }
    }

    /// The log so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until `ready`, failing early where the program ends.
    ///
    /// # Panics
    /// Where it ends or does not become ready within a minute; with its log.
    #[track_caller]
    pub fn wait_ready(&mut self, what: &str, mut ready: impl FnMut() -> bool) {
        let start = Instant::now();
        while !ready() {
            let ended = self.child.try_wait().expect("a child can be waited for");
            assert!(ended.is_none(), "{what} ended ({ended:?}):\n{}", self.log());
            let waited = start.elapsed();
            assert!(waited < Duration::from_secs(60), "{what} is not ready:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        terminate(&self.child);
        if wait_within(&mut self.child, Duration::from_secs(15)).is_none() {
            eprintln!("killed after SIGTERM was ignored: {}", self.log.display());
        }
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.log.display(), self.log());
        }
    }
}

/// Sends SIGTERM.
pub fn terminate(child: &Child) {
    let id = i32::try_from(child.id()).ok();
    if let Some(pid) = id.and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
}
