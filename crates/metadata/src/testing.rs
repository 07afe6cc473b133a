//! What the tests of this crate share: a database in a temporary directory, and short ways to push and delete.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use mcr_oci::{Digest, Finding, FindingKind, Manifest, Reference, RepositoryName, Tag, media_type};
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::job::{Write, job};
use crate::{
    Actor, BlobRow, BlobState, CommitManifest, CommitOutcome, DeleteBlob, DeleteManifest, DeleteOutcome, DeleteTag,
    Done, Error, Lookup, ManifestRow, Metadata, MountBlob, Options, RecordBlob, RecordedBlob, RecordedStat,
    SetBlobState,
};

/// A database that goes with its directory.
pub(crate) struct Bed {
    pub(crate) metadata: Metadata,
    pub(crate) directory: TempDir,
}

/// A manifest as a client would push it.
#[derive(Clone, Debug)]
pub(crate) struct Pushed {
    pub(crate) digest: Digest,
    pub(crate) bytes: Arc<[u8]>,
    pub(crate) media_type: String,
    pub(crate) manifest: Arc<Manifest>,
}

impl Pushed {
    /// A descriptor of it.
    pub(crate) fn descriptor(&self) -> Value {
        json!({ "mediaType": self.media_type, "digest": self.digest.as_str(), "size": self.bytes.len() })
    }
}

pub(crate) fn repository(name: &str) -> RepositoryName {
    RepositoryName::parse(name).unwrap()
}

pub(crate) fn tag(name: &str) -> Tag {
    Tag::parse(name).unwrap()
}

pub(crate) fn actor() -> Actor {
    Actor { name: "ann".to_owned(), address: Some("127.0.0.1".to_owned()) }
}

pub(crate) fn stat(size: u64) -> RecordedStat {
    RecordedStat { inode: u64::MAX - 7, size, mtime_ns: 11, ctime_ns: 12 }
}

/// A manifest from its JSON.
pub(crate) fn pushed(json: &Value, media_type: &str) -> Pushed {
    let bytes: Arc<[u8]> = json.to_string().into_bytes().into();
    let manifest = Manifest::parse(&bytes, Some(media_type)).unwrap();
    Pushed { digest: Digest::sha256(&bytes), bytes, media_type: media_type.to_owned(), manifest: Arc::new(manifest) }
}

/// A descriptor of blob content.
pub(crate) fn blob_descriptor(media_type: &str, content: &str) -> Value {
    json!({ "mediaType": media_type, "digest": Digest::sha256(content.as_bytes()).as_str(), "size": content.len() })
}

/// An image of a config and layers, given by their contents.
pub(crate) fn image(config: &str, layers: &[&str]) -> Pushed {
    let layers: Vec<Value> = layers.iter().map(|layer| blob_descriptor("application/octet-stream", layer)).collect();
    let json = json!({
        "schemaVersion": 2,
        "mediaType": media_type::OCI_MANIFEST,
        "config": blob_descriptor("application/vnd.oci.image.config.v1+json", config),
        "layers": layers,
    });
    pushed(&json, media_type::OCI_MANIFEST)
}

/// An index of descriptors.
pub(crate) fn index(children: &[Value]) -> Pushed {
    let json = json!({ "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": children });
    pushed(&json, media_type::OCI_INDEX)
}

