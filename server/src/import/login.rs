//! Which registry is imported from, and as whom it is asked; never what it answers about images.

use std::path::{Path, PathBuf};

use clap::Args;
use mcr_client::{Call, Client, CredentialFiles, Error, Login, Settings, Trust, Url};
use serde_json::json;

use crate::cli::Failure;
use crate::files;

/// Longest password or certificate bundle, in bytes.
const MAX_SECRET: u64 = 8 << 10;
const MAX_PEM: u64 = 4 << 20;
/// Longest answer to a login, in bytes.
const MAX_ANSWER: usize = 64 << 10;

/// How to reach a registry that is imported from.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of an origin that is a registry")]
pub(super) struct Options {
    /// Log in with this name, and the password of --password-stdin, MCR_PASSWORD or MCR_PASSWORD_FILE (also: MCR_USERNAME)
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// Read the password from stdin
    #[arg(long)]
    password_stdin: bool,
    /// Log in with this token (also: MCR_TOKEN)
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// Trust the certificates of this PEM file and no others (also: MCR_CA_CERT)
    #[arg(long, value_name = "FILE")]
    ca_cert: Option<PathBuf>,
    /// Skip certificate checks
    #[arg(long)]
    insecure: bool,
    /// Speak HTTP without TLS
    #[arg(long)]
    plain_http: bool,
}

fn usage(line: impl Into<String>) -> Failure {
    Failure { code: 2, lines: vec![line.into()] }
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Options {
    /// The registry at `origin`. Without a login that was said, it is asked with the credentials of the user's container
    /// tools. Reads stdin where that was said, and so is called once.
    ///
    /// # Errors
    /// Wrong usage.
    pub(super) fn origin(&self, origin: &str) -> Result<Origin, Failure> {
        let mut settings = Settings::new(self.base(origin)?);
        settings.user_agent = concat!("mcrsrv-import/", env!("CARGO_PKG_VERSION")).to_owned();
        settings.trust = self.trust()?;
        settings.login = self.login()?;
        let client = Client::new(settings.clone()).map_err(|error| usage(error.to_string()))?;
        Ok(Origin { settings, client })
    }

    fn base(&self, origin: &str) -> Result<Url, Failure> {
        let text = match origin.split_once("://") {
            Some(_) => origin.to_owned(),
            None if self.plain_http => format!("http://{origin}"),
            None => format!("https://{origin}"),
        };
        let wrong = |what: &str| usage(format!("{origin:?}: {what}; name a directory, or write https://HOST:PORT"));
        let url = Url::parse(&text).map_err(|error| wrong(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || (self.plain_http && url.scheme() == "https") {
            return Err(wrong("only https is spoken, and http with --plain-http"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            // Shown in process lists and logs: credentials do not belong there.
            return Err(usage("an address must not hold credentials; say --username and MCR_PASSWORD"));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("there is no directory of that name, and a path is no part of a registry's address"));
        }
        Ok(url)
    }

    fn trust(&self) -> Result<Trust, Failure> {
        if self.insecure {
            return Ok(Trust::Anything);
        }
        let said = self.ca_cert.clone().or_else(|| environment("MCR_CA_CERT").map(PathBuf::from));
        let Some(path) = said else { return Ok(Trust::System) };
        let pem = files::read_bytes(&path, MAX_PEM);
        pem.map(Trust::Only).map_err(|error| usage(format!("--ca-cert {}: {error}", path.display())))
    }

    fn login(&self) -> Result<Login, Failure> {
        if let Some(token) = self.token.clone().or_else(|| environment("MCR_TOKEN")) {
            return Ok(Login::Token(token));
        }
        match self.username.clone().or_else(|| environment("MCR_USERNAME")) {
            Some(username) => Ok(Login::Basic { username, password: self.password()? }),
            None => Ok(Login::Files(CredentialFiles::of_environment())),
        }
    }

    fn password(&self) -> Result<String, Failure> {
        let text = if self.password_stdin {
            files::read_stdin(MAX_SECRET).map_err(|error| usage(format!("--password-stdin: {error}")))?
        } else if let Some(password) = environment("MCR_PASSWORD") {
            password
        } else if let Some(path) = environment("MCR_PASSWORD_FILE") {
            let read = files::read_text(Path::new(&path), MAX_SECRET);
            read.map_err(|error| usage(format!("MCR_PASSWORD_FILE {path}: {error}")))?
        } else {
            return Err(usage(
                "--username without a password: give it with --password-stdin, MCR_PASSWORD or MCR_PASSWORD_FILE",
            ));
        };
        Ok(text.trim_end_matches(['\n', '\r']).to_owned())
    }
}

/// A registry that is imported from, and as whom it is asked.
pub(super) struct Origin {
    settings: Settings,
    client: Client,
}

impl Origin {
    /// What speaks to it.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// The same, let in: as it is, or, where a registry takes a name and a password only at its own login (the one
    /// written in Go does), with the token that it gives.
    ///
    /// # Errors
    /// Exit code 3: it does not answer, or does not let anybody in.
    pub(super) async fn reach(self) -> Result<Self, Failure> {
        let Err(refused) = self.client.ping().await else { return Ok(self) };
        let undetermined = |error: &Error| Failure { code: 3, lines: vec![error.to_string()] };
        let unreachable = matches!(refused, Error::Unreachable { .. } | Error::Failing { .. });
        let Login::Basic { username, password } = &self.settings.login else { return Err(undetermined(&refused)) };
        if unreachable {
            return Err(undetermined(&refused));
        }
        let call = Call::post("v1/auth/login", json!({ "username": username, "password": password }));
        let asked = self.client.call(&call.anonymous().reading(), MAX_ANSWER).await;
        let reply = asked.map_err(|_| undetermined(&refused))?;
        let answer: serde_json::Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        let Some(token) = answer.get("token").and_then(serde_json::Value::as_str).filter(|_| reply.status == 200)
        else {
            return Err(undetermined(&refused));
        };
        let settings = Settings { login: Login::Token(token.to_owned()), ..self.settings };
        let client = Client::new(settings.clone()).map_err(|error| usage(error.to_string()))?;
        client.ping().await.map_err(|error| undetermined(&error))?;
        Ok(Self { settings, client })
    }
}
