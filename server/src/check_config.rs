//! `check-config`: the effective configuration with its origins, and whether what it names can be used; never a change to any of it.

use std::io;
use std::path::{Path, PathBuf};

use mcr_probe::{Schedule, Zone};
use mcr_seams::Clock;
use serde_json::{Value as Json, json};

use crate::cli::{Failure, print};
use crate::config::table::{self, KEYS, Key, LISTS};
use crate::config::value::Value;
use crate::config::{
    self, AuthMode, Config, Environment, Loaded, Origin, Problem, Problems, ProxyProtocol, Setting, Settings, Sources,
};
use crate::{files, tls};

/// Shows and checks the configuration of these files.
///
/// # Errors
/// Everything that is wrong, exit code 1.
pub fn run(files: Vec<PathBuf>, as_json: bool) -> Result<(), Failure> {
    let loaded = match config::load(Sources::of_files(files, Environment::of_process())) {
        Ok(loaded) => loaded,
        Err(problems) => {
            if as_json {
                let document = json!({"ok": false, "problems": problems_json(&problems)});
                print(format!("{document:#}\n").as_bytes())?;
            }
            return Err(problems.into());
        }
    };
    let checks = checks(&loaded.config);
    let bad: Vec<String> = checks.iter().filter_map(|check| check.result.clone().err()).collect();
    let text = if as_json { format!("{:#}\n", document(&loaded, &checks)) } else { text(&loaded.settings, &checks) };
    print(text.as_bytes())?;
    if bad.is_empty() { Ok(()) } else { Err(Failure::refused_all(bad)) }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Check {
    /// What was looked at.
    name: &'static str,
    /// What was found, or what is wrong and what to do.
    result: Result<String, String>,
}

fn checks(config: &Config) -> Vec<Check> {
    let storage = &config.storage;
    let database = files::parent_of(&config.database.path);
    let mut checks = vec![
        Check { name: "database", result: usable_directory(&database) },
        Check { name: "layers_path", result: usable_directory(&storage.layers_path) },
        Check { name: "uploads_path", result: usable_directory(&storage.uploads_path) },
        Check { name: "rename", result: try_rename(config) },
    ];
    let network = network_problems(config);
    let local = if config.database.allow_network_filesystem {
        "not asked: allow_network_filesystem = true"
    } else {
        "database and blobs are on local file systems"
    };
    checks.push(Check {
        name: "filesystem",
        result: if network.is_empty() { Ok(local.to_owned()) } else { Err(network.join("; ")) },
    });
    if let (Some(cert), Some(key)) = (&config.server.tls_cert, &config.server.tls_key) {
        checks.push(Check { name: "certificate", result: certificate(cert, key) });
    }
    checks.extend(login_checks(config));
    let schedules = [
        ("probe.schedule", &config.probe.schedule),
        ("gc.schedule", &config.gc.schedule),
        ("backup.schedule", &config.backup.schedule),
    ];
    checks.extend(
        schedules
            .map(|(name, schedule)| Check { name, result: Ok(next_runs(schedule.as_deref(), config.server.timezone)) }),
    );
    checks
}

/// Whether the files of logins can be read, and what a proxy in front means for limits.
fn login_checks(config: &Config) -> Vec<Check> {
    let readable = |path: &Path| match files::read_bytes(path, MAX_LOGIN_FILE) {
        Ok(_) => Ok(format!("{} can be read", path.display())),
        Err(error) => Err(format!("{}: cannot be read: {error}; check the path and its permissions", path.display())),
    };
    let mut checks = Vec::new();
    if let (AuthMode::Htpasswd, Some(file)) = (config.auth.mode, &config.auth.htpasswd_file) {
        checks.push(Check { name: "htpasswd_file", result: readable(file) });
    }
    if let (AuthMode::Mcias, Some(ca)) = (config.auth.mode, &config.mcias.ca_cert) {
        checks.push(Check { name: "ca_cert", result: readable(ca) });
    }
    if config.server.behind_tls_proxy && config.server.trusted_proxies.is_empty() {
        let told = "behind_tls_proxy without trusted_proxies: every client has the address of the proxy, in the audit trail and for limits";
        checks.push(Check { name: "trusted_proxies", result: Ok(told.to_owned()) });
    }
    for told in open_doors(config) {
        checks.push(Check { name: "trusted_proxies", result: Ok(told.to_owned()) });
    }
    checks
}

/// What lets anybody who reaches the port say who they are. It may be meant, behind a firewall, so it is told and not
/// refused.
#[must_use]
pub fn open_doors(config: &Config) -> Vec<&'static str> {
    let mut told = Vec::new();
    if config.server.trusted_proxies.iter().any(|network| network.prefix_len() == 0) {
        told.push("trusted_proxies holds every address: whoever reaches the port can claim to be any client; name the proxies' own addresses");
    }
    if config.server.proxy_protocol == ProxyProtocol::Required && config.server.trusted_proxies.is_empty() {
        told.push("proxy_protocol without trusted_proxies: whoever reaches the port can claim to be any client; name the proxies' own addresses, or let nobody else reach it");
    }
    told
}

