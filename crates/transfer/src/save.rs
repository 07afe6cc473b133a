//! Images into one tar that docker, podman, containerd and skopeo take: what goes into it, and every byte of it hashed
//! on the way; never the file it is written to, and never half an image.
//!
//! The tar is an OCI image layout (`oci-layout`, `index.json`, `blobs/`) with docker's `manifest.json` beside it, which
//! can name one platform of an image alone. It depends on nothing but its content: no times, no owners, one order.

mod archive;
mod docker;
mod local;
mod output;
mod part;
mod shelf;
mod tar;
mod told;
mod wire;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use mcr_oci::{Digest, EdgeKind, EdgeTarget, Finding, Manifest, Reference, RepositoryName};
use mcr_verifier::PlatformFilter;

use crate::origin::Trouble;
use archive::Archive;
pub use archive::write;
pub use local::Local;
pub use output::Output;
pub use shelf::Shelf;
pub use told::{interrupted, platform, text};
pub use wire::Wire;

/// Most bytes of manifests that one tar holds: they are kept in memory until it is written.
const MANIFESTS_MAX: u64 = 256 << 20;

/// One image that is wanted.
#[derive(Debug)]
pub struct Wanted<S> {
    /// Where it lies.
    pub shelf: Arc<S>,
    /// Its repository there.
    pub repository: RepositoryName,
    /// Its tag or digest.
    pub reference: Reference,
    /// What it shall be called where the tar is loaded: `HOST[:PORT]/NAME`, without tag and digest.
    pub name: String,
}

/// What of images of several platforms is wanted.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Only this platform, `--platform`; `None` is all.
    pub only: Option<PlatformFilter>,
    /// What docker's part of the tar names where all platforms are in it.
    pub docker: PlatformFilter,
}

/// The platform that docker takes for granted on this machine: its containers are Linux's everywhere.
#[must_use]
pub fn of_this_machine() -> PlatformFilter {
    PlatformFilter::of("linux", architecture(std::env::consts::ARCH))
}

/// As images name it.
fn architecture(rust: &str) -> &str {
    match rust {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

/// One image of a tar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedImage {
    /// What it is called: `NAME:TAG` or `NAME@DIGEST`.
    pub name: String,
    /// The manifest or index that is in the tar.
    pub digest: Digest,
    /// The id that docker and podman give it; `None` where they find nothing for them in it.
    pub image_id: Option<Digest>,
    /// What is not as one might expect, in one line.
    pub note: Option<String>,
}

/// Why there is no tar.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// Something of it is broken; nothing may be believed of what was written so far.
    #[error("{}", findings_told(.0))]
    Unsound(Vec<Finding>),
    /// There is no such image, or not for this platform.
    #[error("{0}")]
    Refused(String),
    /// Where it lies cannot be looked at.
    #[error(transparent)]
    Trouble(#[from] Trouble),
    /// It was told to stop, and why.
    #[error("{0}")]
    Stopped(String),
    /// The tar cannot be written.
    #[error("it cannot be written: {0}")]
    Output(#[from] io::Error),
}

/// The first finding in words, and how many there are.
fn findings_told(findings: &[Finding]) -> String {
    let Some(first) = findings.first() else { return "nothing is known of it".to_owned() };
    let place = match (&first.repository, &first.tag) {
        (Some(repository), Some(tag)) => format!("{repository}:{tag}: "),
        (Some(repository), None) => format!("{repository}: "),
        _ => String::new(),
    };
    let digest = first.digest.as_ref().map(|digest| format!(" {digest}")).unwrap_or_default();
    let platform = first.platform.as_ref().map(|platform| format!(" ({platform})")).unwrap_or_default();
    let detail = first.detail.as_ref().map(|detail| format!(": {detail}")).unwrap_or_default();
    let more = match findings.len() {
        1 => String::new(),
        more => format!("; {more} findings in all"),
    };
    format!("{place}{}{digest}{platform}{detail}{more}", first.kind)
}

/// A manifest that was read, hashed and understood.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) digest: Digest,
    pub(crate) media_type: String,
    pub(crate) bytes: Bytes,
    pub(crate) manifest: Arc<Manifest>,
}

/// A blob of the tar, and where it comes from.
#[derive(Debug)]
pub(crate) struct FromShelf<S> {
    pub(crate) shelf: Arc<S>,
    pub(crate) repository: RepositoryName,
    pub(crate) size: u64,
}

/// A tar that can be written: everything that is small is here, and everything else is known to be there.
#[derive(Debug)]
pub struct Plan<S> {
    /// Its images, in the order they were wanted.
    pub images: Vec<SavedImage>,
    archive: Archive<S>,
}

impl<S> Plan<S> {
    /// Bytes of blobs and manifests in the tar.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.archive.bytes()
    }

    /// How many blobs and manifests are in it.
    #[must_use]
    pub fn blobs(&self) -> usize {
        self.archive.entries()
    }
}

