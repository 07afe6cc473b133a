//! The figures of a probe: shown, delivered, and read back from a file of an earlier process; never where they go.

use std::path::PathBuf;
use std::sync::Arc;

use mcr_probe::{Exposition, Gauges, RunFailure};
use reqwest::Url;

use crate::failure::Failure;
use crate::files;
use crate::outlets::Outlets;

/// The job that a Pushgateway groups the figures under.
const JOB: &str = "registry_probe";

/// What `/metrics` shows, and where it goes after each run.
#[derive(Debug)]
pub(crate) struct Figures {
    exposition: Arc<Exposition>,
    outlets: Outlets,
}

impl Figures {
    /// Figures that show what a textfile of an earlier process says of its last complete run.
    ///
    /// # Errors
    /// [`Failure::Usage`] for an address that no Pushgateway has, or a file that cannot be read.
    pub(crate) fn new(
        instance: Option<&str>,
        textfile: Option<PathBuf>,
        pushgateway: Option<&Url>,
    ) -> Result<Self, Failure> {
        let exposition = Exposition::new(instance).map_err(|error| Failure::Usage(format!("--instance: {error}")))?;
        if let Some(path) = &textfile {
            match files::read_small(path) {
                Ok(bytes) => {
                    if let Some(last) = Gauges::read_back(&String::from_utf8_lossy(&bytes)) {
                        exposition.show(&last);
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(Failure::Usage(format!("--textfile {}: {error}", path.display()))),
            }
        }
        let outlets = Outlets::new(textfile, pushgateway, JOB, instance)?;
        Ok(Self { exposition: Arc::new(exposition), outlets })
    }

    pub(crate) fn exposition(&self) -> &Arc<Exposition> {
        &self.exposition
    }

    /// Shows what a run came to, everywhere. Without a complete run the figures of the last one stay.
    ///
    /// # Errors
    /// What could not be told, in one line.
    pub(crate) async fn deliver(&self, run: Result<Gauges, &RunFailure>) -> Result<(), String> {
        let complete = run.is_ok();
        match run {
            Ok(gauges) => self.exposition.show(&gauges),
            Err(RunFailure::Catalog(_)) => self.exposition.catalog_accessible(false),
            // The catalog was had; what is missing is the rest.
            Err(RunFailure::Interrupted(_)) => {}
        }
        let text = self.exposition.encode().map_err(|error| format!("the metrics cannot be written: {error}"))?;
        self.outlets.deliver(text, complete).await
    }
}
