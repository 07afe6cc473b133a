//! This registry, as `--dev` starts it or with accounts: every integrity setting at its default.

use std::{net::SocketAddr, path::Path};

use super::{Setting, Transport};
use crate::{error::Error, host, process::Process};

/// Starts it.
pub(super) fn start(program: &Path, setting: &Setting, data: &Path) -> Result<(Process, SocketAddr), Error> {
    let mut arguments = vec![Path::new("server"), Path::new("--dev"), Path::new("--data"), data];
    for argument in ["--listen", "127.0.0.1:0", "--grpc-listen", "127.0.0.1:0", "--anonymous"] {
        arguments.push(Path::new(argument));
    }
    if setting.transport == Transport::Plain {
        arguments.push(Path::new("--plain-http"));
    }
    // The peers log errors only, so it does too; and none of them looks at itself while it is measured.
    let environment = [("MCR_LOG_LEVEL", "error"), ("MCR_PROBE_SCHEDULE", "off")];
    let mut process = Process::start("mcr", program, &arguments, &environment, &setting.directory)?;
    let address = process.wait_ready(|process| ready_address(&process.output()))?;
    Ok((process, address))
}

/// `admin` with the password of [`ACCOUNTS`], for HTTP Basic.
pub(super) const BASIC: &str = "Basic YWRtaW46YmVuY2gtcGFzc3dvcmQ=";

/// `bench`, an account without that role, the same.
pub(crate) const USER: &str = "Basic YmVuY2g6YmVuY2gtcGFzc3dvcmQ=";

/// Both, their password `bench-password`.
const ACCOUNTS: &str = "admin:$2y$05$yTz.5lYnn0qxQ204Ie7aI.Mn.O1pBNbG0UHtq8O9PExAEMZaoo83C\n\
    bench:$2y$05$yTz.5lYnn0qxQ204Ie7aI.Mn.O1pBNbG0UHtq8O9PExAEMZaoo83C\n";

/// Starts it over plain HTTP with a password file, whose one account is its administrator.
pub(super) fn start_with_accounts(
    program: &Path,
    setting: &Setting,
    data: &Path,
) -> Result<(Process, SocketAddr), Error> {
    let file = data.join("accounts");
    host::write(&file, ACCOUNTS.as_bytes())?;
    let config = data.join("mcr.toml");
    let (file, home) = (file.display(), data.display());
    let text = format!(
        "[server]\nlisten_addr = \"127.0.0.1:0\"\n[database]\npath = \"{home}/mcr.db\"\n\
         [storage]\nlayers_path = \"{home}/layers\"\n\
         [auth]\nmode = \"htpasswd\"\nhtpasswd_file = \"{file}\"\nadmins = [\"admin\"]\n\
         [log]\nlevel = \"error\"\n[probe]\nschedule = \"off\"\n"
    );
    host::write(&config, text.as_bytes())?;
    for directory in ["layers", "uploads"] {
        host::make_directory(&data.join(directory))?;
    }
    let arguments = [Path::new("server"), Path::new("--config"), &config];
    let mut process = Process::start("mcr-accounts", program, &arguments, &[], &setting.directory)?;
    let address = process.wait_ready(|process| ready_address(&process.output()))?;
    Ok((process, address))
}

/// The first HTTP address of the line that says it is ready.
fn ready_address(output: &str) -> Option<SocketAddr> {
    let line = output.split_inclusive('\n').find(|line| line.starts_with("mcrsrv ready") && line.ends_with('\n'))?;
    line.split_whitespace()
        .flat_map(|word| word.split(['=', ',']))
        .filter_map(|word| word.strip_prefix("http://").or_else(|| word.strip_prefix("https://")))
        .find_map(|rest| rest.trim_end_matches('/').parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_address_once_the_line_is_whole() {
        let want = Some(SocketAddr::from(([127, 0, 0, 1], 81)));
        assert_eq!(ready_address("mcrsrv ready http://127.0.0.1:81/ grpc http://127.0.0.1:9\n"), want);
        assert_eq!(ready_address("x\nmcrsrv ready: rest=https://127.0.0.1:81, grpc=…\n"), want);
        assert_eq!(ready_address("mcrsrv ready http://127.0.0.1:8"), None);
        assert_eq!(ready_address("something else http://127.0.0.1:8\n"), None);
    }
}
