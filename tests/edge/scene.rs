//! Registries with a password file that speak plain HTTP, as behind something, and raw requests to them.

use mcr_tests::accounts::{Mode, Registry, Setup};
use mcr_tests::{Client, Response};

/// A registry behind something that ends TLS, and the lines of `[server]` that a test wants.
#[track_caller]
pub(crate) fn behind(lines: &[&str]) -> Registry {
    let setup = Setup::default().behind_tls_proxy();
    Registry::with(Mode::Htpasswd, &lines.iter().fold(setup, |setup, line| setup.set("server", line)))
}

/// What `bytes` are answered with, on a connection of their own; none where it is closed without an answer.
pub(crate) fn send(client: &Client, bytes: &[u8]) -> Option<Response> {
    let mut connection = client.connect().expect("a connection");
    connection.send(bytes).expect("it takes them");
    connection.read_response("GET").ok()
}

/// A GET of `/v2/` with these headers instead of `Host` and everything else.
pub(crate) fn check(client: &Client, headers: &[(&str, &str)]) -> Option<Response> {
    let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    send(client, format!("GET /v2/ HTTP/1.1\r\n{lines}Connection: close\r\n\r\n").as_bytes())
}

/// The realm of a 401.
#[track_caller]
pub(crate) fn realm(answer: Option<Response>) -> String {
    let answer = answer.expect("an answer").expect_error(401, "UNAUTHORIZED");
    let challenge = answer.required("www-authenticate").to_owned();
    let realm = challenge.strip_prefix("Bearer realm=\"").and_then(|rest| rest.split_once("\",service=\"mcr\""));
    realm.unwrap_or_else(|| panic!("a challenge: {challenge}")).0.to_owned()
}
