//! Storage trees on disk, looked at without a server; never a network, and never a change that was not asked for.
//!
//! A registry is judged by what it would serve (contract section 7): from every tag over links to bytes. The walk is
//! [`mcr_verifier`]'s; each layout here is one more place it looks at.

mod deep;
mod distribution;
mod error;
mod io;
mod judge;
mod key;
mod kind;
mod layout;
mod mcr;
mod oci_layout;
mod pool;
mod report;
mod scan;
mod settings;

pub use distribution::{OpenTree, TreeRepository, TreeTag, TreeTags, Trees, open_trees};
pub use error::ScanError;
pub use kind::{Kind, KindRules};
pub use layout::Layout;
pub use report::{Action, Information, MAX_LISTED, Outcome, Registry, Repaired, Report, Scanned};
pub use scan::scan;
pub use settings::{Repair, Settings, Unwatched, Watch};

pub(crate) use scan::{Part, share, suggestion};