impl Bed {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let metadata = Metadata::open(&directory.path().join("mcr.db"), Options::default()).unwrap();
        Self { metadata, directory }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.path().join("mcr.db")
    }

    /// Closes the database and opens it again.
    pub(crate) fn reopen(self) -> Self {
        let Self { metadata, directory } = self;
        metadata.close();
        let metadata = Metadata::open(&directory.path().join("mcr.db"), Options::default()).unwrap();
        Self { metadata, directory }
    }

    /// Waits for the answer of a write.
    pub(crate) fn wait<T: Send + 'static>(&self, write: impl FnOnce(&Metadata, Done<T>)) -> Result<T, Error> {
        let (sender, receiver) = sync_channel(1);
        write(&self.metadata, Box::new(move |answer| sender.send(answer).unwrap()));
        receiver.recv().unwrap()
    }

    /// Runs a write of the test's own.
    pub(crate) fn run<W: Write>(&self, write: W) -> Result<W::Answer, Error> {
        self.wait(|metadata, done| metadata.submit(job(write, done)))
    }

    pub(crate) fn push_blob(&self, name: &str, content: &str, at_ms: i64) -> RecordedBlob {
        let request = record_blob(name, content, at_ms);
        self.wait(|metadata, done| metadata.record_blob(request, done)).unwrap()
    }

    pub(crate) fn mount(&self, from: Option<&str>, to: &str, content: &str, at_ms: i64) -> bool {
        let request = MountBlob {
            from: from.map(repository),
            to: repository(to),
            digest: Digest::sha256(content.as_bytes()),
            actor: actor(),
            at_ms,
        };
        self.wait(|metadata, done| metadata.mount_blob(request, done)).unwrap()
    }

    pub(crate) fn push(&self, name: &str, manifest: &Pushed, tags: &[&str], at_ms: i64) -> CommitOutcome {
        let request = commit(name, manifest, tags, at_ms);
        self.wait(|metadata, done| metadata.commit_manifest(request, done)).unwrap()
    }

    /// Pushes that must be taken.
    pub(crate) fn pushed(&self, name: &str, manifest: &Pushed, tags: &[&str], at_ms: i64) {
        let outcome = self.push(name, manifest, tags, at_ms);
        assert!(matches!(outcome, CommitOutcome::Committed { .. }), "{outcome:?}");
    }

    /// An image with its blobs, each a text of one letter.
    pub(crate) fn push_image(&self, name: &str, parts: &[&str], tags: &[&str], at_ms: i64) -> Pushed {
        for part in parts {
            self.push_blob(name, part, at_ms);
        }
        let (config, layers) = parts.split_first().unwrap();
        let manifest = image(config, layers);
        self.pushed(name, &manifest, tags, at_ms);
        manifest
    }

    pub(crate) fn delete(&self, name: &str, manifest: &Pushed, at_ms: i64) -> DeleteOutcome {
        let request = DeleteManifest {
            repository: repository(name),
            digest: manifest.digest.clone(),
            immutable: None,
            actor: actor(),
            at_ms,
        };
        self.wait(|metadata, done| metadata.delete_manifest(request, done)).unwrap()
    }

    pub(crate) fn delete_tag(&self, name: &str, tagged: &str, at_ms: i64) -> DeleteOutcome {
        let request =
            DeleteTag { repository: repository(name), tag: tag(tagged), immutable: None, actor: actor(), at_ms };
        self.wait(|metadata, done| metadata.delete_tag(request, done)).unwrap()
    }

    pub(crate) fn delete_blob(&self, name: &str, content: &str, at_ms: i64) -> DeleteOutcome {
        let digest = Digest::sha256(content.as_bytes());
        let request = DeleteBlob { repository: repository(name), digest, actor: actor(), at_ms };
        self.wait(|metadata, done| metadata.delete_blob(request, done)).unwrap()
    }

    pub(crate) fn set_state(&self, content: &str, state: BlobState, detail: &str, at_ms: i64) -> bool {
        let finding = Finding { detail: Some(detail.to_owned()), ..Finding::new(FindingKind::BlobTruncated) };
        let digest = Digest::sha256(content.as_bytes());
        let request = SetBlobState { digest, state, finding: Some(finding), at_ms };
        self.wait(|metadata, done| metadata.set_blob_state(request, done)).unwrap()
    }

    pub(crate) fn manifest(&self, name: &str, manifest: &Pushed) -> Option<ManifestRow> {
        let reference = Reference::Digest(manifest.digest.clone());
        found(self.metadata.manifest(&repository(name), &reference).unwrap())
    }

    pub(crate) fn tagged(&self, name: &str, tagged: &str) -> Option<ManifestRow> {
        found(self.metadata.manifest(&repository(name), &Reference::Tag(tag(tagged))).unwrap())
    }

    pub(crate) fn blob(&self, name: &str, content: &str) -> Option<BlobRow> {
        found(self.metadata.blob(&repository(name), &Digest::sha256(content.as_bytes())).unwrap())
    }

    /// A connection of the test's own, which obeys the schema.
    pub(crate) fn sql(&self) -> Connection {
        let connection = Connection::open(self.path()).unwrap();
        connection.pragma_update(None, "foreign_keys", true).unwrap();
        connection
    }

    /// One number from the database.
    pub(crate) fn count(&self, sql: &str) -> i64 {
        self.sql().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// Asserts that the audit chain holds, and gives its length.
    pub(crate) fn audited(&self) -> u64 {
        let check = self.metadata.verify_audit(None).unwrap();
        assert_eq!(check.broken_at, None);
        check.rows
    }
}

pub(crate) fn record_blob(name: &str, content: &str, at_ms: i64) -> RecordBlob {
    let size = content.len() as u64;
    RecordBlob {
        repository: repository(name),
        digest: Digest::sha256(content.as_bytes()),
        size,
        stat: stat(size),
        hashed_at_ms: at_ms,
        actor: actor(),
        at_ms,
    }
}

pub(crate) fn commit(name: &str, manifest: &Pushed, tags: &[&str], at_ms: i64) -> CommitManifest {
    CommitManifest {
        repository: repository(name),
        reference_digest: manifest.digest.clone(),
        manifest: Arc::clone(&manifest.manifest),
        bytes: Arc::clone(&manifest.bytes),
        tags: tags.iter().map(|name| tag(name)).collect(),
        allow_missing_children: false,
        immutable: None,
        actor: actor(),
        at_ms,
    }
}

fn found<T>(lookup: Lookup<T>) -> Option<T> {
    match lookup {
        Lookup::Found(row) => Some(row),
        Lookup::NotFound | Lookup::NoRepository => None,
    }
}
