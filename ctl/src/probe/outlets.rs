//! Where the figures of a run go: a file, a Pushgateway, a listener; never what they say.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mcr_probe::{Exposition, Gauges, RunFailure};
use reqwest::{Client, Method, Url};

use crate::failure::Failure;
use crate::files;

/// The job that a Pushgateway groups the figures under.
const JOB: &str = "registry_probe";
/// How long a Pushgateway may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The figures and where they go after each run.
#[derive(Debug)]
pub(crate) struct Outlets {
    exposition: Arc<Exposition>,
    textfile: Option<PathBuf>,
    pushgateway: Option<Gateway>,
}

#[derive(Debug)]
struct Gateway {
    client: Client,
    url: Url,
}

impl Outlets {
    /// Outlets that show what a textfile of an earlier process says of its last complete run.
    ///
    /// # Errors
    /// [`Failure::Usage`] for an address that no Pushgateway has, or a file that cannot be read.
    pub(crate) fn new(
        instance: Option<&str>,
        textfile: Option<PathBuf>,
        pushgateway: Option<&Url>,
    ) -> Result<Self, Failure> {
        let usage = |what: String| Failure::Usage(what);
        let exposition = Exposition::new(instance).map_err(|error| usage(format!("--instance: {error}")))?;
        if let Some(path) = &textfile {
            match files::read_small(path) {
                Ok(bytes) => {
                    if let Some(last) = Gauges::read_back(&String::from_utf8_lossy(&bytes)) {
                        exposition.show(&last);
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(usage(format!("--textfile {}: {error}", path.display()))),
            }
        }
        let pushgateway = pushgateway.map(|url| Gateway::new(url, instance)).transpose()?;
        Ok(Self { exposition: Arc::new(exposition), textfile, pushgateway })
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
        let mut told = Vec::new();
        if let Some(path) = &self.textfile
            && let Err(error) = files::replace(path, text.as_bytes())
        {
            told.push(format!("--textfile {}: {error}; its old content stays", path.display()));
        }
        if let Some(gateway) = &self.pushgateway
            && let Err(error) = gateway.push(text, complete).await
        {
            told.push(format!("--pushgateway {}: {error}", gateway.url));
        }
        if told.is_empty() { Ok(()) } else { Err(told.join("; ")) }
    }
}

impl Gateway {
    fn new(url: &Url, instance: Option<&str>) -> Result<Self, Failure> {
        let usage = |what: &dyn std::fmt::Display| Failure::Usage(format!("--pushgateway {url}: {what}"));
        let client = Client::builder().timeout(PATIENCE).build().map_err(|error| usage(&error))?;
        let mut url = url.clone();
        let mut segments = url.path_segments_mut().map_err(|()| usage(&"is no HTTP address"))?;
        segments.pop_if_empty().extend(["metrics", "job", JOB]);
        if let Some(instance) = instance {
            segments.extend(["instance", instance]);
        }
        drop(segments);
        Ok(Self { client, url })
    }

    /// Replaces the whole group after a complete run; else only what this run knows, so that the rest stays.
    async fn push(&self, text: String, complete: bool) -> Result<(), String> {
        let method = if complete { Method::PUT } else { Method::POST };
        let asked = self.client.request(method, self.url.clone()).header("content-type", "text/plain; version=0.0.4");
        let answer = asked.body(text).send().await.map_err(|error| innermost(&error))?;
        if answer.status().is_success() { Ok(()) } else { Err(format!("answered {}", answer.status())) }
    }
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}
