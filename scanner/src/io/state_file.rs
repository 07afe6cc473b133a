//! A file of lines that grows while a run goes on, beside no tree; never what the lines say.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// A file of lines with a head that says whose it is.
#[derive(Debug)]
pub(crate) struct StateFile {
    file: File,
    path: PathBuf,
}

impl StateFile {
    /// Opens the file at `path`, hands the lines behind its head to `take`, and makes it anew where it has another head.
    /// A last line that was not finished is cut off.
    ///
    /// # Errors
    /// Whatever the files answer.
    pub(crate) fn open(path: &Path, head: &str, mut take: impl FnMut(&str)) -> io::Result<Self> {
        if let Some(parent) = path.parent() {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
        }
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o600);
        let mut file = options.custom_flags(flags.bits().cast_signed()).open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        let mut lines = BufReader::new(&file);
        let mut line = String::new();
        let mut whole = 0;
        let mut first = true;
        while lines.read_line(&mut line).is_ok_and(|read| read > 0) && line.ends_with('\n') {
            let text = line.trim_end_matches('\n');
            if first && text != head {
                break;
            }
            if !first {
                take(text);
            }
            first = false;
            whole += line.len() as u64;
            line.clear();
        }
        file.set_len(whole)?;
        if whole == 0 {
            file.write_all(format!("{head}\n").as_bytes())?;
        }
        Ok(Self { file, path: path.to_owned() })
    }

    /// Adds lines.
    pub(crate) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        self.file.write_all(lines)
    }

    /// Removes the file.
    pub(crate) fn remove(self) -> io::Result<()> {
        std::fs::remove_file(&self.path)
    }
}
