//! Programs that keep credentials, `docker-credential-…`; never what they keep beyond the answer to one question.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::Credential;
use crate::text::line;

/// How long a helper may take: long enough for a person to unlock a key ring.
const PATIENCE: Duration = Duration::from_secs(30);

/// No answer is longer, in bytes.
const ANSWER_MAX: u64 = 256 * 1024;

/// What is longer is no reason, in bytes.
const REASON_MAX: usize = 1024;

/// What a helper says when it has nothing; part of the protocol (docker-credential-helpers, `credentials/error.go`).
const NONE: &str = "credentials not found in native keychain";

#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(default)]
    username: String,
    #[serde(default)]
    secret: String,
}

/// Asks `docker-credential-NAME get` for `server`; `None` where it has nothing.
///
/// # Errors
/// One line that names the helper and says what to do; never what it wrote besides an error.
pub(super) async fn ask(name: &str, server: &str) -> Result<Option<Credential>, String> {
    ask_program(&program(name)?, server, PATIENCE).await
}

/// Has `docker-credential-NAME store` keep a login for `server`.
///
/// # Errors
/// One line that names the helper and says what to do.
pub(super) async fn store(name: &str, server: &str, username: &str, secret: &str) -> Result<(), String> {
    let login = serde_json::json!({ "ServerURL": server, "Username": username, "Secret": secret });
    let program = program(name)?;
    let (success, stdout, stderr) = converse_with(&program, "store", &login.to_string(), PATIENCE).await?;
    if success { Ok(()) } else { failed(&program, &stdout, &stderr).map(|_| ()) }
}

/// Has `docker-credential-NAME erase` forget the login for `server`; whether there was one.
///
/// # Errors
/// One line that names the helper and says what to do.
pub(super) async fn erase(name: &str, server: &str) -> Result<bool, String> {
    let program = program(name)?;
    // Some helpers succeed without having had one: what they held is asked for first.
    let held = ask_program(&program, server, PATIENCE).await?.is_some();
    if held {
        let (success, stdout, stderr) = converse_with(&program, "erase", server, PATIENCE).await?;
        if !success {
            failed(&program, &stdout, &stderr)?;
        }
    }
    Ok(held)
}

fn program(name: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !name.bytes().all(allowed) {
        return Err(format!("`{}` is not the name of a credential helper", line(name)));
    }
    Ok(format!("docker-credential-{name}"))
}

async fn ask_program(program: &str, server: &str, patience: Duration) -> Result<Option<Credential>, String> {
    let (success, stdout, stderr) = converse_with(program, "get", server, patience).await?;
    if !success {
        return failed(program, &stdout, &stderr);
    }
    let answer: Answer = serde_json::from_slice(&stdout)
        .map_err(|_| format!("the helper {program} answers what is not its protocol; update it, or log in again"))?;
    Ok(match answer {
        Answer { secret, .. } if secret.is_empty() => None,
        Answer { username, secret } if username == "<token>" => {
            Some(Credential::Identity { username: None, token: secret })
        }
        Answer { username, secret } => Some(Credential::Password { username, password: secret }),
    })
}

/// Runs one command of a helper: whether it succeeded, and what it said on both streams.
async fn converse_with(
    program: &str,
    verb: &str,
    input: &str,
    patience: Duration,
) -> Result<(bool, Vec<u8>, Vec<u8>), String> {
    let mut command = Command::new(program);
    command.arg(verb).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!("the helper {program} is not installed; install it, or log in again"),
        _ => format!("the helper {program} cannot be started: {error}"),
    })?;
    let Ok(said) = timeout(patience, converse(&mut child, input)).await else {
        // Dropping the child would kill it too, but leave its end to be noticed later.
        let _ = child.start_kill();
        let _ = timeout(Duration::from_secs(1), child.wait()).await;
        let seconds = patience.as_secs_f64();
        return Err(format!("the helper {program} did not answer within {seconds} s; run it by hand, or log in again"));
    };
    said.map_err(|error| format!("the helper {program} failed: {error}"))
}

/// A helper that says no: because it has nothing, or because something is wrong.
fn failed(program: &str, stdout: &[u8], stderr: &[u8]) -> Result<Option<Credential>, String> {
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    let (out, err) = (said(stdout), said(stderr));
    if out.contains(NONE) || err.contains(NONE) {
        return Ok(None);
    }
    // Errors come on stdout. What looks like an answer may hold a secret.
    let reason = if out.is_empty() || out.len() > REASON_MAX || out.contains('{') { err } else { out };
    let reason = reason.lines().next().map(line).filter(|reason| !reason.is_empty());
    let reason = reason.unwrap_or_else(|| "it did not say why".to_owned());
    Err(format!("the helper {program} failed: {reason}; run it by hand, or log in again"))
}

async fn converse(child: &mut Child, input: &str) -> io::Result<(bool, Vec<u8>, Vec<u8>)> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let asking = async {
        if let Some(mut stdin) = stdin {
            // A helper that does not read says so by its answer.
            let _ = stdin.write_all(format!("{input}\n").as_bytes()).await;
        }
    };
    let ((), out, err) = tokio::join!(asking, read(stdout), read(stderr));
    Ok((child.wait().await?.success(), out?, err?))
}

/// Reads up to [`ANSWER_MAX`] bytes and closes the pipe, so that a helper that writes on ends.
async fn read(pipe: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(ANSWER_MAX).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;
