//! `mcrctl policy`: the rules of who may do what, and which of them decides; never a decision of its own.

mod rule;

use clap::{Args, Subcommand};
use mcr_client::Call;
use serde_json::{Value, json};

use crate::api::Api;
use crate::confirm::Confirm;
use crate::failure::{Failure, Outcome};
use crate::global::Global;
use crate::print::{Answer, printable};
use crate::shape::{cell, entries};
use crate::table::table;
use rule::Body;

pub(crate) const EXAMPLES: &str = "Examples:
  mcrctl policy list --addr https://registry.example
  mcrctl policy create --addr registry.example --effect allow --account-types anonymous --actions pull --repositories 'public/**'
  mcrctl policy explain --addr registry.example --subject ci --action push --repository infra/ci

Rules are asked in the order of their priority; a deny wins over every allow, and what no rule allows is refused.
Exit codes: 0 done or allowed, 1 refused or there is none, 2 wrong usage, 3 could not be determined";

const LIST: &str = "Examples:
  mcrctl policy list --addr https://registry.example
  mcrctl policy list --addr registry.example --json | jq '.rules[] | select(.id > 0)'";

const SHOW: &str = "Examples:
  mcrctl policy show --addr registry.example 3 --json > rule.json";

const CREATE: &str = "Examples:
  mcrctl policy create --addr registry.example --file rule.json
  echo '{\"effect\": \"deny\", \"actions\": [\"registry:delete\"], \"repositories\": [\"prod/**\"]}' |
    mcrctl policy create --addr registry.example --file -
  mcrctl policy create --addr registry.example --effect allow --subject ci --actions pull,push --repositories 'infra/*'

A field that is not given matches anything. Options stand above what the file says.";

const UPDATE: &str = "Examples:
  mcrctl policy update --addr registry.example 3 --disabled
  mcrctl policy update --addr registry.example 3 --repositories 'infra/*,tools/*'
  mcrctl policy update --addr registry.example 3 --subject ''

Only what is given is changed; an empty text takes a field away, so that it matches anything.";

const DELETE: &str = "Examples:
  mcrctl policy delete --addr registry.example 3
  mcrctl policy delete --addr registry.example 3 --yes";

const EXPLAIN: &str = "Examples:
  mcrctl policy explain --addr registry.example --subject ci --action push --repository infra/ci
  mcrctl policy explain --addr registry.example --subject anonymous --account-type anonymous --action pull --repository public/x
  mcrctl policy explain --addr registry.example --subject ada --role user --action catalog

Exit codes: 0 allowed, 1 refused, 2 wrong usage, 3 could not be determined";

/// Of a rule that says none: room before it and behind it.
const PRIORITY: u32 = 100;

const RULES: &str = "/v1/policy/rules";

/// The commands below `policy`.
#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// List the rules, the built-in ones first
    #[command(after_help = LIST)]
    List(List),
    /// Show one rule
    #[command(after_help = SHOW)]
    Show(One),
    /// Make a rule
    #[command(after_help = CREATE)]
    Create(Box<Body>),
    /// Change a rule
    #[command(after_help = UPDATE)]
    Update(Box<Update>),
    /// Delete a rule
    #[command(after_help = DELETE)]
    Delete(Delete),
    /// Say which rule decides a question
    #[command(after_help = EXPLAIN)]
    Explain(Explain),
}

/// The options of `policy list`.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// At most this many
    #[arg(long, value_name = "N", value_parser = crate::cli::limit)]
    limit: Option<usize>,
}

/// A rule by its number.
#[derive(Debug, Args)]
pub(crate) struct One {
    /// The rule's number; built-in ones are negative
    #[arg(value_name = "ID", allow_negative_numbers = true)]
    id: i64,
}

/// The options of `policy update`.
#[derive(Debug, Args)]
pub(crate) struct Update {
    /// The rule's number
    #[arg(value_name = "ID", allow_negative_numbers = true)]
    id: i64,
    #[command(flatten)]
    body: Body,
}

/// The options of `policy delete`.
#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// The rule's number
    #[arg(value_name = "ID", allow_negative_numbers = true)]
    id: i64,
    #[command(flatten)]
    confirm: Confirm,
}

/// The options of `policy explain`.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// Who asks: the account's UUID, or its name
    #[arg(long, value_name = "SUBJECT")]
    subject: String,
    /// What for: pull, push, delete, catalog, version_check, policy:manage
    #[arg(long, value_name = "ACTION")]
    action: String,
    /// Where; not for actions without a place
    #[arg(long, value_name = "REPO")]
    repository: Option<String>,
    /// A role the account has, where the registry does not know it by itself; may be said several times
    #[arg(long = "role", value_name = "ROLE", value_delimiter = ',')]
    roles: Vec<String>,
    /// What the account is, where the registry does not know it by itself: anonymous, human, system
    #[arg(long, value_name = "TYPE")]
    account_type: Option<String>,
}

