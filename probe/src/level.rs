//! How closely a blob is looked at; never the look.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How closely blobs are looked at (contract section 5). Manifests are fetched and hashed at every level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Ask whether each blob is there, and how long it is said to be.
    Head,
    /// And ask for its last byte, which a truncated or empty blob behind a healthy HEAD cannot answer.
    #[default]
    Tail,
    /// Download everything and hash it.
    Full,
}

impl Level {
    /// Every level, from the quickest to the most thorough.
    pub const ALL: [Self; 3] = [Self::Head, Self::Tail, Self::Full];

    /// The word that configuration and command lines use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Head => "head",
            Self::Tail => "tail",
            Self::Full => "full",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|level| level.as_str() == text);
        known.ok_or_else(|| format!("{text:?} is no level; expected head, tail or full"))
    }
}
