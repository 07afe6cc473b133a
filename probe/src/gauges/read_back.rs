//! Reading the text format back, as far as our own figures need it; never a general parser.

use std::collections::BTreeMap;
use std::time::Duration;

use mcr_oci::FindingKind;

use super::{BROKEN, BrokenTag, DURATION, FAILURES, Gauges, INDEXES, LAST_RUN, REPOSITORIES, TAGS, UNDETERMINED};

/// Most lines that are read.
const MAX_LINES: usize = 10_000;

/// One sample: its name, its labels, its value.
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

pub(super) fn gauges(text: &str) -> Option<Gauges> {
    let mut found: BTreeMap<&str, f64> = BTreeMap::new();
    let mut broken = Vec::new();
    for sample in text.lines().take(MAX_LINES).filter(|line| !line.starts_with('#')).filter_map(sample) {
        let known = [FAILURES, UNDETERMINED, REPOSITORIES, TAGS, INDEXES, LAST_RUN, DURATION];
        if let Some(name) = known.into_iter().find(|name| *name == sample.name) {
            found.insert(name, sample.value);
        } else if sample.name == BROKEN {
            broken.extend(broken_tag(&sample));
        }
    }
    let count = |name: &str| found.get(name).copied().and_then(whole);
    Some(Gauges {
        failures: count(FAILURES)?,
        undetermined: count(UNDETERMINED)?,
        repositories: count(REPOSITORIES)?,
        tags: count(TAGS)?,
        indexes: count(INDEXES)?,
        ended_at_ms: i64::try_from(whole((found.get(LAST_RUN)? * 1000.0).round())?).ok()?,
        duration: Duration::try_from_secs_f64(*found.get(DURATION)?).ok()?,
        broken,
    })
}

fn broken_tag(sample: &Sample) -> Option<BrokenTag> {
    Some(BrokenTag {
        repository: sample.labels.get("repository")?.clone(),
        tag: sample.labels.get("tag")?.clone(),
        kind: FindingKind::parse(sample.labels.get("kind")?)?,
    })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be a whole number in range")]
fn whole(value: f64) -> Option<u64> {
    ((0.0..9e15).contains(&value) && value.fract() == 0.0).then_some(value as u64)
}

fn sample(line: &str) -> Option<Sample> {
    let at = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(at);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (BTreeMap::new(), rest),
    };
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Sample { name: name.to_owned(), labels, value })
}

/// `name="value",…}` and what follows; values escape `\`, `"` and line breaks.
fn labels(text: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(',');
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (name, quoted) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut letters = quoted.char_indices();
        let end = loop {
            match letters.next()? {
                (at, '"') => break at,
                (_, '\\') => match letters.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (_, letter) => value.push(letter),
            }
        };
        labels.insert(name.to_owned(), value);
        rest = quoted.get(end + 1..)?;
    }
}
