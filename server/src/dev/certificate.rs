//! The self-signed certificate of a development registry, or of a fresh configuration: made, kept, renewed; never served from here.

use std::io;
use std::net::IpAddr;
use std::path::Path;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use mcr_seams::Clock;
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose, SanType, date_time_ymd};
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;

use crate::lock::host_name;
use crate::{files, tls};

/// How long a certificate is good for, in days; clients distrust longer ones.
const DAYS: i64 = 397;
/// One that ends sooner is made anew at the next start, in seconds.
const RENEW_BEFORE: i64 = 30 * DAY;
/// In seconds.
const DAY: i64 = 24 * 3600;

/// The subject of what is made here, by which it is known again.
const COMMON_NAME: &str = "mcrsrv, self-signed";

/// Why no certificate could be made.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// A file cannot be written.
    #[error("cannot write the certificate {path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// The system's reason.
        source: io::Error,
    },
    /// The certificate cannot be made.
    #[error("cannot make a certificate: {0}")]
    Make(#[from] rcgen::Error),
}

/// Makes certificate and key where they are missing, unusable, near their end or for other names. `true` when they are new.
///
/// # Errors
/// When they cannot be made or written.
pub fn ensure_certificate(
    cert: &Path,
    key: &Path,
    listen: Option<IpAddr>,
    clock: &Clock,
) -> Result<bool, CertificateError> {
    let names = names(listen);
    let now = clock.now_ms() / 1000;
    if is_good(cert, key, &names, now) {
        return Ok(false);
    }
    let (cert_pem, key_pem) = make(&names, now)?;
    let failed = |path: &Path| {
        let path = path.display().to_string();
        move |source| CertificateError::Io { path, source }
    };
    files::create_private_dir(&files::parent_of(cert)).map_err(failed(cert))?;
    files::create_private_dir(&files::parent_of(key)).map_err(failed(key))?;
    // Killed in between, the pair does not match, which the next start finds and mends.
    files::replace(key, key_pem.as_bytes(), 0o600).map_err(failed(key))?;
    files::replace(cert, cert_pem.as_bytes(), 0o644).map_err(failed(cert))?;
    Ok(true)
}

/// The names this machine is reached by, those that cannot stand in a certificate left out.
fn names(listen: Option<IpAddr>) -> Vec<String> {
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    names.push(host_name());
    names.extend(listen.filter(|address| !address.is_unspecified()).map(|address| address.to_canonical().to_string()));
    let mut seen = Vec::new();
    for name in names {
        if ServerName::try_from(name.as_str()).is_ok() && !seen.contains(&name) {
            seen.push(name);
        }
    }
    seen
}

fn is_good(cert: &Path, key: &Path, names: &[String], now: i64) -> bool {
    let Ok(loaded) = tls::load(cert, key) else {
        return false;
    };
    let is_ours = |der: &CertificateDer<'_>| der.windows(COMMON_NAME.len()).any(|part| part == COMMON_NAME.as_bytes());
    if !loaded.certified.cert.first().is_some_and(is_ours) {
        // Somebody put a certificate of their own here: it is theirs to renew.
        return true;
    }
    let lasts = loaded.not_after.is_some_and(|end| end - now > RENEW_BEFORE);
    lasts && loaded.certified.cert.first().is_some_and(|first| is_for(first, names))
}

fn is_for(cert: &CertificateDer<'_>, names: &[String]) -> bool {
    let Ok(parsed) = ParsedCertificate::try_from(cert) else {
        return false;
    };
    let covers = |name: &String| {
        ServerName::try_from(name.as_str()).is_ok_and(|name| verify_server_name(&parsed, &name).is_ok())
    };
    names.iter().all(covers)
}

fn make(names: &[String], now: i64) -> Result<(String, String), rcgen::Error> {
    let mut params = CertificateParams::default();
    for name in names {
        params.subject_alt_names.push(match name.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(name.as_str().try_into()?),
        });
    }
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, COMMON_NAME);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    // A day back, for clients whose clock is behind.
    let midnight = |days: i64| {
        let day = Timestamp::from_second(now + days * DAY).unwrap_or_default().to_zoned(TimeZone::UTC).date();
        date_time_ymd(day.year().into(), day.month().unsigned_abs(), day.day().unsigned_abs())
    };
    params.not_before = midnight(-1);
    params.not_after = midnight(DAYS - 1);
    let key = KeyPair::generate()?;
    let cert = params.self_signed(&key)?;
    Ok((cert.pem(), key.serialize_pem()))
}

#[cfg(test)]
mod tests;
