//! What stands in a tar, and in which order it is written, every byte hashed on the way; never which images it holds.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::time::Duration;

use bytes::Bytes;
use mcr_oci::{Digest, Platform, Reference, media_type};
use mcr_verifier::Look;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::docker::{Entry, found};
use super::{FromShelf, Plan, Read, SaveError, Shelf, tar};
use crate::origin::Trouble;
pub(super) use crate::pieces::Pieces;

/// So many pieces wait at most for whoever writes them.
const QUEUE: usize = 16;

/// The key of the name that containerd and podman give an image.
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// The key of the name by which an image is chosen out of a layout.
const REFERENCE_NAME: &str = "org.opencontainers.image.ref.name";

/// The content of a tar.
#[derive(Debug)]
pub(super) struct Archive<S> {
    manifests: BTreeMap<Digest, Read>,
    manifest_bytes: u64,
    blobs: BTreeMap<Digest, FromShelf<S>>,
    names: Vec<Named>,
    docker: Vec<(Entry, BTreeSet<String>)>,
}

/// An image in `index.json`.
#[derive(Debug)]
struct Named {
    media_type: String,
    digest: Digest,
    size: usize,
    platform: Option<Platform>,
    name: String,
    tag: Option<String>,
}

impl<S> Default for Archive<S> {
    fn default() -> Self {
        Self {
            manifests: BTreeMap::new(),
            manifest_bytes: 0,
            blobs: BTreeMap::new(),
            names: Vec::new(),
            docker: Vec::new(),
        }
    }
}

impl<S> Archive<S> {
    pub(super) fn bytes(&self) -> u64 {
        let blobs = self.blobs.iter().filter(|(digest, _)| !self.manifests.contains_key(*digest));
        blobs.fold(self.manifest_bytes, |sum, (_, blob)| sum.saturating_add(blob.size))
    }

    pub(super) fn entries(&self) -> usize {
        self.paths().len()
    }

    pub(super) fn read(&self, digest: &Digest) -> Option<&Read> {
        self.manifests.get(digest)
    }

    pub(super) fn blob(&mut self, digest: Digest, from: FromShelf<S>) {
        self.blobs.entry(digest).or_insert(from);
    }

    /// # Errors
    /// [`SaveError::Refused`] where there are more than `max` bytes of manifests.
    pub(super) fn manifest(&mut self, read: &Read, max: u64) -> Result<(), SaveError> {
        if self.manifests.insert(read.digest.clone(), read.clone()).is_none() {
            let size = u64::try_from(read.bytes.len()).unwrap_or(u64::MAX);
            self.manifest_bytes = self.manifest_bytes.saturating_add(size);
        }
        if self.manifest_bytes > max {
            let told = format!("more than {} MiB of manifests for one tar; save fewer images at once", max >> 20);
            return Err(SaveError::Refused(told));
        }
        Ok(())
    }

    /// An image that docker can load, and its name where it has one.
    pub(super) fn docker(&mut self, entry: Entry, name: Option<String>) {
        match self.docker.iter_mut().find(|(known, _)| *known == entry) {
            Some((_, names)) => names.extend(name),
            None => self.docker.push((entry, name.into_iter().collect())),
        }
    }

    /// What the image at `root` is called.
    pub(super) fn name(&mut self, root: &Read, platform: Option<Platform>, name: &str, reference: &Reference) {
        let tag = match reference {
            Reference::Tag(tag) => Some(tag.to_string()),
            Reference::Digest(_) => None,
        };
        if self.names.iter().any(|known| known.name == name) {
            return;
        }
        self.names.push(Named {
            media_type: root.media_type.clone(),
            digest: root.digest.clone(),
            size: root.bytes.len(),
            platform,
            name: name.to_owned(),
            tag,
        });
    }

    /// `index.json` of the image layout.
    fn index(&self) -> Value {
        let manifests: Vec<Value> = self.names.iter().map(|named| self.descriptor(named)).collect();
        json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": manifests})
    }

    fn descriptor(&self, named: &Named) -> Value {
        let mut annotations = json!({CONTAINERD_NAME: named.name});
        if let (Some(tag), Some(annotations)) = (&named.tag, annotations.as_object_mut()) {
            // Where two images have the same tag, it would choose neither.
            let alone = self.names.iter().filter(|other| other.tag.as_ref() == Some(tag)).count() == 1;
            annotations.insert(REFERENCE_NAME.to_owned(), json!(if alone { tag } else { &named.name }));
        }
        let mut descriptor =
            json!({"mediaType": named.media_type, "digest": named.digest.as_str(), "size": named.size});
        if let Some(object) = descriptor.as_object_mut() {
            object.extend(named.platform.as_ref().map(|platform| ("platform".to_owned(), json!(platform))));
            object.insert("annotations".to_owned(), annotations);
        }
        descriptor
    }

