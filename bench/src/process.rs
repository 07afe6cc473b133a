//! A server as a child process: started, watched, measured, and gone when the value is dropped.
//! Knows nothing of which server it is.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;

use crate::{error::Error, host, interrupt};

/// How long a server may take to be ready.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// How long a server may take to stop before it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(10);
/// How often a server is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How many last lines of a log an error shows.
const LOG_LINES: usize = 15;

/// `program` as a command whose process the kernel ends when this one dies, however it dies, and whose environment
/// is empty but for `PATH`: what this shell sets (`GOGC`, `MCR_…`) must not tune a server.
/// `setpriv` replaces itself by the program, so the child's pid is the program's.
pub(crate) fn command(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM"]).arg(program);
    command.env_clear().envs(env::var_os("PATH").map(|path| ("PATH", path)));
    command.stdin(Stdio::null());
    command
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    output: PathBuf,
    log: PathBuf,
}

impl Process {
    /// Starts `program`; its stdout and stderr go to `NAME.out` and `NAME.log` in `directory`.
    pub(crate) fn start<A: AsRef<OsStr>>(
        name: &str,
        program: &Path,
        arguments: &[A],
        environment: &[(&str, &str)],
        directory: &Path,
    ) -> Result<Process, Error> {
        let output = directory.join(format!("{name}.out"));
        let log = directory.join(format!("{name}.log"));
        let child = command(program)
            .args(arguments)
            .envs(environment.iter().copied())
            .current_dir(directory)
            .stdout(host::create(&output)?)
            .stderr(host::create(&log)?)
            .spawn()
            .map_err(|source| Error::Spawn { program: program.display().to_string(), source })?;
        interrupt::add(child.id());
        Ok(Process { name: name.to_owned(), child, output, log })
    }

    /// Calls `ready` until it gives a value; fails when the process ends or takes too long.
    pub(crate) fn wait_ready<T>(&mut self, mut ready: impl FnMut(&Process) -> Option<T>) -> Result<T, Error> {
        let started = Instant::now();
        loop {
            interrupt::check()?;
            self.check()?;
            if let Some(value) = ready(self) {
                return Ok(value);
            }
            if started.elapsed() > READY_WITHIN {
                return Err(Error::NotReady {
                    server: self.name.clone(),
                    seconds: READY_WITHIN.as_secs(),
                    log: self.tail(),
                });
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Fails if the process has ended.
    pub(crate) fn check(&mut self) -> Result<(), Error> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => {
                interrupt::remove(self.child.id());
                Err(Error::Stopped { server: self.name.clone(), status: status.to_string(), log: self.tail() })
            }
            Err(source) => Err(Error::Spawn { program: self.name.clone(), source }),
        }
    }

    /// What it has written to stdout so far.
    pub(crate) fn output(&self) -> String {
        host::read(&self.output).unwrap_or_default()
    }

    /// Peak resident memory so far, in KiB.
    pub(crate) fn peak_memory_kib(&self) -> Result<u64, Error> {
        host::peak_memory_kib(self.child.id())
    }

    /// The last lines of stderr and, where that is empty, of stdout.
    fn tail(&self) -> String {
        let log = host::read(&self.log).unwrap_or_default();
        let text = if log.trim().is_empty() { self.output() } else { log };
        let lines: Vec<&str> = text.lines().collect();
        let from = lines.len().saturating_sub(LOG_LINES);
        lines.get(from..).unwrap_or_default().join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        interrupt::remove(self.child.id());
        // Reaped already: the number may be a stranger's by now.
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        interrupt::send(self.child.id(), Signal::TERM);
        let asked = Instant::now();
        while asked.elapsed() < STOP_WITHIN {
            match self.child.try_wait() {
                Ok(None) => thread::sleep(LOOK_EVERY),
                Ok(Some(_)) | Err(_) => return,
            }
        }
        // It had its chance; nothing is left to do about a failure here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
