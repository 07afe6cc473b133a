//! What the bench asks of the machine: its few file calls, free space, syncs, and who the machine is.
//! Never anything about servers or figures.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Reads a whole text file; for `/proc` and logs.
pub(crate) fn read(path: &Path) -> Result<String, Error> {
    let bytes = fs::read(path).map_err(Error::file("read", path))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Writes a file, making the directories above it.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    if let Some(parent) = path.parent() {
        make_directory(parent)?;
    }
    fs::write(path, bytes).map_err(Error::file("write", path))
}

/// Makes a directory and those above it.
pub(crate) fn make_directory(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(Error::file("create directory", path))
}

/// Opens a new file for a child's output.
pub(crate) fn create(path: &Path) -> Result<File, Error> {
    File::create(path).map_err(Error::file("create", path))
}

/// Removes a directory with everything in it.
pub(crate) fn remove_tree(path: &Path) -> Result<(), Error> {
    fs::remove_dir_all(path).map_err(Error::file("remove", path))
}

/// The absolute form of a path that exists.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, Error> {
    fs::canonicalize(path).map_err(Error::file("resolve", path))
}

/// Removes the files of at least `size` bytes below `directory` whose path holds `name`, and says how
/// many. This is how room is made between two large pushes: no peer frees a deleted blob at once.
pub(crate) fn remove_large(directory: &Path, name: &str, size: u64) -> Result<usize, Error> {
    let mut removed = 0;
    let mut waiting = vec![directory.to_path_buf()];
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(&directory).map_err(Error::file("list", &directory))? {
            let path = entry.map_err(Error::file("list", &directory))?.path();
            // A server may tidy up while we look, so what is gone is not an error.
            let Ok(about) = fs::symlink_metadata(&path) else {
                continue;
            };
            if about.is_dir() {
                waiting.push(path);
            } else if about.len() >= size && path.to_string_lossy().contains(name) {
                fs::remove_file(&path).map_err(Error::file("remove", &path))?;
                removed += 1;
            }
        }
    }
    Ok(removed)
}

/// Waits until the file system below `path` has nothing left to write, so that one sample's dirty
/// pages are not paid for by the next.
pub(crate) fn settle(path: &Path) -> Result<(), Error> {
    let directory = File::open(path).map_err(Error::file("open", path))?;
    rustix::fs::syncfs(&directory).map_err(io::Error::from).map_err(Error::file("sync", path))
}

/// MiB free below `path`.
pub(crate) fn free_mib(path: &Path) -> Result<u64, Error> {
    let space = rustix::fs::statvfs(path).map_err(io::Error::from).map_err(Error::file("statvfs", path))?;
    Ok(space.f_bavail.saturating_mul(space.f_frsize) >> 20)
}

/// Peak resident memory of a process in KiB (`VmHWM`).
pub(crate) fn peak_memory_kib(pid: u32) -> Result<u64, Error> {
    let path = PathBuf::from(format!("/proc/{pid}/status"));
    let status = read(&path)?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.split_whitespace().next())
        .and_then(|kib| kib.parse().ok())
        .ok_or_else(|| Error::Results { path, problem: "no VmHWM line".to_owned() })
}

/// `/proc/PID/stat` of every process there is.
pub(crate) fn processes() -> Result<Vec<String>, Error> {
    let proc = Path::new("/proc");
    let mut stats = Vec::new();
    for entry in fs::read_dir(proc).map_err(Error::file("list", proc))? {
        let path = entry.map_err(Error::file("list", proc))?.path().join("stat");
        let name = path.parent().and_then(Path::file_name).unwrap_or_default();
        if name.to_string_lossy().starts_with(|first: char| first.is_ascii_digit()) {
            // One that ended meanwhile is not there any more.
            stats.extend(read(&path).ok());
        }
    }
    Ok(stats)
}

/// The machine a table was measured on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// Processor model.
    pub(crate) processor: String,
    /// Processors the run could use, shared by servers and load generators.
    pub(crate) cores: usize,
    /// Memory in MiB.
    pub(crate) memory_mib: u64,
    /// Kernel name and release.
    pub(crate) kernel: String,
    /// Type of the file system that held the data.
    pub(crate) file_system: String,
}

impl Machine {
    /// Describes this machine, with the file system of `scratch`.
    pub(crate) fn describe(scratch: &Path) -> Result<Machine, Error> {
        let processors = read(Path::new("/proc/cpuinfo"))?;
        let memory = read(Path::new("/proc/meminfo"))?;
        let mounts = read(Path::new("/proc/self/mounts"))?;
        let kernel = rustix::system::uname();
        Ok(Machine {
            processor: field(&processors, "model name").unwrap_or_else(|| "unknown".to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_mib: field(&memory, "MemTotal")
                .and_then(|value| value.split_whitespace().next()?.parse::<u64>().ok())
                .map_or(0, |kib| kib >> 10),
            kernel: format!("{} {}", kernel.sysname().to_string_lossy(), kernel.release().to_string_lossy()),
            file_system: file_system(&mounts, scratch),
        })
    }
}

/// The value of the first `name : value` line.
fn field(text: &str, name: &str) -> Option<String> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix(':'))
        .map(|value| value.trim().to_owned())
}

/// The type of the mount with the longest path above `scratch`.
fn file_system(mounts: &str, scratch: &Path) -> String {
    mounts
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            Some((words.next()?, words.next()?))
        })
        .filter(|(at, _)| scratch.starts_with(at))
        .max_by_key(|(at, _)| at.len())
        .map_or_else(|| "unknown".to_owned(), |(_, kind)| kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_fields_with_and_without_space_before_the_colon() {
        assert_eq!(field("model name\t: X 1\n", "model name").unwrap(), "X 1");
        assert_eq!(field("MemTotal:  5 kB", "MemTotal").unwrap(), "5 kB");
        assert_eq!(field("other: 1", "MemTotal"), None);
    }

    #[test]
    fn takes_the_deepest_mount() {
        let mounts = "a / ext4 rw 0 0\nb /data xfs rw 0 0\nc /database tmpfs rw 0 0\n";
        assert_eq!(file_system(mounts, Path::new("/data/x")), "xfs");
        assert_eq!(file_system(mounts, Path::new("/srv")), "ext4");
    }

    #[test]
    fn removes_only_large_files_of_that_name() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        write(&at("abc/data"), &[0; 10]).unwrap();
        write(&at("x/abc"), &[0; 3]).unwrap();
        write(&at("other"), &[0; 10]).unwrap();
        assert_eq!(remove_large(directory.path(), "abc", 5).unwrap(), 1);
        assert!(!at("abc/data").exists() && at("x/abc").exists() && at("other").exists());
    }
}
