//! Values as files and the environment write them, read into types and written back; never which key they belong to.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;

use super::table::Kind;

mod lists;

pub use lists::{USER_ACTIONS, short};

/// The longest duration that is accepted: a hundred years, so that sums of times never overflow.
const MAX_DURATION: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// A value as it was written, before its key's type is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Raw {
    /// A quoted string in a file.
    Text(String),
    /// An environment variable or a flag of the command line: text that may also mean a number or a truth value.
    Bare(String),
    /// An integer.
    Integer(i128),
    /// A truth value.
    Flag(bool),
    /// A list.
    List(Vec<Raw>),
    /// Anything no key takes; the word says what it is.
    Other(&'static str),
}

/// A value of the type its key asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A socket address; port 0 lets the system choose.
    Address(SocketAddr),
    /// An absolute path.
    Path(PathBuf),
    /// A truth value.
    Flag(bool),
    /// A length of time.
    Duration(Duration),
    /// A number of bytes.
    Size(u64),
    /// A number of bytes in a second.
    Rate(u64),
    /// A whole number.
    Number(u64),
    /// One of the words of [`Kind::Choice`].
    Word(&'static str),
    /// Text: a regular expression, a schedule or [`OFF`].
    Text(String),
    /// A list: patterns, networks, names, URLs or actions, each in one way of writing it.
    List(Vec<String>),
}

/// Reads `raw` as `kind`.
///
/// # Errors
/// A sentence that says what was expected and what was found.
pub fn read(kind: Kind, raw: &Raw) -> Result<Value, String> {
    let read = match kind {
        Kind::Address => text(raw).and_then(address).map(Value::Address),
        Kind::Path => text(raw).and_then(path).map(Value::Path),
        Kind::Flag => flag(raw).map(Value::Flag),
        Kind::Duration { min, max, zero } => duration_value(raw)
            .filter(|length| (min..=max.unwrap_or(MAX_DURATION)).contains(length) || (zero && length.is_zero()))
            .map(Value::Duration),
        Kind::Size => size_value(raw).map(Value::Size),
        Kind::Rate => rate(raw).map(Value::Rate),
        Kind::Number { min, max } => number(raw).filter(|number| (min..=max).contains(number)).map(Value::Number),
        Kind::Choice(words) => {
            text(raw).and_then(|text| words.iter().find(|word| **word == text)).map(|word| Value::Word(word))
        }
        Kind::Pattern => return pattern(raw),
        Kind::Globs => globs(raw).map(Value::List),
        Kind::Schedule => return schedule(raw),
        Kind::Zone => return zone(raw),
        Kind::Urls => lists::urls(raw).map(Value::List),
        Kind::HttpsUrl => lists::https_url(raw).map(Value::Text),
        Kind::Networks => lists::networks(raw).map(Value::List),
        Kind::Names => lists::names(raw).map(Value::List),
        Kind::Token => text(raw).and_then(lists::word).map(|word| Value::Text(word.to_owned())),
        Kind::Tokens => lists::words(raw).map(Value::List),
        Kind::Actions => lists::actions(raw).map(Value::List),
    };
    read.ok_or_else(|| format!("expected {}, found {}", expected(kind), raw))
}

/// What a value of this kind looks like, for messages.
#[must_use]
pub fn expected(kind: Kind) -> String {
    match kind {
        Kind::Address => "IP:PORT such as \"127.0.0.1:8443\", or \":8443\" for all addresses".to_owned(),
        Kind::Path => "a path in quotes such as \"/srv/mcr\"".to_owned(),
        Kind::Flag => "true or false".to_owned(),
        Kind::Duration { min, max, zero } => {
            let least = match (min.is_zero(), zero) {
                (true, _) => String::new(),
                (false, true) => format!(", 0 or at least {}", write_duration(min)),
                (false, false) => format!(", at least {}", write_duration(min)),
            };
            let most = max.map(|max| format!(" and at most {}", write_duration(max))).unwrap_or_default();
            format!("a duration such as \"30s\", \"24h\" or \"7d\"{least}{most}")
        }
        Kind::Size => "a size such as \"1GiB\", \"500MB\" or a number of bytes".to_owned(),
        Kind::Rate => "bytes a second, such as \"50MiB/s\"".to_owned(),
        Kind::Number { min, max } => format!("a whole number from {min} to {max}"),
        Kind::Choice(words) => {
            let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
            match words.split_last() {
                Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
                _ => words.concat(),
            }
        }
        Kind::Pattern => "a regular expression such as \"v[0-9.]+\"".to_owned(),
        Kind::Globs => "a list of repository patterns such as [\"infra/*\"]".to_owned(),
        Kind::Schedule => "a schedule such as \"*/15 * * * *\" (six fields: seconds first), or \"off\"".to_owned(),
        Kind::Zone => "the name of a time zone such as \"UTC\" or \"Europe/Vienna\"".to_owned(),
        Kind::Urls => {
            "one URL or a list of them, each http or https with a host and no path, such as \"https://registry.example:8443\""
                .to_owned()
        }
        Kind::HttpsUrl => "an https URL such as \"https://id.example:8443\"".to_owned(),
        Kind::Networks => "a list of networks such as [\"10.0.0.0/8\", \"192.0.2.7\"]".to_owned(),
        Kind::Names => "a list of account names or patterns such as [\"ann\", \"ci-*\"]".to_owned(),
        Kind::Token => "a short text without spaces".to_owned(),
        Kind::Tokens => "a list of short texts without spaces such as [\"env:prod\"]".to_owned(),
        Kind::Actions => {
            let names: Vec<String> = USER_ACTIONS.iter().map(|kind| quoted(short(*kind))).collect();
            format!("a list of {}", names.join(", "))
        }
    }
}