/// A password file or certificates larger than this are something else, in bytes.
const MAX_LOGIN_FILE: u64 = 8 << 20;

/// How many runs of a schedule are shown.
const RUNS_SHOWN: usize = 3;

/// When a schedule begins its next runs, by the clock of `zone`.
fn next_runs(schedule: Option<&str>, zone: Zone) -> String {
    let Some(schedule) = schedule.and_then(|text| Schedule::parse(text).ok()) else {
        return "off".to_owned();
    };
    let schedule = schedule.within(zone);
    let next = |after: &i64| schedule.next_after(*after);
    let now = Clock::system().now_ms();
    let runs = std::iter::successors(next(&now), next).take(RUNS_SHOWN);
    format!("next runs: {}", runs.map(|ms| zone.rfc3339(ms)).collect::<Vec<_>>().join(", "))
}

/// Whether a directory can be written, or made.
fn usable_directory(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let failed =
        |error: io::Error| format!("{shown}: cannot be looked at: {error}; check the path and its permissions");
    let nearest = files::existing_ancestor(path).map_err(failed)?;
    if !files::is_directory(&nearest).map_err(failed)? {
        return Err(format!("{}: is not a directory; remove it or use another path", nearest.display()));
    }
    if !files::is_writable(&nearest).map_err(failed)? {
        return Err(format!("{}: this user may not write there; change its owner or mode", nearest.display()));
    }
    Ok(if nearest == path {
        format!("{shown} can be written")
    } else {
        format!("{shown} is not there yet and can be made")
    })
}

fn try_rename(config: &Config) -> Result<String, String> {
    let (uploads, layers) = (&config.storage.uploads_path, &config.storage.layers_path);
    match files::same_filesystem(uploads, layers) {
        Ok(true) => Ok("uploads_path and layers_path are on one file system".to_owned()),
        Ok(false) => Err(two_filesystems(config)),
        Err(error) => Err(format!(
            "{}: a rename to {} cannot be tried: {error}; check free space and permissions",
            uploads.display(),
            layers.display()
        )),
    }
}

/// What to say when an upload could not be renamed to its place.
#[must_use]
pub fn two_filesystems(config: &Config) -> String {
    format!(
        "[storage] uploads_path: {} is not on the file system of layers_path {}; put both on one, so that a finished upload is moved in one step",
        config.storage.uploads_path.display(),
        config.storage.layers_path.display()
    )
}

/// A line for each part of the data that lies on a network file system, unless that is permitted.
#[must_use]
pub fn network_problems(config: &Config) -> Vec<String> {
    if config.database.allow_network_filesystem {
        return Vec::new();
    }
    let parts = [
        ("[database] path", &config.database.path),
        ("[storage] layers_path", &config.storage.layers_path),
        ("[storage] uploads_path", &config.storage.uploads_path),
    ];
    let mut problems = Vec::new();
    for (key, path) in parts {
        let shown = path.display();
        match files::network_filesystem(path) {
            Ok(None) => {}
            Ok(Some(kind)) => problems.push(format!(
                "{key}: {shown} is on {kind}, where locks and syncs may not hold; use a local disk, or set [database] allow_network_filesystem = true"
            )),
            Err(error) => problems.push(format!("{key}: {shown} cannot be looked at: {error}")),
        }
    }
    problems
}

