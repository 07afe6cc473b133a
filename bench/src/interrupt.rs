//! Ctrl-C and SIGTERM end the run through its ordinary error path: children are told to stop, whatever
//! waits on them fails, and every `Drop` on the way out cleans up. Never decides what a child is.

use std::{
    collections::BTreeSet,
    io,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::signal::unix::{SignalKind, signal};

use crate::error::Error;

static CHILDREN: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

fn children() -> MutexGuard<'static, BTreeSet<u32>> {
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Remembers a child that has to be told when the run is interrupted.
pub(crate) fn add(pid: u32) {
    children().insert(pid);
}

/// Forgets a child that ended or is about to, so that a stranger with its number is never signalled.
pub(crate) fn remove(pid: u32) {
    children().remove(&pid);
}

/// Fails once the run was interrupted.
pub(crate) fn check() -> Result<(), Error> {
    if INTERRUPTED.load(Ordering::Relaxed) {
        return Err(Error::Interrupted);
    }
    Ok(())
}

/// Sends `signal` to a child of ours; one that is gone already is no error.
pub(crate) fn send(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    if let Some(pid) = pid {
        // The only failure left is "no such process".
        let _ = kill_process(pid, signal);
    }
}

/// Starts the thread that waits for SIGINT and SIGTERM for the rest of the program's life.
pub(crate) fn watch() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (mut interrupt, mut terminate) = {
        let _entered = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                INTERRUPTED.store(true, Ordering::Relaxed);
                for pid in children().iter() {
                    send(*pid, Signal::TERM);
                }
            }
        });
    })?;
    Ok(())
}
