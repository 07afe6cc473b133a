//! Pulls everything behind a tag and hashes it, as the strictest client would; never trusts a header for content.

use std::collections::BTreeSet;

use mcr_oci::{Digest, Edge, EdgeTarget, Manifest, media_type};

use crate::http::{Client, Response};

/// What was seen on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pulled {
    /// Manifests and indexes, the root included.
    pub manifests: BTreeSet<Digest>,
    /// Configs and layers.
    pub blobs: BTreeSet<Digest>,
}

/// Pulls `reference` whole: manifests, configs and layers are fetched, measured and hashed.
///
/// # Errors
/// The first thing that is not as it should be, in words.
pub fn pull_whole(client: &Client, repository: &str, reference: &str) -> Result<Pulled, String> {
    let mut pulled = Pulled::default();
    let root = fetch(client, &format!("/v2/{repository}/manifests/{reference}"))?;
    let claimed = root.header("docker-content-digest").unwrap_or_default();
    if claimed != Digest::sha256(&root.body).as_str() && !claimed.starts_with("sha512:") {
        return Err(format!("{reference}: the root is not {claimed}"));
    }
    let digest = Digest::parse(claimed).map_err(|error| error.to_string())?;
    let mut waiting = vec![(digest, root)];
    while let Some((digest, answer)) = waiting.pop() {
        check(&digest, None, &answer.body)?;
        let manifest = Manifest::parse(&answer.body, answer.header("content-type"));
        let manifest = manifest.map_err(|error| format!("{digest}: {error}"))?;
        pulled.manifests.insert(digest);
        for edge in manifest.edges.iter().filter(|edge| edge.is_required()) {
            follow(client, repository, edge, &mut pulled, &mut waiting)?;
        }
    }
    Ok(pulled)
}

fn follow(
    client: &Client,
    repository: &str,
    edge: &Edge,
    pulled: &mut Pulled,
    waiting: &mut Vec<(Digest, Response)>,
) -> Result<(), String> {
    let digest = &edge.descriptor.digest;
    let known = pulled.manifests.contains(digest) || pulled.blobs.contains(digest);
    if known || waiting.iter().any(|(other, _)| other == digest) {
        return Ok(());
    }
    let manifest = || fetch(client, &format!("/v2/{repository}/manifests/{digest}"));
    let blob = || fetch(client, &format!("/v2/{repository}/blobs/{digest}"));
    let (answer, is_manifest) = match edge.target() {
        EdgeTarget::Manifest => (manifest()?, true),
        EdgeTarget::Blob => (blob()?, false),
        EdgeTarget::Either => match manifest() {
            Ok(answer) => (answer, true),
            Err(_) => (blob()?, false),
        },
    };
    check(digest, Some(edge.descriptor.size), &answer.body)?;
    if is_manifest {
        waiting.push((digest.clone(), answer));
    } else {
        pulled.blobs.insert(digest.clone());
    }
    Ok(())
}

fn fetch(client: &Client, target: &str) -> Result<Response, String> {
    // Ours ignores it; others answer 404 without it.
    let types = [media_type::OCI_INDEX, media_type::OCI_MANIFEST, media_type::DOCKER_LIST, media_type::DOCKER_MANIFEST];
    let request = client.request("GET", target).header("Accept", &format!("{}, */*", types.join(", ")));
    match request.send() {
        Ok(answer) if answer.status == 200 => Ok(answer),
        Ok(answer) => Err(format!("GET {target}: {} {}", answer.status, answer.text())),
        Err(failure) => Err(format!("GET {target}: {failure}")),
    }
}

fn check(digest: &Digest, size: Option<u64>, bytes: &[u8]) -> Result<(), String> {
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if size.is_some_and(|size| size != length) {
        return Err(format!("{digest}: {length} bytes instead of {size:?}"));
    }
    let computed = Digest::of(digest.algorithm(), bytes);
    if computed == *digest { Ok(()) } else { Err(format!("{digest}: its bytes hash to {computed}")) }
}

/// Insists that `reference` can be pulled whole.
///
/// # Panics
/// Where it cannot.
#[track_caller]
pub fn assert_whole(client: &Client, repository: &str, reference: &str) -> Pulled {
    match pull_whole(client, repository, reference) {
        Ok(pulled) => pulled,
        Err(why) => panic!("{repository} {reference} is not whole: {why}"),
    }
}

/// The tags of a repository, as listed; none where it is unknown.
///
/// # Panics
/// Where the list cannot be read.
#[must_use]
#[track_caller]
pub fn tags(client: &Client, repository: &str) -> Vec<String> {
    let answer = client.get(&format!("/v2/{repository}/tags/list"));
    if answer.status == 404 {
        return Vec::new();
    }
    strings(&answer.expect(200).json()["tags"])
}

/// The repositories that the catalogue lists.
///
/// # Panics
/// Where it cannot be read.
#[must_use]
#[track_caller]
pub fn catalog(client: &Client) -> Vec<String> {
    let answer = client.get("/v2/_catalog?n=10000").expect(200);
    strings(&answer.json()["repositories"])
}

fn strings(array: &serde_json::Value) -> Vec<String> {
    let items = array.as_array().cloned().unwrap_or_default();
    let texts = items.iter().filter_map(|item| item.as_str());
    texts.map(str::to_owned).collect()
}

/// Pulls every listed tag of every listed repository whole; returns how many there were.
///
/// # Panics
/// Where one is not whole.
#[track_caller]
pub fn assert_all_whole(client: &Client) -> usize {
    let mut checked = 0;
    for repository in catalog(client) {
        for tag in tags(client, &repository) {
            assert_whole(client, &repository, &tag);
            checked += 1;
        }
    }
    checked
}
