//! This registry, as `--dev` starts it: every integrity setting at its default.

use std::{net::SocketAddr, path::Path};

use super::{Setting, Transport};
use crate::{error::Error, process::Process};

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
