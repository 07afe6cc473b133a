//! What a registry has acknowledged, and what it therefore must still hold after a crash.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use mcr_oci::Digest;
use mcr_tests::{Client, pull};

/// Where a tag may point: what was acknowledged last, and what was under way.
#[derive(Clone, Debug, Default)]
struct Tag {
    acknowledged: Option<Digest>,
    /// Sent and not answered: may have happened or not. `None` is a delete.
    open: Vec<Option<Digest>>,
}

/// Everything that was promised, by repository.
#[derive(Debug, Default)]
pub(crate) struct Promises {
    tags: Mutex<BTreeMap<(String, String), Tag>>,
    manifests: Mutex<BTreeSet<(String, Digest)>>,
    blobs: Mutex<BTreeSet<(String, Digest)>>,
    /// Manifests of earlier lives: no client deletes one.
    outlived: Mutex<BTreeSet<(String, Digest)>>,
}

impl Promises {
    /// A tag is about to be moved to `to`, or deleted.
    pub(crate) fn begin(&self, repository: &str, tag: &str, to: Option<&Digest>) {
        let mut tags = self.tags.lock().unwrap();
        let entry = tags.entry((repository.to_owned(), tag.to_owned())).or_default();
        entry.open.push(to.cloned());
    }

    /// That was acknowledged.
    pub(crate) fn done(&self, repository: &str, tag: &str, to: Option<&Digest>) {
        let mut tags = self.tags.lock().unwrap();
        let key = (repository.to_owned(), tag.to_owned());
        tags.insert(key, Tag { acknowledged: to.cloned(), open: Vec::new() });
        drop(tags);
        if let Some(digest) = to {
            self.manifests.lock().unwrap().insert((repository.to_owned(), digest.clone()));
        }
    }

    /// A manifest was acknowledged by digest.
    pub(crate) fn manifest(&self, repository: &str, digest: &Digest) {
        self.manifests.lock().unwrap().insert((repository.to_owned(), digest.clone()));
    }

    /// A blob was acknowledged.
    pub(crate) fn blob(&self, repository: &str, digest: &Digest) {
        self.blobs.lock().unwrap().insert((repository.to_owned(), digest.clone()));
    }

    pub(crate) fn count(&self) -> usize {
        self.manifests.lock().unwrap().len()
    }

    /// Insists that everything promised is there, and that everything listed is whole; settles what was under way.
    #[track_caller]
    pub(crate) fn assert_kept(&self, client: &Client, when: &str) {
        self.assert_tags(client, when);
        let manifests = std::mem::take(&mut *self.manifests.lock().unwrap());
        assert_whole(client, &manifests, when);
        self.outlived.lock().unwrap().extend(manifests);
        for (repository, digest) in std::mem::take(&mut *self.blobs.lock().unwrap()) {
            let got = client.get(&format!("/v2/{repository}/blobs/{digest}"));
            assert_eq!(got.status, 200, "{when}: {repository}@{digest} was acknowledged: {}", got.text());
            assert_eq!(Digest::of(digest.algorithm(), &got.body), digest, "{when}");
        }
    }

    /// Insists that also everything acknowledged in earlier lives can be pulled whole.
    #[track_caller]
    pub(crate) fn assert_all_kept(&self, client: &Client) {
        assert_whole(client, &self.outlived.lock().unwrap(), "at the end");
    }

    #[track_caller]
    fn assert_tags(&self, client: &Client, when: &str) {
        let mut tags = self.tags.lock().unwrap();
        let mut listed = BTreeSet::new();
        for repository in pull::catalog(client) {
            for tag in pull::tags(client, &repository) {
                let whole = pull::pull_whole(client, &repository, &tag);
                assert!(whole.is_ok(), "{when}: {repository}:{tag} is listed: {whole:?}");
                listed.insert((repository.clone(), tag));
            }
        }
        for ((repository, tag), state) in tags.iter_mut() {
            let target = format!("/v2/{repository}/manifests/{tag}");
            let key = (repository.clone(), tag.clone());
            let now = listed.contains(&key).then(|| client.get(&target).expect(200).digest());
            let allowed = state.acknowledged == now || state.open.contains(&now);
            assert!(allowed, "{when}: {repository}:{tag} is {now:?}, promised was {state:?}");
            *state = Tag { acknowledged: now, open: Vec::new() };
        }
        let strangers: Vec<_> = listed.iter().filter(|key| !tags.contains_key(*key)).collect();
        assert!(strangers.is_empty(), "{when}: nobody pushed {strangers:?}");
    }
}

#[track_caller]
fn assert_whole(client: &Client, manifests: &BTreeSet<(String, Digest)>, when: &str) {
    for (repository, digest) in manifests {
        let whole = pull::pull_whole(client, repository, digest.as_str());
        assert!(whole.is_ok(), "{when}: {repository}@{digest} was acknowledged: {whole:?}");
    }
}
