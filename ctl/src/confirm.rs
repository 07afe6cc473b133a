//! What asks before something is taken away; never what takes it away.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use clap::Args;

use crate::failure::Failure;

/// Nobody types more than this, in bytes.
const MAX_LINE: u64 = 1 << 10;

/// The options of commands that take something away.
#[derive(Debug, Args)]
pub(crate) struct Confirm {
    /// Do not ask before
    #[arg(long, short)]
    pub(crate) yes: bool,
}

impl Confirm {
    /// That somebody can be asked, or need not be. Said before anything else, so that a script learns it at once.
    ///
    /// # Errors
    /// [`Failure::Usage`] where stdin is no terminal and `--yes` was not said.
    pub(crate) fn possible(&self) -> Result<(), Failure> {
        if self.yes || std::io::stdin().is_terminal() {
            return Ok(());
        }
        Err(Failure::Usage("stdin is no terminal, so nobody can be asked before this is done: say --yes".to_owned()))
    }

    /// Says what goes, and waits for `yes` or for its `name`.
    ///
    /// # Errors
    /// [`Failure::Refused`] where the answer is another.
    pub(crate) fn ask(&self, what: &str, name: &str) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        self.possible()?;
        let mut stderr = std::io::stderr().lock();
        // Where the question cannot be seen, no answer comes.
        let _ = write!(stderr, "{what}\nType yes, or {name}, to go on: ");
        let _ = stderr.flush();
        let mut line = String::new();
        let read = std::io::Read::take(std::io::stdin().lock(), MAX_LINE).read_line(&mut line);
        if read.is_ok() && agrees(&line, name) {
            Ok(())
        } else {
            Err(Failure::Refused("nothing was changed".to_owned()))
        }
    }
}

fn agrees(line: &str, name: &str) -> bool {
    let said = line.trim();
    said.eq_ignore_ascii_case("yes") || (!said.is_empty() && said == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_and_the_name_agree() {
        for (line, agreed) in [
            ("yes\n", true),
            ("YES", true),
            ("infra/ci\n", true),
            ("y\n", false),
            ("\n", false),
            ("", false),
            ("infra", false),
        ] {
            assert_eq!(agrees(line, "infra/ci"), agreed, "{line:?}");
        }
        assert!(!agrees("", ""));
    }
}
