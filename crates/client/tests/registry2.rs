//! The client against Debian's `docker-registry` 2.8.2 with passwords, and with its blobs damaged beneath it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and damages files"
)]

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use mcr_client::{
    Announced, BlobAnswer, Client, CredentialFiles, Error, Login, ManifestAnswer, Settings, Tail, Url, Whole,
};
use mcr_oci::{Digest, Reference, RepositoryName};

/// bcrypt of `sesame`, at its lowest cost.
const HASH: &str = "$2b$04$abcdefghijklmnopqrstuuinwY/tkBVrn3xrxQI/TgnMHhkvl85RW";

/// `ada:sesame`.
const BASIC: &str = "Basic YWRhOnNlc2FtZQ==";

struct Registry {
    process: Child,
    tree: tempfile::TempDir,
    base: String,
    http: reqwest::Client,
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Registry {
    fn start() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let tree = tempfile::tempdir().unwrap();
        let path = |name: &str| tree.path().join(name).display().to_string();
        std::fs::write(path("htpasswd"), format!("ada:{HASH}\n")).unwrap();
        let config = format!(
            "version: 0.1\nstorage:\n  filesystem: {{rootdirectory: {}}}\n  cache: {{blobdescriptor: inmemory}}\n\
             http: {{addr: '127.0.0.1:0'}}\nauth:\n  htpasswd: {{realm: tests, path: {}}}\n",
            path("data"),
            path("htpasswd"),
        );
        std::fs::write(path("config.yml"), config).unwrap();
        let mut command = Command::new("docker-registry");
        command.arg("serve").arg(path("config.yml")).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("Debian's docker-registry is installed");
        let log = BufReader::new(process.stderr.take().unwrap());
        let (say, hear) = mpsc::channel();
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                if let Some((_, port)) = line.split_once("listening on 127.0.0.1:") {
                    let port: String = port.chars().take_while(char::is_ascii_digit).collect();
                    let _ = say.send(port);
                }
            }
        });
        let port = hear.recv_timeout(Duration::from_secs(20)).expect("it says where it listens");
        Self { process, tree, base: format!("http://127.0.0.1:{port}/"), http: reqwest::Client::new() }
    }

    fn client(&self, login: Login) -> Client {
        let settings = Settings::new(Url::parse(&self.base).unwrap());
        let (silence, attempts_over) = (Duration::from_secs(5), Duration::from_millis(200));
        Client::new(Settings { login, silence, attempts_over, ..settings }).unwrap()
    }

    async fn push_blob(&self, content: &[u8]) -> Digest {
        let digest = Digest::sha256(content);
        let url = format!("{}v2/a/b/blobs/uploads/", self.base);
        let begun = self.http.post(url).header("Authorization", BASIC).send().await.unwrap();
        let mut url = Url::parse(begun.headers()["location"].to_str().unwrap()).unwrap();
        url.query_pairs_mut().append_pair("digest", digest.as_str());
        let put = self.http.put(url).header("Authorization", BASIC).header("Content-Type", "application/octet-stream");
        assert_eq!(put.body(content.to_vec()).send().await.unwrap().status(), 201);
        digest
    }

    async fn push_manifest(&self, tag: &str, config: &Digest, size: usize) -> Vec<u8> {
        let media_type = mcr_oci::media_type::OCI_MANIFEST;
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"{media_type}","config":{{"mediaType":"{}","digest":"{config}","size":{size}}},"layers":[]}}"#,
            mcr_oci::media_type::OCI_CONFIG
        );
        let put = self.http.put(format!("{}v2/a/b/manifests/{tag}", self.base));
        let put = put.header("Authorization", BASIC).header("Content-Type", media_type).body(manifest.clone());
        assert_eq!(put.send().await.unwrap().status(), 201);
        manifest.into_bytes()
    }

    /// Where the registry keeps the bytes of a blob.
    fn data(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        let blobs = self.tree.path().join("data/docker/registry/v2/blobs/sha256");
        blobs.join(&hex[..2]).join(hex).join("data")
    }
}

fn ada() -> Login {
    Login::Basic { username: "ada".to_owned(), password: "sesame".to_owned() }
}

fn repository() -> RepositoryName {
    "a/b".parse().unwrap()
}

