//! Logins written into the credential files of container users, where every tool finds them; never how they are used.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use serde_json::{Map, Value, json};

use super::config::normalise;
use super::{CredentialFiles, Names, helper};
use crate::files::{read_small, replace_private};
use crate::text::line;

/// Where a login is kept, or was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The file.
    pub path: PathBuf,
    /// The program that holds the secret, `docker-credential-…`; none where the file itself does.
    pub helper: Option<String>,
}

impl CredentialFiles {
    /// Keeps a login for `registry` as docker does: in the file that `$REGISTRY_AUTH_FILE` names, else in docker's,
    /// through the helper that the file names. Files that are looked at before that one and have a login for the
    /// registry get the new one too.
    ///
    /// # Errors
    /// One line that names the file or the helper and says what to do; never a secret.
    pub async fn keep(&self, registry: &Url, username: &str, secret: &str) -> Result<Vec<Kept>, String> {
        let names = names(registry)?;
        let target = self.target.as_ref().ok_or_else(|| {
            "there is no place for the login: set HOME, or REGISTRY_AUTH_FILE to the path of a file".to_owned()
        })?;
        let mut kept = Vec::new();
        for path in &self.paths {
            let mut document = read(path)?;
            let is_target = path == target;
            if is_target || document.mentions(&names) {
                let helper = document.helper(&names);
                if let Some(helper) = &helper {
                    helper::store(helper, &names.server, username, secret).await.map_err(|why| told(path, &why))?;
                }
                let pair = STANDARD.encode(format!("{username}:{secret}"));
                // Docker marks with an empty entry that its store has one.
                let entry = if helper.is_some() { json!({}) } else { json!({ "auth": pair }) };
                document.put(&names, entry);
                write(path, &document)?;
                kept.push(Kept { path: path.clone(), helper });
            }
            if is_target {
                break;
            }
        }
        Ok(kept)
    }

    /// Removes the logins for `registry` from every file that has one; entries for single repositories stay.
    ///
    /// # Errors
    /// One line that names the file or the helper and says what to do.
    pub async fn remove(&self, registry: &Url) -> Result<Vec<Kept>, String> {
        let names = names(registry)?;
        let mut removed = Vec::new();
        for path in &self.paths {
            let mut document = read(path)?;
            let mut held = document.take(&names);
            if held {
                write(path, &document)?;
            }
            let helper = document.helper(&names);
            if let Some(helper) = &helper {
                held |= helper::erase(helper, &names.server).await.map_err(|why| told(path, &why))?;
            }
            if held {
                removed.push(Kept { path: path.clone(), helper });
            }
        }
        Ok(removed)
    }
}

fn names(registry: &Url) -> Result<Names, String> {
    let base = crate::client::base(registry).map_err(|error| error.to_string())?;
    Ok(crate::client::names(&base))
}

fn told(path: &Path, why: &str) -> String {
    format!("{}: {why}", path.display())
}

/// A credential file with all that stands in it, ours or not. Never shown: it holds secrets.
struct Document(Map<String, Value>);

fn read(path: &Path) -> Result<Document, String> {
    let bytes = read_small(path).map_err(|error| told(path, &format!("cannot be read: {error}")))?;
    let bytes = bytes.unwrap_or_default();
    if bytes.trim_ascii().is_empty() {
        return Ok(Document(Map::new()));
    }
    let broken = || told(path, "is broken: not a JSON object; mend it or move it away, then log in again");
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(map)) if map.get("auths").is_none_or(|auths| auths.is_object() || auths.is_null()) => {
            Ok(Document(map))
        }
        _ => Err(broken()),
    }
}

fn write(path: &Path, document: &Document) -> Result<(), String> {
    // As docker writes it: people read these files.
    let text = serde_json::to_string_pretty(&document.0).map_err(|error| told(path, &line(&error.to_string())))?;
    replace_private(path, format!("{text}\n").as_bytes())
        .map_err(|error| told(path, &format!("cannot be written: {error}; the login was not kept")))
}

impl Document {
    /// The helper that keeps the registry's login.
    fn helper(&self, names: &Names) -> Option<String> {
        let own = self.0.get("credHelpers").and_then(Value::as_object).into_iter().flatten();
        let own = own.filter(|(key, _)| names.hosts.contains(&normalise(key))).map(|(_, helper)| helper);
        let all = self.0.get("credsStore");
        own.chain(all).filter_map(Value::as_str).find(|helper| !helper.is_empty()).map(str::to_owned)
    }

    fn keys(&self, names: &Names) -> Vec<String> {
        let entries = self.0.get("auths").and_then(Value::as_object).into_iter().flatten();
        entries.map(|(key, _)| key).filter(|key| names.hosts.contains(&normalise(key))).cloned().collect()
    }

    /// Whether a login for the registry is kept here.
    fn mentions(&self, names: &Names) -> bool {
        !self.keys(names).is_empty()
    }

    /// Takes every entry of the registry out, however its key is written; whether there was one.
    fn take(&mut self, names: &Names) -> bool {
        let keys = self.keys(names);
        if let Some(auths) = self.0.get_mut("auths").and_then(Value::as_object_mut) {
            for key in &keys {
                auths.shift_remove(key);
            }
        }
        !keys.is_empty()
    }

    fn put(&mut self, names: &Names, entry: Value) {
        self.take(names);
        let auths = self.0.entry("auths").or_insert_with(|| json!({}));
        if !auths.is_object() {
            *auths = json!({});
        }
        if let Some(auths) = auths.as_object_mut() {
            auths.insert(names.server.clone(), entry);
        }
    }
}

#[cfg(test)]
mod tests;
