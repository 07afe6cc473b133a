//! What `MCR_FAULTS` asks for: its grammar and the count of hits; never the striking itself.

use std::sync::atomic::{AtomicU64, Ordering};

use rustix::io::Errno;

/// What happens at an armed point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// SIGKILL to this process.
    Kill,
    /// The call fails with this error.
    Fail(Errno),
    /// The call waits this many milliseconds.
    Sleep(u64),
}

/// All armed faults of a process.
#[derive(Debug, Default)]
pub(super) struct Plan {
    faults: Vec<Fault>,
}

#[derive(Debug)]
struct Fault {
    name: String,
    action: Action,
    /// Only the nth hit, counted from 1; every hit if absent.
    nth: Option<u64>,
    hits: AtomicU64,
}

impl Plan {
    /// Reads `name=action[@nth][,…]`; an error names the part that is wrong and what is possible.
    pub(super) fn parse(spec: &str) -> Result<Self, String> {
        let parts = spec.split(',').map(str::trim).filter(|part| !part.is_empty());
        let faults = parts.map(Fault::parse).collect::<Result<_, _>>()?;
        Ok(Self { faults })
    }

    /// Counts a hit of `name` and answers what is to happen: the first fault of that name whose turn it is.
    pub(super) fn strike(&self, name: &str) -> Option<Action> {
        let mut action = None;
        // Every fault of that name counts the hit, also behind one that strikes.
        for fault in self.faults.iter().filter(|fault| fault.name == name) {
            let hit = fault.hits.fetch_add(1, Ordering::SeqCst).saturating_add(1);
            if fault.nth.is_none_or(|nth| nth == hit) {
                action = action.or(Some(fault.action));
            }
        }
        action
    }
}

impl Fault {
    fn parse(part: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("{}: `{part}`: {why}", super::VARIABLE);
        let (name, rest) = part.split_once('=').ok_or_else(|| wrong("expected name=action[@nth]"))?;
        let (action, nth) = match rest.split_once('@') {
            Some((action, nth)) => (action, Some(nth)),
            None => (rest, None),
        };
        let nth = nth.map(str::parse).transpose().ok().filter(|nth| *nth != Some(0));
        let nth = nth.ok_or_else(|| wrong("after @ comes the number of the hit, from 1"))?;
        let action =
            Action::parse(action).ok_or_else(|| wrong("the actions are kill, eio, enospc, erofs, eacces, sleep:MS"))?;
        Ok(Self { name: name.to_owned(), action, nth, hits: AtomicU64::new(0) })
    }
}

impl Action {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "kill" => Self::Kill,
            "eio" => Self::Fail(Errno::IO),
            "enospc" => Self::Fail(Errno::NOSPC),
            "erofs" => Self::Fail(Errno::ROFS),
            "eacces" => Self::Fail(Errno::ACCESS),
            _ => Self::Sleep(text.strip_prefix("sleep:")?.parse().ok()?),
        })
    }
}

#[cfg(test)]
mod tests;
