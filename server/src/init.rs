//! `init`: a configuration that serves at once, its directories, certificate and first admin; never anything over what is
//! there already.

mod account;

use std::io;
use std::path::{Path, PathBuf};

use mcr_metadata::Metadata;
use mcr_seams::Clock;

use crate::anchor_key::AnchorKey;
use crate::cli::{Failure, print};
use crate::config::reference::{Chosen, annotated};
use crate::config::{self, AuthMode, Environment, Sources};
use crate::dev::{self, Layout};
use crate::files;
use crate::lock::DataLock;
use crate::ready::shell_word;
use crate::{gate, tls};

/// What `init` was asked for.
#[derive(Clone)]
pub struct Request {
    /// `--config`
    pub config: PathBuf,
    /// `--auth`
    pub auth: AuthMode,
    /// `--admin`
    pub admin: Option<String>,
    /// `--mcias-url`
    pub mcias_url: Option<String>,
    /// `--from-dev`
    pub from_dev: Option<PathBuf>,
    /// The admin's password, where it is not to be drawn.
    pub password: Option<String>,
}

/// Without the password: what is printed for debugging ends in logs.
impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").field("config", &self.config).field("auth", &self.auth).finish_non_exhaustive()
    }
}

/// The admin's name where none is given.
const ADMIN: &str = "admin";
/// An identity service that stands for the real one until somebody writes it; such a name leads nowhere (RFC 2606).
const MCIAS_URL: &str = "https://mcias.example:8443";

/// Writes what is missing and prints the next command.
///
/// # Errors
/// What cannot be done, exit code 1; then no configuration was written.
pub fn run(request: &Request) -> Result<(), Failure> {
    refuse_nonsense(request)?;
    let there = files::exists(&request.config).map_err(|error| cannot(&request.config, &error))?;
    if there {
        config::load(Sources::of_files(vec![request.config.clone()], Environment::default()))?;
        say(&format!("{} is there already and good; nothing was changed", request.config.display()))?;
    } else {
        write(request)?;
    }
    let file = shell_word(&request.config.display().to_string());
    say(&format!("next: mcrsrv server --config {file}"))
}

fn say(line: &str) -> Result<(), Failure> {
    print(format!("{line}\n").as_bytes())
}

fn refuse_nonsense(request: &Request) -> Result<(), Failure> {
    let refused = match request.auth {
        AuthMode::None if request.admin.is_some() => {
            "--admin needs accounts, which --auth none has not: whoever reaches the loopback address may do everything; leave one of both out"
        }
        AuthMode::Mcias if request.admin.is_some() => {
            "--admin names an account of the password file; with --auth mcias administrators are those to whom the identity service gives the role admin; leave --admin out"
        }
        AuthMode::None | AuthMode::Htpasswd if request.mcias_url.is_some() => {
            "--mcias-url is for --auth mcias; say that, or leave it out"
        }
        _ => return Ok(()),
    };
    Err(Failure::refused(refused))
}

fn cannot(path: &Path, error: &io::Error) -> Failure {
    Failure::refused(format!("{}: {error}; check the path and its permissions", path.display()))
}

fn write(request: &Request) -> Result<(), Failure> {
    let home =
        std::path::absolute(files::parent_of(&request.config)).map_err(|error| cannot(&request.config, &error))?;
    let layout = match &request.from_dev {
        Some(data) => taken_over(data)?,
        None => fresh(&home),
    };
    let passwords = home.join(account::FILE);
    let text = text(request, &layout, &passwords)?;
    for directory in [&home, &layout.data, &layout.layers, &layout.uploads] {
        files::create_private_dir(directory).map_err(|error| cannot(directory, &error))?;
    }
    if request.from_dev.is_none() {
        make_database(&layout)?;
    }
    let made = make_certificate(&layout)?;
    make_keys(&files::parent_of(&layout.database))?;
    if request.auth == AuthMode::Htpasswd {
        let name = request.admin.as_deref().unwrap_or(ADMIN);
        if let Some(password) = account::make(&passwords, name, request.password.as_deref())? {
            say(&format!("user: {name} password: {password} (shown this once)"))?;
        }
    }
    // Last, so that a configuration that is there is complete.
    let written =
        files::write_new(&request.config, text.as_bytes(), 0o640).map_err(|error| cannot(&request.config, &error))?;
    if written {
        say(&format!("wrote {}; data in {}", request.config.display(), layout.data.display()))?;
        if request.auth == AuthMode::Mcias && request.mcias_url.is_none() {
            let file = request.config.display();
            say(&format!(
                "write your identity service into {file}: [mcias] server_url, and ca_cert if its authority is your own"
            ))?;
        }
        if made {
            let cert = layout.cert.display();
            say(&format!(
                "the certificate {cert} is self-signed; put your own in its place, it is taken over at once"
            ))?;
        }
    }
    Ok(())
}

