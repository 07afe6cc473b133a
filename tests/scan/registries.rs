//! The registries whose trees are scanned; never scanned here. They cache nothing, so that what they say is on disk.

use std::path::Path;

use mcr_tests::distribution::{Distribution, Setup};

fn uncached() -> Setup {
    Setup { uncached: true, ..Setup::default() }
}

/// One that is pushed to.
pub(crate) fn start() -> Distribution {
    Distribution::with(uncached())
}

/// One that keeps its tree at `root`.
pub(crate) fn start_at(root: &Path) -> Distribution {
    Distribution::with(Setup { root: Some(root.to_owned()), ..uncached() })
}

/// A pull-through cache of `upstream`, with its tree at `root`.
pub(crate) fn cache_at(root: &Path, upstream: &Distribution) -> Distribution {
    Distribution::with(Setup { root: Some(root.to_owned()), proxy: Some(upstream.address()), ..uncached() })
}
