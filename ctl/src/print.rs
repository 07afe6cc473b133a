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
    /// For programs; `null` where everything has been printed already.
    pub(crate) json: Value,
    /// The exit code.
    pub(crate) outcome: Outcome,
}

impl Answer {
    /// What holds, or is done.
    pub(crate) fn done(text: impl Into<String>, json: Value) -> Self {
        Self { text: text.into(), json, outcome: Outcome::Holds }
    }

    /// What was printed on the way.
    pub(crate) fn printed() -> Self {
        Self::done("", Value::Null)
    }
}

/// Prints what a command came to, and gives its exit code.
pub(crate) fn answer(global: &Global, answer: &Result<Answer, Failure>) -> Outcome {
    let (text, json, outcome) = match answer {
        Ok(answer) => (answer.text.as_str(), answer.json.clone(), answer.outcome),
        Err(failure) => {
            tell(global.log_format, &failure.to_string());
            let status = if matches!(failure, Failure::Refused(_)) { "refused" } else { "unknown" };
            ("", json!({"status": status, "error": failure.to_string()}), failure.outcome())
        }
    };
    let printed = match global.json {
        true if json.is_null() => String::new(),
        true => format!("{json:#}\n"),
        false => text.to_owned(),
    };
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

/// Writes what goes beside an answer: how to use it, what comes next. Nothing where quiet is wanted.
pub(crate) fn note(global: &Global, lines: &str) {
    if !global.quiet {
        // Where nobody reads it there is nobody to tell.
        let _ = writeln!(std::io::stderr(), "{lines}");
    }
}

/// Whether progress bars are wanted: a terminal that is not told to be quiet.
pub(crate) fn bars_wanted(global: &Global) -> bool {
    !global.quiet && std::io::stderr().is_terminal()
}

/// What a server sends must not move the cursor of a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
