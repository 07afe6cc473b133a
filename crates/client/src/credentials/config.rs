//! One credential file: docker's `config.json`, podman's `auth.json`; never a helper's answer.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::{Credential, Names};
use crate::files::read_small;

/// The names that Docker Hub goes by.
const HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// Some tools write padding, some do not.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What stands in a file. Never shown: it holds secrets.
#[derive(Clone, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    #[serde(default)]
    auths: Option<BTreeMap<String, Option<RawEntry>>>,
    #[serde(default)]
    cred_helpers: Option<BTreeMap<String, String>>,
    #[serde(default)]
    creds_store: Option<String>,
}

#[derive(Clone, Default, serde::Deserialize)]
struct RawEntry {
    #[serde(default)]
    auth: Option<String>,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<String>,
    #[serde(default)]
    identitytoken: Option<String>,
}

/// A file that was read and understood. `Debug` shows which keys it has, and no secret.
#[derive(Clone)]
pub(super) struct Config {
    /// By normalised key.
    credentials: BTreeMap<String, Credential>,
    /// By normalised key.
    helpers: BTreeMap<String, String>,
    store: Option<String>,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_set().entries(self.credentials.keys()).entries(self.helpers.keys()).finish()
    }
}

/// What a file says about a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// This.
    Found(Credential),
    /// Ask `docker-credential-` and this.
    Helper(String),
}

/// Reads the file at `path`; one that does not exist is an empty one.
///
/// # Errors
/// One line with the path and what is wrong with it, never with what is in it.
pub(super) async fn read(path: PathBuf) -> Result<Config, String> {
    // A home directory may lie on a network file system.
    let reading = tokio::task::spawn_blocking(move || {
        let bytes = read_small(&path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
        bytes.map_or_else(|| Ok(Config::empty()), |bytes| parse(&path, &bytes))
    });
    reading.await.map_err(|error| format!("the credential files cannot be read: {error}"))?
}

fn parse(path: &Path, bytes: &[u8]) -> Result<Config, String> {
    let broken = |what: String| format!("{} is broken: {what}; mend it, or log in again", path.display());
    if bytes.trim_ascii().is_empty() {
        return Ok(Config::empty());
    }
    // Not the error itself: it repeats values.
    let raw: Raw = serde_json::from_slice(bytes).map_err(|error| {
        let what = if error.is_data() { "a value that is none" } else { "not JSON" };
        broken(format!("{what} at line {}, column {}", error.line(), error.column()))
    })?;
    let mut credentials = BTreeMap::new();
    for (key, entry) in raw.auths.unwrap_or_default() {
        let credential = entry.unwrap_or_default().credential();
        let credential = credential.map_err(|what| broken(format!("`auths`, {}: {what}", crate::text::line(&key))))?;
        let Some(credential) = credential else { continue };
        let normal = normalise(&key);
        // A key that is normal already says more than one that was made so.
        if key == normal || !credentials.contains_key(&normal) {
            credentials.insert(normal, credential);
        }
    }
    let helpers = raw.cred_helpers.unwrap_or_default().into_iter();
    let helpers = helpers.filter(|(_, helper)| !helper.is_empty()).map(|(key, helper)| (normalise(&key), helper));
    let store = raw.creds_store.filter(|store| !store.is_empty());
    Ok(Config { credentials, helpers: helpers.collect(), store })
}

impl RawEntry {
    /// `None` for an entry that only marks that a store has one.
    fn credential(self) -> Result<Option<Credential>, &'static str> {
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        let (mut username, mut password) = (filled(self.username), filled(self.password));
        if let Some(auth) = filled(self.auth) {
            let decoded = BASE64.decode(auth.trim()).map_err(|_| "`auth` is not base64")?;
            let decoded = String::from_utf8(decoded).map_err(|_| "`auth` is not UTF-8")?;
            let (name, secret) = decoded.split_once(':').ok_or("`auth` is not name:password")?;
            username = Some(name.to_owned());
            // Some versions of docker padded it.
            password = filled(Some(secret.trim_matches('\0').to_owned()));
        }
        if let Some(token) = filled(self.identitytoken) {
            return Ok(Some(Credential::Identity { username, token }));
        }
        Ok(match (username, password) {
            (Some(username), Some(password)) => Some(Credential::Password { username, password }),
            _ => None,
        })
    }
}

impl Config {
    fn empty() -> Self {
        Self { credentials: BTreeMap::new(), helpers: BTreeMap::new(), store: None }
    }

    /// What the file says, the most specific first: the helper of this registry, an entry for the repository or a
    /// part of its path, one for the host, the helper for everything.
    pub(super) fn entries(&self, names: &Names, repository: Option<&str>) -> Vec<Entry> {
        let helper = names.hosts.iter().find_map(|host| self.helpers.get(host)).cloned();
        let found = names.hosts.iter().find_map(|host| {
            let mut key = repository.map_or_else(|| host.clone(), |repository| format!("{host}/{repository}"));
            loop {
                if let Some(credential) = self.credentials.get(&key) {
                    return Some(credential.clone());
                }
                let end = key.rfind('/')?;
                key.truncate(end);
            }
        });
        let store = self.store.clone().map(Entry::Helper);
        helper.map(Entry::Helper).into_iter().chain(found.map(Entry::Found)).chain(store).collect()
    }
}

/// The key of a file as `host[:port][/path]`: scheme and an API version behind the host go, the host is in lower
/// case, and Docker Hub has one name.
pub(super) fn normalise(key: &str) -> String {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
    let (host, path) = bare.unwrap_or(key).split_once('/').unwrap_or((bare.unwrap_or(key), ""));
    let mut host = host.to_ascii_lowercase();
    if HUB.contains(&host.as_str()) {
        "docker.io".clone_into(&mut host);
    }
    let path = path.trim_matches('/');
    if bare.is_some() || path.is_empty() || matches!(path, "v1" | "v2") { host } else { format!("{host}/{path}") }
}

#[cfg(test)]
mod tests;
