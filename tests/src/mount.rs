//! Small file systems for a test: mounted as root, gone with the value; never a device of the machine.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::process;

/// A tmpfs of a fixed size.
#[derive(Debug)]
pub struct Tmpfs {
    home: TempDir,
}

impl Tmpfs {
    /// Mounts a tmpfs of `mebibytes`.
    ///
    /// # Panics
    /// Where that is refused: the suites run as root.
    #[must_use]
    pub fn mount(mebibytes: usize) -> Self {
        let home = tempfile::Builder::new().prefix("mcr-test-mount-").tempdir();
        let home = home.expect("a directory to mount on");
        let size = format!("size={mebibytes}m,mode=0700");
        let mut command = Command::new("mount");
        command.args(["-t", "tmpfs", "-o", &size, "mcr-test"]).arg(home.path());
        let _ = process::run(&mut command).ok();
        Self { home }
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.home.path()
    }

    /// Makes it read-only, or writable again. Refused by the system while a file is open for writing.
    ///
    /// # Panics
    /// Where the system refuses.
    #[track_caller]
    pub fn remount(&self, read_only: bool) {
        let option = if read_only { "remount,ro" } else { "remount,rw" };
        let mut command = Command::new("mount");
        let _ = process::run(command.args(["-o", option]).arg(self.path())).ok();
    }

    /// Fills it to the last byte with a file; removing that file is the recovery.
    ///
    /// # Panics
    /// Where the file cannot be made.
    #[must_use]
    pub fn fill(&self) -> PathBuf {
        use std::io::Write as _;
        let path = self.path().join("filler");
        let mut file = std::fs::File::create(&path).expect("a file to fill the disk with");
        for size in [1 << 20, 1 << 12, 1] {
            let zeros = vec![0_u8; size];
            while file.write_all(&zeros).is_ok() {}
        }
        path
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily: a file that is still open must not leave the mount behind.
        let unmounted = Command::new("umount").arg("-l").arg(self.path()).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("still mounted: {}", self.path().display());
        }
    }
}
