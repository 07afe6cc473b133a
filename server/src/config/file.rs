//! One configuration file: TOML text into raw entries with their lines; never what the values mean.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};
use toml::{Spanned, de};

use super::nearest::nearest;
use super::problem::{Origin, Problem, Problems};
use super::table::{self, Key, ListSection};
use super::value::Raw;

/// A key that a file sets.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Which key.
    pub key: &'static Key,
    /// What it is set to.
    pub raw: Raw,
    /// Where.
    pub origin: Origin,
}

/// One `[[integrity.rule]]` or the like of a file.
#[derive(Clone, Debug)]
pub struct RuleEntries {
    /// The line of its header.
    pub origin: Origin,
    /// Its keys.
    pub entries: Vec<Entry>,
}

/// What a file sets.
#[derive(Clone, Debug, Default)]
pub(super) struct File {
    /// Keys outside list sections.
    pub entries: Vec<Entry>,
    /// Rules in their order, by the name of their list section; a section the file does not have is absent, so that
    /// it does not replace that of an earlier file.
    pub rules: BTreeMap<&'static str, Vec<RuleEntries>>,
}

/// At most this many syntax errors of one file are told; the rest usually follows from the first.
const MAX_SYNTAX_ERRORS: usize = 5;

/// Reads the text of one file. What is wrong goes to `problems`; `None` when the text is not TOML at all.
#[must_use]
pub(super) fn read(path: &Path, text: &str, problems: &mut Problems) -> Option<File> {
    let reader = Reader { path, text };
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        for error in errors.iter().take(MAX_SYNTAX_ERRORS) {
            problems.push(reader.syntax(error));
        }
        return None;
    }
    let mut file = File::default();
    for (name, value) in document.get_ref() {
        reader.section(name, value, &mut file, problems);
    }
    Some(file)
}

type Name<'a> = Spanned<de::DeString<'a>>;
type Node<'a> = Spanned<DeValue<'a>>;

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Reader<'_> {
    fn origin(&self, span: &Range<usize>) -> Origin {
        let before = self.text.as_bytes().get(..span.start).unwrap_or_default();
        Origin::File { path: self.path.to_owned(), line: 1 + before.iter().filter(|byte| **byte == b'\n').count() }
    }

    fn syntax(&self, error: &de::Error) -> Problem {
        let span = error.span().unwrap_or_default();
        let message = error.message().replace('\n', "; ");
        Problem::at(self.origin(&span), None, format!("not TOML: {message}"))
    }

    /// One entry at the top of the file: a section, or something that should be in one.
    fn section(&self, name: &Name<'_>, value: &Node<'_>, file: &mut File, problems: &mut Problems) {
        let section = name.get_ref().as_ref();
        let origin = self.origin(&name.span());
        if table::is_later(section, "") {
            problems.push(later(origin, table::header(section)));
        } else if !table::tops().contains(&section) {
            problems.push(unknown_section(origin, section, value.get_ref()));
        } else if let DeValue::Table(entries) = value.get_ref() {
            for (name, value) in entries {
                self.entry(section, name, value, file, problems);
            }
        } else {
            problems.push(Problem::at(
                origin,
                Some(table::header(section)),
                format!("expected a section, found {}", raw(value.get_ref())),
            ));
        }
    }

    /// One entry of a section.
    fn entry(&self, section: &str, name: &Name<'_>, value: &Node<'_>, file: &mut File, problems: &mut Problems) {
        if let Some(list) = table::list_named(&format!("{section}.{}", name.get_ref())) {
            let rules = self.rules(list, name, value, problems);
            file.rules.entry(list.name).or_default().extend(rules);
        } else if let Some(entry) = self.known(section, name, value, problems) {
            file.entries.push(entry);
        }
    }

    fn known(&self, section: &str, name: &Name<'_>, value: &Node<'_>, problems: &mut Problems) -> Option<Entry> {
        let origin = self.origin(&name.span());
        let name = name.get_ref().as_ref();
        let Some(key) = table::find(section, name) else {
            problems.push(not_known(origin, section, name));
            return None;
        };
        Some(Entry { key, raw: raw(value.get_ref()), origin })
    }

    fn rules(
        &self,
        list: &ListSection,
        name: &Name<'_>,
        value: &Node<'_>,
        problems: &mut Problems,
    ) -> Vec<RuleEntries> {
        let wrong = |span: &Range<usize>| {
            let header = table::header(list.name);
            let message = format!("write each rule under a header of its own: {header}");
            Problem::at(self.origin(span), Some(header), message)
        };
        let DeValue::Array(items) = value.get_ref() else {
            problems.push(wrong(&name.span()));
            return Vec::new();
        };
        let mut rules = Vec::new();
        for item in items {
            let DeValue::Table(entries) = item.get_ref() else {
                problems.push(wrong(&item.span()));
                continue;
            };
            rules.push(RuleEntries {
                origin: self.origin(&item.span()),
                entries: entries
                    .iter()
                    .filter_map(|(name, value)| self.known(list.name, name, value, problems))
                    .collect(),
            });
        }
        rules
    }
}

fn later(origin: Origin, key: String) -> Problem {
    let version = env!("CARGO_PKG_VERSION");
    let message = format!("this version ({version}) does not know it yet; remove it, or run a newer version");
    Problem::at(origin, Some(key), message)
}

/// A name no section has: of a later version, at the wrong place, mistyped, or unheard of.
#[must_use]
pub(super) fn not_known(origin: Origin, section: &str, name: &str) -> Problem {
    let shown = format!("{} {name}", table::header(section));
    if table::is_later(section, name) {
        return later(origin, shown);
    }
    let names = table::all_keys().filter(|key| key.section() == section).map(Key::name);
    let message = if let Some(near) = nearest(name, names) {
        format!("unknown key; did you mean {near}?")
    } else if let Some(home) = home_of(name) {
        format!("unknown key here; it belongs under {home}")
    } else {
        "unknown key; `mcrsrv check-config` lists those there are".to_owned()
    };
    Problem::at(origin, Some(shown), message)
}

fn unknown_section(origin: Origin, name: &str, value: &DeValue<'_>) -> Problem {
    if !matches!(value, DeValue::Table(_) | DeValue::Array(_)) {
        let message = match home_of(name) {
            Some(home) => format!("unknown key here; it belongs under {home}"),
            None => "unknown key; every key stands in a section such as [server]".to_owned(),
        };
        return Problem::at(origin, Some(name.to_owned()), message);
    }
    let message = match nearest(name, table::tops()) {
        Some(near) => format!("unknown section; did you mean {}?", table::header(near)),
        None => format!("unknown section; there are {}", table::tops().join(", ")),
    };
    Problem::at(origin, Some(table::header(name)), message)
}

/// The header of the only section that has a key of this name.
fn home_of(name: &str) -> Option<String> {
    let mut homes = table::all_keys().filter(|key| key.name() == name);
    let home = homes.next()?;
    homes.next().is_none().then(|| table::header(home.section()))
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Integer(number) => i128::from_str_radix(number.as_str(), number.radix())
            .map_or(Raw::Other("a number out of range"), Raw::Integer),
        DeValue::Boolean(flag) => Raw::Flag(*flag),
        DeValue::Array(items) => Raw::List(items.iter().map(|item| raw(item.get_ref())).collect()),
        DeValue::Float(_) => Raw::Other("a number with a fraction"),
        DeValue::Datetime(_) => Raw::Other("a date or time"),
        DeValue::Table(_) => Raw::Other("a table"),
    }
}

#[cfg(test)]
mod tests;
