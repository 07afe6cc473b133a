//! The options every command takes: which registry, how it is trusted, who asks, how answers are printed; never a
//! command.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use mcr_client::{Client, CredentialFiles, Login, Settings, Trust};
use reqwest::Url;

use crate::address::base_url;
use crate::failure::Failure;
use crate::files;
use crate::length::length;

/// Longest password on stdin or in a file, in bytes.
const MAX_SECRET: usize = 8 << 10;

/// The least silence that is a stall, however short `--timeout` is.
const SHORTEST_SILENCE: Duration = Duration::from_secs(1);

/// Options that stand before or after any command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// The registry: a URL, or HOST[:PORT] over HTTPS
    #[arg(long, alias = "server", global = true, value_name = "URL", env = "MCR_ADDR", hide_env_values = true)]
    pub(crate) addr: Option<String>,
    /// The gRPC address of the registry: status asks it instead of --addr; every other command speaks REST
    #[arg(long, global = true, value_name = "ADDR")]
    pub(crate) grpc: Option<String>,
    /// Log in with this token; it is sent to the host of --addr alone
    #[arg(long, global = true, value_name = "TOKEN", env = "MCR_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
    /// Log in with this name, and the password of --password-stdin, MCR_PASSWORD or MCR_PASSWORD_FILE
    #[arg(long, global = true, value_name = "NAME", env = "MCR_USERNAME", hide_env_values = true)]
    pub(crate) username: Option<String>,
    /// Read the password from stdin
    #[arg(long, global = true, requires = "username")]
    pub(crate) password_stdin: bool,
    /// Trust the certificates of this PEM file and no others
    #[arg(long, global = true, value_name = "FILE", env = "MCR_CA_CERT", hide_env_values = true)]
    pub(crate) ca_cert: Option<PathBuf>,
    /// Skip certificate checks
    #[arg(long, global = true)]
    pub(crate) insecure: bool,
    /// Speak HTTP without TLS
    #[arg(long, global = true)]
    pub(crate) plain_http: bool,
    /// How long the command may take, for verify each reference
    #[arg(long, global = true, value_name = "DURATION", value_parser = length)]
    pub(crate) timeout: Option<Duration>,
    /// Print one JSON document on stdout
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print nothing but errors; the exit code is the answer
    #[arg(long, global = true)]
    pub(crate) quiet: bool,
    /// Form of lines on stderr
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,
}

/// The form of lines on stderr.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Words.
    Text,
    /// One JSON object a line.
    Json,
}

impl Global {
    /// The registry of `--addr`.
    ///
    /// # Errors
    /// [`Failure::Usage`] where none was said, or what was said is no address.
    pub(crate) fn base(&self) -> Result<Url, Failure> {
        let missing = "say which registry: --addr https://HOST:PORT, or MCR_ADDR in the environment";
        self.said_base()?.ok_or_else(|| Failure::Usage(missing.to_owned()))
    }

    /// The registry of `--addr`, if one was said.
    ///
    /// # Errors
    /// [`Failure::Usage`] where what was said is no address.
    pub(crate) fn said_base(&self) -> Result<Option<Url>, Failure> {
        let addr = self.addr.as_deref().filter(|addr| !addr.is_empty());
        addr.map(|addr| base_url(addr, self.plain_http)).transpose()
    }

    /// A client of the registry at `base`, with the credentials that were given for it, else those of the user's
    /// credential files.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a bad `--ca-cert` or a password that cannot be read.
    pub(crate) fn client(&self, base: Url) -> Result<Client, Failure> {
        let login = self.login(&base)?;
        self.client_as(base, login)
    }

    /// A client of the registry at `base` that logs in so, whatever options say.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a bad `--ca-cert`.
    pub(crate) fn client_as(&self, base: Url, login: Login) -> Result<Client, Failure> {
        let mut settings = self.settings(base)?;
        settings.login = login;
        Client::new(settings).map_err(|error| Failure::Usage(error.to_string()))
    }