fn certificate(cert: &Path, key: &Path) -> Result<String, String> {
    let loaded = tls::load(cert, key).map_err(|error| error.to_string())?;
    let now = Clock::system().now_ms() / 1000;
    match loaded.not_after {
        None => Ok("certificate and key belong together".to_owned()),
        Some(end) if end <= now => Err(format!(
            "{}: the certificate expired on {}; replace it",
            cert.display(),
            mcr_seams::rfc3339(end.saturating_mul(1000))
        )),
        Some(end) => Ok(format!(
            "certificate and key belong together; good until {}",
            mcr_seams::rfc3339(end.saturating_mul(1000))
        )),
    }
}

const MASK: &str = "\"********\"";

/// A value as it may be shown.
fn shown(key: &Key, value: &Value) -> String {
    if key.secret { MASK.to_owned() } else { value.to_string() }
}

/// As TOML with the origins as comments: it could be used as a configuration file.
fn text(settings: &Settings, checks: &[Check]) -> String {
    let mut out = String::new();
    for section in table::sections() {
        out.push_str(&format!("{}\n", table::header(section)));
        for key in KEYS.iter().filter(|key| key.section() == section) {
            push_setting(&mut out, key, settings.get(key.full));
        }
        out.push('\n');
    }
    for list in LISTS {
        for rule in settings.rules(list.name) {
            out.push_str(&format!("{}\n", table::header(list.name)));
            for key in list.keys {
                push_setting(&mut out, key, rule.get(key.full));
            }
            out.push('\n');
        }
    }
    for check in checks {
        let (mark, said) = match &check.result {
            Ok(said) => ("ok", said),
            Err(said) => ("WRONG", said),
        };
        out.push_str(&format!("# {mark:<5} {}: {said}\n", check.name));
    }
    out
}

fn push_setting(out: &mut String, key: &Key, setting: Option<&Setting>) {
    let line = match setting {
        Some(Setting { value: Some(value), origin }) => {
            format!("{:<56} # {origin}\n", format!("{} = {}", key.name(), shown(key, value)))
        }
        _ => format!("# {} is not set\n", key.name()),
    };
    out.push_str(&line);
}

fn document(loaded: &Loaded, checks: &[Check]) -> Json {
    let ok = checks.iter().all(|check| check.result.is_ok());
    let values: Vec<Json> = KEYS.iter().map(|key| setting_json(key, loaded.settings.get(key.full))).collect();
    let rules: Vec<Json> = LISTS
        .iter()
        .flat_map(|list| loaded.settings.rules(list.name).iter().map(move |rule| (list, rule)))
        .map(|(list, rule)| list.keys.iter().map(|key| setting_json(key, rule.get(key.full))).collect())
        .collect();
    let checks: Vec<Json> = checks
        .iter()
        .map(|check| {
            let said = check.result.as_ref().unwrap_or_else(|wrong| wrong);
            json!({"name": check.name, "ok": check.result.is_ok(), "detail": said})
        })
        .collect();
    json!({"ok": ok, "values": values, "rules": rules, "checks": checks, "problems": []})
}

fn setting_json(key: &Key, setting: Option<&Setting>) -> Json {
    let value = setting.and_then(|setting| setting.value.as_ref()).map_or(Json::Null, |value| match value {
        _ if key.secret => json!("********"),
        Value::Flag(flag) => json!(flag),
        Value::List(items) => json!(items),
        Value::Address(address) => json!(address.to_string()),
        Value::Path(path) => json!(path.display().to_string()),
        Value::Word(word) => json!(word),
        Value::Text(text) => json!(text),
        Value::Duration(length) => json!(config::value::write_duration(*length)),
        Value::Size(bytes) | Value::Number(bytes) => json!(bytes),
        Value::Rate(_) => json!(value.to_string().trim_matches('"')),
    });
    let origin = setting.map_or(&Origin::Default, |setting| &setting.origin);
    json!({"key": key.full, "value": value, "origin": origin_json(origin)})
}

fn origin_json(origin: &Origin) -> Json {
    match origin {
        Origin::Default => json!({"kind": "default"}),
        Origin::File { path, line } => json!({"kind": "file", "file": path.display().to_string(), "line": line}),
        Origin::Environment(name) => json!({"kind": "environment", "name": name}),
        Origin::Flag(flag) => json!({"kind": "flag", "name": flag}),
    }
}

fn problems_json(problems: &Problems) -> Vec<Json> {
    let one = |problem: &Problem| {
        json!({
            "key": problem.key,
            "origin": problem.origin.as_ref().map(origin_json),
            "message": problem.message,
        })
    };
    problems.0.iter().map(one).collect()
}

#[cfg(test)]
mod tests;
