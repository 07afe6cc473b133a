//! `mcrctl audit`: who did what, as the registry's log has it; never an entry of its own.

mod events;
mod export;
mod tail;

use clap::{Args, Subcommand};
use mcr_client::Call;
use serde_json::{Value, json};

use crate::api::Api;
use crate::failure::{Failure, Outcome};
use crate::global::Global;
use crate::print::{Answer, printable};
use crate::shape::{cell, count, entries};
use crate::when::{When, when};

pub(crate) const EXAMPLES: &str = "Examples:
  mcrctl audit tail --n 20 --addr https://registry.example
  mcrctl audit list --addr registry.example --since 2h --event policy_deny
  mcrctl audit export --addr registry.example --since 30d --format csv --output audit.csv
  mcrctl audit verify --addr registry.example

Exit codes: 0 done or sound, 1 broken or refused, 2 wrong usage, 3 could not be determined";

const LIST: &str = "Examples:
  mcrctl audit list --addr registry.example --since 2h --event policy_deny
  mcrctl audit list --addr registry.example --actor ci --repository infra/ci --limit 1000
  mcrctl audit list --addr registry.example --since 2026-11-01 --until 2026-12-01 --limit 0 --json";

const TAIL: &str = "Examples:
  mcrctl audit tail --n 20 --addr https://registry.example
  mcrctl audit tail --follow --addr registry.example --event login_failed
  mcrctl audit tail --follow --addr registry.example --json | jq .

With --follow it goes on until it is interrupted, and --json prints one document a line.";

const EXPORT: &str = "Examples:
  mcrctl audit export --addr registry.example > audit.jsonl
  mcrctl audit export --addr registry.example --since 30d --format csv --output audit.csv";

const VERIFY: &str = "Examples:
  mcrctl audit verify --addr registry.example
  mcrctl audit verify --addr registry.example --expect-head 5f2b…

Write the head down where the registry's machine cannot change it, and give it back later with --expect-head.
Exit codes: 0 sound, 1 broken, or the expected head is not in it, 2 wrong usage, 3 could not be determined";

/// Where the log is asked.
const PATH: &str = "/v1/audit";

/// The commands below `audit`.
#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// List entries, newest first
    #[command(after_help = LIST)]
    List(List),
    /// Show the newest entries, the newest last
    #[command(after_help = TAIL)]
    Tail(tail::Tail),
    /// Write entries as JSON lines or CSV, oldest first
    #[command(after_help = EXPORT)]
    Export(export::Export),
    /// Compute the hash chain again
    #[command(after_help = VERIFY)]
    Verify(Verify),
}

/// Which entries.
#[derive(Debug, Default, Args)]
pub(crate) struct Which {
    /// From this time on: 2h ago, or RFC 3339
    #[arg(long, value_name = "WHEN", value_parser = when)]
    since: Option<When>,
    /// Up to before this time
    #[arg(long, value_name = "WHEN", value_parser = when)]
    until: Option<When>,
    /// Only of this account
    #[arg(long, value_name = "ACCOUNT")]
    actor: Option<String>,
    /// Only of this kind, such as policy_deny or manifest_pushed
    #[arg(long, value_name = "EVENT")]
    event: Option<String>,
    /// Only of this repository
    #[arg(long, value_name = "REPO")]
    repository: Option<String>,
}

impl Which {
    /// As the registry is asked.
    pub(crate) fn query(&self) -> Vec<(&'static str, String)> {
        let pairs = [
            ("since", self.since.as_ref().map(When::past)),
            ("until", self.until.as_ref().map(When::past)),
            ("actor", self.actor.clone()),
            ("event", self.event.clone()),
            ("repository", self.repository.clone()),
        ];
        pairs.into_iter().filter_map(|(name, value)| value.map(|value| (name, value))).collect()
    }
}

/// The options of `audit list`.
#[derive(Debug, Args)]
pub(crate) struct List {
    #[command(flatten)]
    which: Which,
    /// At most this many; 0 is all
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
}

/// The options of `audit verify`.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// A head that was printed earlier: it must be in the chain
    #[arg(long, value_name = "HASH")]
    expect_head: Option<String>,
}

/// Runs a command below `audit`.
///
/// # Errors
/// Wrong usage, what the registry refuses, or that it could not be asked.
pub(crate) fn run(global: &Global, command: &Audit) -> Result<Answer, Failure> {
    match command {
        Audit::List(command) => {
            let limit = (command.limit > 0).then_some(command.limit);
            let json = Api::new(global)?.list(PATH, &command.which.query(), &["events"], limit)?;
            Ok(Answer::done(events::table(entries(&json, "events")), json))
        }
        Audit::Tail(command) => tail::run(global, command),
        Audit::Export(command) => export::run(global, command),
        Audit::Verify(command) => verify(&Api::new(global)?, command),
    }
}

fn verify(api: &Api, command: &Verify) -> Result<Answer, Failure> {
    let wanted = command.expect_head.as_ref().map_or_else(|| json!({}), |head| json!({"expect_head": head}));
    let json = api.ask(&Call::post(format!("{PATH}/verify"), wanted).reading())?;
    judged(json).ok_or_else(|| {
        Failure::Undetermined(format!("{} answers without saying whether it is sound; is it an MCR?", api.registry()))
    })
}

/// What the registry found; none for a document that does not say.
fn judged(json: Value) -> Option<Answer> {
    let sound = json.get("sound").and_then(Value::as_bool)?;
    let missing = json.get("expected_found").and_then(Value::as_bool) == Some(false);
    let rows = count(json.get("rows").and_then(Value::as_u64)?, "entry", "entries");
    let head = printable(&cell(&json, "head"));
    let mut text = match sound {
        true => format!("sound: {rows}\nhead: {head}\n"),
        false => {
            format!("BROKEN at entry {}: it, or one before it, was changed\nhead: {head}\n", cell(&json, "broken_at"))
        }
    };
    if missing {
        text.push_str("NOT FOUND: the expected head is not in the chain: entries were cut off, or it is another log\n");
    }
    let outcome = if sound && !missing { Outcome::Holds } else { Outcome::Bad };
    Some(Answer { text, json, outcome })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_sound_or_not() {
        let of = |json: Value| judged(json).map(|answer| (answer.text, answer.outcome));
        let (text, outcome) =
            of(json!({"rows": 1, "head": "ab", "broken_at": null, "sound": true, "expected_found": null})).unwrap();
        assert_eq!((text.as_str(), outcome), ("sound: 1 entry\nhead: ab\n", Outcome::Holds));
        let (text, outcome) = of(json!({"rows": 9, "head": "ab", "broken_at": 4, "sound": false})).unwrap();
        assert!(text.starts_with("BROKEN at entry 4"), "{text}");
        assert_eq!(outcome, Outcome::Bad);
        let (text, outcome) = of(json!({"rows": 9, "head": "ab", "sound": true, "expected_found": false})).unwrap();
        assert!(text.contains("NOT FOUND"), "{text}");
        assert_eq!(outcome, Outcome::Bad);
        assert_eq!(of(json!({})), None);
    }

    #[test]
    fn a_query_holds_what_was_said() {
        let which = Which { since: Some(When::At(0)), event: Some("login".to_owned()), ..Which::default() };
        assert_eq!(which.query(), [("since", "1970-01-01T00:00:00.000Z".to_owned()), ("event", "login".to_owned())]);
    }
}
