//! One step of a history: what is asked of the registry, and the one answer that the model allows.

use mcr_oci::Digest;
use mcr_tests::push::{self, location, with_query};
use mcr_tests::{Client, Random};

use crate::world::{REPOSITORIES, World};

/// Tags of a repository.
const TAGS: [&str; 4] = ["latest", "v1", "v2", "_x.y-z"];

/// What a client may do.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    PushBlob {
        to: &'static str,
        digest: Digest,
        way: usize,
    },
    Mount {
        from: &'static str,
        to: &'static str,
        digest: Digest,
    },
    /// A manifest, whole or not.
    Put {
        to: &'static str,
        digest: Digest,
        tag: Option<&'static str>,
    },
    /// What a client does to have it whole: everything below first.
    PushWhole {
        to: &'static str,
        digest: Digest,
        tag: Option<&'static str>,
    },
    DeleteTag {
        at: &'static str,
        tag: &'static str,
    },
    DeleteManifest {
        at: &'static str,
        digest: Digest,
    },
    DeleteBlob {
        at: &'static str,
        digest: Digest,
    },
    Look {
        at: &'static str,
        tag: &'static str,
    },
}

impl Step {
    pub(crate) fn any(random: &mut Random, world: &World) -> Self {
        let at = *random.pick(&REPOSITORIES);
        let tag = *random.pick(&TAGS);
        let blob = random.pick(&world.catalogue.blobs).digest.clone();
        let manifest = random.pick(&world.catalogue.manifests).bytes.digest.clone();
        let from = *random.pick(&REPOSITORIES);
        let named = (!random.once_in(3)).then_some(tag);
        match random.below(20) {
            0..4 => Self::PushBlob { to: at, digest: blob, way: random.below(4) },
            4..6 => Self::Mount { from, to: at, digest: blob },
            6..9 => Self::Put { to: at, digest: manifest, tag: named },
            9..12 => Self::PushWhole { to: at, digest: manifest, tag: named },
            12..14 => Self::DeleteTag { at, tag },
            14..16 => Self::DeleteManifest { at, digest: manifest },
            16..18 => Self::DeleteBlob { at, digest: blob },
            _ => Self::Look { at, tag },
        }
    }

    /// Does it, and insists on the answer.
    pub(crate) fn run(&self, client: &Client, world: &mut World) {
        match self {
            Self::PushBlob { to, digest, way } => push_blob(client, world, to, digest, *way),
            Self::Mount { from, to, digest } => mount(client, world, from, to, digest),
            Self::Put { to, digest, tag } => put(client, world, to, digest, *tag),
            Self::PushWhole { to, digest, tag } => push_whole(client, world, to, digest, *tag),
            Self::DeleteTag { at, tag } => delete_tag(client, world, at, tag),
            Self::DeleteManifest { at, digest } => delete_manifest(client, world, at, digest),
            Self::DeleteBlob { at, digest } => delete_blob(client, world, at, digest),
            Self::Look { at, tag } => look(client, world, at, tag),
        }
    }
}

fn push_blob(client: &Client, world: &mut World, to: &str, digest: &Digest, way: usize) {
    let blob = world.catalogue.blob(digest).clone();
    match way {
        0 => push::blob(client, to, &blob),
        1 => drop(push::blob_streamed(client, to, &blob)),
        2 => drop(push::blob_chunked(client, to, &blob, 1000)),
        _ => {
            let target = with_query(&format!("/v2/{to}/blobs/uploads/"), &format!("digest={digest}"));
            let _ = client.request("POST", &target).body(&blob.bytes).call().expect(201);
        }
    }
    world.change(to).blobs.insert(digest.clone());
}

fn mount(client: &Client, world: &mut World, from: &str, to: &str, digest: &Digest) {
    let answer = client.post(&format!("/v2/{to}/blobs/uploads/?mount={digest}&from={from}"));
    if world.at(from).blobs.contains(digest) {
        let _ = answer.expect(201);
        world.change(to).blobs.insert(digest.clone());
    } else {
        // A session instead, which this client does not want.
        let session = location(&answer.expect(202));
        let _ = client.delete(&session).expect(204);
    }
}

fn put(client: &Client, world: &mut World, to: &str, digest: &Digest, tag: Option<&str>) {
    let manifest = world.catalogue.manifest(digest).clone();
    let reference = tag.unwrap_or(digest.as_str());
    let answer = push::manifest(client, to, reference, &manifest.media_type, &manifest.bytes.bytes);
    if !world.is_whole(to, &manifest) {
        let here = world.at(to);
        let missing_blobs = manifest.blobs.iter().filter(|digest| !here.blobs.contains(*digest));
        let missing_children = manifest.children.iter().filter(|digest| !here.manifests.contains(*digest));
        let answer = answer.expect(400);
        for missing in missing_blobs.chain(missing_children) {
            assert!(answer.messages().contains(missing.as_str()), "{missing} is not named: {}", answer.text());
        }
        return;
    }
    let _ = answer.expect(201);
    let here = world.change(to);
    here.manifests.insert(digest.clone());
    if let Some(tag) = tag {
        here.tags.insert(tag.to_owned(), digest.clone());
    }
}

fn push_whole(client: &Client, world: &mut World, to: &str, digest: &Digest, tag: Option<&str>) {
    let manifest = world.catalogue.manifest(digest).clone();
    for blob in &manifest.blobs {
        if client.head(&format!("/v2/{to}/blobs/{blob}")).status == 404 {
            push_blob(client, world, to, blob, 0);
        }
    }
    for child in &manifest.children {
        push_whole(client, world, to, child, None);
    }
    put(client, world, to, digest, tag);
    assert!(world.at(to).manifests.contains(digest), "what was pushed whole is there");
}

fn delete_tag(client: &Client, world: &mut World, at: &str, tag: &str) {
    let answer = client.delete(&format!("/v2/{at}/manifests/{tag}"));
    let known = world.change(at).tags.remove(tag).is_some();
    let _ = answer.expect(if known { 202 } else { 404 });
}

fn delete_manifest(client: &Client, world: &mut World, at: &str, digest: &Digest) {
    let answer = client.delete(&format!("/v2/{at}/manifests/{digest}"));
    if !world.at(at).manifests.contains(digest) {
        let _ = answer.expect(404);
    } else if world.is_named(at, digest) {
        let _ = answer.expect_error(405, "UNSUPPORTED");
    } else {
        let _ = answer.expect(202);
        let here = world.change(at);
        here.manifests.remove(digest);
        here.tags.retain(|_, target| target != digest);
    }
}

fn delete_blob(client: &Client, world: &mut World, at: &str, digest: &Digest) {
    let answer = client.delete(&format!("/v2/{at}/blobs/{digest}"));
    if !world.at(at).blobs.contains(digest) {
        let _ = answer.expect(404);
    } else if world.is_named(at, digest) {
        let _ = answer.expect_error(405, "UNSUPPORTED");
    } else {
        let _ = answer.expect(202);
        world.change(at).blobs.remove(digest);
    }
}

fn look(client: &Client, world: &World, at: &str, tag: &str) {
    let answer = client.get(&format!("/v2/{at}/manifests/{tag}"));
    match world.at(at).tags.get(tag) {
        Some(digest) => assert_eq!(answer.expect(200).digest(), *digest, "{at}:{tag}"),
        None => drop(answer.expect(404)),
    }
}
