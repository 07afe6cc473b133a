//! One line of the journal: what it may say, its form and its checksum; never when it is written nor what follows from it.
//!
//! A line is a JSON object whose first member `n` counts the lines of its generation and whose last member `sum` is
//! the beginning of the SHA-256 of everything before it. `docs/on-disk-format.md` describes it for people.

use std::borrow::Cow;

use base64::Engine as _;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use mcr_metadata::AuditPosition;
use mcr_oci::Digest;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The form of the journal that this program writes. A reader refuses a newer one.
pub(crate) const FORMAT: u32 = 1;
/// Room for a line beside a manifest's bytes.
const LINE_BYTES: usize = 1024;
/// Hex digits of the checksum: it is against accidents.
const SUM_LENGTH: usize = 16;
/// What stands between what is summed and the sum.
const SUM: &str = ",\"sum\":\"";

/// What a line says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(crate) enum Op {
    /// The first line of every segment.
    Begin(Begin),
    /// A manifest is live in a repository.
    Push {
        repository: String,
        digest: String,
        media_type: String,
        /// When it became live, in Unix milliseconds.
        pushed_at: i64,
        /// Whether children may be missing.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        sparse: bool,
        /// Its bytes.
        bytes: Bytes,
    },
    /// A tag points at a manifest.
    Tag {
        repository: String,
        tag: String,
        digest: String,
        /// When it came to point there, in Unix milliseconds.
        moved_at: i64,
    },
    /// A tag is gone.
    Untag { repository: String, tag: String },
    /// A manifest is gone.
    Delete { repository: String, digest: String },
    /// What lines before number `before` said of the repository is over.
    Forget { repository: String, before: u64 },
    /// Everything up to this place of the audit trail is said.
    At {
        seq: i64,
        hash: String,
        /// How far the telling of everything is, where it goes on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        dumped: Option<Dumped>,
    },
    /// The generation tells the whole registry: what earlier ones said is over.
    Complete,
}

/// How far the telling of everything is: a start goes on behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dumped {
    /// The repository; those before it, by name, are told.
    pub(crate) repository: String,
    /// What of it comes next.
    pub(crate) next: Next,
    /// The last of these that is told.
    pub(crate) after: String,
}

/// What the telling of everything comes to next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Next {
    /// The repository behind this one.
    #[default]
    Repository,
    /// Its manifests.
    Manifests,
    /// Its tags.
    Tags,
}

/// Bytes that stand as base64 in a line; never in memory as such, for a manifest may be large.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(&self.0, &STANDARD))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        STANDARD.decode(text.as_bytes()).map(Self).map_err(D::Error::custom)
    }
}

/// What a segment says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Begin {
    /// [`FORMAT`].
    pub(crate) format: u32,
    /// The registry's id.
    pub(crate) registry: String,
    /// The generation's number.
    pub(crate) generation: u64,
    /// The segment's number in it, from 1.
    pub(crate) segment: u64,
    /// Whether the generation told the whole registry before this segment began.
    pub(crate) complete: bool,
    /// Whether generations before this one tell the whole registry up to where it began, so that nothing is lacking
    /// although it is not complete.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) continues: bool,
    /// How far the telling of everything was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) dumped: Option<Dumped>,
    /// The length of the segment before, in bytes; 0 for the first.
    pub(crate) before: u64,
    /// Up to where the audit trail is said.
    pub(crate) seq: i64,
    /// The hash of that row.
    pub(crate) hash: String,
    /// When the segment was begun, RFC 3339; for people.
    pub(crate) at: String,
}

impl Begin {
    pub(crate) fn position(&self) -> AuditPosition {
        AuditPosition { seq: self.seq, hash: self.hash.clone() }
    }
}

#[derive(Serialize, Deserialize)]
struct Numbered<T> {
    n: u64,
    #[serde(flatten)]
    op: T,
}

