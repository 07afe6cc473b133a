//! What is pushed: blobs, images and indexes with their digests; never how it travels.

use mcr_oci::{Algorithm, Digest, media_type};
use serde_json::{Value, json};

use crate::Random;

/// Bytes with their digest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// What it holds.
    pub bytes: Vec<u8>,
    /// The digest of that.
    pub digest: Digest,
}

impl Blob {
    /// `bytes`, named by sha256.
    #[must_use]
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self::by(Algorithm::Sha256, bytes)
    }

    /// `bytes`, named by `algorithm`.
    #[must_use]
    pub fn by(algorithm: Algorithm, bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        let digest = Digest::of(algorithm, &bytes);
        Self { bytes, digest }
    }

    /// `length` random bytes.
    #[must_use]
    pub fn random(random: &mut Random, length: usize) -> Self {
        Self::new(random.bytes(length))
    }

    /// The length in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// A descriptor of it.
    #[must_use]
    pub fn descriptor(&self, media_type: &str) -> Value {
        json!({"mediaType": media_type, "digest": self.digest.as_str(), "size": self.size()})
    }
}

/// An image: its blobs and its manifest.
#[derive(Clone, Debug)]
pub struct Image {
    /// The config blob.
    pub config: Blob,
    /// The layers, in order.
    pub layers: Vec<Blob>,
    /// The manifest, as its bytes.
    pub manifest: Blob,
    /// The manifest's media type.
    pub media_type: String,
    /// The platform, as an index says it.
    pub platform: Value,
}

impl Image {
    /// An OCI image over these layers, for linux on `architecture`.
    #[must_use]
    pub fn over(architecture: &str, layers: Vec<Blob>) -> Self {
        let platform = json!({"os": "linux", "architecture": architecture});
        let diff_ids: Vec<&str> = layers.iter().map(|layer| layer.digest.as_str()).collect();
        let config = json!({
            "os": "linux", "architecture": architecture, "config": {},
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        Self::with_config(Blob::new(config.to_string()), layers, platform)
    }

    /// An OCI image of random content: `layers` layers of about `length` bytes each.
    #[must_use]
    pub fn random(random: &mut Random, layers: usize, length: usize) -> Self {
        let layers = (0..layers).map(|_| Blob::random(random, length)).collect();
        Self::over("amd64", layers)
    }

    /// An OCI image of this config and these layers.
    #[must_use]
    pub fn with_config(config: Blob, layers: Vec<Blob>, platform: Value) -> Self {
        let descriptors = layers.iter().map(|layer| layer.descriptor(media_type::OCI_LAYER));
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": media_type::OCI_MANIFEST,
            "config": config.descriptor(media_type::OCI_CONFIG),
            "layers": descriptors.collect::<Vec<_>>(),
        });
        Self {
            manifest: Blob::new(manifest.to_string()),
            media_type: media_type::OCI_MANIFEST.to_owned(),
            config,
            layers,
            platform,
        }
    }

    /// The same blobs under a manifest that `change` made another one of.
    #[must_use]
    pub fn changed(&self, change: impl FnOnce(&mut Value)) -> Self {
        let mut manifest = self.json();
        change(&mut manifest);
        Self { manifest: Blob::new(manifest.to_string()), ..self.clone() }
    }

    /// The same image with `subject`.
    #[must_use]
    pub fn about(&self, subject: &Blob, artifact_type: &str) -> Self {
        self.changed(|manifest| {
            manifest["subject"] = subject.descriptor(media_type::OCI_MANIFEST);
            manifest["artifactType"] = Value::from(artifact_type);
        })
    }

    /// The manifest as JSON.
    ///
    /// # Panics
    /// Where it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.manifest.bytes).expect("the manifest is JSON")
    }

    /// Config and layers.
    pub fn blobs(&self) -> impl Iterator<Item = &Blob> {
        std::iter::once(&self.config).chain(&self.layers)
    }

    /// The digest of the manifest.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.manifest.digest
    }

    /// How an index names it.
    #[must_use]
    pub fn descriptor(&self) -> Value {
        let mut descriptor = self.manifest.descriptor(&self.media_type);
        descriptor["platform"] = self.platform.clone();
        descriptor
    }
}

/// An index over images.
#[derive(Clone, Debug)]
pub struct Index {
    /// What it names, in order.
    pub images: Vec<Image>,
    /// The index itself, as its bytes.
    pub manifest: Blob,
}

impl Index {
    /// An OCI index over `images`.
    #[must_use]
    pub fn over(images: Vec<Image>) -> Self {
        let children: Vec<Value> = images.iter().map(Image::descriptor).collect();
        Self { manifest: index_of(&children), images }
    }

    /// An index over one random image for amd64 and one for arm64, two layers each.
    #[must_use]
    pub fn random(random: &mut Random, length: usize) -> Self {
        let mut image = |architecture: &str| {
            let layers = vec![Blob::random(random, length), Blob::random(random, length)];
            Image::over(architecture, layers)
        };
        Self::over(vec![image("amd64"), image("arm64")])
    }

    /// The digest of the index.
    #[must_use]
    pub const fn digest(&self) -> &Digest {
        &self.manifest.digest
    }
}

/// The bytes of an OCI index with these descriptors.
#[must_use]
pub fn index_of(children: &[Value]) -> Blob {
    let index = json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": children,
    });
    Blob::new(index.to_string())
}
