//! Real `mcrsrv` processes on port 0: started, killed, restarted on the same data; never one that outlives its test.

mod options;
mod ready;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::http::Client;
use crate::process;

pub use options::{Options, binary, mcrsrv};
pub use ready::Ready;

/// How long a start may take, recovery included.
const START: Duration = Duration::from_secs(60);

/// A running server, its data and the client of whoever runs it.
#[derive(Debug)]
pub struct Server {
    options: Options,
    running: Option<Running>,
    data: PathBuf,
    // Both only keep the files until the test ends.
    _data_home: Option<TempDir>,
    logs: TempDir,
    starts: usize,
    client: Arc<Client>,
    password: Option<String>,
}

/// The process itself.
#[derive(Debug)]
struct Running {
    child: Child,
    ready: Ready,
}

impl Server {
    /// `mcrsrv server --dev --plain-http --anonymous` in a directory of its own.
    #[must_use]
    #[track_caller]
    pub fn start() -> Self {
        Self::with(Options::default())
    }

    /// A server as `options` say.
    ///
    /// # Panics
    /// Where it does not become ready.
    #[must_use]
    #[track_caller]
    pub fn with(options: Options) -> Self {
        let home = options.data.is_none().then(|| temporary("data"));
        let inside = home.as_ref().map(|home| home.path().join("srv"));
        let data = options.data.clone().or(inside).expect("one of both is there");
        let nowhere = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Self {
            options,
            running: None,
            data,
            _data_home: home,
            logs: temporary("logs"),
            starts: 0,
            client: Arc::new(Client::new(nowhere, None)),
            password: None,
        };
        server.restart();
        server
    }

    /// Starts it again on the same data (after [`Self::kill`] or [`Self::stop`]); ports may change.
    ///
    /// # Panics
    /// Where it does not become ready.
    #[track_caller]
    pub fn restart(&mut self) {
        let outcome = self.try_start();
        if let Err(message) = outcome {
            panic!("{message}\n{}", self.log());
        }
    }

    /// Sets a variable of its environment from the next start on; empty: as if it were not set.
    pub fn set_env(&mut self, name: &str, value: &str) {
        self.options = self.options.clone().env(name, value);
    }

