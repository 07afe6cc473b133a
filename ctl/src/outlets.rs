//! Where figures go after a run: a file for the textfile collector, a Pushgateway; never what they say.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Client, Method, Url};

use crate::failure::Failure;
use crate::files;

/// How long a Pushgateway may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// The places that were asked for.
#[derive(Debug)]
pub(crate) struct Outlets {
    textfile: Option<PathBuf>,
    pushgateway: Option<Gateway>,
}

#[derive(Debug)]
struct Gateway {
    client: Client,
    /// With the group: `…/metrics/job/JOB[/instance/NAME]`.
    url: Url,
}

impl Outlets {
    /// Outlets of the group `job`, and `instance` where one is named.
    ///
    /// # Errors
    /// [`Failure::Usage`] for an address that no Pushgateway has.
    pub(crate) fn new(
        textfile: Option<PathBuf>,
        pushgateway: Option<&Url>,
        job: &str,
        instance: Option<&str>,
    ) -> Result<Self, Failure> {
        let pushgateway = pushgateway.map(|url| Gateway::new(url, job, instance)).transpose()?;
        Ok(Self { textfile, pushgateway })
    }

    /// Tells the figures everywhere. `whole` replaces what the Pushgateway has of the group; else only what this
    /// text names, so that the rest stays.
    ///
    /// # Errors
    /// What could not be told, in one line.
    pub(crate) async fn deliver(&self, text: String, whole: bool) -> Result<(), String> {
        let mut told = Vec::new();
        if let Some(path) = &self.textfile
            && let Err(error) = files::replace(path, text.as_bytes())
        {
            told.push(format!("--textfile {}: {error}; its old content stays", path.display()));
        }
        if let Some(gateway) = &self.pushgateway
            && let Err(error) = gateway.push(text, whole).await
        {
            told.push(format!("--pushgateway {}: {error}", gateway.url));
        }
        if told.is_empty() { Ok(()) } else { Err(told.join("; ")) }
    }
}

impl Gateway {
    fn new(url: &Url, job: &str, instance: Option<&str>) -> Result<Self, Failure> {
        let usage = |what: &dyn std::fmt::Display| Failure::Usage(format!("--pushgateway {url}: {what}"));
        let client = Client::builder().timeout(PATIENCE).build().map_err(|error| usage(&error))?;
        let mut url = url.clone();
        let mut segments = url.path_segments_mut().map_err(|()| usage(&"is no HTTP address"))?;
        segments.pop_if_empty().extend(["metrics", "job", job]);
        if let Some(instance) = instance {
            segments.extend(["instance", instance]);
        }
        drop(segments);
        Ok(Self { client, url })
    }

    async fn push(&self, text: String, whole: bool) -> Result<(), String> {
        let method = if whole { Method::PUT } else { Method::POST };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pushgateway_keeps_its_path() {
        // A client is made with the provider that `main` installs.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let url = Url::parse("http://127.0.0.1:9091/prefix/").unwrap();
        for (instance, expected) in [(None, ""), (Some("a b"), "/instance/a%20b")] {
            let outlets = Outlets::new(None, Some(&url), "registry_scan", instance).unwrap();
            let group = outlets.pushgateway.unwrap().url.to_string();
            assert_eq!(group, format!("http://127.0.0.1:9091/prefix/metrics/job/registry_scan{expected}"));
        }
        assert!(Outlets::new(None, Some(&Url::parse("mailto:x").unwrap()), "x", None).is_err());
    }
}
