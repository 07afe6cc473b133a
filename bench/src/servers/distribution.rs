//! distribution, 2.8 and 3: the file driver, deletes on, the in-memory descriptor cache of its shipped
//! configuration, no Redis.

use std::{net::SocketAddr, path::Path};

use super::{Kind, Setting, Transport, free_address};
use crate::{error::Error, host, process::Process};

/// Starts one.
pub(super) fn start(
    kind: Kind,
    program: &Path,
    setting: &Setting,
    data: &Path,
) -> Result<(Process, SocketAddr), Error> {
    let address = free_address()?;
    let file = setting.directory.join(format!("{}.yml", kind.slug()));
    host::write(&file, configuration(kind, setting, data, address).as_bytes())?;
    let arguments = [Path::new("serve"), file.as_path()];
    // Version 3 otherwise tries to send traces to a collector that is not there.
    let environment = [("OTEL_TRACES_EXPORTER", "none")];
    let process = Process::start(kind.slug(), program, &arguments, &environment, &setting.directory)?;
    Ok((process, address))
}

fn configuration(kind: Kind, setting: &Setting, data: &Path, address: SocketAddr) -> String {
    // Its access log costs about a fifth of its small GETs; without it the comparison is fair to it.
    let log =
        if kind == Kind::DistributionLogs { "" } else { "log:\n  level: error\n  accesslog:\n    disabled: true\n" };
    let tls = match setting.transport {
        Transport::Plain => String::new(),
        Transport::Tls => format!(
            "  tls:\n    certificate: {}\n    key: {}\n    minimumtls: tls1.3\n",
            setting.certificate.certificate.display(),
            setting.certificate.key.display()
        ),
    };
    format!(
        "version: 0.1\n{log}storage:\n  cache:\n    blobdescriptor: inmemory\n  filesystem:\n    \
         rootdirectory: {}\n  delete:\n    enabled: true\nhttp:\n  addr: {address}\n  \
         secret: only-for-this-run\n{tls}",
        data.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configuration_differs_in_log_and_tls_only() {
        let mut setting = Setting {
            transport: Transport::Plain,
            directory: "/d".into(),
            certificate: crate::tls::Certificate { certificate: "/c".into(), key: "/k".into() },
            client: crate::tls::client().unwrap(),
        };
        let address = SocketAddr::from(([127, 0, 0, 1], 5));
        let make = |kind, setting: &Setting| configuration(kind, setting, Path::new("/x"), address);
        let plain = make(Kind::Distribution, &setting);
        assert_eq!(plain, make(Kind::Registry2, &setting));
        assert!(plain.contains("  filesystem:\n    rootdirectory: /x\n  delete:\n"));
        assert!(!make(Kind::DistributionLogs, &setting).contains("log:"));
        setting.transport = Transport::Tls;
        let tls = make(Kind::Distribution, &setting);
        assert!(tls.starts_with(&plain) && tls.ends_with("    minimumtls: tls1.3\n"));
    }
}
