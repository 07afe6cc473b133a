//! Measures the database alone: closures, look-ups, group commit. `cargo run --release -p mcr-metadata --example figures [DIRECTORY]`.
#![expect(clippy::unwrap_used, reason = "a measurement that fails has nothing else to do than to end")]
#![expect(clippy::disallowed_methods, reason = "how large the files become, only the directory tells")]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use mcr_metadata::{Actor, CommitManifest, CommitOutcome, Done, Error, Metadata, Options, RecordBlob, RecordedStat};
use mcr_oci::{Digest, Manifest, Reference, RepositoryName, Tag, media_type};
use serde_json::{Value, json};

fn main() {
    let directory = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let directory = tempfile::tempdir_in(directory).unwrap();
    let metadata = Metadata::open(&directory.path().join("mcr.db"), Options::default()).unwrap();
    let index = fill(&metadata, "big/index", 32, 20);
    closures(&metadata, &index);
    for clients in [1, 4, 16, 64] {
        writes(&metadata, clients);
    }
    let files = std::fs::read_dir(directory.path()).unwrap().map(Result::unwrap);
    for file in files {
        println!("{:>12} bytes in {}", file.metadata().unwrap().len(), file.file_name().to_string_lossy());
    }
}

fn actor() -> Actor {
    Actor { name: "bench".to_owned(), address: Some("127.0.0.1".to_owned()) }
}

fn wait<T: Send + 'static>(metadata: &Metadata, write: impl FnOnce(&Metadata, Done<T>)) -> Result<T, Error> {
    let (sender, receiver) = sync_channel(1);
    write(metadata, Box::new(move |answer| sender.send(answer).unwrap()));
    receiver.recv().unwrap()
}

fn blob(metadata: &Metadata, repository: &RepositoryName, content: &str) -> Value {
    let digest = Digest::sha256(content.as_bytes());
    let size = content.len() as u64;
    let descriptor = json!({ "mediaType": "application/octet-stream", "digest": digest.as_str(), "size": size });
    let request = RecordBlob {
        repository: repository.clone(),
        digest,
        size,
        stat: RecordedStat { inode: 1, size, mtime_ns: 1, ctime_ns: 1 },
        hashed_at_ms: 1,
        actor: actor(),
        at_ms: 1,
    };
    wait(metadata, |metadata, done| metadata.record_blob(request, done)).unwrap();
    descriptor
}

fn push(metadata: &Metadata, repository: &RepositoryName, json: &Value, media_type: &str, tags: &[&str]) -> Digest {
    let bytes: Arc<[u8]> = json.to_string().into_bytes().into();
    let digest = Digest::sha256(&bytes);
    let request = CommitManifest {
        repository: repository.clone(),
        reference_digest: digest.clone(),
        manifest: Arc::new(Manifest::parse(&bytes, Some(media_type)).unwrap()),
        bytes,
        tags: tags.iter().map(|tag| Tag::parse(tag).unwrap()).collect(),
        allow_missing_children: false,
        immutable: None,
        actor: actor(),
        at_ms: 1,
    };
    let outcome = wait(metadata, |metadata, done| metadata.commit_manifest(request, done)).unwrap();
    assert!(matches!(outcome, CommitOutcome::Committed { .. }), "{outcome:?}");
    digest
}

fn image(
    metadata: &Metadata,
    repository: &RepositoryName,
    name: &str,
    layers: usize,
    tags: &[&str],
) -> (Digest, usize) {
    let config = blob(metadata, repository, &format!("{name} config"));
    let layers: Vec<Value> =
        (0..layers).map(|layer| blob(metadata, repository, &format!("{name} layer {layer}"))).collect();
    let json = json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": config, "layers": layers,
    });
    (push(metadata, repository, &json, media_type::OCI_MANIFEST, tags), json.to_string().len())
}

/// An index over `children` images of `layers` layers, no two alike.
fn fill(metadata: &Metadata, name: &str, children: usize, layers: usize) -> (RepositoryName, Digest, Vec<Digest>) {
    let repository = RepositoryName::parse(name).unwrap();
    let mut digests = Vec::new();
    let mut descriptors = Vec::new();
    for child in 0..children {
        let (digest, size) = image(metadata, &repository, &format!("child {child}"), layers, &[]);
        let platform = json!({ "os": "linux", "architecture": format!("cpu{child}") });
        descriptors.push(json!({
            "mediaType": media_type::OCI_MANIFEST, "digest": digest.as_str(), "size": size, "platform": platform,
        }));
        digests.push(digest);
    }
    let json = json!({ "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": descriptors });
    let digest = push(metadata, &repository, &json, media_type::OCI_INDEX, &["latest"]);
    (repository, digest, digests)
}

fn closures(metadata: &Metadata, (repository, index, children): &(RepositoryName, Digest, Vec<Digest>)) {
    let rows = metadata.closure(repository, std::slice::from_ref(index)).unwrap();
    println!("closure: {} manifests, {} blobs", rows.manifests.len(), rows.blobs.len());
    report("closure of the index", 300, || {
        metadata.closure(repository, std::slice::from_ref(index)).unwrap();
    });
    report("closure of its children as roots", 300, || {
        metadata.closure(repository, children).unwrap();
    });
    let tag = Reference::Tag(Tag::parse("latest").unwrap());
    report("manifest by tag", 20_000, || {
        metadata.manifest(repository, &tag).unwrap();
    });
    let digest = Reference::Digest(index.clone());
    report("manifest by digest", 20_000, || {
        metadata.manifest(repository, &digest).unwrap();
    });
    let layer = Digest::sha256(b"child 3 layer 7");
    report("blob", 20_000, || {
        metadata.blob(repository, &layer).unwrap();
    });
}

/// Prints the median and the 99th percentile.
fn report(what: &str, times: usize, mut run: impl FnMut()) {
    let mut taken: Vec<Duration> = (0..times)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .collect();
    taken.sort();
    println!("{what}: median {:?}, 99% {:?}", taken[times / 2], taken[times * 99 / 100]);
}

/// `clients` at once, each waiting for every answer, as registries are used.
fn writes(metadata: &Metadata, clients: usize) {
    let rounds = 400 / clients + 20;
    let start = Instant::now();
    std::thread::scope(|scope| {
        for client in 0..clients {
            scope.spawn(move || {
                let repository = RepositoryName::parse(&format!("blobs/{clients}/{client}")).unwrap();
                for round in 0..rounds {
                    blob(metadata, &repository, &format!("blob {clients} {client} {round}"));
                }
            });
        }
    });
    println!("record_blob, {clients} clients: {:.0}/s", per_second(clients * rounds, start));
    let start = Instant::now();
    std::thread::scope(|scope| {
        for client in 0..clients {
            scope.spawn(move || {
                let repository = RepositoryName::parse(&format!("blobs/{clients}/{client}")).unwrap();
                for round in 0..rounds {
                    let content = format!("blob {clients} {client} {round}");
                    let digest = Digest::sha256(content.as_bytes());
                    let config = json!({ "digest": digest.as_str(), "size": content.len() });
                    let json = json!({ "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": config });
                    push(metadata, &repository, &json, media_type::OCI_MANIFEST, &["latest"]);
                }
            });
        }
    });
    println!("commit_manifest, {clients} clients: {:.0}/s", per_second(clients * rounds, start));
}

fn per_second(count: usize, start: Instant) -> f64 {
    let count = u32::try_from(count).unwrap();
    f64::from(count) / start.elapsed().as_secs_f64()
}