/// A self-signed certificate where there is none. What an operator put there stays, and must be usable.
fn make_certificate(layout: &Layout) -> Result<bool, Failure> {
    let there = |path: &Path| files::exists(path).map_err(|error| cannot(path, &error));
    if there(&layout.cert)? || there(&layout.key)? {
        return tls::load(&layout.cert, &layout.key).map(|_| false).map_err(Failure::refused);
    }
    dev::ensure_certificate(&layout.cert, &layout.key, None, &Clock::system()).map_err(Failure::refused)
}

/// An empty database, or the one that is there if it is ours, while nobody else has its directory.
fn make_database(layout: &Layout) -> Result<(), Failure> {
    let _lock = DataLock::acquire("mcrsrv init", &layout.database, &layout.layers).map_err(Failure::refused)?;
    let made = Metadata::open(&layout.database, mcr_metadata::Options::default());
    made.map(Metadata::close).map_err(|error| Failure::refused(format!("{}: {error}", layout.database.display())))
}

/// The keys that tokens and the audit trail are signed with, where there are none.
fn make_keys(directory: &Path) -> Result<(), Failure> {
    let path = directory.join(gate::KEYS_FILE);
    let ring = mcr_access::KeyRing::generate(Clock::system().now_ms())
        .map_err(|error| Failure::refused(format!("no token key can be made: {error}")))?;
    files::write_new(&path, ring.to_text().as_bytes(), 0o600).map_err(|error| cannot(&path, &error))?;
    AnchorKey::open(directory).map(drop).map_err(Failure::refused)
}

/// Data beside the configuration, the certificate in `certs/`.
fn fresh(home: &Path) -> Layout {
    let certs = home.join("certs");
    Layout {
        data: home.to_owned(),
        database: home.join("mcr.db"),
        layers: home.join("layers"),
        uploads: home.join("uploads"),
        cert: certs.join("cert.pem"),
        key: certs.join("key.pem"),
        admin: home.join("dev-admin.json"),
    }
}

/// The data of a development registry, which must be one.
fn taken_over(data: &Path) -> Result<Layout, Failure> {
    let layout = Layout::of(data).map_err(|error| cannot(data, &error))?;
    match files::exists(&layout.database) {
        Ok(true) => Ok(layout),
        Ok(false) => Err(Failure::refused(format!(
            "{} holds no mcr.db; name the --data directory of a `mcrsrv server --dev` that ran",
            layout.data.display()
        ))),
        Err(error) => Err(cannot(&layout.database, &error)),
    }
}

fn text(request: &Request, layout: &Layout, passwords: &Path) -> Result<String, Failure> {
    let path = |path: &Path| {
        path.to_str().map(str::to_owned).ok_or_else(|| {
            Failure::refused(format!("{}: a configuration can name only UTF-8 paths; use another", path.display()))
        })
    };
    let mut chosen: Vec<Chosen<'_>> = vec![
        ("server.listen_addr", dev::LISTEN.to_owned()),
        ("server.tls_cert", path(&layout.cert)?),
        ("server.tls_key", path(&layout.key)?),
        ("database.path", path(&layout.database)?),
        ("storage.layers_path", path(&layout.layers)?),
        ("storage.uploads_path", path(&layout.uploads)?),
    ];
    match request.auth {
        AuthMode::None => chosen.push(("auth.mode", "none".to_owned())),
        AuthMode::Htpasswd => chosen.extend([
            ("auth.mode", "htpasswd".to_owned()),
            ("auth.htpasswd_file", path(passwords)?),
            ("auth.admins", account::checked(request.admin.as_deref().unwrap_or(ADMIN))?.to_owned()),
        ]),
        AuthMode::Mcias => {
            let url = request.mcias_url.clone().unwrap_or_else(|| MCIAS_URL.to_owned());
            if !config::value::is_https_url(&url) {
                let message = format!("--mcias-url {url}: expected an https URL such as {MCIAS_URL}");
                return Err(Failure::refused(message));
            }
            chosen.extend([("auth.mode", "mcias".to_owned()), ("mcias.server_url", url)]);
        }
    }
    let opening = "Configuration of mcrsrv. Commented keys show their default.\nCheck a change with: mcrsrv check-config --config FILE";
    Ok(annotated(opening, &chosen))
}

#[cfg(test)]
mod tests;
