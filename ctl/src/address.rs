//! Which registry is meant: an address of the command line into a base URL; never a request.

use reqwest::Url;

use crate::failure::Failure;

/// Reads `--addr`: a URL, or `HOST[:PORT]` that is asked over HTTPS unless plain HTTP was said.
///
/// # Errors
/// [`Failure::Usage`] that says what was expected.
pub(crate) fn base_url(addr: &str, plain_http: bool) -> Result<Url, Failure> {
    let usage = |what: &str| Failure::Usage(format!("--addr {addr:?}: {what}; write https://HOST:PORT"));
    let text = match addr.split_once("://") {
        Some(("http", _)) => addr.to_owned(),
        Some(("https", _)) if plain_http => return Err(usage("--plain-http asks http, the address says https")),
        Some(("https", _)) => addr.to_owned(),
        Some(_) => return Err(usage("only https and http are spoken")),
        None if plain_http => format!("http://{addr}"),
        None => format!("https://{addr}"),
    };
    let url = Url::parse(&text).map_err(|error| usage(&error.to_string()))?;
    if !url.username().is_empty() || url.password().is_some() {
        // Shown in process lists and logs: credentials do not belong there.
        return Err(Failure::Usage("--addr must not hold credentials; write https://HOST:PORT".to_owned()));
    }
    if url.query().is_some() || url.fragment().is_some() || url.path() != "/" {
        return Err(usage("a path is not part of a registry's address"));
    }
    Ok(url)
}

/// A base URL without its closing slash.
pub(crate) fn shown(url: &Url) -> &str {
    url.as_str().trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(addr: &str, plain: bool) -> String {
        base_url(addr, plain).map_or_else(|failure| failure.to_string(), |url| url.to_string())
    }

    #[test]
    fn a_bare_host_is_asked_over_https() {
        assert_eq!(url("127.0.0.1:8443", false), "https://127.0.0.1:8443/");
        assert_eq!(url("registry.example", false), "https://registry.example/");
        assert_eq!(url("127.0.0.1:5000", true), "http://127.0.0.1:5000/");
        assert_eq!(url("http://127.0.0.1:5000", false), "http://127.0.0.1:5000/");
        assert_eq!(url("[::1]:8443", false), "https://[::1]:8443/");
    }

    #[test]
    fn what_is_no_registry_is_refused() {
        for bad in ["", "ftp://x", "https://u:p@x", "https://x/path", "https://x/?q", "https://", "x:99999"] {
            assert!(matches!(base_url(bad, false), Err(Failure::Usage(_))), "{bad}");
        }
        assert!(base_url("https://x", true).is_err());
        assert!(!url("https://user:secret@x", false).contains("secret"));
    }
}
