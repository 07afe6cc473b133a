//! The model: what each repository holds, and from that every answer. Maps and sets, nothing of how a registry works.

use std::collections::{BTreeMap, BTreeSet};

use mcr_oci::Digest;
use mcr_tests::{Client, pull};

use crate::catalogue::{Catalogue, Manifest};

/// The repositories of a history.
pub(crate) const REPOSITORIES: [&str; 3] = ["one", "two/deep", "three"];

/// What is live in one repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Repository {
    pub(crate) blobs: BTreeSet<Digest>,
    pub(crate) manifests: BTreeSet<Digest>,
    pub(crate) tags: BTreeMap<String, Digest>,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) catalogue: Catalogue,
    repositories: BTreeMap<&'static str, Repository>,
}

impl World {
    pub(crate) fn new(catalogue: Catalogue) -> Self {
        let repositories = REPOSITORIES.map(|name| (name, Repository::default()));
        Self { catalogue, repositories: repositories.into() }
    }

    pub(crate) fn at(&self, name: &str) -> &Repository {
        &self.repositories[name]
    }

    pub(crate) fn change(&mut self, name: &str) -> &mut Repository {
        self.repositories.get_mut(name).expect("a known repository")
    }

    /// Whether everything that `manifest` names is live in the repository.
    pub(crate) fn is_whole(&self, name: &str, manifest: &Manifest) -> bool {
        let here = self.at(name);
        manifest.blobs.iter().all(|digest| here.blobs.contains(digest))
            && manifest.children.iter().all(|digest| here.manifests.contains(digest))
    }

    /// Whether a live manifest of the repository names this blob or manifest; a subject does not count.
    pub(crate) fn is_named(&self, name: &str, digest: &Digest) -> bool {
        self.at(name).manifests.iter().any(|holder| {
            let holder = self.catalogue.manifest(holder);
            holder.blobs.contains(digest) || holder.children.contains(digest)
        })
    }

    /// Insists that the registry holds exactly this: lists, manifests, blobs, referrers, and every tag whole.
    #[track_caller]
    pub(crate) fn assert_same(&self, client: &Client) {
        let mut names: Vec<&str> =
            REPOSITORIES.into_iter().filter(|name| !self.at(name).manifests.is_empty()).collect();
        names.sort_unstable();
        assert_eq!(pull::catalog(client), names, "the catalogue");
        for name in REPOSITORIES {
            self.assert_same_content(client, name);
            self.assert_same_tags(client, name);
            self.assert_same_referrers(client, name);
        }
    }

    fn assert_same_tags(&self, client: &Client, name: &str) {
        let here = self.at(name);
        let tags: Vec<&String> = here.tags.keys().collect();
        assert_eq!(pull::tags(client, name).iter().collect::<Vec<_>>(), tags, "{name}: tags");
        for (tag, digest) in &here.tags {
            let head = client.head(&format!("/v2/{name}/manifests/{tag}")).expect(200);
            assert_eq!(head.required("docker-content-digest"), digest.as_str(), "{name}:{tag}");
            let _ = pull::assert_whole(client, name, tag);
        }
    }

    fn assert_same_content(&self, client: &Client, name: &str) {
        let here = self.at(name);
        for manifest in &self.catalogue.manifests {
            let digest = &manifest.bytes.digest;
            let got = client.get(&format!("/v2/{name}/manifests/{digest}"));
            let expected = if here.manifests.contains(digest) { 200 } else { 404 };
            assert_eq!(got.status, expected, "{name}: manifest {digest}: {}", got.text());
            assert!(expected == 404 || got.body == manifest.bytes.bytes, "{name}: manifest {digest}");
        }
        for blob in &self.catalogue.blobs {
            let head = client.head(&format!("/v2/{name}/blobs/{}", blob.digest));
            let expected = if here.blobs.contains(&blob.digest) { 200 } else { 404 };
            assert_eq!(head.status, expected, "{name}: blob {}", blob.digest);
        }
    }

    fn assert_same_referrers(&self, client: &Client, name: &str) {
        for subject in &self.catalogue.manifests {
            let subject = &subject.bytes.digest;
            let got = client.get(&format!("/v2/{name}/referrers/{subject}")).expect(200).json();
            let listed: BTreeSet<String> = got["manifests"]
                .as_array()
                .expect("an index")
                .iter()
                .map(|descriptor| descriptor["digest"].as_str().expect("a digest").to_owned())
                .collect();
            let about = |digest: &&Digest| self.catalogue.manifest(digest).subject.as_ref() == Some(subject);
            let expected: BTreeSet<String> =
                self.at(name).manifests.iter().filter(about).map(ToString::to_string).collect();
            assert_eq!(listed, expected, "{name}: referrers of {subject}");
        }
    }
}
