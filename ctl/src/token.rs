//! `mcrctl token`: API tokens for programs, made, listed, revoked; never how one is checked.

use clap::{Args, Subcommand};
use mcr_client::Call;
use serde_json::{Value, json};

use crate::api::{Api, escaped};
use crate::confirm::Confirm;
use crate::failure::Failure;
use crate::global::Global;
use crate::print::{self, Answer, printable};
use crate::shape::{cell, entries, time};
use crate::table::table;
use crate::when::{When, when};

pub(crate) const EXAMPLES: &str = "Examples:
  mcrctl token create --addr registry.example --name ci --actions pull,push --repositories 'infra/*' --expires 90d
  mcrctl token list --addr registry.example
  mcrctl token revoke --addr registry.example ID

A token may do what its owner may, within what it was made for. It is the password of any name, or a bearer token.";

const CREATE: &str = "Examples:
  mcrctl token create --addr registry.example --name ci --actions pull,push --repositories 'infra/*' --expires 90d
  mcrctl token create --addr registry.example --name node7 --actions pull --repositories '**' > node7.token
  docker login registry.example -u token --password-stdin < node7.token

The token is printed once, on stdout, and kept nowhere. Exit codes: 0 made, 1 refused, 2 wrong usage, 3 could not be
determined";

const LIST: &str = "Examples:
  mcrctl token list --addr registry.example
  mcrctl token list --addr registry.example --json | jq -r '.tokens[] | select(.revoked_at == null) | .id'";

const REVOKE: &str = "Examples:
  mcrctl token revoke --addr registry.example ID
  mcrctl token revoke --addr registry.example ID --yes";

const TOKENS: &str = "/v1/tokens";

/// The commands below `token`.
#[derive(Debug, Subcommand)]
pub(crate) enum Token {
    /// Make a token and print it, once
    #[command(after_help = CREATE)]
    Create(Create),
    /// List your tokens; administrators see everybody's
    #[command(after_help = LIST)]
    List(List),
    /// End a token
    #[command(after_help = REVOKE)]
    Revoke(Revoke),
}

/// The options of `token create`.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// What you call it
    #[arg(long, value_name = "NAME")]
    name: String,
    /// What it may do, separated by commas: pull, push, delete, catalog
    #[arg(long, value_name = "ACTIONS", value_delimiter = ',', required = true)]
    actions: Vec<String>,
    /// Where: patterns of repositories, * within a path segment, ** across
    #[arg(long, value_name = "GLOBS", value_delimiter = ',', required = true)]
    repositories: Vec<String>,
    /// When it ends: so long from now, or a time
    #[arg(long, value_name = "WHEN", default_value = "90d", value_parser = when)]
    expires: When,
}

/// The options of `token list`.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// At most this many
    #[arg(long, value_name = "N", value_parser = crate::cli::limit)]
    limit: Option<usize>,
}

/// The options of `token revoke`.
#[derive(Debug, Args)]
pub(crate) struct Revoke {
    /// The token's id, as token list shows it
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    confirm: Confirm,
}

/// Runs a command below `token`.
///
/// # Errors
/// Wrong usage, what the registry refuses, or that it could not be asked.
pub(crate) fn run(global: &Global, command: &Token) -> Result<Answer, Failure> {
    match command {
        Token::Create(command) => create(global, command),
        Token::List(command) => {
            let json = Api::new(global)?.list(TOKENS, &[], &["tokens"], command.limit)?;
            Ok(Answer::done(tokens(entries(&json, "tokens")), json))
        }
        Token::Revoke(command) => revoke(global, command),
    }
}

fn create(global: &Global, command: &Create) -> Result<Answer, Failure> {
    let api = Api::new(global)?;
    let wanted = json!({
        "name": command.name, "actions": command.actions, "repositories": command.repositories,
        "expires_at": command.expires.future(),
    });
    let json = api.ask(&Call::post(TOKENS, wanted))?;
    let secret = json.get("token").and_then(Value::as_str).map(printable).ok_or_else(|| {
        let (registry, id) = (api.registry(), cell(&json, "id"));
        Failure::Undetermined(format!("{registry} made token {id} and does not show it; revoke it and look at its log"))
    })?;
    let ends = time(&json, "expires_at");
    let (host, id) = (api.host(), cell(&json, "id"));
    print::note(
        global,
        &format!(
            "token {id}, shown this once; it ends {ends}. Use it as the password of any name, or as a bearer token:\n  \
             docker login -u token --password-stdin {host}\n  MCR_TOKEN=… mcrctl --addr {} repo list\n\
             End it with: mcrctl --addr {} token revoke {id}",
            api.registry(),
            api.registry()
        ),
    );
    if global.quiet && !global.json {
        // The token is the answer; without it the command would have been for nothing.
        use std::io::Write as _;
        let _ = writeln!(std::io::stdout(), "{secret}");
    }
    Ok(Answer::done(format!("{secret}\n"), json))
}

fn revoke(global: &Global, command: &Revoke) -> Result<Answer, Failure> {
    command.confirm.possible()?;
    let api = Api::new(global)?;
    let id = &command.id;
    if !command.confirm.yes {
        let all = api.list(TOKENS, &[], &["tokens"], None)?;
        let known = entries(&all, "tokens").iter().find(|token| cell(token, "id") == *id);
        let known = known.ok_or_else(|| Failure::Refused(format!("there is no token {id}; see mcrctl token list")))?;
        let table = tokens(std::slice::from_ref(known));
        command.confirm.ask(&format!("This ends the token {id}, at once:\n{}", table.trim_end()), id)?;
    }
    api.ask(&Call::delete(format!("{TOKENS}/{}", escaped(id))))?;
    Ok(Answer::done(format!("revoked token {id}\n"), json!({"id": id, "revoked": true})))
}

fn tokens(tokens: &[Value]) -> String {
    let row = |token: &Value| {
        let state = if token.get("revoked_at").is_some_and(|at| !at.is_null()) {
            format!("revoked {}", time(token, "revoked_at"))
        } else {
            format!("ends {}", time(token, "expires_at"))
        };
        vec![
            cell(token, "id"),
            cell(token, "name"),
            cell(token, "owner"),
            cell(token, "actions"),
            cell(token, "repositories"),
            time(token, "created_at"),
            time(token, "last_used_at"),
            state,
        ]
    };
    let rows: Vec<Vec<String>> = tokens.iter().map(row).collect();
    table(&["ID", "NAME", "OWNER", "ACTIONS", "REPOSITORIES", "CREATED", "LAST USED", "STATE"], &[], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_line_with_its_state() {
        let token = |expires: Value, revoked: Value| {
            json!({"id": "t1", "name": "ci", "owner": "ada", "actions": ["pull", "push"], "repositories": ["a/*"],
                "created_at": "2026-01-01T00:00:00.000Z", "expires_at": expires, "last_used_at": null, "revoked_at": revoked})
        };
        for (token, state) in [
            (token(json!("2026-02-01T00:00:00.000Z"), Value::Null), "ends 2026-02-01T00:00:00Z"),
            (
                token(json!("2026-02-01T00:00:00.000Z"), json!("2026-01-02T00:00:00.000Z")),
                "revoked 2026-01-02T00:00:00Z",
            ),
        ] {
            let text = tokens(&[token]);
            assert!(text.trim_end().ends_with(state), "{text}");
            assert!(text.contains("pull,push"), "{text}");
        }
    }
}