    /// The gRPC address that was said, if one was.
    ///
    /// # Errors
    /// [`Failure::Usage`] where what was said is no address.
    pub(crate) fn said_grpc(&self) -> Result<Option<Url>, Failure> {
        let addr = self.grpc.as_deref().filter(|addr| !addr.is_empty());
        let named = |failure: Failure| Failure::Usage(failure.to_string().replacen("--addr", "--grpc", 1));
        addr.map(|addr| base_url(addr, self.plain_http).map_err(named)).transpose()
    }

    /// How to reach what is at `base`, as nobody.
    ///
    /// # Errors
    /// [`Failure::Usage`] for a bad `--ca-cert`.
    pub(crate) fn settings(&self, base: Url) -> Result<Settings, Failure> {
        let mut settings = Settings::new(base);
        settings.user_agent = concat!("mcrctl/", env!("CARGO_PKG_VERSION")).to_owned();
        settings.trust = self.trust()?;
        if let Some(timeout) = self.timeout {
            // Three stalls must fit into the time that was given, or nothing could be said of one that stalls.
            settings.silence = settings.silence.min((timeout / 5).max(SHORTEST_SILENCE));
            settings.connect_timeout = settings.connect_timeout.min(settings.silence);
        }
        Ok(settings)
    }

    fn trust(&self) -> Result<Trust, Failure> {
        if self.insecure {
            return Ok(Trust::Anything);
        }
        match self.ca_cert.as_deref().filter(|path| !path.as_os_str().is_empty()) {
            None => Ok(Trust::System),
            Some(path) => {
                let pem = files::read_small(path);
                let usage = |error| Failure::Usage(format!("--ca-cert {}: {error}", path.display()));
                Ok(Trust::Only(pem.map_err(usage)?))
            }
        }
    }

    /// A token goes to the host of `--addr` alone; so does a name with its password, unless no `--addr` was said.
    fn login(&self, base: &Url) -> Result<Login, Failure> {
        let said = self.said_base()?;
        let here = said.as_ref().is_none_or(|said| said.origin() == base.origin());
        if let Some(token) = self.token.as_ref().filter(|token| !token.is_empty() && said.is_some() && here) {
            return Ok(Login::Token(token.clone()));
        }
        if let Some(username) = self.username.as_ref().filter(|name| !name.is_empty() && here) {
            return Ok(Login::Basic { username: username.clone(), password: self.password()? });
        }
        Ok(Login::Files(CredentialFiles::of_environment()))
    }

    /// The token of `--token`, where one was said.
    pub(crate) fn said_token(&self) -> Option<&str> {
        self.token.as_deref().filter(|token| !token.is_empty())
    }

    /// The name of `--username`, where one was said.
    pub(crate) fn said_username(&self) -> Option<&str> {
        self.username.as_deref().filter(|name| !name.is_empty())
    }

    /// The password from where it was said to be, else asked for on the terminal.
    ///
    /// # Errors
    /// [`Failure::Usage`] where it is nowhere, or cannot be read.
    pub(crate) fn password(&self) -> Result<String, Failure> {
        let usage = |what: String| Failure::Usage(what);
        let text = if self.password_stdin {
            files::read_stdin(MAX_SECRET).map_err(|error| usage(format!("--password-stdin: {error}")))?
        } else if let Some(password) = std::env::var_os("MCR_PASSWORD").filter(|text| !text.is_empty()) {
            password.into_string().map_err(|_| usage("MCR_PASSWORD is not UTF-8".to_owned()))?
        } else if let Some(file) = std::env::var_os("MCR_PASSWORD_FILE").filter(|path| !path.is_empty()) {
            let path = PathBuf::from(file);
            let told = |what: String| usage(format!("MCR_PASSWORD_FILE {}: {what}", path.display()));
            let bytes = files::read_small(&path).map_err(|error| told(error.to_string()))?;
            String::from_utf8(bytes).map_err(|_| told("is not UTF-8".to_owned()))?
        } else if std::io::stdin().is_terminal() {
            // Asked and read on the terminal itself, without showing it.
            rpassword::prompt_password("Password: ").map_err(|error| usage(format!("no password was read: {error}")))?
        } else {
            let how = "give its password with --password-stdin, MCR_PASSWORD or MCR_PASSWORD_FILE";
            return Err(usage(format!("--username without a password: {how}")));
        };
        Ok(text.trim_end_matches(['\n', '\r']).to_owned())
    }
}