    /// `manifest.json` as `docker save` writes it; `None` where docker could load nothing.
    fn docker_manifest(&self) -> Option<Value> {
        let images = self.docker.iter().map(|(entry, names)| {
            let names = if names.is_empty() { Value::Null } else { json!(names) };
            let layers: Vec<String> = entry.layers.iter().map(path).collect();
            json!({"Config": path(&entry.config), "RepoTags": names, "Layers": layers})
        });
        (!self.docker.is_empty()).then(|| images.collect())
    }

    fn paths(&self) -> BTreeSet<&Digest> {
        self.manifests.keys().chain(self.blobs.keys()).collect()
    }
}

/// Where the bytes of a digest stand in the tar.
fn path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm(), digest.hex())
}

/// How long whoever writes may take to notice that it is over.
const ENDING: Duration = Duration::from_secs(5);

/// Writes the tar to `out` and gives it back, flushed. `wrote` is told how many bytes of content are written. Where
/// `stop` comes to an end first, that ends it, with what it says.
///
/// # Errors
/// [`SaveError`]; what was written so far does not end as a tar does.
pub async fn write<S: Shelf, W: Write + Send + 'static>(
    plan: Plan<S>,
    out: W,
    wrote: &(dyn Fn(u64) + Sync),
    stop: impl Future<Output = String> + Send,
) -> Result<W, SaveError> {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let writer = tokio::task::spawn_blocking(move || drain(receiver, out));
    let sent = tokio::select! {
        sent = send(&plan.archive, &sender, wrote) => sent,
        why = stop => Err(SaveError::Stopped(why)),
    };
    drop(sender);
    if let Err(stopped @ SaveError::Stopped(_)) = sent {
        // A pipe that nobody reads holds it for ever.
        let _ = tokio::time::timeout(ENDING, writer).await;
        return Err(stopped);
    }
    // Why it stopped taking is what it says itself.
    let out = writer.await.map_err(|error| SaveError::Output(io::Error::other(error)))??;
    sent.map(|()| out)
}

fn drain<W: Write>(mut receiver: mpsc::Receiver<Bytes>, mut out: W) -> io::Result<W> {
    while let Some(bytes) = receiver.blocking_recv() {
        out.write_all(&bytes)?;
    }
    out.flush()?;
    Ok(out)
}

/// Everything in its order: what tells of the content first, for whoever reads a stream.
async fn send<S: Shelf>(
    archive: &Archive<S>,
    sender: &mpsc::Sender<Bytes>,
    wrote: &(dyn Fn(u64) + Sync),
) -> Result<(), SaveError> {
    let documents = [
        ("oci-layout", Some(json!({"imageLayoutVersion": "1.0.0"}))),
        ("index.json", Some(archive.index())),
        ("manifest.json", archive.docker_manifest()),
    ];
    for (name, document) in documents {
        if let Some(document) = document {
            small(sender, name, document.to_string().into()).await?;
        }
    }
    put(sender, tar::directory("blobs/")?).await?;
    let mut algorithm = None;
    for digest in archive.paths() {
        if algorithm != Some(digest.algorithm()) {
            algorithm = Some(digest.algorithm());
            put(sender, tar::directory(&format!("blobs/{}/", digest.algorithm()))?).await?;
        }
        match (archive.manifests.get(digest), archive.blobs.get(digest)) {
            (Some(read), _) => {
                small(sender, &path(digest), read.bytes.clone()).await?;
                wrote(u64::try_from(read.bytes.len()).unwrap_or_default());
            }
            (None, Some(from)) => blob(sender, digest, from, wrote).await?,
            (None, None) => {}
        }
    }
    put(sender, tar::end()).await
}

async fn blob<S: Shelf>(
    sender: &mpsc::Sender<Bytes>,
    digest: &Digest,
    from: &FromShelf<S>,
    wrote: &(dyn Fn(u64) + Sync),
) -> Result<(), SaveError> {
    let problem = match from.shelf.blob(&from.repository, digest, from.size).await? {
        Look::Broken(problem) => problem,
        Look::Whole(bytes) => {
            put(sender, tar::file(&path(digest), from.size)?).await?;
            let mut pieces = Pieces::new(bytes, digest, from.size);
            loop {
                match pieces.next().await? {
                    Ok(Some(piece)) => {
                        let length = u64::try_from(piece.len()).unwrap_or_default();
                        put(sender, piece).await?;
                        wrote(length);
                    }
                    Ok(None) => return put(sender, tar::padding(from.size)).await,
                    Err(problem) => break problem,
                }
            }
        }
    };
    Err(SaveError::Unsound(vec![found(&problem, digest, &from.repository)]))
}

async fn small(sender: &mpsc::Sender<Bytes>, path: &str, bytes: Bytes) -> Result<(), SaveError> {
    let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    put(sender, tar::file(path, size)?).await?;
    put(sender, bytes).await?;
    put(sender, tar::padding(size)).await
}

async fn put(sender: &mpsc::Sender<Bytes>, bytes: Bytes) -> Result<(), SaveError> {
    // The writer has ended, and says why itself.
    sender.send(bytes).await.map_err(|_| SaveError::Trouble(Trouble("the writer has ended".to_owned())))
}
