//! How answers and failures reach a person or a program; never what they are.

use std::io::{IsTerminal as _, Write as _};

use serde_json::{Value, json};

use crate::failure::{Failure, Outcome};
use crate::global::{Global, LogFormat};

/// An answer, to be printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// For people; ends with a line break.
    pub(crate) text: String,
    /// For programs.
    pub(crate) json: Value,
    /// The exit code.
    pub(crate) outcome: Outcome,
}

/// Prints what a command came to, and gives its exit code.
pub(crate) fn answer(global: &Global, answer: &Result<Answer, Failure>) -> Outcome {
    let (text, json, outcome) = match answer {
        Ok(answer) => (answer.text.as_str(), answer.json.clone(), answer.outcome),
        Err(failure) => {
            tell(global.log_format, &failure.to_string());
            ("", json!({"status": "unknown", "error": failure.to_string()}), failure.outcome())
        }
    };
    let printed = if global.json { format!("{json:#}\n") } else { text.to_owned() };
    if global.json || !global.quiet {
        // Nothing can be told when stdout is closed; the exit code still is.
        let _ = std::io::stdout().write_all(printed.as_bytes());
    }
    outcome
}

/// Writes one line on stderr.
pub(crate) fn tell(format: LogFormat, line: &str) {
    let line = match format {
        LogFormat::Text => format!("mcrctl: {line}"),
        LogFormat::Json => json!({"level": "ERROR", "message": line}).to_string(),
    };
    // Where nobody reads it there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Whether progress bars are wanted: a terminal that is not told to be quiet.
pub(crate) fn bars_wanted(global: &Global) -> bool {
    !global.quiet && std::io::stderr().is_terminal()
}

/// What a server sends must not move the cursor of a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
