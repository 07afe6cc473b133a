//! A policy rule as it is written on a command line or in a file; never what it decides.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

use crate::failure::Failure;
use crate::files;

/// Longest rule on stdin, in bytes.
const MAX_RULE: usize = 1 << 20;

/// What the server sets, and a file that came from it may hold.
const OF_THE_SERVER: [&str; 4] = ["id", "created_at", "updated_at", "created_by"];

/// The fields of a rule.
#[derive(Debug, Default, Args)]
pub(crate) struct Body {
    /// Read the rule from this file, as JSON; - is stdin
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// allow or deny
    #[arg(long, value_name = "EFFECT", value_parser = ["allow", "deny"])]
    effect: Option<String>,
    /// What it is about, separated by commas: pull, push, delete, catalog, version_check, policy:manage
    #[arg(long, value_name = "ACTIONS", value_delimiter = ',')]
    actions: Option<Vec<String>>,
    /// Patterns of repositories: * within a path segment, ** across
    #[arg(long, value_name = "GLOBS", value_delimiter = ',')]
    repositories: Option<Vec<String>>,
    /// Roles, of which the account has one
    #[arg(long, value_name = "ROLES", value_delimiter = ',')]
    roles: Option<Vec<String>>,
    /// Kinds of account: anonymous, human, system
    #[arg(long, value_name = "TYPES", value_delimiter = ',')]
    account_types: Option<Vec<String>>,
    /// The account: its UUID at the identity service, else its name
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<String>,
    /// Lower numbers decide first; 1 or more, 100 for a new rule that says none
    #[arg(long, value_name = "N")]
    priority: Option<u32>,
    /// What it is for, in your words
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Keep it, but do not ask it
    #[arg(long, conflicts_with = "enabled")]
    disabled: bool,
    /// Ask it (the default of a new rule)
    #[arg(long)]
    enabled: bool,
}

impl Body {
    /// What was said, as the registry reads it: the file's fields, and the options above them.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a file that cannot be read or holds no rule.
    pub(crate) fn document(&self) -> Result<Value, Failure> {
        let mut rule = self.of_file()?;
        let list = |list: &Option<Vec<String>>, shape: fn(&str) -> String| {
            let filled =
                |list: &Vec<String>| list.iter().filter(|word| !word.is_empty()).map(|word| shape(word)).collect();
            list.as_ref().map(filled).map(|list: Vec<String>| json!(list))
        };
        let subject =
            self.subject.as_ref().map(|subject| if subject.is_empty() { Value::Null } else { json!(subject) });
        let enabled = (self.enabled || self.disabled).then_some(self.enabled);
        let said = [
            ("priority", self.priority.map(Value::from)),
            ("description", self.description.clone().map(Value::from)),
            ("effect", self.effect.clone().map(Value::from)),
            ("actions", list(&self.actions, action)),
            ("roles", list(&self.roles, str::to_owned)),
            ("account_types", list(&self.account_types, str::to_owned)),
            ("subject_uuid", subject),
            ("repositories", list(&self.repositories, str::to_owned)),
            ("enabled", enabled.map(Value::from)),
        ];
        rule.extend(said.into_iter().filter_map(|(key, value)| value.map(|value| (key.to_owned(), value))));
        Ok(Value::Object(rule))
    }

    fn of_file(&self) -> Result<Map<String, Value>, Failure> {
        let Some(path) = &self.file else { return Ok(Map::new()) };
        let usage = |what: String| Failure::Usage(format!("--file {}: {what}", path.display()));
        let bytes = if path.as_os_str() == "-" {
            files::read_stdin(MAX_RULE).map(String::into_bytes)
        } else {
            files::read_small(path)
        };
        let document = serde_json::from_slice(&bytes.map_err(|error| usage(error.to_string()))?);
        match document {
            Ok(Value::Object(mut rule)) => {
                rule.retain(|key, _| !OF_THE_SERVER.contains(&key.as_str()));
                Ok(rule)
            }
            Ok(_) => Err(usage("expected one rule, a JSON object".to_owned())),
            Err(error) => Err(usage(format!("not JSON: {error}"))),
        }
    }
}

/// An action by its whole name; `pull` is short for `registry:pull`.
fn action(word: &str) -> String {
    match word {
        "manage" => "policy:manage".to_owned(),
        word if word.contains(':') => word.to_owned(),
        word => format!("registry:{word}"),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        body: Body,
    }

    fn document(words: &[&str]) -> Value {
        Line::try_parse_from([&["x"], words].concat()).unwrap().body.document().unwrap()
    }

    #[test]
    fn only_what_is_said_is_in_the_document() {
        assert_eq!(document(&[]), json!({}));
        let said = document(&["--effect", "deny", "--actions", "pull,policy:manage", "--subject", "ci", "--disabled"]);
        assert_eq!(
            said,
            json!({"effect": "deny", "actions": ["registry:pull", "policy:manage"], "subject_uuid": "ci", "enabled": false})
        );
        assert_eq!(
            document(&["--repositories", "", "--subject", ""]),
            json!({"repositories": [], "subject_uuid": null})
        );
        assert!(Line::try_parse_from(["x", "--effect", "maybe"]).is_err());
        assert!(Line::try_parse_from(["x", "--enabled", "--disabled"]).is_err());
    }

    #[test]
    fn options_stand_above_the_file_and_what_the_server_sets_is_left_out() {
        let file = tempfile::NamedTempFile::new().unwrap();
        files::replace(file.path(), br#"{"id": 7, "created_at": "x", "effect": "allow", "priority": 5}"#).unwrap();
        let path = file.path().to_str().unwrap();
        assert_eq!(document(&["--file", path, "--priority", "9"]), json!({"effect": "allow", "priority": 9}));
        files::replace(file.path(), b"[]").unwrap();
        let body = Line::try_parse_from(["x", "--file", path]).unwrap().body;
        assert!(matches!(body.document(), Err(Failure::Usage(_))));
    }
}
