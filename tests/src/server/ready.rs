//! What a server says when it starts: the ready line, the password, the certificate's place; never how it is started.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The line that begins `mcrsrv ready`.
#[derive(Clone, Debug)]
pub struct Ready {
    /// The whole line.
    pub line: String,
    /// The registry's URL, without a slash at the end.
    pub url: String,
    /// Where that is.
    pub address: SocketAddr,
}

impl Ready {
    /// The ready line in what came on stdout so far, once it is whole.
    ///
    /// # Panics
    /// Where it names no URL with an address.
    #[must_use]
    pub fn find(output: &str) -> Option<Self> {
        let mut lines = output.split_inclusive('\n');
        let line = lines.find(|line| line.starts_with("mcrsrv ready") && line.ends_with('\n'))?;
        let url = urls(line).next();
        let url = url.unwrap_or_else(|| panic!("the ready line names no URL: {line}"));
        let authority = url.split_once("://").map_or("", |(_, rest)| rest);
        let address = authority.parse();
        let address = address.unwrap_or_else(|_| panic!("no address in the ready line: {line}"));
        Some(Self { line: line.trim_end().to_owned(), url: url.to_owned(), address })
    }
}

fn urls(line: &str) -> impl Iterator<Item = &str> {
    let words = line.split(|letter: char| letter.is_whitespace() || letter == ',');
    let urls = words.map(|word| word.find("http").map_or("", |start| &word[start..]));
    urls.filter(|word| word.starts_with("http://") || word.starts_with("https://")).map(|url| url.trim_end_matches('/'))
}

/// The password in what a `--dev` server printed: the word after one that ends in `password:`.
pub(super) fn password(output: &str) -> Option<String> {
    let lower = output.to_ascii_lowercase();
    let start = lower.find("password:")? + "password:".len();
    let word = output[start..].split_whitespace().next()?;
    Some(word.to_owned())
}

/// Where a `--dev` server keeps the certificate that it made.
pub(super) fn certificate(data: &Path) -> PathBuf {
    data.join("tls").join("cert.pem")
}
