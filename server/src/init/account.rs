//! The first account of a password file; never a change to a file that is there.

use std::path::Path;

use mcr_seams::random_hex;

use super::cannot;
use crate::cli::Failure;
use crate::files;

/// The password file's name, beside the configuration.
pub(super) const FILE: &str = "htpasswd";
/// Bytes of randomness in a password that is drawn: 160 bits, which nobody guesses however cheap a guess is.
const PASSWORD_BYTES: usize = 20;
/// The cost of the hash of a drawn password, and of one that a person chose.
const COST_DRAWN: u32 = 10;
const COST_CHOSEN: u32 = 12;
/// The longest password, in bytes: bcrypt ignores what comes after.
const MAX_PASSWORD: usize = 72;
/// The largest password file, in bytes.
const MAX_FILE: u64 = 8 << 20;

/// A name that can stand in a password file and in the configuration, and means one account there.
pub(super) fn checked(name: &str) -> Result<&str, Failure> {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '@' | '+');
    let is_ours = [mcr_access::PROBE_ACCOUNT, mcr_registry::IMPORT].contains(&name);
    if !name.is_empty() && name.len() <= 255 && name.chars().all(plain) && !is_ours {
        return Ok(name);
    }
    Err(Failure::refused(format!("--admin {name:?}: expected a name of letters, digits and . - _ @ +, such as admin")))
}

/// Makes the file with the admin in it; the password where it is to be shown. A file that is there must have the admin.
pub(super) fn make(path: &Path, name: &str, chosen: Option<&str>) -> Result<Option<String>, Failure> {
    if files::exists(path).map_err(|error| cannot(path, &error))? {
        let text = files::read_text(path, MAX_FILE).map_err(|error| cannot(path, &error))?;
        if text.lines().any(|line| line.split_once(':').is_some_and(|(known, _)| known == name)) {
            return Ok(None);
        }
        let shown = path.display();
        return Err(Failure::refused(format!(
            "{shown} is there already and has no account {name}; add it with: htpasswd -B {shown} {name}"
        )));
    }
    let drawn;
    let (password, cost) = match chosen {
        Some(chosen) if chosen.is_empty() || chosen.len() > MAX_PASSWORD => {
            return Err(Failure::refused(format!("$MCR_PASSWORD: expected 1 to {MAX_PASSWORD} bytes")));
        }
        Some(chosen) => (chosen, COST_CHOSEN),
        None => {
            drawn = random_hex(PASSWORD_BYTES).map_err(|error| cannot(path, &error))?;
            (drawn.as_str(), COST_DRAWN)
        }
    };
    let hash = bcrypt::hash(password, cost)
        .map_err(|error| Failure::refused(format!("the password cannot be hashed: {error}; use another")))?;
    files::write_new(path, format!("{name}:{hash}\n").as_bytes(), 0o600).map_err(|error| cannot(path, &error))?;
    Ok(chosen.is_none().then(|| password.to_owned()))
}
