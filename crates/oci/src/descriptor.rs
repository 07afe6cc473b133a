//! Descriptors (image-spec, descriptor.md) and platforms; never whether what they name is there.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::json::{Annotations, KeyOf, Size, Slot};

/// The platform of an index child (image-spec, image-index.md). What is absent is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "PlatformWire")]
pub struct Platform {
    /// The operating system, such as `linux`.
    pub os: String,
    /// The CPU architecture, such as `arm64`.
    pub architecture: String,
    /// The variant of the CPU, such as `v8`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// The version of the operating system, for Windows.
    #[serde(rename = "os.version", skip_serializing_if = "Option::is_none")]
    pub os_version: Option<String>,
    /// What the operating system must have, for Windows.
    #[serde(rename = "os.features", skip_serializing_if = "Vec::is_empty")]
    pub os_features: Vec<String>,
}

impl fmt::Display for Platform {
    /// `os/architecture[/variant]`, as clients take it after `--platform`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_unknown = |text: &str| {
            if text.is_empty() { "unknown".to_owned() } else { text.to_owned() }
        };
        write!(formatter, "{}/{}", or_unknown(&self.os), or_unknown(&self.architecture))?;
        match self.variant.as_deref() {
            None | Some("") => Ok(()),
            Some(variant) => write!(formatter, "/{variant}"),
        }
    }
}

/// A platform as it is written by others: everything may be absent or null.
#[derive(Deserialize)]
struct PlatformWire {
    os: Option<String>,
    architecture: Option<String>,
    variant: Option<String>,
    #[serde(rename = "os.version")]
    os_version: Option<String>,
    #[serde(rename = "os.features")]
    os_features: Option<Vec<String>>,
}

impl From<PlatformWire> for Platform {
    fn from(wire: PlatformWire) -> Self {
        Self {
            os: wire.os.unwrap_or_default(),
            architecture: wire.architecture.unwrap_or_default(),
            variant: wire.variant,
            os_version: wire.os_version,
            os_features: wire.os_features.unwrap_or_default(),
        }
    }
}

/// What one manifest says about other content. Read tolerantly, except that digest and size must be there and right.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// Its media type as written; empty where absent.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes, at most 2⁶³−1.
    pub size: u64,
    /// The platform it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// What kind of artifact it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    /// Annotations of the descriptor, not of the content.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The content itself in base64. [`crate::Manifest::parse`] checks it against digest and size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// Where else the content may be had. Never fetched, and no reason for the content to be absent here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
}

impl Descriptor {
    /// A descriptor with the three fields that every one has.
    #[must_use]
    pub fn new(media_type: impl Into<String>, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.into(),
            digest,
            size,
            platform: None,
            artifact_type: None,
            annotations: BTreeMap::new(),
            data: None,
            urls: Vec::new(),
        }
    }
}

impl<'de> Deserialize<'de> for Descriptor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(DescriptorVisitor)
    }
}

struct DescriptorVisitor;

const KEYS: KeyOf = KeyOf(&["mediaType", "digest", "size", "platform", "artifactType", "annotations", "data", "urls"]);

impl<'de> Visitor<'de> for DescriptorVisitor {
    type Value = Descriptor;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a descriptor")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Descriptor, A::Error> {
        let (mut media_type, mut digest, mut size) =
            (Slot::<String>::default(), Slot::default(), Slot::<Size>::default());
        let (mut platform, mut artifact_type) = (Slot::default(), Slot::<String>::default());
        let (mut notes, mut data, mut urls) = (Slot::<Annotations>::default(), Slot::default(), Slot::default());
        while let Some(key) = map.next_key_seed(KEYS)? {
            match key {
                Some(key @ "mediaType") => media_type.fill(key, &mut map)?,
                Some(key @ "digest") => digest.fill(key, &mut map)?,
                Some(key @ "size") => size.fill(key, &mut map)?,
                Some(key @ "platform") => platform.fill(key, &mut map)?,
                Some(key @ "artifactType") => artifact_type.fill(key, &mut map)?,
                Some(key @ "annotations") => notes.fill(key, &mut map)?,
                Some(key @ "data") => data.fill(key, &mut map)?,
                Some(key @ "urls") => urls.fill(key, &mut map)?,
                Some(_) | None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(Descriptor {
            media_type: media_type.value().unwrap_or_default(),
            digest: digest.value().ok_or_else(|| A::Error::missing_field("digest"))?,
            size: size.value().ok_or_else(|| A::Error::missing_field("size"))?.0,
            platform: platform.value(),
            artifact_type: artifact_type.value().filter(|text| !text.is_empty()),
            annotations: notes.value().unwrap_or_default().0,
            data: data.value(),
            urls: urls.value().unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests;
