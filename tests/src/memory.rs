//! What a process holds: memory, open files; never what it should hold.

/// The resident memory of process `pid` now, in KiB.
///
/// # Panics
/// Where there is no such process.
#[must_use]
#[track_caller]
pub fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).expect("VmRSS is a number")
}

/// How many files and sockets process `pid` has open.
///
/// # Panics
/// Where there is no such process.
#[must_use]
#[track_caller]
pub fn open_files(pid: u32) -> usize {
    let directory = std::fs::read_dir(format!("/proc/{pid}/fd"));
    directory.expect("it runs").count()
}
