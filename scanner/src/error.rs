//! Why a scan could not begin; never what it found.

use std::path::PathBuf;

/// Why there is nothing to report about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// Nothing at the path looks like a registry.
    #[error(
        "{} is no registry this program knows: looked for docker/registry/v2 (distribution, or folders that hold one), mcr.db (this registry), oci-layout with index.json (an OCI layout); name another path",
        path.display()
    )]
    NotRecognised {
        /// The path.
        path: PathBuf,
    },
    /// The path cannot be looked at.
    #[error("{} cannot be looked at: {why}", path.display())]
    Unreachable {
        /// The path.
        path: PathBuf,
        /// Why, in one clause.
        why: String,
    },
    /// A rule names a registry that was not found.
    #[error("--kind {name}=…: there is no registry of this name; found: {found}")]
    NoSuchName {
        /// The name in the rule.
        name: String,
        /// Those that there are.
        found: String,
    },
    /// Images cannot be taken out of this layout.
    #[error(
        "{}: images are taken out of trees of layout distribution, this is {layout}; start its registry and name its URL instead",
        path.display()
    )]
    NothingToTake {
        /// The path.
        path: PathBuf,
        /// Its layout.
        layout: &'static str,
    },
    /// Repairs were asked for where there are none.
    #[error("{}: --repair is for layout distribution only, this is {layout}", path.display())]
    NothingToRepair {
        /// The path.
        path: PathBuf,
        /// Its layout.
        layout: &'static str,
    },
}

impl ScanError {
    /// Whether the command line is to blame, and not the tree.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        matches!(self, Self::NoSuchName { .. } | Self::NothingToTake { .. } | Self::NothingToRepair { .. })
    }
}
