//! The client programs people use, each by the same handful of deeds; never what must come of them.

mod crane;
mod ctr;
mod docker;
mod helm;
mod podman;
mod skopeo;

use std::cell::RefCell;
use std::path::Path;

use mcr_tests::process::Output;

pub(crate) use crane::Crane;
pub(crate) use ctr::Ctr;
pub(crate) use docker::Docker;
pub(crate) use helm::Helm;
pub(crate) use podman::Podman;
pub(crate) use skopeo::Skopeo;

/// Where a program finds the registry, and what it trusts.
pub(crate) struct Place<'a> {
    /// `host:port`.
    pub(crate) authority: String,
    /// A directory that holds the authority's certificate as `ca.crt`.
    pub(crate) trust: &'a Path,
}

impl Place<'_> {
    pub(crate) fn ca(&self) -> std::path::PathBuf {
        self.trust.join("ca.crt")
    }
}

/// A program that keeps credentials between commands, pushes what it holds and pulls it back.
pub(crate) trait Program {
    /// Logs in; where a program only writes credentials down, that is the deed.
    fn log_in(&self, name: &str, password: &str) -> Output;
    /// Whether [`Self::log_in`] asks the registry.
    fn login_asks(&self) -> bool;
    fn log_out(&self);
    /// Pushes its image as `repository:v1`.
    fn push(&self, repository: &str) -> Output;
    /// Pulls `repository:v1` into an empty place; where that works, insists that every byte is what was pushed.
    fn pull(&self, repository: &str) -> Output;
}

/// Credentials of a program that is given them with every command.
#[derive(Default)]
pub(crate) struct Kept(RefCell<Option<String>>);

impl Kept {
    fn keep(&self, name: &str, password: &str) {
        *self.0.borrow_mut() = Some(format!("{name}:{password}"));
    }

    fn forget(&self) {
        *self.0.borrow_mut() = None;
    }

    /// `flag` and `name:password`, or nothing.
    fn arguments(&self, flag: &str) -> Vec<String> {
        let kept = self.0.borrow();
        kept.iter().flat_map(|pair| [flag.to_owned(), pair.clone()]).collect()
    }
}

/// What `make` makes for `place`; a function, so that the two live as long as each other.
pub(crate) fn made<'a, P: Program>(make: impl FnOnce(&'a Place<'a>) -> Option<P>, place: &'a Place<'a>) -> Option<P> {
    make(place)
}
