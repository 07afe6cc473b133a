//! What the operating system says of this process; never anything about requests.

use std::path::Path;

use crate::files;

/// Figures of the process.
#[derive(Debug, Clone, Copy)]
pub struct Figures {
    /// Resident memory in bytes.
    pub resident_bytes: u64,
    /// Open file descriptors.
    pub open_files: u64,
    /// Threads.
    pub threads: u64,
    /// When it began, unix seconds.
    pub started: u64,
}

/// Reads the figures; `None` where `/proc` is not there.
#[must_use]
pub fn figures() -> Option<Figures> {
    let status = files::read_text(Path::new("/proc/self/status"), 64 << 10).ok()?;
    let stat = files::read_text(Path::new("/proc/self/stat"), 64 << 10).ok()?;
    let boot = files::read_text(Path::new("/proc/stat"), 4 << 20).ok()?;
    // The command name may hold spaces and brackets: fields are counted after the last one.
    let ticks: u64 = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()?;
    let booted: u64 = boot.lines().find_map(|l| l.strip_prefix("btime "))?.trim().parse().ok()?;
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Some(Figures {
        resident_bytes: field(&status, "VmRSS:")? * 1024,
        open_files: files::count_entries(Path::new("/proc/self/fd")).ok()?,
        threads: field(&status, "Threads:")?,
        started: booted + ticks / per_second,
    })
}

fn field(status: &str, name: &str) -> Option<u64> {
    status.lines().find_map(|l| l.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
}

/// Raises the limit of open files as far as the system lets us: ten thousand connections and
/// uploads are ordinary.
pub fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, wanted) {
        tracing::warn!(%error, "the limit of open files could not be raised");
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_process_has_figures() {
        let figures = super::figures().unwrap();
        assert!(figures.resident_bytes > 0 && figures.open_files > 0 && figures.started > 1_600_000_000);
    }
}