/// Looks whether everything that is wanted is there, and reads what is small.
///
/// # Errors
/// [`SaveError`]; with [`SaveError::Unsound`] come the findings of all that is wanted.
pub async fn plan<S: Shelf>(wanted: Vec<Wanted<S>>, choice: &Choice) -> Result<Plan<S>, SaveError> {
    let mut findings = Vec::new();
    let mut roots = Vec::new();
    for wanted in wanted {
        let found = wanted.shelf.check(&wanted.repository, &wanted.reference, choice.only.as_ref()).await?;
        if found.findings.is_empty()
            && let Some(digest) = found.digest
        {
            roots.push((wanted, digest));
        }
        findings.extend(found.findings);
    }
    if !findings.is_empty() {
        return Err(SaveError::Unsound(findings));
    }
    let mut plan = Plan { images: Vec::new(), archive: Archive::default() };
    for (wanted, digest) in roots {
        add(&mut plan, &wanted, &digest, choice).await?;
    }
    Ok(plan)
}

/// One image into the plan.
async fn add<S: Shelf>(
    plan: &mut Plan<S>,
    wanted: &Wanted<S>,
    root: &Digest,
    choice: &Choice,
) -> Result<(), SaveError> {
    let mut reads = BTreeMap::new();
    let mut root = read(plan, wanted, root, &mut reads).await?.ok_or_else(|| gone(wanted, root))?;
    let mut platform = None;
    if let Some(only) = &choice.only {
        (root, platform) = part::only(plan, wanted, root, only, &mut reads).await?;
    }
    let mut open = vec![root.clone()];
    let mut taken = std::collections::HashSet::from([root.digest.clone()]);
    while let Some(read_now) = open.pop() {
        for edge in read_now.manifest.edges.iter().filter(|edge| edge.is_required()) {
            let digest = &edge.descriptor.digest;
            if edge.target() != EdgeTarget::Blob && edge.kind == EdgeKind::Child {
                match read(plan, wanted, digest, &mut reads).await? {
                    Some(child) => {
                        if taken.insert(child.digest.clone()) {
                            open.push(child);
                        }
                        continue;
                    }
                    None if edge.target() == EdgeTarget::Manifest => return Err(gone(wanted, digest)),
                    None => {}
                }
            }
            let (shelf, repository) = (Arc::clone(&wanted.shelf), wanted.repository.clone());
            plan.archive.blob(digest.clone(), FromShelf { shelf, repository, size: edge.descriptor.size });
        }
        plan.archive.manifest(&read_now, MANIFESTS_MAX)?;
    }
    let docker = docker::part(plan, wanted, &root, &choice.docker, &reads).await?;
    let name = match (&wanted.reference, choice.only.is_some()) {
        (Reference::Tag(tag), _) => format!("{}:{tag}", wanted.name),
        // What was asked for by its digest and is only a part of it has another one.
        (Reference::Digest(_), _) => format!("{}@{}", wanted.name, root.digest),
    };
    let (image_id, note) = match docker {
        docker::Part::Image(entry) => {
            let id = entry.config.clone();
            let tag = matches!(wanted.reference, Reference::Tag(_)).then(|| name.clone());
            plan.archive.docker(entry, tag);
            (Some(id), None)
        }
        docker::Part::Nothing(why) => (None, Some(why)),
    };
    plan.archive.name(&root, platform, &name, &wanted.reference);
    plan.images.push(SavedImage { name, digest: root.digest, image_id, note });
    Ok(())
}

/// A manifest, read once.
async fn read<S: Shelf>(
    plan: &Plan<S>,
    wanted: &Wanted<S>,
    digest: &Digest,
    reads: &mut BTreeMap<Digest, Read>,
) -> Result<Option<Read>, SaveError> {
    if let Some(read) = reads.get(digest).or_else(|| plan.archive.read(digest)) {
        let read = read.clone();
        reads.insert(digest.clone(), read.clone());
        return Ok(Some(read));
    }
    let Some((media_type, bytes)) = wanted.shelf.manifest(&wanted.repository, digest).await? else { return Ok(None) };
    let broken = |kind, detail: String| {
        let repository = Some(wanted.repository.to_string());
        let finding = Finding { digest: Some(digest.clone()), repository, detail: Some(detail), ..Finding::new(kind) };
        SaveError::Unsound(vec![finding])
    };
    let computed = Digest::of(digest.algorithm(), &bytes);
    if computed != *digest {
        return Err(broken(mcr_oci::FindingKind::ManifestCorrupt, format!("its bytes hash to {computed}")));
    }
    let manifest = Manifest::parse(&bytes, media_type.as_deref())
        .map_err(|error| broken(mcr_oci::FindingKind::ManifestInvalid, error.to_string()))?;
    let media_type = manifest.media_type.clone();
    let read = Read { digest: digest.clone(), media_type, bytes, manifest: Arc::new(manifest) };
    reads.insert(digest.clone(), read.clone());
    Ok(Some(read))
}

/// It was there a moment ago.
fn gone<S>(wanted: &Wanted<S>, digest: &Digest) -> SaveError {
    let kind = mcr_oci::FindingKind::ManifestMissing;
    let repository = Some(wanted.repository.to_string());
    SaveError::Unsound(vec![Finding { digest: Some(digest.clone()), repository, ..Finding::new(kind) }])
}

#[cfg(test)]
mod tests;
