//! A private certificate authority, as companies run one: its certificate, and what it issues; never a system's roots.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};

/// An authority whose files lie in a directory of a test.
#[derive(Debug)]
pub struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    home: tempfile::TempDir,
}

/// A certificate and its key as files in PEM.
#[derive(Clone, Debug)]
pub struct Issued {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

impl Authority {
    /// One of its own, called `name`.
    ///
    /// # Panics
    /// Where no key can be made or no file written.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("an authority");
        let home = tempfile::Builder::new().prefix("mcr-test-ca-").tempdir().expect("a directory");
        std::fs::write(home.path().join("ca.crt"), issuer.pem()).expect("its certificate");
        Self { issuer, home }
    }

    /// The authority's certificate, in a directory that holds no other certificate (as `--cert-dir` wants it).
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.directory().join("ca.crt")
    }

    /// The directory of [`Self::certificate`].
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.home.path()
    }

    /// Issues a server's certificate for these names and addresses into `directory`.
    ///
    /// # Panics
    /// Where a name is none, or nothing can be written.
    #[must_use]
    pub fn issue(&self, names: &[&str], directory: &Path) -> Issued {
        let mut params = CertificateParams::default();
        for name in names {
            params.subject_alt_names.push(match name.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName((*name).try_into().expect("a name")),
            });
        }
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, names.first().copied().unwrap_or("registry"));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        std::fs::create_dir_all(directory).expect("a directory");
        let issued = Issued { certificate: directory.join("cert.pem"), key: directory.join("key.pem") };
        std::fs::write(&issued.certificate, certificate.pem()).expect("the certificate");
        std::fs::write(&issued.key, key.serialize_pem()).expect("the key");
        issued
    }
}
