//! `wrk`, the load generator of the GET rows: how it is called and how its figures are read.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
};

use crate::{error::Error, host, interrupt, process, tls};

/// wrk's threads; more than the cores of a small machine only cost switches.
const THREADS: &str = "2";
/// The media types a registry may answer a manifest with; distribution gives 404 without them.
const ACCEPT: &str = "Accept: application/vnd.oci.image.manifest.v1+json";

/// wrk with the files it is given.
#[derive(Debug)]
pub(crate) struct Wrk {
    program: PathBuf,
    script: PathBuf,
    openssl: PathBuf,
}

/// What one run of wrk saw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Figures {
    /// Whole responses per second.
    pub(crate) requests_per_second: f64,
    /// Bytes read per second, also of responses that were cut off by the end of the run.
    pub(crate) bytes_per_second: f64,
}

impl Wrk {
    /// Writes wrk's files into `directory`.
    pub(crate) fn new(program: PathBuf, directory: &Path) -> Result<Wrk, Error> {
        let wrk = Wrk { program, script: directory.join("wrk.lua"), openssl: directory.join("openssl.cnf") };
        host::write(&wrk.script, include_bytes!("wrk.lua"))?;
        host::write(&wrk.openssl, tls::OPENSSL_CONFIGURATION.as_bytes())?;
        Ok(wrk)
    }

    /// GETs `url` on `connections` kept-alive connections for `seconds`. Any error or any status but
    /// 2xx and 3xx fails the run: a fast refusal must not look like a fast answer.
    pub(crate) fn run(&self, url: &str, connections: u32, seconds: u32) -> Result<Figures, Error> {
        self.run_as(None, url, connections, seconds)
    }

    /// The same with an `Authorization` of this value in every request.
    pub(crate) fn run_as(
        &self,
        authorization: Option<&str>,
        url: &str,
        connections: u32,
        seconds: u32,
    ) -> Result<Figures, Error> {
        let header = authorization.map(|value| format!("Authorization: {value}"));
        let child = process::command(&self.program)
            .args(["--threads", THREADS, "--timeout", "30s", "--header", ACCEPT])
            .args(header.iter().flat_map(|header| ["--header", header.as_str()]))
            .args(["--connections", &connections.to_string()])
            .args(["--duration", &format!("{seconds}s")])
            .arg("--script")
            .arg(&self.script)
            .arg(url)
            .env("OPENSSL_CONF", &self.openssl)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|source| self.spawn_error(source))?;
        let pid = child.id();
        interrupt::add(pid);
        let output = child.wait_with_output();
        interrupt::remove(pid);
        interrupt::check()?;
        let output = output.map_err(|source| self.spawn_error(source))?;
        let text = String::from_utf8_lossy(&output.stdout);
        parse(&text).map_err(|problem| Error::Wrk {
            url: url.to_owned(),
            problem: format!("{problem} {}", String::from_utf8_lossy(&output.stderr)),
        })
    }

    fn spawn_error(&self, source: std::io::Error) -> Error {
        Error::Spawn { program: self.program.display().to_string(), source }
    }
}

/// Reads the line `wrk.lua` writes.
fn parse(text: &str) -> Result<Figures, String> {
    let numbers: Vec<f64> = text
        .lines()
        .find_map(|line| line.strip_prefix("mcr-bench "))
        .map(|line| line.split(' ').filter_map(|word| word.parse().ok()).collect())
        .unwrap_or_default();
    let [requests, bytes, micros, errors] = numbers.as_slice() else {
        return Err(format!("no figures in its output:\n{text}"));
    };
    if *errors > 0.0 {
        return Err(format!("{errors} errors:\n{text}"));
    }
    if *requests < 1.0 || *micros < 1.0 {
        return Err(format!("nothing was answered:\n{text}"));
    }
    let seconds = micros / 1e6;
    Ok(Figures { requests_per_second: requests / seconds, bytes_per_second: bytes / seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_figures() {
        let figures = parse("Running\nmcr-bench 10 2000 500000 0\n").unwrap();
        assert!((figures.requests_per_second - 20.0).abs() < 1e-9);
        assert!((figures.bytes_per_second - 4000.0).abs() < 1e-9);
    }

    #[test]
    fn errors_and_silence_are_no_figures() {
        assert!(parse("mcr-bench 10 2000 500000 1").unwrap_err().contains("1 errors"));
        assert!(parse("mcr-bench 0 0 500000 0").is_err());
        assert!(parse("unable to connect").is_err());
    }
}
