//! One run of a program: how long it took, the most memory it held, what it said; never what the program is.

use std::path::Path;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::{host, interrupt, process};

/// How often the peak memory is read while a program runs: it only grows, so that little is missed.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// What one run came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) seconds: f64,
    pub(crate) peak_mib: f64,
}

/// Runs `program` to its end, which must be with one of the exit codes `good`.
///
/// # Errors
/// When it cannot be run or ends otherwise.
pub(crate) fn run(program: &Path, arguments: &[&str], directory: &Path, good: &[i32]) -> Result<Sample, Error> {
    let shown = format!("{} {}", program.display(), arguments.join(" "));
    let spawn = |source| Error::Spawn { program: shown.clone(), source };
    let log = directory.join("child.log");
    let mut command = process::command(program);
    command.args(arguments).env("HOME", directory).env("OTEL_TRACES_EXPORTER", "none");
    command.stdout(host::create(&directory.join("child.out"))?).stderr(host::create(&log)?).stdin(Stdio::null());
    let started = Instant::now();
    let mut child = command.spawn().map_err(spawn)?;
    let mut peak_kib = 0;
    loop {
        interrupt::check()?;
        // Gone between two looks: then the last look stands.
        peak_kib = peak_kib.max(host::peak_memory_kib(child.id()).unwrap_or(0));
        if let Some(status) = child.try_wait().map_err(spawn)? {
            let seconds = started.elapsed().as_secs_f64();
            if status.code().is_some_and(|code| good.contains(&code)) {
                #[expect(clippy::cast_precision_loss, reason = "KiB of memory stay far below 2⁵³")]
                return Ok(Sample { seconds, peak_mib: peak_kib as f64 / 1024.0 });
            }
            let log = host::read(&log).unwrap_or_default();
            return Err(Error::Stopped { server: shown, status: status.to_string(), log });
        }
        thread::sleep(LOOK_EVERY);
    }
}
