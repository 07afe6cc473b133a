//! Where a tar goes: a file that is in its place only when it is whole, or a stream; never what is in it.

#![expect(clippy::disallowed_methods, reason = "this is the one home of file calls in mcr-transfer")]

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use mcr_seams::random_hex;

/// The word for stdout.
pub(super) const STDOUT: &str = "-";

/// Bytes of randomness in the name of a file that is not whole yet.
const RANDOM: usize = 8;

/// Where a tar goes.
#[derive(Debug)]
pub struct Output(Kind);

#[derive(Debug)]
enum Kind {
    Stdout(io::Stdout),
    /// What is no regular file is written as it is: a pipe, a device.
    Direct(File),
    Beside {
        place: PathBuf,
        beside: PathBuf,
        file: File,
    },
}

impl Output {
    /// Opens `path`, or stdout for `-`. A regular file is written beside its place first; what is there stays until
    /// then.
    ///
    /// # Errors
    /// Those of the system; `InvalidInput` for a terminal, `IsADirectory` for a directory.
    pub fn open(path: &Path) -> io::Result<Self> {
        if path == Path::new(STDOUT) {
            let stdout = io::stdout();
            refuse_terminal(&stdout, "stdout")?;
            return Ok(Self(Kind::Stdout(stdout)));
        }
        // A link is followed: the file it leads to is the one that is replaced.
        let place = match std::fs::canonicalize(path) {
            Ok(place) => place,
            Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
            Err(error) => return Err(error),
        };
        match std::fs::metadata(&place) {
            Ok(found) if found.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
            Ok(found) if !found.is_file() => {
                let file = OpenOptions::new().write(true).open(&place)?;
                refuse_terminal(&file, "it")?;
                return Ok(Self(Kind::Direct(file)));
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(_) | Err(_) => {}
        }
        let mut name = place.file_name().map(OsString::from).ok_or(io::ErrorKind::InvalidInput)?;
        // A name that nobody can foresee, and nothing that is there already: in a directory that others write to,
        // a link of theirs would lead the tar elsewhere.
        name.push(format!(".{}.new", random_hex(RANDOM)?));
        let beside = place.with_file_name(name);
        let file = OpenOptions::new().write(true).create_new(true).open(&beside)?;
        Ok(Self(Kind::Beside { place, beside, file }))
    }

    /// Puts a file that is whole into its place, durably.
    ///
    /// # Errors
    /// Those of the system; what was there before still is.
    pub fn keep(self) -> io::Result<()> {
        let Kind::Beside { place, beside, file } = &self.0 else { return Ok(()) };
        file.sync_all()?;
        std::fs::rename(beside, place)?;
        let parent = place.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
    }
}

/// A tar on a terminal is no use to anybody.
fn refuse_terminal(file: &impl io::IsTerminal, what: &str) -> io::Result<()> {
    if file.is_terminal() {
        let told = format!("{what} is a terminal: name a file, or lead it somewhere");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, told));
    }
    Ok(())
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Kind::Stdout(stdout) => stdout.write(bytes),
            Kind::Direct(file) | Kind::Beside { file, .. } => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Kind::Stdout(stdout) => stdout.flush(),
            Kind::Direct(file) | Kind::Beside { file, .. } => file.flush(),
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        if let Kind::Beside { beside, .. } = &self.0 {
            // Gone where it was kept. What could not be finished is no use to anybody; if it cannot be removed either,
            // it is only in the way.
            let _ = std::fs::remove_file(beside);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_in_its_place_only_when_it_is_whole() {
        let home = tempfile::tempdir().unwrap();
        let place = home.path().join("f.tar");
        std::fs::write(&place, "before").unwrap();
        let mut dropped = Output::open(&place).unwrap();
        dropped.write_all(b"half").unwrap();
        drop(dropped);
        assert_eq!(
            (names(home.path()), std::fs::read(&place).unwrap()),
            (vec!["f.tar".to_owned()], b"before".to_vec())
        );
        let mut kept = Output::open(&place).unwrap();
        kept.write_all(b"whole").unwrap();
        kept.keep().unwrap();
        assert_eq!((names(home.path()), std::fs::read(&place).unwrap()), (vec!["f.tar".to_owned()], b"whole".to_vec()));
    }

    #[test]
    fn a_planted_link_leads_nowhere() {
        let home = tempfile::tempdir().unwrap();
        let (place, victim) = (home.path().join("f.tar"), home.path().join("victim"));
        std::fs::write(&victim, "theirs").unwrap();
        std::os::unix::fs::symlink(&victim, home.path().join(format!("f.tar.{}.new", std::process::id()))).unwrap();
        let mut output = Output::open(&place).unwrap();
        output.write_all(b"tar").unwrap();
        output.keep().unwrap();
        assert_eq!(
            (std::fs::read(&victim).unwrap(), std::fs::read(&place).unwrap()),
            (b"theirs".to_vec(), b"tar".to_vec())
        );
    }

    #[test]
    fn a_link_is_followed_and_what_is_no_file_is_not_replaced() {
        let home = tempfile::tempdir().unwrap();
        let (real, link) = (home.path().join("real"), home.path().join("link"));
        std::fs::write(&real, "before").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let mut output = Output::open(&link).unwrap();
        output.write_all(b"after").unwrap();
        output.keep().unwrap();
        assert_eq!(std::fs::read(&real).unwrap(), b"after");
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        let mut device = Output::open(Path::new("/dev/null")).unwrap();
        device.write_all(b"x").unwrap();
        device.keep().unwrap();
        assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
        // Whatever leads to a terminal is one: /dev/stdout, /dev/tty.
        assert_eq!(Output::open(Path::new("/dev/ptmx")).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(Output::open(home.path()).unwrap_err().kind(), io::ErrorKind::IsADirectory);
        assert_eq!(Output::open(&home.path().join("no/f.tar")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