fn text(raw: &Raw) -> Option<&str> {
    match raw {
        Raw::Text(text) | Raw::Bare(text) => Some(text),
        _ => None,
    }
}

fn flag(raw: &Raw) -> Option<bool> {
    match raw {
        Raw::Flag(flag) => Some(*flag),
        Raw::Bare(text) if text == "true" => Some(true),
        Raw::Bare(text) if text == "false" => Some(false),
        _ => None,
    }
}

/// Whether a text is what [`Kind::HttpsUrl`] takes.
#[must_use]
pub fn is_https_url(text: &str) -> bool {
    lists::https_url(&Raw::Text(text.to_owned())).is_some()
}

/// Reads `IP:PORT`, or `:PORT` for all addresses.
#[must_use]
pub fn address(text: &str) -> Option<SocketAddr> {
    match text.strip_prefix(':') {
        Some(port) => port.parse().ok().map(|port| SocketAddr::new(all_addresses(), port)),
        None => text.parse().ok(),
    }
}

/// The address that means "all": IPv6 and with it IPv4 where the system has IPv6, else IPv4 alone.
/// A client that asks `localhost` tries IPv6 first; listening on IPv4 only would fail it.
#[must_use]
pub fn all_addresses() -> IpAddr {
    match UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)) {
        Ok(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        Err(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    }
}

fn path(text: &str) -> Option<PathBuf> {
    if text.is_empty() || text.contains('\0') {
        return None;
    }
    std::path::absolute(text).ok()
}

fn duration_value(raw: &Raw) -> Option<Duration> {
    match raw {
        Raw::Integer(0) => Some(Duration::ZERO),
        _ => text(raw).and_then(duration),
    }
}

/// Reads a duration: `0`, or numbers with the units `ms`, `s`, `m`, `h`, `d`, the largest first: `1h30m`.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    let mut last_unit = u64::MAX;
    while !rest.is_empty() {
        let (number, after) = split_number(rest)?;
        let unit_end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(unit_end)?;
        let unit_ms = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        if unit_ms >= last_unit {
            return None;
        }
        last_unit = unit_ms;
        total = total.checked_add(Duration::from_millis(number.checked_mul(unit_ms)?))?;
        rest = after;
    }
    (!text.is_empty() && total <= MAX_DURATION).then_some(total)
}

/// Writes a duration so that [`duration`] reads it back: in the largest unit that divides it.
#[must_use]
pub fn write_duration(length: Duration) -> String {
    let ms = length.as_millis();
    if ms == 0 {
        return "0s".to_owned();
    }
    for (unit, unit_ms) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)] {
        if ms.is_multiple_of(unit_ms) {
            return format!("{}{unit}", ms / unit_ms);
        }
    }
    format!("{ms}ms")
}

fn size_value(raw: &Raw) -> Option<u64> {
    match raw {
        Raw::Integer(bytes) => u64::try_from(*bytes).ok(),
        _ => text(raw).and_then(size),
    }
}

const SIZE_UNITS: &[(&str, u64)] = &[
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// Reads a size: a number with one of the units B, kB, MB, GB, TB, KiB, MiB, GiB, TiB, or bytes without one.
#[must_use]
pub fn size(text: &str) -> Option<u64> {
    let (number, unit) = split_number(text)?;
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    if unit.is_empty() {
        return Some(number);
    }
    let (_, factor) = SIZE_UNITS.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*factor)
}

