//! The closure walk, the one definition of "complete": index → children → config and layers, over any [`Source`].
//!
//! What never lives here: HTTP, SQL, files, and what a caller does about a finding.
//!
//! A manifest is *complete* when every required edge of its closure is present, is of the size and
//! type its descriptor says, and can be served. [`walk()`] answers that with a [`Report`]: findings
//! are data, and only the inability to look is an error.

mod examine;
mod options;
mod report;
mod source;
mod walk;

pub use options::{
    Absence, Limits, MAX_DEPTH, MAX_FINDINGS, MAX_MANIFEST_BYTES, MAX_MANIFESTS, Options, PlatformFilter,
};
pub use report::{Checked, Located, Report, Skipped};
pub use source::{Look, Problem, Source, StoredBlob, StoredManifest};
pub use walk::{Memory, Root, walk, walk_all};

#[cfg(test)]
mod tests;