    /// Starts it again; an error tells that it ended, or was not ready in time, and what it said.
    ///
    /// # Errors
    /// A text with exit code and log.
    pub fn try_start(&mut self) -> Result<(), String> {
        assert!(self.running.is_none(), "it runs already");
        self.starts += 1;
        let [stdout, stderr] = [self.stdout_path(), self.log_path()];
        let open = |path: &Path| std::fs::File::create(path).expect("a log file");
        let mut command = self.options.command(&self.data);
        let child = command.stdin(Stdio::null()).stdout(open(&stdout)).stderr(open(&stderr));
        let mut child = child.spawn().map_err(|error| format!("{command:?}: {error}"))?;
        match wait_ready(&mut child, &stdout) {
            Ok(ready) => {
                self.learn(&ready);
                self.running = Some(Running { child, ready });
                Ok(())
            }
            Err(message) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(message)
            }
        }
    }

    /// Takes address, certificate and password from what the server said.
    fn learn(&mut self, ready: &Ready) {
        let output = std::fs::read_to_string(self.stdout_path()).unwrap_or_default();
        if let Some(password) = ready::password(&output) {
            self.password = Some(password);
        }
        let tls = (!self.options.plain).then(|| crate::tls::trusting(&self.certificate()));
        let client = Client::new(ready.address, tls);
        let client = match &self.password {
            Some(password) if !self.options.anonymous => client.with_basic("admin", password),
            _ => client,
        };
        self.client = Arc::new(client);
    }

    /// A client with all rights.
    #[must_use]
    pub fn client(&self) -> Arc<Client> {
        Arc::clone(&self.client)
    }

    /// `host:port` as clients write it.
    #[must_use]
    pub fn authority(&self) -> String {
        self.client.address().to_string()
    }

    /// The whole URL, without a slash at the end.
    #[must_use]
    #[track_caller]
    pub fn url(&self) -> String {
        self.ready().url.clone()
    }

    /// What its ready line said.
    ///
    /// # Panics
    /// Where it is not running.
    #[must_use]
    #[track_caller]
    pub fn ready(&self) -> &Ready {
        &self.running.as_ref().expect("it runs").ready
    }

    /// The admin's password, where it printed one.
    ///
    /// # Panics
    /// Where it did not.
    #[must_use]
    #[track_caller]
    pub fn password(&self) -> &str {
        self.password.as_deref().expect("it printed a password")
    }

    /// The certificate that clients trust: the one it made for itself under `--dev`, or the one of an authority.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.options.trust.clone().unwrap_or_else(|| ready::certificate(&self.data))
    }

    /// The directory under `--data`.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// Its process id.
    ///
    /// # Panics
    /// Where it is not running.
    #[must_use]
    #[track_caller]
    pub fn pid(&self) -> u32 {
        self.running.as_ref().expect("it runs").child.id()
    }

    /// Changes the options for the next start.
    pub const fn options(&mut self) -> &mut Options {
        &mut self.options
    }

    /// `kill -9`, and waits until it is gone.
    ///
    /// # Panics
    /// Where it is not running.
    #[track_caller]
    pub fn kill(&mut self) {
        let mut running = self.running.take().expect("it runs");
        running.child.kill().expect("it can be killed");
        running.child.wait().expect("it can be waited for");
    }

    /// Waits until it ends by itself (a fault point); says whether it did within `limit`.
    #[must_use]
    pub fn wait_gone(&mut self, limit: Duration) -> bool {
        let start = Instant::now();
        while let Some(running) = &mut self.running {
            if running.child.try_wait().expect("it can be waited for").is_some() {
                self.running = None;
            } else if start.elapsed() > limit {
                return false;
            } else {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        true
    }

    /// SIGTERM; returns the exit code and how long the end took.
    ///
    /// # Panics
    /// Where it is not running or does not end within 90 s.
    #[track_caller]
    pub fn stop(&mut self) -> (Option<i32>, Duration) {
        let start = Instant::now();
        let mut running = self.running.take().expect("it runs");
        process::terminate(&running.child);
        loop {
            if let Some(status) = running.child.try_wait().expect("it can be waited for") {
                return (status.code(), start.elapsed());
            }
            assert!(start.elapsed() < Duration::from_secs(90), "SIGTERM is ignored: {}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends a signal by its name, such as `HUP`.
    ///
    /// # Panics
    /// Where it is not running.
    #[track_caller]
    pub fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let _ = process::run(Command::new("kill").args([&format!("-{name}"), &pid])).ok();
    }

    /// Whether the process still runs.
    #[must_use]
    pub fn alive(&mut self) -> bool {
        let running = self.running.as_mut();
        running.is_some_and(|running| matches!(running.child.try_wait(), Ok(None)))
    }

    /// What the current run wrote on stderr.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// What the current run wrote on stdout.
    #[must_use]
    pub fn output(&self) -> String {
        std::fs::read_to_string(self.stdout_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.logs.path().join(format!("stderr.{}", self.starts))
    }

    fn stdout_path(&self) -> PathBuf {
        self.logs.path().join(format!("stdout.{}", self.starts))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut running) = self.running.take() {
            let _ = running.child.kill();
            let _ = running.child.wait();
        }
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(60).collect();
            eprintln!("--- the server's log, its last lines");
            for line in tail.iter().rev() {
                eprintln!("{line}");
            }
        }
    }
}

fn temporary(what: &str) -> TempDir {
    let mut builder = tempfile::Builder::new();
    let directory = builder.prefix(&format!("mcr-test-{what}-")).tempdir();
    directory.expect("a temporary directory")
}

fn wait_ready(child: &mut Child, stdout: &Path) -> Result<Ready, String> {
    let start = Instant::now();
    loop {
        let output = std::fs::read_to_string(stdout).unwrap_or_default();
        if let Some(ready) = Ready::find(&output) {
            return Ok(ready);
        }
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            return Err(format!("it ended before it was ready: {status}"));
        }
        if start.elapsed() > START {
            return Err(format!("it was not ready within {START:?}"));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
