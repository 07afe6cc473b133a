//! One HTTP request to a registry, bounded in time and size, its failures told in words; never what an answer means.

use std::error::Error as _;
use std::path::Path;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, StatusCode, Url};

use crate::address::is_loopback;
use crate::failure::Failure;
use crate::files::read_small;

/// Answers larger than this are not from this registry's API, in bytes.
const MAX_BODY: usize = 1 << 20;

/// How to reach a registry.
#[derive(Clone, Debug)]
pub(crate) struct Target<'a> {
    /// Where.
    pub(crate) url: Url,
    /// Trust this certificate and no other.
    pub(crate) ca_cert: Option<&'a Path>,
    /// Trust every certificate.
    pub(crate) insecure: bool,
    /// For the whole command.
    pub(crate) timeout: Duration,
}

/// Gets `path`: the status and the body.
///
/// # Errors
/// [`Failure::Undetermined`] with the reason and what to do; [`Failure::Usage`] for a bad `--ca-cert`.
pub(crate) async fn get(target: &Target<'_>, path: &str) -> Result<(StatusCode, Vec<u8>), Failure> {
    let client = client(target)?;
    let mut url = target.url.clone();
    url.set_path(path);
    match tokio::time::timeout(target.timeout, fetch(&client, url)).await {
        Ok(answer) => answer.map_err(|error| Failure::Undetermined(unreachable(&target.url, &error))),
        Err(_) => {
            let seconds = target.timeout.as_secs_f64();
            Err(Failure::Undetermined(format!(
                "{} did not answer within {seconds} s; try a longer --timeout",
                shown(&target.url)
            )))
        }
    }
}

fn client(target: &Target<'_>) -> Result<Client, Failure> {
    let mut builder = Client::builder()
        .user_agent(concat!("mcrctl/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .tls_danger_accept_invalid_certs(target.insecure);
    if let Some(path) = target.ca_cert {
        builder = builder.tls_certs_only(ca_certificates(path)?);
    }
    if is_loopback(&target.url) {
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| Failure::Undetermined(format!("the client cannot be set up: {}", causes(&error))))
}

fn ca_certificates(path: &Path) -> Result<Vec<Certificate>, Failure> {
    let usage = |what: String| Failure::Usage(format!("--ca-cert {}: {what}", path.display()));
    let pem = read_small(path).map_err(|error| usage(error.to_string()))?;
    match Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) => Err(usage("holds no certificate; expected PEM with BEGIN CERTIFICATE".to_owned())),
        Err(error) => Err(usage(format!("is not PEM: {}", causes(&error)))),
    }
}

async fn fetch(client: &Client, url: Url) -> Result<(StatusCode, Vec<u8>), reqwest::Error> {
    let mut response = client.get(url).send().await?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_BODY {
            body.truncate(MAX_BODY);
            break;
        }
    }
    Ok((response.status(), body))
}

/// A base URL without its closing slash.
pub(crate) fn shown(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}

/// Why there was no answer, and what to do about it.
fn unreachable(url: &Url, error: &reqwest::Error) -> String {
    let causes = causes(error);
    let hint = if causes.contains("invalid peer certificate") {
        "give its CA with --ca-cert FILE, or skip the check with --insecure"
    } else if causes.contains("InvalidContentType") {
        "it seems to speak plain HTTP: use --plain-http"
    } else if causes.contains("dns") || causes.contains("lookup address") {
        "check the host name"
    } else {
        "check the address and that mcrsrv runs there"
    };
    format!("{} cannot be reached: {causes}; {hint}", shown(url))
}

/// The innermost reasons of an error: the outer layers only say that something failed.
fn causes(error: &reqwest::Error) -> String {
    let mut causes: Vec<String> = Vec::new();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string().replace(['\n', '\r'], " ");
        // "client error (Connect)" says nothing; an outer layer often repeats the inner one's text.
        causes.retain(|outer| !outer.contains(&text) && !outer.starts_with("client error"));
        causes.push(text);
        source = cause.source();
    }
    if causes.is_empty() { error.to_string() } else { causes.join(": ") }
}
