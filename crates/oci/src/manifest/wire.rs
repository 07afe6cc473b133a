//! A manifest as it stands in the bytes, before its parts are held against each other; never a rule across keys.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_path_to_error::{Path, Segment};

use super::ManifestError;
use crate::descriptor::Descriptor;
use crate::json::{self, Annotations, KeyOf, Slot};
use crate::text::{detail, excerpt};

/// The keys of an image manifest and of an index together. Null and absent are the same, an empty text is absent.
pub(super) struct Wire {
    pub(super) schema_version: Option<u64>,
    pub(super) media_type: Option<String>,
    pub(super) artifact_type: Option<String>,
    pub(super) config: Option<Descriptor>,
    pub(super) layers: Option<Vec<Descriptor>>,
    pub(super) manifests: Option<Vec<Descriptor>>,
    pub(super) subject: Option<Descriptor>,
    pub(super) annotations: BTreeMap<String, String>,
    /// Whether there are `fsLayers`, as only docker's schema 1 has them.
    pub(super) fs_layers: bool,
}

/// Reads the bytes; the error names the place.
pub(super) fn read(bytes: &[u8]) -> Result<Wire, ManifestError> {
    let json = |detail: String| ManifestError::Json { detail };
    let text =
        std::str::from_utf8(bytes).map_err(|error| json(format!("not UTF-8 from byte {}", error.valid_up_to())))?;
    if !json::is_shallow(text) {
        return Err(json(format!("nested deeper than {} levels", json::DEPTH_MAX)));
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let wire = Wire::deserialize(&mut deserializer);
    wire.and_then(|wire| deserializer.end().map(|()| wire)).map_err(|error| named(&error, text))
}

/// The error for what went wrong: broken JSON is that and nothing else, else the place tells.
fn named(error: &serde_json::Error, text: &str) -> ManifestError {
    let (what, detail) = (place(text), detail(error));
    if what.is_empty() || !error.is_data() {
        ManifestError::Json { detail }
    } else if ["config", "layers", "manifests", "subject"].iter().any(|key| what.starts_with(key)) {
        ManifestError::Descriptor { what, detail }
    } else {
        ManifestError::Field { what, detail }
    }
}

/// Where reading `text` fails. Read again for it, since keeping track of the place doubles the time of every reading.
fn place(text: &str) -> String {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let again: Result<Wire, _> = serde_path_to_error::deserialize(&mut deserializer);
    again.err().map_or_else(String::new, |error| written(error.path()))
}

/// `path` as messages say it: `layers[2]: digest`.
fn written(path: &Path) -> String {
    let mut what = String::new();
    for segment in path {
        let name = match segment {
            Segment::Seq { index } => {
                what.push_str(&format!("[{index}]"));
                continue;
            }
            Segment::Map { key } => key,
            Segment::Enum { variant } => variant,
            // What the parser was about to read when it gave up.
            Segment::Unknown => continue,
        };
        if !what.is_empty() {
            what.push_str(": ");
        }
        what.push_str(name);
    }
    excerpt(&what)
}

impl<'de> Deserialize<'de> for Wire {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(WireVisitor)
    }
}

struct WireVisitor;

const KEYS: KeyOf = KeyOf(&[
    "schemaVersion",
    "mediaType",
    "artifactType",
    "config",
    "layers",
    "manifests",
    "subject",
    "annotations",
    "fsLayers",
]);

impl<'de> Visitor<'de> for WireVisitor {
    type Value = Wire;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a manifest, which is a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Wire, A::Error> {
        let (mut schema_version, mut media_type) = (Slot::default(), Slot::<String>::default());
        let (mut artifact_type, mut config) = (Slot::<String>::default(), Slot::default());
        let (mut layers, mut manifests, mut subject) = (Slot::default(), Slot::default(), Slot::default());
        let (mut notes, mut fs_layers) = (Slot::<Annotations>::default(), Slot::<IgnoredAny>::default());
        while let Some(key) = map.next_key_seed(KEYS)? {
            match key {
                Some(key @ "schemaVersion") => schema_version.fill(key, &mut map)?,
                Some(key @ "mediaType") => media_type.fill(key, &mut map)?,
                Some(key @ "artifactType") => artifact_type.fill(key, &mut map)?,
                Some(key @ "config") => config.fill(key, &mut map)?,
                Some(key @ "layers") => layers.fill(key, &mut map)?,
                Some(key @ "manifests") => manifests.fill(key, &mut map)?,
                Some(key @ "subject") => subject.fill(key, &mut map)?,
                Some(key @ "annotations") => notes.fill(key, &mut map)?,
                Some(key @ "fsLayers") => fs_layers.fill(key, &mut map)?,
                Some(_) | None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let text = |slot: Slot<String>| slot.value().filter(|text| !text.is_empty());
        Ok(Wire {
            schema_version: schema_version.value(),
            media_type: text(media_type),
            artifact_type: text(artifact_type),
            config: config.value(),
            layers: layers.value(),
            manifests: manifests.value(),
            subject: subject.value(),
            annotations: notes.value().unwrap_or_default().0,
            fs_layers: fs_layers.value().is_some(),
        })
    }
}
