//! The credential files of container users: which there are, and what they hold for a registry; never a login itself.

mod config;
mod helper;
mod keep;

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use config::{Config, Entry};
pub use keep::Kept;

/// What was looked up is believed for so long: helpers hand out passwords that end, and users log in again.
const KEPT: Duration = Duration::from_secs(300);

/// And a failure for so long: a helper that hangs is not to be waited for by every request.
const FAILURE_KEPT: Duration = Duration::from_secs(10);

/// How many answers are remembered; then it begins anew.
const ANSWERS_MAX: usize = 1024;

/// The credential files that are looked through, in order; the first that has an entry wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialFiles {
    paths: Vec<PathBuf>,
    /// The one of them that new logins are written into.
    target: Option<PathBuf>,
}

impl CredentialFiles {
    /// Those of the user: `$REGISTRY_AUTH_FILE`, `${XDG_RUNTIME_DIR}/containers/auth.json`, and
    /// `$DOCKER_CONFIG/config.json` or else `~/.docker/config.json`.
    #[must_use]
    pub fn of_environment() -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let docker = set("DOCKER_CONFIG").or_else(|| set("HOME").map(|home| home.join(".docker")));
        let said = set("REGISTRY_AUTH_FILE");
        let podman = set("XDG_RUNTIME_DIR").map(|directory| directory.join("containers/auth.json"));
        let docker = docker.map(|directory| directory.join("config.json"));
        // Podman reads docker's file too, docker reads no other.
        let target = said.clone().or_else(|| docker.clone());
        Self { paths: [said, podman, docker].into_iter().flatten().collect(), target }
    }

    /// These, in this order. One that does not exist holds nothing. New logins are written into the last.
    #[must_use]
    pub fn of(paths: Vec<PathBuf>) -> Self {
        let target = paths.last().cloned();
        Self { paths, target }
    }
}

/// What somebody proves who they are with.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Credential {
    /// A name and a password.
    Password {
        /// The name.
        username: String,
        /// The password.
        password: String,
    },
    /// An identity token: a refresh token for the registry's token server.
    Identity {
        /// The name that stands beside it, if one does.
        username: Option<String>,
        /// The token.
        token: String,
    },
}

impl fmt::Debug for Credential {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password { username, .. } => write!(formatter, "Password({username:?}, …)"),
            Self::Identity { username, .. } => write!(formatter, "Identity({username:?}, …)"),
        }
    }
}

/// Under which names the files may know a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Names {
    /// Hosts, `host[:port]`, the usual one first.
    pub(crate) hosts: Vec<String>,
    /// What helpers are asked for.
    pub(crate) server: String,
}

/// Looks credentials up, one look at a time, and remembers them for a while.
#[derive(Debug)]
pub(crate) struct Lookup {
    files: CredentialFiles,
    names: Names,
    state: Mutex<Remembered>,
}

#[derive(Debug, Default)]
struct Remembered {
    configs: Option<(Instant, Vec<Option<Config>>)>,
    helpers: HashMap<String, (Instant, Result<Option<Credential>, String>)>,
}

impl Lookup {
    pub(crate) fn new(files: CredentialFiles, names: Names) -> Self {
        Self { files, names, state: Mutex::default() }
    }

    /// What the files hold for the registry, or for `repository` in it.
    ///
    /// # Errors
    /// One line that names the file or the helper that is broken.
    pub(crate) async fn find(&self, repository: Option<&str>) -> Result<Option<Credential>, String> {
        let mut state = self.state.lock().await;
        if state.configs.as_ref().is_none_or(|(read, _)| read.elapsed() > KEPT) {
            state.configs = Some((Instant::now(), vec![None; self.files.paths.len()]));
        }
        for (index, path) in self.files.paths.iter().enumerate() {
            let Remembered { configs, helpers } = &mut *state;
            let Some(slot) = configs.as_mut().and_then(|(_, configs)| configs.get_mut(index)) else { break };
            let config = match slot {
                Some(config) => config,
                None => slot.insert(config::read(path.clone()).await?),
            };
            for entry in config.entries(&self.names, repository) {
                let found = match entry {
                    Entry::Found(credential) => Some(credential),
                    Entry::Helper(helper) => {
                        let asked = ask(helpers, &helper, &self.names.server).await;
                        asked.map_err(|error| format!("{}: {error}", path.display()))?
                    }
                };
                if found.is_some() {
                    return Ok(found);
                }
            }
        }
        Ok(None)
    }

    /// Forgets what was looked up, so that the next look is a fresh one.
    pub(crate) async fn forget(&self) {
        *self.state.lock().await = Remembered::default();
    }
}

async fn ask(
    remembered: &mut HashMap<String, (Instant, Result<Option<Credential>, String>)>,
    helper: &str,
    server: &str,
) -> Result<Option<Credential>, String> {
    if let Some((at, answer)) = remembered.get(helper) {
        let kept = if answer.is_ok() { KEPT } else { FAILURE_KEPT };
        if at.elapsed() <= kept {
            return answer.clone();
        }
    }
    let answer = helper::ask(helper, server).await;
    if remembered.len() >= ANSWERS_MAX {
        remembered.clear();
    }
    remembered.insert(helper.to_owned(), (Instant::now(), answer.clone()));
    answer
}

#[cfg(test)]
mod tests;
