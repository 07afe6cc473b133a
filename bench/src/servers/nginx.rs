//! nginx as a plain file server with sendfile: what the kernel can do with the same bytes.

use std::{net::SocketAddr, path::Path};

use super::{Setting, Transport, free_address};
use crate::{error::Error, host, process::Process};

/// Starts it. Its document root is `data`; paths there are the registry's paths.
pub(super) fn start(program: &Path, setting: &Setting, data: &Path) -> Result<(Process, SocketAddr), Error> {
    let address = free_address()?;
    let file = setting.directory.join("nginx.conf");
    host::write(&file, configuration(setting, data, address).as_bytes())?;
    let arguments = [Path::new("-p"), setting.directory.as_path(), Path::new("-c"), &file];
    let process = Process::start("nginx", program, &arguments, &[], &setting.directory)?;
    Ok((process, address))
}

fn configuration(setting: &Setting, data: &Path, address: SocketAddr) -> String {
    let directory = setting.directory.display();
    let tls = match setting.transport {
        Transport::Plain => (String::new(), ""),
        Transport::Tls => (
            format!(
                "ssl_protocols TLSv1.3; ssl_certificate {}; ssl_certificate_key {};",
                setting.certificate.certificate.display(),
                setting.certificate.key.display()
            ),
            " ssl",
        ),
    };
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("  {name}_temp_path {directory}/nginx-temporary;\n"))
        .concat();
    format!(
        "user root;\ndaemon off;\nworker_processes auto;\npid {directory}/nginx.pid;\n\
         error_log stderr error;\nevents {{ worker_connections 1024; }}\nhttp {{\n{temporary}  \
         access_log off;\n  sendfile on;\n  tcp_nopush on;\n  keepalive_requests 1000000000;\n  \
         default_type application/octet-stream;\n  server {{ listen {address}{}; root {}; {} }}\n}}\n",
        tls.1,
        data.display(),
        tls.0
    )
}