#[tokio::test]
async fn it_lets_in_whom_it_knows() {
    let registry = Registry::start();
    assert_eq!(registry.client(ada()).ping().await, Ok(()));
    let wrong = Login::Basic { username: "ada".to_owned(), password: "wrong".to_owned() };
    for login in [Login::Anonymous, wrong] {
        let error = registry.client(login).ping().await.unwrap_err();
        assert!(matches!(error, Error::Unauthorized { status: 401, .. }), "{error}");
    }
    let file = registry.tree.path().join("auth.json");
    let client = registry.client(Login::Files(CredentialFiles::of(vec![file.clone()])));
    assert!(matches!(client.ping().await, Err(Error::Unauthorized { .. })));
    std::fs::write(file, format!(r#"{{"auths":{{"{}":{{"auth":"YWRhOnNlc2FtZQ=="}}}}}}"#, client.host())).unwrap();
    let client = registry.client(Login::Files(CredentialFiles::of(vec![registry.tree.path().join("auth.json")])));
    assert_eq!(client.ping().await, Ok(()));
}

#[tokio::test]
async fn what_was_pushed_is_found() {
    let registry = Registry::start();
    let client = registry.client(ada());
    let config = registry.push_blob(b"{}").await;
    let manifest = registry.push_manifest("one", &config, 2).await;
    registry.push_manifest("two", &config, 2).await;
    assert_eq!(client.catalog(None).next().await, Ok(Some(vec!["a/b".to_owned()])));
    let mut tags = client.tags(&repository()).next().await.unwrap().unwrap();
    tags.sort();
    assert_eq!(tags, ["one", "two"]);
    let unknown = client.tags(&"no/such".parse().unwrap()).next().await;
    assert!(matches!(unknown, Err(Error::NotFound { .. })), "{unknown:?}");
    for reference in [Reference::parse("one").unwrap(), Reference::Digest(Digest::sha256(&manifest))] {
        let ManifestAnswer::Found { media_type, digest_header, bytes } =
            client.manifest(&repository(), &reference).await.unwrap()
        else {
            panic!("{reference} is there")
        };
        assert_eq!((media_type.as_deref(), &*bytes), (Some(mcr_oci::media_type::OCI_MANIFEST), manifest.as_slice()));
        assert_eq!(digest_header.as_deref(), Some(Digest::sha256(&manifest).as_str()));
    }
    let missing = client.manifest(&repository(), &Reference::parse("three").unwrap()).await.unwrap();
    let ManifestAnswer::Missing { status: 404, detail: Some(detail) } = missing else { panic!("{missing:?}") };
    assert!(detail.starts_with("MANIFEST_UNKNOWN: "), "{detail}");
}

#[tokio::test]
async fn damage_beneath_it_is_seen_through_its_healthy_heads() {
    let registry = Registry::start();
    let client = registry.client(ada());
    let content: Vec<u8> = (0..300_000_u32).map(|index| u8::try_from(index % 251).unwrap()).collect();
    let (digest, size) = (registry.push_blob(&content).await, 300_000);
    let (repository, data) = (repository(), registry.data(&digest));
    let head = async || client.head_blob(&repository, &digest).await;
    let tail = async || client.blob_tail(&repository, &digest, size).await;
    let whole = async || client.blob_verified(&repository, &digest, size, |_| ()).await;

    assert_eq!(head().await, Ok(BlobAnswer::Found(Announced { size: Some(size) })));
    assert_eq!(tail().await, Ok(BlobAnswer::Found(Tail::Whole)));
    assert_eq!(whole().await, Ok(BlobAnswer::Found(Whole::Verified { bytes: size })));

    let mut flipped = content.clone();
    flipped[1_000] ^= 1;
    std::fs::write(&data, &flipped).unwrap();
    assert_eq!(tail().await, Ok(BlobAnswer::Found(Tail::Whole)));
    let computed = Digest::sha256(&flipped);
    assert_eq!(whole().await, Ok(BlobAnswer::Found(Whole::WrongBytes { computed })));

    for left in [100_000, 0] {
        std::fs::write(&data, &content[..left]).unwrap();
        let left = u64::try_from(left).unwrap();
        assert_eq!(head().await, Ok(BlobAnswer::Found(Announced { size: Some(size) })), "the head knows nothing");
        let tail = tail().await;
        assert_eq!(tail, Ok(BlobAnswer::Found(Tail::EndedEarly { announced: 1, received: 0 })), "{left}");
        let early = Whole::EndedEarly { announced: size, received: left };
        assert_eq!(whole().await, Ok(BlobAnswer::Found(early)));
    }

    // It remembers that the blob is there, and serves what is not.
    std::fs::remove_file(&data).unwrap();
    let early = Whole::EndedEarly { announced: size, received: 0 };
    assert_eq!(whole().await, Ok(BlobAnswer::Found(early)));
    let never = Digest::sha256(b"never pushed");
    let missing = client.blob_tail(&repository, &never, 5).await;
    assert!(matches!(missing, Ok(BlobAnswer::Missing { status: 404, detail: Some(_) })), "{missing:?}");
}
