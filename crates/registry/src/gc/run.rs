//! One run of the collector from its plan to its end; never what is collectable (the rows' to say).

use mcr_metadata::PlanState;

use crate::error::Error;
use crate::gc::GcOptions;
use crate::registry::Registry;
use crate::runs::Run;

impl Registry {
    /// Plans, and applies the plan unless it is only to be looked at or must wait for a person.
    pub(crate) async fn collect(&self, plan: &str, _options: GcOptions, run: Run) {
        let reason = "the collector is not there yet".to_owned();
        drop(self.discard(plan, vec![PlanState::Planning], reason, crate::plans::system()).await);
        drop(run);
    }

    /// Applies a plan in state running to its end.
    ///
    /// # Errors
    /// Inability; the plan is then given up, or goes on after the next start.
    pub(crate) async fn apply_gc(&self, _plan: &str) -> Result<(), Error> {
        Ok(())
    }
}
