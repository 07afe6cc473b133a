//! One of those clients: owns a repository, does random things to it, and knows each answer beforehand.

use mcr_oci::{Digest, media_type};
use mcr_tests::content::index_of;
use mcr_tests::push::{self, location};
use mcr_tests::{Blob, Client, Image, Random};
use serde_json::json;

use crate::neighbours::{Repository, Stored};

/// Manifests from which on a repository only gets fewer.
const MOST_MANIFESTS: usize = 40;

pub(crate) struct Neighbour {
    number: usize,
    random: Random,
    /// Layers that all clients use, so that they meet in the store.
    pool: Vec<Blob>,
    pub(crate) repository: Repository,
    log: Vec<String>,
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let last = self.log.iter().rev().take(25).rev();
            eprintln!("{}, its last steps:\n{}", self.name(), last.cloned().collect::<Vec<_>>().join("\n"));
        }
    }
}

impl Neighbour {
    pub(crate) fn new(number: usize, random: Random, pool: Vec<Blob>) -> Self {
        Self { number, random, pool, repository: Repository::default(), log: Vec::new() }
    }

    pub(crate) fn name(&self) -> String {
        format!("model/{}", self.number)
    }

    pub(crate) fn work(&mut self, client: &Client, steps: usize) {
        for _ in 0..steps {
            match self.random.below(12) {
                // Looking at everything must not cost more and more.
                _ if self.repository.manifests.len() > MOST_MANIFESTS => self.delete_manifest(client),
                0..=2 => self.push_image(client),
                3 | 4 => self.push_index(client),
                5 => self.retag(client),
                6 => self.delete_tag(client),
                7 => self.delete_manifest(client),
                8 | 9 => self.delete_blob(client),
                10 => self.mount(client),
                _ => self.look(client),
            }
        }
    }

    fn note(&mut self, text: String) {
        self.log.push(text);
    }

    fn tag_name(&mut self) -> String {
        format!("t{}", self.random.below(5))
    }

    fn target(&self, kind: &str, what: &str) -> String {
        format!("/v2/{}/{kind}/{what}", self.name())
    }

    /// Builds an image over layers of the pool; sometimes its blobs are left for the registry to miss.
    fn push_image(&mut self, client: &Client) {
        let layers: Vec<Blob> = (0..1 + self.random.below(3)).map(|_| self.random.pick(&self.pool).clone()).collect();
        let marker = self.random.below(6);
        let image =
            Image::over("amd64", layers).changed(|it| it["annotations"] = json!({"marker": marker.to_string()}));
        let forgetful = self.random.once_in(4);
        for blob in image.blobs() {
            if !self.repository.blobs.contains(&blob.digest) && !forgetful {
                push::blob(client, &self.name(), blob);
                self.repository.blobs.insert(blob.digest.clone());
            }
        }
        let blobs: Vec<Digest> = image.blobs().map(|blob| blob.digest.clone()).collect();
        let complete = blobs.iter().all(|digest| self.repository.blobs.contains(digest));
        let stored = Stored { manifest: image.manifest.clone(), image: Some(image), children: Vec::new(), blobs };
        self.put(client, stored, media_type::OCI_MANIFEST, complete);
    }

    fn push_index(&mut self, client: &Client) {
        let images: Vec<Image> = self.repository.manifests.values().filter_map(|one| one.image.clone()).collect();
        if images.is_empty() {
            return;
        }
        let mut chosen: Vec<Image> = (0..1 + self.random.below(3)).map(|_| self.random.pick(&images).clone()).collect();
        let absent = self.random.once_in(4);
        if absent {
            let layer = Blob::random(&mut self.random, 50);
            chosen.push(Image::over("arm64", vec![layer]));
        }
        let children: Vec<_> = chosen.iter().map(Image::descriptor).collect();
        let stored = Stored {
            manifest: index_of(&children),
            image: None,
            children: chosen.iter().map(|image| image.digest().clone()).collect(),
            blobs: Vec::new(),
        };
        self.put(client, stored, media_type::OCI_INDEX, !absent);
    }

    /// Puts a manifest under a tag or its digest; it is taken exactly when it is complete.
    fn put(&mut self, client: &Client, stored: Stored, kind: &str, complete: bool) {
        let digest = stored.manifest.digest.clone();
        let tag = (!self.random.once_in(3)).then(|| self.tag_name());
        let reference = tag.clone().unwrap_or_else(|| digest.to_string());
        self.note(format!("put {reference} {digest} complete {complete}"));
        let put = push::manifest(client, &self.name(), &reference, kind, &stored.manifest.bytes);
        assert_eq!(put.status, if complete { 201 } else { 400 }, "{}", put.text());
        if complete {
            self.repository.manifests.insert(digest.clone(), stored);
            if let Some(tag) = tag {
                self.repository.tags.insert(tag, digest);
            }
        }
    }

    fn any_manifest(&mut self) -> Option<Stored> {
        let all: Vec<Stored> = self.repository.manifests.values().cloned().collect();
        (!all.is_empty()).then(|| self.random.pick(&all).clone())
    }

    fn retag(&mut self, client: &Client) {
        let Some(stored) = self.any_manifest() else { return };
        let kind = if stored.image.is_some() { media_type::OCI_MANIFEST } else { media_type::OCI_INDEX };
        self.put(client, stored, kind, true);
    }

    fn delete_tag(&mut self, client: &Client) {
        let tag = self.tag_name();
        let wanted = if self.repository.tags.remove(&tag).is_some() { 202 } else { 404 };
        self.note(format!("delete tag {tag}: {wanted}"));
        let _ = client.delete(&self.target("manifests", &tag)).expect(wanted);
    }

    fn delete_manifest(&mut self, client: &Client) {
        let Some(stored) = self.any_manifest() else { return };
        let digest = &stored.manifest.digest;
        let held = self.repository.names_manifest(digest);
        self.note(format!("delete manifest {digest}, held {held}"));
        let answer = client.delete(&self.target("manifests", digest.as_str()));
        if held {
            let _ = answer.expect_error(405, "UNSUPPORTED");
        } else {
            let _ = answer.expect(202);
            self.repository.manifests.remove(digest);
            self.repository.tags.retain(|_, other| other != digest);
        }
    }

    fn delete_blob(&mut self, client: &Client) {
        let digest = self.random.pick(&self.pool).digest.clone();
        let known = self.repository.blobs.contains(&digest);
        let held = self.repository.names_blob(&digest);
        self.note(format!("delete blob {digest}, known {known}, held {held}"));
        let answer = client.delete(&self.target("blobs", digest.as_str()));
        match (known, held) {
            (true, true) => drop(answer.expect_error(405, "UNSUPPORTED")),
            (true, false) => drop(answer.expect(202)),
            (false, _) => drop(answer.expect(404)),
        }
        if !held {
            self.repository.blobs.remove(&digest);
        }
    }

    /// Mounts from a neighbour, who may delete the blob at this very moment: both answers are right.
    fn mount(&mut self, client: &Client) {
        let digest = self.random.pick(&self.pool).digest.clone();
        let from = self.random.below(4);
        self.note(format!("mount {digest} from model/{from}"));
        let query = format!("uploads/?mount={digest}&from=model/{from}");
        let answer = client.post(&self.target("blobs", &query));
        if answer.status == 201 {
            self.repository.blobs.insert(digest);
        } else {
            let _ = client.delete(&location(&answer.expect(202))).expect(204);
        }
    }

    fn look(&mut self, client: &Client) {
        self.note("look".to_owned());
        self.repository.assert_same(client, &self.name());
    }
}
