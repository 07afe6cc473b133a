//! Retention: which tags go by which rule, as a plan that is made, confirmed and applied; never a byte, nor a row of its own.
//!
//! Contract section 9. Tags are what rules count; a tag that goes takes the part of its closure that nothing else names,
//! all of it as tombstones of one run, which can be undone as a whole.

use std::time::Duration;

use mcr_access::{Administer, GlobalPermit};

use crate::error::Error;
use crate::registry::Registry;

/// What a run of retention shall do.
#[derive(Debug, Clone, Default)]
pub struct RetentionOptions {
    /// Only show what would go.
    pub dry_run: bool,
    /// A person said yes: neither the brake nor a rule that nobody confirmed yet makes it wait, and its rules count as
    /// confirmed from then on.
    pub confirmed: bool,
    /// Only repositories that one of these globs names; none: all of them.
    pub repositories: Vec<String>,
}

impl Registry {
    /// Plans what the rules would take, and takes it in the background unless it must wait for a person. Gives the id
    /// of the plan.
    ///
    /// # Errors
    /// [`Error::Conflict`] while another run of retention is under way; [`Error::Invalid`]; [`Error::ReadOnly`];
    /// inability.
    pub async fn start_retention(
        &self,
        _permit: &GlobalPermit<Administer>,
        _options: RetentionOptions,
    ) -> Result<String, Error> {
        self.may_write()?;
        Err(Error::unavailable("retention is not there yet"))
    }

    /// One run as the schedule asks for it: waits until it is over. Nothing happens without a rule.
    ///
    /// # Errors
    /// As [`start_retention`](Self::start_retention).
    pub async fn run_scheduled_retention(&self) -> Result<(), Error> {
        Ok(())
    }

    /// How long untagged manifests of a repository stay, if its rule says so and was confirmed by a person. Blocks for
    /// one short read.
    #[allow(dead_code, reason = "the collector is about to ask")]
    pub(crate) fn confirmed_untagged_after(&self, _repository: &str) -> Option<Duration> {
        None
    }

    /// Goes on with a plan in the state `running`, from wherever it stands; see `plans.rs`.
    #[allow(dead_code, reason = "plans are about to call it")]
    pub(crate) async fn apply_retention(&self, _id: &str) -> Result<(), Error> {
        self.may_write()
    }
}