/// The line number `n`, with its line feed.
pub(crate) fn write(n: u64, op: &Op) -> Result<Vec<u8>, serde_json::Error> {
    let length = LINE_BYTES + if let Op::Push { bytes, .. } = op { bytes.0.len().div_ceil(3) * 4 } else { 0 };
    let mut line = Vec::with_capacity(length);
    serde_json::to_writer(&mut line, &Numbered { n, op })?;
    // The closing brace comes behind the sum.
    line.pop();
    let sum = sum(&line);
    for part in [SUM, &sum, "\"}\n"] {
        line.extend_from_slice(part.as_bytes());
    }
    Ok(line)
}

/// The number and the words of a line; `None` where it is damaged or says what this program does not know.
pub(crate) fn read(line: &[u8]) -> Option<(u64, Op)> {
    let summed = line.len().checked_sub(SUM.len() + SUM_LENGTH + 2)?;
    let (said, rest) = line.split_at_checked(summed)?;
    let rest = rest.strip_prefix(SUM.as_bytes())?.strip_suffix(b"\"}")?;
    if rest != sum(said).as_bytes() {
        return None;
    }
    let numbered: Numbered<Op> = serde_json::from_slice(line).ok()?;
    Some((numbered.n, numbered.op))
}

fn sum(bytes: &[u8]) -> String {
    let mut hex = Digest::sha256(bytes).hex().to_owned();
    hex.truncate(SUM_LENGTH);
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push() -> Op {
        Op::Push {
            repository: "demo/app".to_owned(),
            digest: "sha256:ab".to_owned(),
            media_type: "a/b".to_owned(),
            pushed_at: 7,
            sparse: true,
            bytes: Bytes(b"\xff{}\n".to_vec()),
        }
    }

    #[test]
    fn a_line_comes_back_as_it_was_written() {
        let begin = Begin {
            format: FORMAT,
            registry: "0123".to_owned(),
            generation: 2,
            segment: 1,
            complete: false,
            continues: true,
            dumped: None,
            before: 0,
            seq: 9,
            hash: "ff".to_owned(),
            at: "2026-11-21T00:00:00Z".to_owned(),
        };
        let dumped = Dumped { repository: "demo".to_owned(), next: Next::Tags, after: "1".to_owned() };
        let at = Op::At { seq: 3, hash: "aa".to_owned(), dumped: Some(dumped) };
        for (n, op) in [(1, Op::Begin(begin)), (2, push()), (u64::MAX, Op::Complete), (4, at)] {
            let line = write(n, &op).unwrap();
            assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
            assert_eq!(read(line.trim_ascii_end()), Some((n, op)));
        }
    }

    #[test]
    fn the_form_is_the_documented_one() {
        let line = write(3, &Op::Untag { repository: "demo/app".to_owned(), tag: "1".to_owned() }).unwrap();
        let said = r#"{"n":3,"op":"untag","repository":"demo/app","tag":"1""#;
        let sum = Digest::sha256(said.as_bytes()).hex()[..16].to_owned();
        assert_eq!(String::from_utf8(line).unwrap(), format!("{said},\"sum\":\"{sum}\"}}\n"));
    }

    #[test]
    fn a_line_of_an_earlier_program_says_what_it_said() {
        let said = r#"{"n":3,"op":"at","seq":7,"hash":"aa""#;
        let line = format!("{said},\"sum\":\"{}\"}}", sum(said.as_bytes()));
        assert_eq!(read(line.as_bytes()), Some((3, Op::At { seq: 7, hash: "aa".to_owned(), dumped: None })));
    }

    #[test]
    fn damage_anywhere_is_seen() {
        let line = write(1, &push()).unwrap();
        let line = line.trim_ascii_end();
        for at in 0..line.len() {
            let mut damaged = line.to_vec();
            damaged[at] ^= 1;
            assert_eq!(read(&damaged), None, "byte {at}");
            assert_eq!(read(&line[..at]), None, "cut at {at}");
        }
    }
}
