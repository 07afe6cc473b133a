//! What the tests of this crate share: a registry in a temporary directory, identities, and short ways to push.

use std::sync::Arc;

use bytes::Bytes;
use mcr_access::{Account, AccountKind, Action, GlobalPermit, Identity, Permit, Scope};
use mcr_blobs::Disk;
use mcr_metadata::{AuditQuery, AuditRow};
use mcr_oci::{Digest, Reference, RepositoryName, Tag, media_type};
use mcr_seams::Clock;
use serde_json::json;
use tempfile::TempDir;

use crate::{Body, BodyLost, Chunk, NewRule, Paths, PushManifest, Registry, Settings, StartError};

/// The time it is.
pub(crate) const NOW: i64 = 1_795_000_020_000;

/// A registry that goes with its directory.
pub(crate) struct Bed {
    pub(crate) registry: Registry,
    pub(crate) clock: Clock,
    pub(crate) directory: TempDir,
}

struct Whole(Option<Bytes>);

impl Body for Whole {
    async fn next(&mut self) -> Option<Result<Bytes, BodyLost>> {
        self.0.take().map(Ok)
    }
}

pub(crate) fn name(text: &str) -> RepositoryName {
    RepositoryName::parse(text).unwrap()
}

pub(crate) fn tag(text: &str) -> Tag {
    Tag::parse(text).unwrap()
}

pub(crate) fn admin() -> Identity {
    Identity::new("root", AccountKind::Human, true, Some("10.0.0.1".to_owned()))
}

/// A person with the role `user`.
pub(crate) fn user(account: &str) -> Identity {
    Identity::of(Arc::new(Account::new(account, account, AccountKind::Human, &["user"])), None, None)
}

/// A machine without any role.
pub(crate) fn system(account: &str) -> Identity {
    Identity::of(Arc::new(Account::new(account, account, AccountKind::System, &[])), None, None)
}

/// The same with a credential for `scope`.
pub(crate) fn scoped(identity: &Identity, scope: &str) -> Identity {
    Identity::of(Arc::clone(identity.holder()), Some(Arc::new(Scope::parse([scope]))), None)
}

/// A rule that allows system accounts to pull in `pattern`.
pub(crate) fn pull_rule(pattern: &str) -> NewRule {
    NewRule {
        priority: 10,
        description: "machines pull".to_owned(),
        effect: "allow".to_owned(),
        actions: vec!["pull".to_owned()],
        roles: Vec::new(),
        account_types: vec!["system".to_owned()],
        subject_uuid: None,
        repositories: vec![pattern.to_owned()],
        enabled: true,
    }
}

impl Bed {
    pub(crate) fn new() -> Self {
        Self::with(Settings::default())
    }

    pub(crate) fn with(settings: Settings) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Clock::fixed(NOW);
        let registry = Self::open(&directory, &clock, settings).unwrap();
        Self { registry, clock, directory }
    }

    fn open(directory: &TempDir, clock: &Clock, settings: Settings) -> Result<Registry, StartError> {
        let root = directory.path();
        let paths = Paths { database: root.join("mcr.db"), layers: root.join("layers"), uploads: root.join("uploads") };
        let settings = Settings { reserve: 0, probed: false, ..settings };
        Registry::open(&paths, settings, clock.clone(), Disk::real())
    }

    /// Closes the registry and opens it again.
    pub(crate) async fn reopen(self, settings: Settings) -> Self {
        let Self { registry, clock, directory } = self;
        registry.close().await;
        let registry = Self::open(&directory, &clock, settings).unwrap();
        Self { registry, clock, directory }
    }

    /// A registry over the directory of one that was closed.
    pub(crate) fn again(directory: TempDir, clock: Clock) -> Self {
        let registry = Self::open(&directory, &clock, Settings::default()).unwrap();
        Self { registry, clock, directory }
    }

    /// Closes the registry, and gives what opening it again answers.
    pub(crate) async fn closed(self) -> impl Fn() -> Result<Registry, StartError> {
        let Self { registry, clock, directory } = self;
        registry.close().await;
        move || Self::open(&directory, &clock, Settings::default())
    }

    pub(crate) fn permit<A: Action>(&self, identity: &Identity, repository: &str) -> Permit<A> {
        self.registry.permit(identity, &name(repository)).unwrap()
    }

    pub(crate) fn global<A: Action>(&self) -> GlobalPermit<A> {
        self.registry.permit_global(&admin()).unwrap()
    }

    pub(crate) async fn push_blob(&self, repository: &str, content: &str) -> Digest {
        let digest = Digest::sha256(content.as_bytes());
        let body = Whole(Some(Bytes::copy_from_slice(content.as_bytes())));
        let chunk = Chunk { range: None, length: Some(content.len() as u64), body };
        let permit = self.permit(&admin(), repository);
        self.registry.upload_whole(&permit, chunk, digest.clone()).await.unwrap();
        digest
    }

    /// Pushes an image of a config and a layer of these contents.
    pub(crate) async fn push(&self, repository: &str, content: &str, tagged: &str) -> Digest {
        let digest = self.push_blob(repository, content).await;
        let descriptor = |kind: &str| json!({ "mediaType": kind, "digest": digest.as_str(), "size": content.len() });
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_MANIFEST,
            "config": descriptor("application/vnd.oci.image.config.v1+json"),
            "layers": [descriptor("application/octet-stream")],
        });
        let push = PushManifest {
            reference: Reference::Tag(tag(tagged)),
            media_type: Some(media_type::OCI_MANIFEST.to_owned()),
            bytes: Bytes::from(manifest.to_string()),
            tags: Vec::new(),
        };
        self.registry.push_manifest(&self.permit(&admin(), repository), push).await.unwrap().digest
    }

    /// The audit rows of an event, oldest first.
    pub(crate) async fn told(&self, event: &str) -> Vec<AuditRow> {
        let query =
            AuditQuery { event: Some(event.to_owned()), newest_first: false, limit: 1000, ..AuditQuery::default() };
        self.registry.audit(&self.global(), query).await.unwrap().events
    }

    /// How many audit rows an event has.
    pub(crate) async fn count(&self, event: &str) -> usize {
        let query = AuditQuery { event: Some(event.to_owned()), ..AuditQuery::default() };
        let mut export = self.registry.audit_export(&self.global(), query).unwrap();
        let mut count = 0;
        while let Some(rows) = export.next_rows().await.unwrap() {
            count += rows.len();
        }
        count
    }

    /// Makes the directory that a blob lies in one that cannot be looked at, or again one that can. A link that leads to
    /// itself stands there meanwhile: that fails for root as well, and is no "nothing is there".
    #[expect(clippy::disallowed_methods, reason = "a hand on the file system")]
    pub(crate) fn hide_directory_of(&self, digest: &Digest, hidden: bool) {
        let directory = self.directory.path().join("layers/sha256").join(&digest.hex()[..2]);
        let aside = directory.with_extension("aside");
        if hidden {
            std::fs::rename(&directory, &aside).unwrap();
            std::os::unix::fs::symlink(&directory, &directory).unwrap();
        } else {
            std::fs::remove_file(&directory).unwrap();
            std::fs::rename(&aside, &directory).unwrap();
        }
    }

    /// The database's file.
    pub(crate) fn database(&self) -> std::path::PathBuf {
        self.directory.path().join("mcr.db")
    }
}
