//! Entries of the audit log as a table or as lines; never which of them.

use serde_json::Value;

use crate::print::printable;
use crate::shape::{NOTHING, cell, time};
use crate::table;

/// Entries as a table.
pub(super) fn table(events: &[Value]) -> String {
    let rows: Vec<Vec<String>> = events.iter().map(row).collect();
    table::table(&["SEQ", "AT", "EVENT", "ACTOR", "ADDRESS", "WHAT", "DETAILS"], &[0], &rows)
}

/// One entry as one line.
pub(super) fn line(event: &Value) -> String {
    printable(&row(event).join("  "))
}

fn row(event: &Value) -> Vec<String> {
    vec![
        cell(event, "seq"),
        time(event, "at"),
        cell(event, "event"),
        cell(event, "actor"),
        cell(event, "address"),
        what(event),
        details(event),
    ]
}

/// `repository:tag@digest`, as much of it as there is.
fn what(event: &Value) -> String {
    let part = |key: &str, sign: &str| match cell(event, key) {
        cell if cell == NOTHING => String::new(),
        cell => format!("{sign}{cell}"),
    };
    let whole = format!("{}{}{}", part("repository", ""), part("tag", ":"), part("digest", "@"));
    if whole.is_empty() { NOTHING.to_owned() } else { whole }
}

/// `key=value` of each detail.
fn details(event: &Value) -> String {
    match event.get("details") {
        Some(Value::Object(details)) if !details.is_empty() => {
            let of = |(key, value): (&String, &Value)| {
                format!("{key}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            };
            details.iter().map(of).collect::<Vec<_>>().join(" ")
        }
        Some(Value::String(text)) if !text.is_empty() => text.clone(),
        _ => NOTHING.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_entry_is_one_line() {
        let event = json!({"seq": 7, "at": "2026-11-21T16:00:00.500Z", "event": "tag_moved", "actor": "ad\na",
            "address": "10.0.0.1", "repository": "infra/ci", "tag": "v1", "digest": "sha256:ab",
            "details": {"previous": "sha256:cd", "n": 2}, "hash": "x"});
        assert_eq!(
            line(&event),
            "7  2026-11-21T16:00:00Z  tag_moved  ad a  10.0.0.1  infra/ci:v1@sha256:ab  previous=sha256:cd n=2"
        );
        assert_eq!(line(&json!({"seq": 1, "at": "x", "event": "login"})), "1  x  login  -  -  -  -");
    }
}
