//! Clients that work at the same time, each in a repository of its own with its own model: only the blobs are shared.

use std::collections::{BTreeMap, BTreeSet};

use mcr_oci::Digest;
use mcr_tests::{Blob, Client, Image, Options, Random, Server, pull};

use crate::neighbour::Neighbour;

/// A manifest that is live in a repository.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    /// Its bytes.
    pub(crate) manifest: Blob,
    /// An image's, to build indexes from; `None` for an index.
    pub(crate) image: Option<Image>,
    /// The manifests it names.
    pub(crate) children: Vec<Digest>,
    /// The blobs it names.
    pub(crate) blobs: Vec<Digest>,
}

/// One repository.
#[derive(Clone, Debug, Default)]
pub(crate) struct Repository {
    pub(crate) manifests: BTreeMap<Digest, Stored>,
    pub(crate) tags: BTreeMap<String, Digest>,
    pub(crate) blobs: BTreeSet<Digest>,
}

impl Repository {
    /// Whether a live index names this manifest.
    pub(crate) fn names_manifest(&self, digest: &Digest) -> bool {
        self.manifests.values().any(|stored| stored.children.contains(digest))
    }

    /// Whether a live manifest names this blob.
    pub(crate) fn names_blob(&self, digest: &Digest) -> bool {
        self.manifests.values().any(|stored| stored.blobs.contains(digest))
    }

    /// Insists that the real repository is this one.
    pub(crate) fn assert_same(&self, client: &Client, name: &str) {
        let tags: Vec<&String> = self.tags.keys().collect();
        assert_eq!(pull::tags(client, name).iter().collect::<Vec<_>>(), tags, "{name}: the tags");
        for (tag, digest) in &self.tags {
            let got = client.get(&format!("/v2/{name}/manifests/{tag}")).expect(200);
            assert_eq!(got.digest(), *digest, "{name}:{tag}");
            let whole = pull::pull_whole(client, name, tag);
            assert!(whole.is_ok(), "{name}:{tag}: {whole:?}");
        }
        for (digest, stored) in &self.manifests {
            let got = client.get(&format!("/v2/{name}/manifests/{digest}")).expect(200);
            assert!(got.body == stored.manifest.bytes, "{name}@{digest}");
        }
        for digest in &self.blobs {
            let head = client.head(&format!("/v2/{name}/blobs/{digest}"));
            assert_eq!(head.status, 200, "{name}: blob {digest}");
        }
    }
}

const CLIENTS: usize = 4;

#[test]
fn several_clients_at_once_leave_what_their_models_say() {
    let random = &mut Random::announced("neighbours");
    let (phases, steps) = if mcr_tests::long() { (40, 120) } else { (4, 60) };
    let mut server = Server::with(Options::default());
    let pool: Vec<Blob> = (0..8).map(|number| Blob::random(random, 200 + number * 300)).collect();
    let mut clients: Vec<Neighbour> =
        (0..CLIENTS).map(|number| Neighbour::new(number, random.fork(number), pool.clone())).collect();
    for phase in 0..phases {
        let client = server.client();
        std::thread::scope(|scope| {
            for each in &mut clients {
                let client = &client;
                scope.spawn(move || each.work(client, steps));
            }
        });
        // Killed or stopped, it comes back as it was.
        if random.once_in(2) {
            server.kill();
        } else {
            let _ = server.stop();
        }
        server.restart();
        let client = server.client();
        let with_manifests = clients.iter().filter(|one| !one.repository.manifests.is_empty());
        let mut names: Vec<String> = with_manifests.map(Neighbour::name).collect();
        names.sort();
        assert_eq!(pull::catalog(&client), names, "phase {phase}");
        for each in &clients {
            each.repository.assert_same(&client, &each.name());
        }
    }
}
