//! `mcrctl login` and `logout`: a login proved and kept where every container tool finds it; never a store of its own.

use std::io::{BufRead as _, IsTerminal as _, Read as _, Write as _};

use clap::Args;
use mcr_client::{Call, CredentialFiles, Kept, Login as Identity};
use reqwest::Url;
use serde_json::{Value, json};

use crate::address::base_url;
use crate::api::Api;
use crate::failure::Failure;
use crate::global::Global;
use crate::print::{self, Answer, printable};
use crate::runtime;
use crate::shape::cell;

pub(crate) const LOGIN: &str = "Examples:
  mcrctl login registry.example
  mcrctl login registry.example --username ada --password-stdin < password
  mcrctl login registry.example --token mcr_…
  mcrctl login https://127.0.0.1:8443 --ca-cert srv/tls/cert.pem --username admin

The login is tried first, then kept where docker keeps it: in the file of $REGISTRY_AUTH_FILE, else in
~/.docker/config.json ($DOCKER_CONFIG), through the credential helper that file names. docker, podman, skopeo, crane
and mcrctl then use it. Exit codes: 0 logged in, 1 refused, 2 wrong usage, 3 could not be determined";

pub(crate) const LOGOUT: &str = "Examples:
  mcrctl logout registry.example

Removes the login from every file that has it. Tokens go on until they end: mcrctl token revoke";

/// The name that goes with an API token: any does.
const ANY_NAME: &str = "token";
/// Nobody's name is longer, in bytes.
const MAX_NAME: u64 = 1 << 10;

/// The options of `login` and `logout`.
#[derive(Debug, Args)]
pub(crate) struct Where {
    /// The registry: a URL, or HOST[:PORT]; that of --addr where it is not said
    #[arg(value_name = "HOST|URL")]
    registry: Option<String>,
}

impl Where {
    fn base(&self, global: &Global) -> Result<Url, Failure> {
        let Some(registry) = &self.registry else { return global.base() };
        let base = base_url(registry, global.plain_http)?;
        match global.said_base()? {
            // MCR_ADDR may stand in the environment: what was said with the command is what is meant.
            Some(other) if other.origin() == base.origin() => Ok(other),
            _ => Ok(base),
        }
    }
}

/// Proves a login and keeps it.
///
/// # Errors
/// [`Failure::Refused`] for a login that is refused, [`Failure::Usage`] where nobody can be asked for it or it cannot
/// be kept, else that the registry could not be asked.
pub(crate) fn login(global: &Global, command: &Where) -> Result<Answer, Failure> {
    let base = command.base(global)?;
    let (username, secret) = match (global.said_token(), global.said_username()) {
        (Some(token), name) => (name.unwrap_or(ANY_NAME).to_owned(), token.to_owned()),
        (None, Some(name)) => (name.to_owned(), global.password()?),
        (None, None) => (ask_name(&base)?, global.password()?),
    };
    if secret.is_empty() {
        return Err(Failure::Usage("the password is empty".to_owned()));
    }
    if username.contains(':') {
        return Err(Failure::Usage(format!("{username:?} has a colon, which no name of a login may have")));
    }
    let who = prove(global, &base, &username, &secret)?;
    let files = CredentialFiles::of_environment();
    let kept = runtime::block_on(async { files.keep(&base, &username, &secret).await.map_err(Failure::Usage) })?;
    let host = host(global, &base)?;
    let account = who.as_ref().map_or_else(|| username.clone(), |who| printable(&cell(who, "account")));
    let mut text = format!("logged in to {host} as {account}\n");
    for kept in &kept {
        text.push_str(&format!("kept in {}\n", place(kept)));
    }
    if kept.iter().any(|kept| kept.helper.is_none()) && global.said_token().is_none() {
        print::note(
            global,
            "the password stands in that file readable for you; a token of mcrctl token create can be revoked",
        );
    }
    let places: Vec<Value> =
        kept.iter().map(|kept| json!({"file": kept.path.display().to_string(), "helper": kept.helper})).collect();
    let of = |key: &str| who.as_ref().and_then(|who| who.get(key)).cloned().unwrap_or_default();
    let json = json!({
        "registry": host, "account": account, "subject": of("subject"), "account_type": of("account_type"),
        "roles": of("roles"), "admin": of("admin"), "scope": of("scope"),
        // A password is good until it is changed; a token's end is what its owner sees in the list of tokens.
        "expires_at": Value::Null,
        "kept": places,
    });
    Ok(Answer::done(text, json))
}

/// Who the login is of, as the registry says; none where it is a registry that does not say.
fn prove(global: &Global, base: &Url, username: &str, secret: &str) -> Result<Option<Value>, Failure> {
    let login = Identity::Basic { username: username.to_owned(), password: secret.to_owned() };
    let client = global.client_as(base.clone(), login)?;
    let api = Api::of(global, client, base.clone())?;
    let reply = api.reply(&Call::get("/v1/auth/whoami").impatient())?;
    match reply.status {
        401 | 403 => Err(Failure::Refused(format!(
            "{} refuses the login: wrong name or password, or a token that has ended; try again",
            api.registry()
        ))),
        // Not one of ours: as docker does it.
        404 | 405 => api.ping().map(|()| None).map_err(|failure| Failure::Refused(failure.to_string())),
        _ => api.judge(&Call::get("/v1/auth/whoami"), &reply).map(Some),
    }
}

/// Removes a login.
///
/// # Errors
/// [`Failure::Usage`] where a file or a helper cannot be changed.
pub(crate) fn logout(global: &Global, command: &Where) -> Result<Answer, Failure> {
    let base = command.base(global)?;
    let files = CredentialFiles::of_environment();
    let removed = runtime::block_on(async { files.remove(&base).await.map_err(Failure::Usage) })?;
    let host = host(global, &base)?;
    let mut text = String::new();
    for kept in &removed {
        text.push_str(&format!("removed the login for {host} from {}\n", place(kept)));
    }
    if removed.is_empty() {
        text = format!("there was no login for {host}\n");
    }
    let places: Vec<Value> =
        removed.iter().map(|kept| json!({"file": kept.path.display().to_string(), "helper": kept.helper})).collect();
    Ok(Answer::done(text, json!({"registry": host, "removed": places})))
}

fn place(kept: &Kept) -> String {
    match &kept.helper {
        Some(helper) => format!("docker-credential-{helper} (by {})", kept.path.display()),
        None => kept.path.display().to_string(),
    }
}

fn host(global: &Global, base: &Url) -> Result<String, Failure> {
    Ok(global.client_as(base.clone(), Identity::Anonymous)?.host().to_owned())
}

/// Asks for the name on the terminal.
fn ask_name(base: &Url) -> Result<String, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::Usage("say who logs in: --username NAME with --password-stdin, or --token".to_owned()));
    }
    let mut stderr = std::io::stderr().lock();
    // Where the question cannot be seen, no answer comes.
    let _ = write!(stderr, "Username for {}: ", crate::address::shown(base));
    let _ = stderr.flush();
    let mut line = String::new();
    let read = std::io::stdin().lock().take(MAX_NAME).read_line(&mut line);
    let name = line.trim();
    match read {
        Ok(_) if !name.is_empty() => Ok(name.to_owned()),
        _ => Err(Failure::Usage("no name was given".to_owned())),
    }
}
