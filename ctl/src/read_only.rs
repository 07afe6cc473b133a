//! `mcrctl read-only`: whether a registry takes writes; never what it does with one.

use clap::{Args, Subcommand};
use mcr_client::Call;
use serde_json::{Value, json};

use crate::api::Api;
use crate::failure::Failure;
use crate::global::Global;
use crate::print::{Answer, printable};

pub(crate) const EXAMPLES: &str = "Examples:
  mcrctl read-only status --addr https://registry.example
  mcrctl read-only on --addr https://registry.example --reason 'moving to another disk'
  mcrctl read-only off --addr https://registry.example

It lasts until it is changed back, the server starts anew, or its configuration is read again with another value.";

const PATH: &str = "/v1/read-only";

const ON: &str = "Examples:
  mcrctl read-only on --addr https://registry.example --reason 'moving to another disk'";
const OFF: &str = "Examples:
  mcrctl read-only off --addr https://registry.example";
const STATUS: &str = "Examples:
  mcrctl read-only status --addr https://registry.example --json";

/// The commands below `read-only`.
#[derive(Debug, Subcommand)]
pub(crate) enum ReadOnly {
    /// Refuse pushes and deletes with 405; pulls go on
    #[command(after_help = ON)]
    On(On),
    /// Take pushes and deletes again
    #[command(after_help = OFF)]
    Off,
    /// Say which it is
    #[command(after_help = STATUS)]
    Status,
}

/// The options of `read-only on`.
#[derive(Debug, Args)]
pub(crate) struct On {
    /// Shown to those whose writes are refused
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

/// Runs a command below `read-only`.
///
/// # Errors
/// What the registry refuses, or that it could not be asked.
pub(crate) fn run(global: &Global, command: &ReadOnly) -> Result<Answer, Failure> {
    let api = Api::new(global)?;
    let json = match command {
        ReadOnly::Status => api.get(PATH)?,
        ReadOnly::Off => api.ask(&Call::put(PATH, json!({"read_only": false})))?,
        ReadOnly::On(On { reason: None }) => api.ask(&Call::put(PATH, json!({"read_only": true})))?,
        ReadOnly::On(On { reason: Some(reason) }) => {
            api.ask(&Call::put(PATH, json!({"read_only": true, "reason": reason})))?
        }
    };
    Ok(Answer::done(text(&json), json))
}

fn text(json: &Value) -> String {
    let on = json.get("read_only").and_then(Value::as_bool).unwrap_or(false);
    let reason =
        json.get("reason").and_then(Value::as_str).filter(|_| on).map(|reason| format!(": {}", printable(reason)));
    format!("{}{}\n", if on { "on" } else { "off" }, reason.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_says_which_it_is() {
        assert_eq!(text(&json!({"read_only": false, "reason": null})), "off\n");
        assert_eq!(text(&json!({"read_only": true, "reason": null})), "on\n");
        assert_eq!(text(&json!({"read_only": true, "reason": "a\u{1b}b"})), "on: a b\n");
    }
}
