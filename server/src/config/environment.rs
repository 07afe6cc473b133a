//! What environment variables set: `MCR_SECTION_KEY` and the platform's `$PORT…`; never files.

use std::net::SocketAddr;

use super::file::{Entry, not_known};
use super::problem::{Origin, Problem, Problems};
use super::table::{self, KEYS, Key};
use super::value::{Raw, all_addresses};

/// The environment of the process, or one a test made up.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    variables: Vec<(String, Option<String>)>,
}

impl Environment {
    /// The variables this process was started with. A value that is not UTF-8 is kept as unreadable.
    #[must_use]
    pub fn of_process() -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok())))
            .collect();
        Self { variables }
    }

    /// These variables and no others.
    #[must_use]
    pub fn of(variables: &[(&str, &str)]) -> Self {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), Some((*value).to_owned()))).collect();
        Self { variables }
    }

    /// Keys that `MCR_SECTION_KEY` variables set. A misspelt one is a problem: it would silently do nothing.
    #[must_use]
    pub fn entries(&self, problems: &mut Problems) -> Vec<Entry> {
        let mut entries = Vec::new();
        for (variable, value) in &self.variables {
            let Some(rest) = variable.strip_prefix("MCR_") else {
                continue;
            };
            let origin = Origin::Environment(variable.clone());
            let Some((section, name)) = split(rest) else {
                continue;
            };
            match (table::find(section, &name), value) {
                (Some(key), Some(value)) => entries.push(Entry { key, raw: Raw::Bare(value.clone()), origin }),
                (Some(key), None) => {
                    problems.push(Problem::of(key, &origin, "its value is not UTF-8"));
                }
                (None, _) if is_service_link(&name) => {}
                (None, _) => problems.push(not_known(origin, section, &name)),
            }
        }
        entries.sort_by_key(|entry| entry.key.full);
        entries
    }

    /// The ports the platform assigned, with the key each replaces: the port changes and all addresses listen.
    #[must_use]
    pub fn ports(&self, problems: &mut Problems) -> Vec<Entry> {
        // PORT_REST names its route, so it wins over PORT.
        let assigned = [
            ("PORT", "server.listen_addr"),
            ("PORT_REST", "server.listen_addr"),
            ("PORT_GRPC", "server.grpc_addr"),
            ("PORT_METRICS", "metrics.listen_addr"),
        ];
        let mut entries = Vec::new();
        for (variable, full) in assigned {
            let found = self.variables.iter().find(|(name, _)| name == variable);
            let (Some((_, value)), Some(key)) = (found, key_named(full)) else {
                continue;
            };
            let origin = Origin::Environment(variable.to_owned());
            match value.as_deref().unwrap_or_default().parse::<u16>() {
                Ok(port) => entries.push(Entry {
                    key,
                    raw: Raw::Bare(SocketAddr::new(all_addresses(), port).to_string()),
                    origin,
                }),
                Err(_) => problems.push(Problem::at(
                    origin,
                    Some(key.shown()),
                    format!(
                        "expected a port number, found {:?}",
                        value.as_deref().unwrap_or("bytes that are not UTF-8")
                    ),
                )),
            }
        }
        entries
    }
}

fn key_named(full: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.full == full)
}

/// `SERVER_LISTEN_ADDR` into `server` and `listen_addr`; `None` when no section is meant.
fn split(rest: &str) -> Option<(&'static str, String)> {
    let rest = rest.to_ascii_lowercase();
    let known = table::tops().into_iter();
    let later = table::LATER.iter().map(|(section, _)| *section);
    known.chain(later).find_map(|section| {
        let name = rest.strip_prefix(section)?.strip_prefix('_')?;
        (!name.is_empty()).then(|| (section, name.to_owned()))
    })
}

/// Kubernetes announces a service called `mcr-server` as `MCR_SERVER_SERVICE_HOST`, `MCR_SERVER_PORT_8443_TCP_ADDR` and so on.
fn is_service_link(name: &str) -> bool {
    let after_port = name.strip_prefix("port_").unwrap_or_default();
    name == "port"
        || name == "service_host"
        || name.starts_with("service_port")
        || after_port.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests;
