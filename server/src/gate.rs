//! From the configuration to the gate: who is asked who somebody is, and where the keys of tokens lie; never a request.

use std::sync::Arc;

use mcr_access::CheckPassword;
use mcr_authentication::{Gate, GateSettings, HtpasswdSettings, IdentityServiceSettings, Mode, Url};
use mcr_registry::Registry;
use mcr_seams::Clock;

use crate::config::{AuthMode, Config};
use crate::dev::DevAdmin;
use crate::files;
use crate::startup::Access;

/// The `service` of challenges, and whom our tokens are for.
const SERVICE: &str = "mcr";
/// The file of the keys that tokens are signed with, beside the database.
pub const KEYS_FILE: &str = "token-keys.json";

/// Opens the gate of this configuration. Blocks: reads files and makes keys.
///
/// # Errors
/// A line that says what to mend.
pub fn open(config: &Config, access: &Access, registry: Registry) -> Result<Gate, String> {
    let settings = GateSettings {
        mode: mode(config, access)?,
        service: SERVICE.to_owned(),
        token_ttl: config.auth.token_ttl,
        keys: files::parent_of(&config.database.path).join(KEYS_FILE),
        clock: Clock::system(),
    };
    Gate::open(settings, registry).map_err(|error| error.to_string())
}

fn mode(config: &Config, access: &Access) -> Result<Mode, String> {
    // The configuration was checked: what its mode needs is set.
    let missing = |key: &str| format!("{key} is missing; mcrsrv check-config says more");
    let auth = match access {
        Access::Anonymous => return Ok(Mode::Open),
        Access::DevAdmin(admin) => return Ok(Mode::Dev(Arc::new(Password(admin.clone())))),
        Access::Configured => &config.auth,
    };
    match auth.mode {
        AuthMode::None => Ok(Mode::Open),
        AuthMode::Htpasswd => Ok(Mode::Htpasswd(HtpasswdSettings {
            file: auth.htpasswd_file.clone().ok_or_else(|| missing("[auth] htpasswd_file"))?,
            admins: auth.admins.clone(),
            guests: auth.guests.clone(),
            system: auth.system.clone(),
        })),
        AuthMode::Mcias => {
            let url = config.mcias.server_url.as_deref().ok_or_else(|| missing("[mcias] server_url"))?;
            Ok(Mode::Mcias(IdentityServiceSettings {
                server_url: Url::parse(url).map_err(|error| format!("[mcias] server_url: {url}: {error}"))?,
                ca_cert: config.mcias.ca_cert.clone(),
                service_name: config.mcias.service_name.clone(),
                tags: config.mcias.tags.clone(),
            }))
        }
    }
}

struct Password(DevAdmin);

impl CheckPassword for Password {
    fn check(&self, username: &str, password: &str) -> bool {
        self.0.verify(username, password)
    }

    fn fingerprint(&self) -> Option<String> {
        Some(self.0.fingerprint())
    }
}