/// Writes a size so that [`size`] reads it back: in the largest binary unit that divides it.
#[must_use]
pub fn write_size(bytes: u64) -> String {
    for (unit, factor) in SIZE_UNITS.iter().filter(|(unit, _)| unit.ends_with("iB")) {
        if bytes != 0 && bytes.is_multiple_of(*factor) {
            return format!("{}{unit}", bytes / factor);
        }
    }
    format!("{bytes}B")
}

/// Bytes a second: a size with `/s` behind it, which may be left out. None at all is no rate.
fn rate(raw: &Raw) -> Option<u64> {
    let bytes = match raw {
        Raw::Integer(_) => size_value(raw),
        _ => text(raw).map(|text| text.strip_suffix("/s").unwrap_or(text)).and_then(size),
    };
    bytes.filter(|bytes| *bytes > 0)
}

fn number(raw: &Raw) -> Option<u64> {
    match raw {
        Raw::Integer(number) => u64::try_from(*number).ok(),
        Raw::Bare(text) => text.parse().ok(),
        _ => None,
    }
}

fn split_number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at_checked(end)?;
    Some((digits.parse().ok()?, rest))
}

/// Unlike other kinds it can say what is wrong inside the text.
fn pattern(raw: &Raw) -> Result<Value, String> {
    let Some(text) = text(raw).filter(|text| !text.is_empty()) else {
        return Err(format!("expected {}, found {raw}", expected(Kind::Pattern)));
    };
    match regex::Regex::new(text) {
        Ok(_) => Ok(Value::Text(text.to_owned())),
        Err(error) => {
            // The last line says what is wrong; those before it draw where.
            let error = error.to_string();
            let reason = error.lines().next_back().unwrap_or_default().trim_start_matches("error: ");
            Err(format!("expected {}, found {raw}: {reason}", expected(Kind::Pattern)))
        }
    }
}

/// What a schedule that never comes is kept as.
pub const OFF: &str = "off";

/// A schedule that was read by whoever follows it, so that it says what is wrong.
fn schedule(raw: &Raw) -> Result<Value, String> {
    let Some(text) = text(raw).map(str::trim) else {
        return Err(format!("expected {}, found {raw}", expected(Kind::Schedule)));
    };
    if text.is_empty() || text == OFF {
        return Ok(Value::Text(OFF.to_owned()));
    }
    match mcr_probe::Schedule::parse(text) {
        Ok(schedule) => Ok(Value::Text(schedule.as_str().to_owned())),
        Err(error) => Err(error.to_string()),
    }
}

fn zone(raw: &Raw) -> Result<Value, String> {
    let Some(name) = text(raw) else { return Err(format!("expected {}, found {raw}", expected(Kind::Zone))) };
    mcr_probe::Zone::named(name).map(|zone| Value::Text(zone.name().to_owned())).map_err(|error| error.to_string())
}

fn globs(raw: &Raw) -> Option<Vec<String>> {
    // One alone needs no brackets.
    let items = if let Raw::List(items) = raw { items.as_slice() } else { std::slice::from_ref(raw) };
    let patterns: Option<Vec<String>> =
        items.iter().map(|item| text(item).filter(|glob| is_glob(glob)).map(str::to_owned)).collect();
    patterns.filter(|patterns| !patterns.is_empty())
}

/// A pattern may hold what a repository name may, and `*`.
fn is_glob(glob: &str) -> bool {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/*".contains(c);
    !glob.is_empty() && glob.len() <= 255 && glob.chars().all(allowed)
}

impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) | Self::Bare(text) => write!(f, "{text:?}"),
            Self::Integer(number) => write!(f, "the number {number}"),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::List(items) => write!(f, "a list of {}", items.len()),
            Self::Other(what) => f.write_str(what),
        }
    }
}

/// As TOML, so that it could stand in a file.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "\"{address}\""),
            Self::Path(path) => f.write_str(&quoted(&path.display().to_string())),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Duration(length) => write!(f, "\"{}\"", write_duration(*length)),
            Self::Size(bytes) => write!(f, "\"{}\"", write_size(*bytes)),
            Self::Rate(bytes) => write!(f, "\"{}/s\"", write_size(*bytes)),
            Self::Number(number) => write!(f, "{number}"),
            Self::Word(word) => write!(f, "\"{word}\""),
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::List(items) => {
                let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
                write!(f, "[{}]", items.join(", "))
            }
        }
    }
}

/// A TOML basic string.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests;
