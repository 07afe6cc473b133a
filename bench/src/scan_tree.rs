//! A distribution tree of any size, written file by file, for measuring scans of it; never one that a registry made.

use std::path::{Path, PathBuf};

use clap::Args;
use mcr_oci::{Digest, media_type};
use serde_json::{Value, json};

use crate::error::Error;
use crate::host;

/// Options of `scan-tree`.
#[derive(Debug, Args)]
pub(crate) struct ScanTree {
    /// The storage root to make; must not be there.
    pub(crate) root: PathBuf,
    /// Indexes, each under a tag of its own over two images.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) indexes: usize,
    /// Repositories they are spread over.
    #[arg(long, default_value_t = 100)]
    pub(crate) repositories: usize,
    /// Layers of each image, beside its config.
    #[arg(long, default_value_t = 4)]
    pub(crate) layers: usize,
    /// Bytes of each layer.
    #[arg(long, default_value_t = 64)]
    pub(crate) layer_bytes: usize,
}

/// What a tree holds.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grown {
    pub(crate) indexes: usize,
    pub(crate) images: usize,
    pub(crate) links: usize,
}

impl ScanTree {
    /// A tree of the usual shape below `root`.
    pub(crate) fn of(root: PathBuf, indexes: usize) -> Self {
        Self { root, indexes, repositories: 100, layers: 4, layer_bytes: 64 }
    }
}

/// Writes the tree that is asked for.
///
/// # Errors
/// What cannot be written.
pub(crate) fn run(options: &ScanTree) -> Result<Grown, Error> {
    let v2 = options.root.join("docker/registry/v2");
    let mut grown = Grown::default();
    for number in 0..options.indexes {
        let repository = number % options.repositories.max(1);
        let name = format!("group{}/app{repository}", repository % 7);
        let repository = Repository { v2: &v2, path: v2.join("repositories").join(name) };
        let mut children = Vec::new();
        for architecture in ["amd64", "arm64"] {
            children.push(repository.image(options, number, architecture, &mut grown)?);
        }
        let index = json!({"schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": children});
        let digest = repository.manifest(&index, &mut grown)?;
        let tag = repository.path.join(format!("_manifests/tags/v{number}"));
        repository.link(&tag.join("current"), &digest)?;
        repository.link(&tag.join("index/sha256").join(digest.hex()), &digest)?;
        grown.indexes += 1;
    }
    Ok(grown)
}

struct Repository<'a> {
    v2: &'a Path,
    path: PathBuf,
}

impl Repository<'_> {
    fn image(&self, options: &ScanTree, number: usize, architecture: &str, grown: &mut Grown) -> Result<Value, Error> {
        let mut layers = Vec::new();
        for layer in 0..options.layers {
            let mut content = format!("layer {layer} of {number} for {architecture} ").into_bytes();
            content.resize(content.len().max(options.layer_bytes), b'.');
            layers.push(self.blob(&content, media_type::OCI_LAYER_GZIP, grown)?);
        }
        let config = json!({"os": "linux", "architecture": architecture, "config": {"Labels": {"n": number}}});
        let config = self.blob(config.to_string().as_bytes(), media_type::OCI_CONFIG, grown)?;
        let manifest = json!({
            "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": config, "layers": layers,
            "annotations": {"org.opencontainers.image.source": "https://example.com/source", "n": number.to_string()},
        });
        let digest = self.manifest(&manifest, grown)?;
        grown.images += 1;
        let size = manifest.to_string().len();
        let platform = json!({"os": "linux", "architecture": architecture});
        Ok(json!({
            "mediaType": media_type::OCI_MANIFEST, "digest": digest.as_str(), "size": size, "platform": platform,
        }))
    }

    fn blob(&self, content: &[u8], media_type: &str, grown: &mut Grown) -> Result<Value, Error> {
        let digest = self.store(content)?;
        self.link(&self.path.join("_layers/sha256").join(digest.hex()), &digest)?;
        grown.links += 1;
        Ok(json!({"mediaType": media_type, "digest": digest.as_str(), "size": content.len()}))
    }

    fn manifest(&self, manifest: &Value, grown: &mut Grown) -> Result<Digest, Error> {
        let digest = self.store(manifest.to_string().as_bytes())?;
        self.link(&self.path.join("_manifests/revisions/sha256").join(digest.hex()), &digest)?;
        grown.links += 1;
        Ok(digest)
    }

    fn store(&self, content: &[u8]) -> Result<Digest, Error> {
        let digest = Digest::sha256(content);
        let hex = digest.hex();
        let directory = self.v2.join("blobs/sha256").join(hex.get(..2).unwrap_or_default()).join(hex);
        host::make_directory(&directory)?;
        host::write(&directory.join("data"), content)?;
        Ok(digest)
    }

    fn link(&self, directory: &Path, digest: &Digest) -> Result<(), Error> {
        host::make_directory(directory)?;
        host::write(&directory.join("link"), digest.as_str().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_has_what_it_says() {
        let root = tempfile::tempdir().unwrap();
        let options =
            ScanTree { root: root.path().join("tree"), indexes: 3, repositories: 2, layers: 4, layer_bytes: 10 };
        let grown = run(&options).unwrap();
        assert_eq!(grown, Grown { indexes: 3, images: 6, links: 3 * 13 });
    }
}
