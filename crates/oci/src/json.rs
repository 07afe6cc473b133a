//! Reading JSON as clients written in Go read it, minus what two readers could read differently; never what it means.
//!
//! `null` is absent and unknown keys are skipped. Refused is what readers disagree about: a key given twice, a key
//! that Go would take for another one because only its case differs, and nesting that some readers cannot follow.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};

/// The deepest nesting that is read. `serde_json` stops at 128; Go at 10 000; a manifest needs six.
pub(crate) const DEPTH_MAX: usize = 100;

/// Whether brackets and braces outside of texts nest no deeper than [`DEPTH_MAX`]; says nothing about anything else.
pub(crate) fn is_shallow(json: &str) -> bool {
    // Counting is several times faster than looking, and says enough for most manifests.
    json.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count() <= DEPTH_MAX || nests_shallow(json)
}

fn nests_shallow(json: &str) -> bool {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            _ if in_text => {}
            b'[' | b'{' => depth = depth.saturating_add(1),
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DEPTH_MAX {
            return false;
        }
    }
    true
}

/// The value of one known key: not met yet, `null`, or there.
pub(crate) struct Slot<T>(Option<Option<T>>);

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Slot<T> {
    /// Takes the value of the key `name`, which `map` just gave; a second one is an error.
    pub(crate) fn fill<'de, A>(&mut self, name: &'static str, map: &mut A) -> Result<(), A::Error>
    where
        A: MapAccess<'de>,
        T: Deserialize<'de>,
    {
        if self.0.is_some() {
            return Err(A::Error::custom(format_args!("the key `{name}` is given twice")));
        }
        self.0 = Some(map.next_value()?);
        Ok(())
    }

    /// What was there.
    pub(crate) fn value(self) -> Option<T> {
        self.0.flatten()
    }
}

/// Reads the next key as one of these, or as `None` if it is none of them.
#[derive(Clone, Copy)]
pub(crate) struct KeyOf(pub(crate) &'static [&'static str]);

impl<'de> DeserializeSeed<'de> for KeyOf {
    type Value = Option<&'static str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for KeyOf {
    type Value = Option<&'static str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Self::Value, E> {
        if let Some(known) = self.0.iter().find(|known| **known == key) {
            return Ok(Some(known));
        }
        match self.0.iter().find(|known| looks_like(key, known)) {
            None => Ok(None),
            Some(known) => Err(E::custom(format_args!("a key that some clients would read as `{known}`"))),
        }
    }
}

/// Whether Go's `encoding/json` would take `key` for `known`: equal but for case, under Unicode's simple folding.
fn looks_like(key: &str, known: &str) -> bool {
    let fold = |character: char| match character {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    key.chars().map(fold).eq(known.chars().map(fold))
}

/// A size in bytes: a whole number from 0 to 2⁶³−1, which is what Go reads.
pub(crate) struct Size(pub(crate) u64);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_u64(SizeVisitor).map(Self)
    }
}

struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = u64;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a size in bytes, a whole number from 0 to 2^63-1")
    }

    fn visit_u64<E: Error>(self, size: u64) -> Result<u64, E> {
        let fits = i64::try_from(size).is_ok();
        if fits { Ok(size) } else { Err(E::invalid_value(serde::de::Unexpected::Unsigned(size), &self)) }
    }

    fn visit_i64<E: Error>(self, size: i64) -> Result<u64, E> {
        u64::try_from(size).map_err(|_| E::invalid_value(serde::de::Unexpected::Signed(size), &self))
    }
}

/// Annotations: texts by key. Go reads a null value as an empty text, and of a key given twice the last value.
#[derive(Default)]
pub(crate) struct Annotations(pub(crate) BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AnnotationsVisitor).map(Self)
    }
}

struct AnnotationsVisitor;

impl<'de> Visitor<'de> for AnnotationsVisitor {
    type Value = BTreeMap<String, String>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("annotations, an object of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut annotations = BTreeMap::new();
        while let Some((key, value)) = map.next_entry::<String, Option<String>>()? {
            annotations.insert(key, value.unwrap_or_default());
        }
        Ok(annotations)
    }
}

#[cfg(test)]
mod tests;
