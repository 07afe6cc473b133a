//! Named fault points on the shipping code, armed by `MCR_FAULTS`; never a change of behaviour when that is not set.
//!
//! `MCR_FAULTS="name=action[@nth][,…]"`: `kill` ends the process with SIGKILL at that point, `eio`, `enospc`,
//! `erofs` and `eacces` make the call fail with that error, `sleep:MS` delays it. `@nth` (from 1) strikes only at
//! the nth time the point is passed, otherwise every time. A name may be given several times.

mod plan;

use std::io;
use std::sync::OnceLock;
use std::time::Duration;

use plan::{Action, Plan};

/// The environment variable that arms fault points.
pub const VARIABLE: &str = "MCR_FAULTS";

/// Read once: a process keeps its faults from start to end.
static PLAN: OnceLock<Option<Result<Plan, String>>> = OnceLock::new();

fn plan() -> Option<&'static Result<Plan, String>> {
    let read = || std::env::var_os(VARIABLE).map(|spec| Plan::parse(&spec.to_string_lossy()));
    PLAN.get_or_init(read).as_ref()
}

/// Whether fault points are armed, so that a program can say so when it starts.
#[must_use]
pub fn armed() -> bool {
    plan().is_some()
}

/// Passes the fault point `name`; costs one atomic load when nothing is armed.
///
/// # Errors
/// The error that `MCR_FAULTS` asks for at this point; `InvalidInput` at every point where the variable cannot be
/// read, so that a mistyped fault is not a test that passes.
pub fn point(name: &'static str) -> io::Result<()> {
    match plan() {
        None => Ok(()),
        Some(Ok(plan)) => plan.strike(name).map_or(Ok(()), act),
        Some(Err(message)) => Err(io::Error::new(io::ErrorKind::InvalidInput, message.as_str())),
    }
}

fn act(action: Action) -> io::Result<()> {
    match action {
        Action::Kill => kill(),
        Action::Fail(errno) => Err(io::Error::from(errno)),
        Action::Sleep(ms) => {
            std::thread::sleep(Duration::from_millis(ms));
            Ok(())
        }
    }
}

/// Ends the process as `kill -9` does: nothing is flushed, no destructor runs.
fn kill() -> io::Result<()> {
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)?;
    // The signal may reach another thread first; this one must not get past the point meanwhile.
    loop {
        std::thread::sleep(Duration::from_secs(1));
    }
}