/// Runs a command below `policy`.
///
/// # Errors
/// Wrong usage, what the registry refuses, or that it could not be asked.
pub(crate) fn run(global: &Global, command: &Policy) -> Result<Answer, Failure> {
    let api = || Api::new(global);
    match command {
        Policy::List(command) => {
            let json = api()?.list(RULES, &[], &["rules"], command.limit)?;
            Ok(Answer::done(rules(entries(&json, "rules")), json))
        }
        Policy::Show(One { id }) => {
            let json = api()?.get(format!("{RULES}/{id}"))?;
            Ok(Answer::done(rules(std::slice::from_ref(&json)), json))
        }
        Policy::Create(body) => {
            let mut document = body.document()?;
            if document.get("effect").is_none() {
                return Err(Failure::Usage("say what the rule does: --effect allow or deny, or --file".to_owned()));
            }
            if let Some(rule) = document.as_object_mut() {
                rule.entry("priority").or_insert_with(|| json!(PRIORITY));
            }
            let json = api()?.ask(&Call::post(RULES, document))?;
            Ok(Answer::done(format!("created rule {}\n", cell(&json, "id")), json))
        }
        Policy::Update(command) => {
            let document = command.body.document()?;
            if document.as_object().is_none_or(serde_json::Map::is_empty) {
                return Err(Failure::Usage("say what to change: see mcrctl policy update --help".to_owned()));
            }
            let json = api()?.ask(&Call::patch(format!("{RULES}/{}", command.id), document))?;
            Ok(Answer::done(format!("updated rule {}\n", command.id), json))
        }
        Policy::Delete(command) => delete(global, command),
        Policy::Explain(command) => explain(&api()?, command),
    }
}

fn delete(global: &Global, command: &Delete) -> Result<Answer, Failure> {
    command.confirm.possible()?;
    let api = Api::new(global)?;
    let path = format!("{RULES}/{}", command.id);
    let rule = api.get(path.clone())?;
    let what = format!("This deletes rule {}:\n{}", command.id, rules(std::slice::from_ref(&rule)).trim_end());
    command.confirm.ask(&what, &command.id.to_string())?;
    api.ask(&Call::delete(path))?;
    Ok(Answer::done(format!("deleted rule {}\n", command.id), json!({"deleted": rule})))
}

fn explain(api: &Api, command: &Explain) -> Result<Answer, Failure> {
    let mut question = json!({"subject": command.subject, "action": command.action});
    let optional = [
        ("repository", command.repository.clone().map(Value::from)),
        ("account_type", command.account_type.clone().map(Value::from)),
        ("roles", (!command.roles.is_empty()).then(|| json!(command.roles))),
    ];
    for (key, value) in optional {
        if let (Some(object), Some(value)) = (question.as_object_mut(), value) {
            object.insert(key.to_owned(), value);
        }
    }
    let json = api.ask(&Call::post("/v1/policy/explain", question).reading())?;
    let allowed = json.get("allowed").and_then(Value::as_bool);
    let allowed = allowed.ok_or_else(|| {
        Failure::Undetermined(format!("{} answers without a decision; is it an MCR?", api.registry()))
    })?;
    let mut text = format!("{}: {}\n", if allowed { "allowed" } else { "refused" }, printable(&cell(&json, "reason")));
    if let Some(rule) = json.get("rule").filter(|rule| rule.is_object()) {
        text.push_str(&rules(std::slice::from_ref(rule)));
    }
    let outcome = if allowed { Outcome::Holds } else { Outcome::Bad };
    Ok(Answer { text, json, outcome })
}

/// Rules as a table; a field that matches anything is a `*`.
fn rules(rules: &[Value]) -> String {
    let any = |rule: &Value, key: &str| match cell(rule, key) {
        cell if cell == crate::shape::NOTHING => "*".to_owned(),
        cell => cell.replace("registry:", ""),
    };
    let row = |rule: &Value| {
        let enabled = rule.get("enabled").and_then(Value::as_bool).unwrap_or(true);
        vec![
            cell(rule, "id"),
            cell(rule, "priority"),
            format!("{}{}", cell(rule, "effect"), if enabled { "" } else { " (off)" }),
            any(rule, "actions"),
            who(rule),
            any(rule, "repositories"),
            cell(rule, "description"),
        ]
    };
    let rows: Vec<Vec<String>> = rules.iter().map(row).collect();
    table(&["ID", "PRIORITY", "EFFECT", "ACTIONS", "WHO", "REPOSITORIES", "DESCRIPTION"], &[0, 1], &rows)
}

/// Whom a rule is about.
fn who(rule: &Value) -> String {
    let parts = [("", "subject_uuid"), ("role ", "roles"), ("", "account_types")];
    let parts: Vec<String> = parts
        .iter()
        .map(|(word, key)| (word, cell(rule, key)))
        .filter(|(_, cell)| cell != crate::shape::NOTHING)
        .map(|(word, cell)| format!("{word}{cell}"))
        .collect();
    if parts.is_empty() { "*".to_owned() } else { parts.join(" & ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_one_line() {
        let text = rules(&[
            json!({"id": -1, "priority": 0, "effect": "allow", "actions": [], "roles": ["admin"], "account_types": [],
                "subject_uuid": null, "repositories": [], "enabled": true, "description": "administrators"}),
            json!({"id": 3, "priority": 10, "effect": "deny", "actions": ["registry:pull", "policy:manage"],
                "subject_uuid": "ci", "account_types": ["system"], "repositories": ["a/*"], "enabled": false}),
        ]);
        let lines: Vec<String> =
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(lines[1], "-1 0 allow * role admin * administrators");
        assert_eq!(lines[2], "3 10 deny (off) pull,policy:manage ci & system a/* -");
    }
}
