//! The configuration of a running server: what may change without a restart, and how it does; never what the change causes elsewhere.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use ipnet::IpNet;

use super::table::{KEYS, LISTS};
use super::{Config, Loaded, Problems, load};
use crate::files::{self, Signature};
use crate::logging::LogHandle;

/// How often the files are looked at.
const POLL: Duration = Duration::from_secs(5);

/// A key whose value is another one now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key: `server.read_only`.
    pub key: &'static str,
    /// Its new value, as TOML; not for secrets.
    pub value: String,
    /// Whether it is in force; if not, it will be after a restart.
    pub in_force: bool,
}

/// The configuration in force.
#[derive(Debug)]
pub struct Live {
    read_only: AtomicBool,
    names: RwLock<Arc<Names>>,
    log: Option<LogHandle>,
    state: Mutex<State>,
}

/// What holds for the names and networks clients come by and from; replaced as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// `[server] external_url`
    pub external_url: Vec<String>,
    /// `[server] trusted_proxies`
    pub trusted_proxies: Vec<IpNet>,
}

impl Names {
    fn of(config: &Config) -> Arc<Self> {
        let server = &config.server;
        Arc::new(Self { external_url: server.external_url.clone(), trusted_proxies: server.trusted_proxies.clone() })
    }
}

#[derive(Debug)]
struct State {
    loaded: Loaded,
    seen: Vec<(PathBuf, Option<Signature>)>,
}

impl Live {
    /// Takes the configuration a server starts with.
    #[must_use]
    pub fn new(loaded: Loaded, log: Option<LogHandle>) -> Arc<Self> {
        let seen = look(&loaded);
        Arc::new(Self {
            read_only: AtomicBool::new(loaded.config.server.read_only),
            names: RwLock::new(Names::of(&loaded.config)),
            log,
            state: Mutex::new(State { loaded, seen }),
        })
    }

    /// Whether writes are refused now.
    #[must_use]
    pub fn read_only(&self) -> bool {
        self.read_only.load(Ordering::Relaxed)
    }

    /// The names and networks in force now.
    #[must_use]
    pub fn names(&self) -> Arc<Names> {
        Arc::clone(&self.names.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What people may do by the built-in rule −2, as it is configured now.
    #[must_use]
    pub fn user_default(&self) -> Vec<mcr_access::Kind> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.loaded.config.policy.user_default.clone()
    }

    /// Whether a file is not what it was when it was last read.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        look(&state.loaded) != state.seen
    }

    /// Reads everything again and puts in force what may be.
    ///
    /// # Errors
    /// What is wrong with the new configuration; then the old one stays in force as a whole.
    pub fn reload(&self) -> Result<Vec<Change>, Problems> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.seen = look(&state.loaded);
        let new = load(state.loaded.sources.clone())?;
        let changes = changes(&state.loaded, &new);
        self.put_in_force(&new.config);
        state.loaded = new;
        Ok(changes)
    }

    fn put_in_force(&self, config: &Config) {
        self.read_only.store(config.server.read_only, Ordering::Relaxed);
        *self.names.write().unwrap_or_else(PoisonError::into_inner) = Names::of(config);
        if let Some(log) = &self.log {
            log.set_level(&config.log.level);
        }
    }

    /// Reads again and logs what came of it. The changes, empty when there are none or the new configuration is bad.
    fn reload_and_tell(&self) -> Vec<Change> {
        match self.reload() {
            Ok(changes) => {
                for change in &changes {
                    let effect = if change.in_force { "in force" } else { "needs a restart" };
                    tracing::info!(key = change.key, value = change.value, effect, "configuration changed");
                }
                changes
            }
            Err(problems) => {
                for problem in &problems.0 {
                    tracing::warn!(%problem, "the configuration in force stays, the new one is not usable");
                }
                Vec::new()
            }
        }
    }
}

fn look(loaded: &Loaded) -> Vec<(PathBuf, Option<Signature>)> {
    let files = loaded.sources.files.iter();
    files.map(|path| (path.clone(), files::signature(path).ok())).collect()
}

fn changes(old: &Loaded, new: &Loaded) -> Vec<Change> {
    let value = |loaded: &Loaded, full: &str| loaded.settings.get(full).and_then(|setting| setting.value.clone());
    let mut changes: Vec<Change> = KEYS
        .iter()
        .filter(|key| value(old, key.full) != value(new, key.full))
        .map(|key| Change {
            key: key.full,
            value: match value(new, key.full) {
                Some(_) if key.secret => "(secret)".to_owned(),
                Some(value) => value.to_string(),
                None => "(not set)".to_owned(),
            },
            in_force: key.reloadable,
        })
        .collect();
    for list in LISTS {
        let rules = |loaded: &Loaded| -> Vec<Vec<_>> {
            let rules = loaded.settings.rules(list.name).iter();
            rules
                .map(|rule| {
                    list.keys.iter().map(|key| rule.get(key.full).and_then(|found| found.value.clone())).collect()
                })
                .collect()
        };
        let (before, after) = (rules(old), rules(new));
        if before != after {
            let in_force = list.keys.iter().any(|key| key.reloadable);
            changes.push(Change { key: list.name, value: format!("{} rules", after.len()), in_force });
        }
    }
    changes
}

/// Reads the configuration again on SIGHUP and when a file changes, until it is dropped.
/// `changed` is told what is different, whenever something is.
///
/// # Errors
/// When the process cannot listen to SIGHUP.
pub async fn watch(live: Arc<Live>, mut changed: impl FnMut(Vec<Change>)) -> std::io::Result<()> {
    let mut hangup = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?;
    let mut poll = tokio::time::interval(POLL);
    loop {
        let asked = tokio::select! {
            _ = hangup.recv() => true,
            _ = poll.tick() => false,
        };
        let live = Arc::clone(&live);
        let changes =
            tokio::task::spawn_blocking(
                move || {
                    if asked || live.has_changed() { live.reload_and_tell() } else { Vec::new() }
                },
            );
        match changes.await {
            Ok(changes) if !changes.is_empty() => changed(changes),
            // Nothing new; a panic inside has been told by then.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
