//! What the table of keys says, as documents: the reference of every key and the annotated example; never a value in force.

use std::fmt::Write as _;

use super::table::{self, Fallback, KEYS, Key, Kind, LISTS, header};
use super::value::{self, Raw, quoted};

/// A value that replaces a key's example in [`annotated`]: full name, value without quotes.
pub type Chosen<'a> = (&'a str, String);

/// An annotated configuration file: every key with its meaning, set where it must be or where `chosen` sets it,
/// else commented out with its default.
#[must_use]
pub fn annotated(opening: &str, chosen: &[Chosen<'_>]) -> String {
    let mut out = String::new();
    for line in opening.lines() {
        push_line(&mut out, "# ", line);
    }
    for section in table::sections() {
        let _ = write!(out, "\n{}\n", header(section));
        for key in KEYS.iter().filter(|key| key.section() == section) {
            annotate(&mut out, key, chosen);
        }
    }
    for list in LISTS {
        out.push('\n');
        wrap(&mut out, "# ", list.doc);
        push_line(&mut out, "# ", &header(list.name));
        for key in list.keys {
            wrap(&mut out, "# ", key.doc);
            push_line(&mut out, "# ", &format!("{} = {}", key.name(), rule_example(key)));
        }
    }
    out
}

fn annotate(out: &mut String, key: &Key, chosen: &[Chosen<'_>]) {
    wrap(out, "# ", key.doc);
    let set = chosen.iter().find(|(full, _)| *full == key.full).map(|(_, value)| value.as_str());
    let (mark, text) = match (set, key.fallback) {
        (Some(value), _) => ("", value),
        (None, Fallback::Value(value)) => ("# ", value),
        (None, Fallback::Required) => ("", key.example.unwrap_or_default()),
        (None, Fallback::Unset(_) | Fallback::Derived(_)) => ("# ", key.hint.or(key.example).unwrap_or_default()),
    };
    push_line(out, mark, &format!("{} = {}", key.name(), as_toml(key.kind, text)));
}

fn rule_example(key: &Key) -> String {
    match (key.kind, key.fallback) {
        (Kind::Globs, _) => "[\"infra/**\"]".to_owned(),
        (kind, Fallback::Value(text)) => as_toml(kind, text),
        (kind, _) => as_toml(kind, key.hint.unwrap_or("v[0-9.]+")),
    }
}

/// A bare text as a file would write it.
fn as_toml(kind: Kind, text: &str) -> String {
    match value::read(kind, &Raw::Bare(text.to_owned())) {
        // Keep `:8443` as it is: its meaning depends on the machine.
        Ok(value::Value::Flag(flag)) => flag.to_string(),
        Ok(value::Value::Number(number)) => number.to_string(),
        Ok(list @ value::Value::List(_)) => list.to_string(),
        _ => quoted(text),
    }
}

fn push_line(out: &mut String, mark: &str, line: &str) {
    out.push_str(mark);
    out.push_str(line);
    out.push('\n');
}

/// Breaks a text into lines of readable width.
fn wrap(out: &mut String, mark: &str, text: &str) {
    const WIDTH: usize = 100;
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() && line.len() + word.len() >= WIDTH {
            push_line(out, mark, &line);
            line.clear();
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    push_line(out, mark, &line);
}

/// `deploy/examples/mcr.toml`.
#[must_use]
pub fn example() -> String {
    let chosen: Vec<Chosen<'_>> = KEYS.iter().filter_map(|key| Some((key.full, key.example?.to_owned()))).collect();
    let opening = "Configuration of mcrsrv, with every key this version knows. Commented keys show their default.\n\
        Generated from the table of keys; check a changed copy with: mcrsrv check-config --config FILE";
    annotated(opening, &chosen)
}

/// `docs/configuration.md`.
#[must_use]
pub fn document() -> String {
    let mut out = String::from(OPENING);
    for section in table::sections() {
        let keys: Vec<&Key> = KEYS.iter().filter(|key| key.section() == section).collect();
        push_table(&mut out, section, &keys);
        for list in LISTS.iter().filter(|list| list.place().0 == section) {
            push_list(&mut out, list);
        }
    }
    for list in LISTS.iter().filter(|list| !table::sections().contains(&list.place().0)) {
        push_list(&mut out, list);
    }
    out.push_str("\n## Not yet\n\nThese are promised for later versions and refused until then, so that nobody believes them in force:\n\n");
    for (section, names) in table::LATER {
        let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
        let names = if names.is_empty() { "the whole section".to_owned() } else { names.join(", ") };
        let _ = writeln!(out, "- `{}`: {names}", header(section));
    }
    out
}

const OPENING: &str = "# Configuration\n\n\
<!-- Generated from server/src/config/table.rs. To write it anew: MCR_BLESS=1 cargo test -p mcr-server reference -->\n\n\
`mcrsrv server --config FILE` reads TOML. `--config` may be repeated; a key in a later file wins, and its \
`[[integrity.rule]]`s, or `[[retention.rule]]`s, replace those of earlier files as a whole. Above the files stand, each winning over the one before:\n\n\
1. `MCR_SECTION_KEY` in the environment, such as `MCR_SERVER_LISTEN_ADDR` (rules have no variable);\n\
2. `$PORT` or `$PORT_REST`, `$PORT_GRPC`, `$PORT_METRICS`, which replace a listener's port and make it listen on all addresses (not with `--dev`);\n\
3. flags of the command line.\n\n\
`mcrsrv check-config --config FILE` shows what results and where each value came from. An unknown key, a missing one and a bad value are errors that name key, file, line and what was expected; all are told at once. \
An empty text takes an optional key back. Relative paths start at the working directory. \
Durations are written `\"30s\"`, `\"24h\"`, `\"7d\"`, `\"1h30m\"`; sizes `\"1GiB\"`, `\"500MB\"` or a number of bytes. \
A list of one may be written as a plain text; in a variable of the environment commas separate a list's items. \
\"Reloadable\" keys, the certificate files and the password file, are taken over on SIGHUP and when a file changes; the others need a restart.\n";

fn push_list(out: &mut String, list: &table::ListSection) {
    push_heading(out, list.name);
    let _ = write!(out, "\n{}.\n", list.doc);
    push_rows(out, &list.keys.iter().collect::<Vec<_>>());
}

fn push_heading(out: &mut String, section: &str) {
    let _ = writeln!(out, "\n## `{}`", header(section));
}

fn push_table(out: &mut String, section: &str, keys: &[&Key]) {
    push_heading(out, section);
    push_rows(out, keys);
}

fn push_rows(out: &mut String, keys: &[&Key]) {
    out.push_str("\n| key | type | default | reloadable | what it does |\n|---|---|---|---|---|\n");
    for key in keys {
        let reloadable = if key.reloadable { "yes" } else { "no" };
        let doc = key.doc.replace('|', "\\|");
        let _ =
            writeln!(out, "| `{}` | {} | {} | {reloadable} | {doc} |", key.name(), type_of(key.kind), default_of(key),);
    }
}

fn type_of(kind: Kind) -> String {
    match kind {
        Kind::Address => "address".to_owned(),
        Kind::Path => "path".to_owned(),
        Kind::Flag => "flag".to_owned(),
        Kind::Duration { min, zero, .. } if min.is_zero() || zero => "duration".to_owned(),
        Kind::Duration { min, max: Some(max), .. } => {
            format!("duration, {} to {}", value::write_duration(min), value::write_duration(max))
        }
        Kind::Duration { min, .. } => format!("duration, at least {}", value::write_duration(min)),
        Kind::Size => "size".to_owned(),
        Kind::Rate => "size per second".to_owned(),
        Kind::Number { min, max } => format!("number, {min} to {max}"),
        Kind::Choice(_) => value::expected(kind).replace('"', "`"),
        Kind::Pattern => "regular expression".to_owned(),
        Kind::Globs => "list of patterns".to_owned(),
        Kind::Schedule => "schedule, or `off`".to_owned(),
        Kind::Zone => "time zone".to_owned(),
        Kind::Urls => "URL or list of URLs".to_owned(),
        Kind::HttpsUrl => "https URL".to_owned(),
        Kind::Networks => "list of networks".to_owned(),
        Kind::Names => "list of names".to_owned(),
        Kind::Token => "text".to_owned(),
        Kind::Tokens => "list of texts".to_owned(),
        Kind::Actions => "list of actions".to_owned(),
    }
}

fn default_of(key: &Key) -> String {
    match key.fallback {
        Fallback::Required => "must be set".to_owned(),
        Fallback::Unset(meaning) => format!("not set: {meaning}"),
        Fallback::Value(text) => format!("`{}`", as_toml(key.kind, text)),
        Fallback::Derived(how) => how.to_owned(),
    }
}

#[cfg(test)]
mod tests;
