//! From a walk over a source to a closure that can be moved; never where the source is.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use mcr_oci::{Descriptor, Digest, EdgeKind, EdgeTarget, Manifest};
use mcr_verifier::{Look, Memory, Options, Report, Root, Source, StoredBlob, StoredManifest, walk_all};

use crate::origin::{Blob, Closure, Piece};

/// The key of the annotation that says when an image was made.
const CREATED: &str = "org.opencontainers.image.created";

/// A time before this (1990) is none: builders that want the same bytes every time write the beginning of some era.
const EARLIEST_MS: i64 = 631_152_000_000;

/// A source that keeps the manifests it gave.
pub(crate) struct Recording<'a, S> {
    inner: &'a S,
    /// Whether blobs are looked at; whoever fetches them afterwards finds out as well.
    looks_at_blobs: bool,
    seen: Mutex<HashMap<Digest, StoredManifest>>,
}

impl<'a, S: Source> Recording<'a, S> {
    pub(crate) fn new(inner: &'a S, looks_at_blobs: bool) -> Self {
        Self { inner, looks_at_blobs, seen: Mutex::default() }
    }
}

impl<S: Source> Source for Recording<'_, S> {
    type Error = S::Error;

    async fn manifest(&self, descriptor: &Descriptor) -> Result<Look<StoredManifest>, S::Error> {
        let look = self.inner.manifest(descriptor).await?;
        if let Look::Whole(stored) = &look {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.insert(descriptor.digest.clone(), stored.clone());
        }
        Ok(look)
    }

    async fn blob(&self, descriptor: &Descriptor) -> Result<Look<StoredBlob>, S::Error> {
        if self.looks_at_blobs {
            return self.inner.blob(descriptor).await;
        }
        Ok(Look::Whole(StoredBlob { size: descriptor.size }))
    }
}

/// What a walk saw, in order.
#[derive(Debug)]
pub(crate) struct Walked {
    /// What is broken, as the walk tells it.
    pub(crate) report: Report,
    /// Children before parents.
    pub(crate) manifests: Vec<Piece>,
    /// Each once.
    pub(crate) blobs: Vec<Blob>,
    /// What need not be there, and is brought where it is: layers of a non-distributable type.
    pub(crate) optional: Vec<Descriptor>,
}

/// Walks what `root` is made of.
///
/// # Errors
/// The source's inability to look.
pub(crate) async fn walk<S: Source>(
    root: &Digest,
    source: &S,
    looks_at_blobs: bool,
    jobs: usize,
) -> Result<Walked, S::Error> {
    let recording = Recording::new(source, looks_at_blobs);
    let roots = [Root::Named(Box::new(Descriptor::new("", root.clone(), 0)))];
    let options = Options { jobs, ..Options::default() };
    let mut memory = Memory::default();
    let mut reports = walk_all(&roots, &recording, &options, &mut memory).await?;
    let seen = recording.seen.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut gather = Gather { memory: &memory, seen, met: HashSet::new() };
    let report = reports.pop().unwrap_or_else(|| empty(root));
    let mut walked = Walked { report, manifests: Vec::new(), blobs: Vec::new(), optional: Vec::new() };
    gather.manifest(root, &mut walked);
    Ok(walked)
}

fn empty(root: &Digest) -> Report {
    Report {
        root: root.clone(),
        findings: Vec::new(),
        findings_cut: false,
        checked: mcr_verifier::Checked::default(),
        skipped: Vec::new(),
    }
}

struct Gather<'a> {
    memory: &'a Memory,
    seen: HashMap<Digest, StoredManifest>,
    met: HashSet<Digest>,
}

impl Gather<'_> {
    /// As deep as the walk went, which is bounded.
    fn manifest(&mut self, digest: &Digest, walked: &mut Walked) {
        let Some(manifest) = self.memory.manifest(digest).map(Arc::clone) else { return };
        if !self.met.insert(digest.clone()) {
            return;
        }
        for edge in &manifest.edges {
            let descriptor = &edge.descriptor;
            if !edge.is_required() {
                walked.optional.push(descriptor.clone());
            } else if edge.target() != EdgeTarget::Blob && self.memory.manifest(&descriptor.digest).is_some() {
                self.manifest(&descriptor.digest, walked);
            } else if edge.target() != EdgeTarget::Manifest && self.met.insert(descriptor.digest.clone()) {
                walked.blobs.push(Blob { digest: descriptor.digest.clone(), size: descriptor.size });
            }
        }
        if let Some(stored) = self.seen.remove(digest) {
            walked.manifests.push(Piece { digest: digest.clone(), bytes: stored.bytes, manifest });
        }
    }
}

impl Walked {
    /// The configs of its images, which say when they were made.
    pub(crate) fn configs(&self) -> impl Iterator<Item = &Descriptor> {
        let images = self.manifests.iter().flat_map(|piece| &piece.manifest.edges);
        images
            .filter(|edge| edge.kind == EdgeKind::Config && is_image_config(&edge.descriptor))
            .map(|edge| &edge.descriptor)
    }

    /// When its manifests say it was made, by annotation.
    pub(crate) fn annotated_ms(&self) -> Option<i64> {
        self.manifests.iter().filter_map(|piece| annotated(&piece.manifest)).max()
    }

    /// The closure, with what the origin found out beside the walk.
    pub(crate) fn closure(self, beside: Closure) -> Closure {
        Closure { manifests: self.manifests, blobs: self.blobs, ..beside }
    }
}

fn is_image_config(descriptor: &Descriptor) -> bool {
    matches!(
        descriptor.media_type.as_str(),
        "application/vnd.oci.image.config.v1+json" | "application/vnd.docker.container.image.v1+json"
    )
}

fn annotated(manifest: &Manifest) -> Option<i64> {
    manifest.annotations.get(CREATED).and_then(|text| time_of(text))
}

/// When an image config says that it was made.
pub(crate) fn created_ms(config: &[u8]) -> Option<i64> {
    #[derive(serde::Deserialize)]
    struct Config {
        created: Option<String>,
    }
    let config: Config = serde_json::from_slice(config).ok()?;
    time_of(&config.created?)
}

fn time_of(text: &str) -> Option<i64> {
    let time: jiff::Timestamp = text.parse().ok()?;
    Some(time.as_millisecond()).filter(|ms| *ms >= EARLIEST_MS)
}

#[cfg(test)]
mod tests {
    use super::{created_ms, time_of};

    #[test]
    fn what_an_image_says_of_its_birth() {
        assert_eq!(created_ms(br#"{"created":"2024-05-06T07:08:09.123456789Z"}"#), Some(1_714_979_289_123));
        assert_eq!(time_of("2024-05-06T09:08:09+02:00"), Some(1_714_979_289_000));
        for nothing in ["{}", "[]", "", r#"{"created":null}"#, r#"{"created":"yesterday"}"#, r#"{"created":5}"#] {
            assert_eq!(created_ms(nothing.as_bytes()), None, "{nothing}");
        }
        // Builders that want the same bytes every time.
        for era in ["1970-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "1980-01-01T00:00:01Z"] {
            assert_eq!(time_of(era), None, "{era}");
        }
    }
}
