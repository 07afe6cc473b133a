//! `mcrctl audit tail`: the newest entries, and what comes after them; never older ones.

use std::io::Write as _;
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::{PATH, Which, events};
use crate::api::Api;
use crate::failure::Failure;
use crate::global::Global;
use crate::print::Answer;
use crate::shape::entries;

/// How often it is asked for new entries.
const EVERY: Duration = Duration::from_secs(2);

/// The options of `audit tail`.
#[derive(Debug, Args)]
pub(crate) struct Tail {
    /// How many
    #[arg(short, long, value_name = "N", default_value_t = 20)]
    n: usize,
    /// Go on with what comes
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    which: Which,
}

/// Shows the end of the log.
///
/// # Errors
/// What the registry refuses, or that it could not be asked.
pub(super) fn run(global: &Global, command: &Tail) -> Result<Answer, Failure> {
    let mut query = command.which.query();
    query.push(("order", "desc".to_owned()));
    // Also where none is to be shown: the newest is what is followed from.
    let mut json = Api::new(global)?.list(PATH, &query, &["events"], Some(command.n.max(1)))?;
    if let Some(Value::Array(events)) = json.get_mut("events") {
        events.reverse();
    }
    let mut last = seq_of(entries(&json, "events").last()).unwrap_or(0);
    if let Some(Value::Array(events)) = json.get_mut("events").filter(|_| command.n == 0) {
        events.clear();
    }
    if !command.follow {
        let text = events::table(entries(&json, "events"));
        return Ok(Answer::done(text, json));
    }
    let mut open = show(global, entries(&json, "events"));
    // Until it is interrupted, or nobody reads what it prints.
    while open {
        std::thread::sleep(EVERY);
        // Its patience is that of one question.
        let more = after(&Api::new(global)?, command, last)?;
        let more = entries(&more, "events");
        last = seq_of(more.last()).unwrap_or(last);
        open = show(global, more);
    }
    Ok(Answer::printed())
}

fn after(api: &Api, command: &Tail, seq: i64) -> Result<Value, Failure> {
    let mut query = command.which.query();
    query.push(("order", "asc".to_owned()));
    query.push(("n", "1000".to_owned()));
    query.push(("last", seq.to_string()));
    api.get(format!("{PATH}{}", crate::api::query_of(&query)))
}

fn seq_of(event: Option<&Value>) -> Option<i64> {
    event.and_then(|event| event.get("seq")).and_then(Value::as_i64)
}

/// Prints entries one a line; whether somebody still reads them.
fn show(global: &Global, shown: &[Value]) -> bool {
    let mut stdout = std::io::stdout().lock();
    let lines = shown.iter().map(|event| if global.json { event.to_string() } else { events::line(event) });
    let mut written = lines.map(|line| writeln!(stdout, "{line}"));
    written.all(|line| line.is_ok()) && stdout.flush().is_ok()
}
