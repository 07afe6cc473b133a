//! Tests of certificates from files and of handshakes with what is served.

use std::io;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConnection};

use super::*;

struct Pair {
    dir: tempfile::TempDir,
}

impl Pair {
    fn new() -> Self {
        let pair = Self { dir: tempfile::tempdir().unwrap() };
        pair.renew();
        pair
    }

    fn cert(&self) -> PathBuf {
        self.dir.path().join("cert.pem")
    }

    fn key(&self) -> PathBuf {
        self.dir.path().join("key.pem")
    }

    /// Another certificate with another key.
    fn renew(&self) {
        let key = KeyPair::generate().unwrap();
        let cert = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        files::replace(&self.cert(), cert.pem().as_bytes(), 0o644).unwrap();
        files::replace(&self.key(), key.serialize_pem().as_bytes(), 0o600).unwrap();
    }

    fn der(&self) -> CertificateDer<'static> {
        read_chain(&self.cert()).unwrap().remove(0)
    }
}

/// What a client that trusts `trusted` and speaks `versions` gets.
fn handshake(
    server: &Arc<ServerConfig>,
    trusted: CertificateDer<'static>,
    versions: &[&'static rustls::SupportedProtocolVersion],
) -> Result<(rustls::ProtocolVersion, Option<Vec<u8>>), io::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let mut client = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost").unwrap()).unwrap();
    let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
    for _ in 0..10 {
        let mut wire = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut wire)?;
        }
        server.read_tls(&mut wire.as_slice())?;
        server.process_new_packets().map_err(io::Error::other)?;
        let mut wire = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut wire)?;
        }
        client.read_tls(&mut wire.as_slice())?;
        client.process_new_packets().map_err(io::Error::other)?;
        if !client.is_handshaking() && !server.is_handshaking() {
            break;
        }
    }
    let version = client.protocol_version().ok_or_else(|| io::Error::other("no handshake"))?;
    Ok((version, client.alpn_protocol().map(<[u8]>::to_vec)))
}

const BOTH: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];
const ONLY_12: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS12];

#[test]
fn tls_1_3_is_served_and_1_2_only_where_permitted() {
    let pair = Pair::new();
    let reloader = Reloader::open(&pair.cert(), &pair.key()).unwrap();
    let strict = server_config(Arc::clone(&reloader), MinTls::V1_3).unwrap();
    let (version, alpn) = handshake(&strict, pair.der(), BOTH).unwrap();
    assert_eq!((version, alpn.as_deref()), (rustls::ProtocolVersion::TLSv1_3, Some(b"h2".as_slice())));
    assert!(handshake(&strict, pair.der(), ONLY_12).is_err());
    let lenient = server_config(reloader, MinTls::V1_2).unwrap();
    assert_eq!(handshake(&lenient, pair.der(), ONLY_12).unwrap().0, rustls::ProtocolVersion::TLSv1_2);
}

#[test]
fn a_new_pair_is_served_and_a_bad_one_is_not() {
    let pair = Pair::new();
    let old = pair.der();
    let reloader = Reloader::open(&pair.cert(), &pair.key()).unwrap();
    let config = server_config(Arc::clone(&reloader), MinTls::V1_3).unwrap();
    assert!(!reloader.has_changed());
    files::replace(&pair.key(), b"nothing", 0o600).unwrap();
    assert!(reloader.has_changed());
    assert!(reloader.reload().is_err());
    assert!(!reloader.has_changed(), "told once, not at every look");
    assert!(handshake(&config, old.clone(), BOTH).is_ok());
    pair.renew();
    assert!(reloader.has_changed());
    reloader.reload().unwrap();
    assert!(handshake(&config, pair.der(), BOTH).is_ok());
    assert!(handshake(&config, old, BOTH).is_err());
}

#[test]
fn what_is_wrong_is_named_with_its_file() {
    let (one, two) = (Pair::new(), Pair::new());
    let said = |cert: &Path, key: &Path| {
        let said = load(cert, key).unwrap_err().to_string();
        assert!(!said.contains('\n'), "{said}");
        said.replace(&format!("{}/", one.dir.path().display()), "")
            .replace(&format!("{}/", two.dir.path().display()), "")
    };
    assert_eq!(
        said(&one.cert(), &two.key()),
        "key.pem is not the key of cert.pem; take the pair that was issued together, the server's own certificate first"
    );
    assert!(said(&one.key(), &one.cert()).contains("are tls_cert and tls_key exchanged?"));
    assert!(said(&one.cert(), &one.cert()).starts_with("cert.pem: no private key in it"));
    assert!(said(&one.dir.path().join("none"), &one.key()).starts_with("none: cannot be read: No such file"));
    files::replace(&one.cert(), b"", 0o600).unwrap();
    assert_eq!(said(&one.cert(), &one.key()), "cert.pem: no certificate in it; expected PEM with BEGIN CERTIFICATE");
    let broken = b"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";
    files::replace(&one.cert(), broken, 0o600).unwrap();
    assert!(said(&one.cert(), &one.key()).starts_with("cert.pem: not PEM: "));
    let hollow = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    files::replace(&one.cert(), hollow, 0o600).unwrap();
    assert!(said(&one.cert(), &one.key()).starts_with("cert.pem: the first certificate is damaged: "));
}
