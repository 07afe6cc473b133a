//! Content to push: blobs, images and indexes made from a counter, so that a run can be repeated and
//! no blob occurs twice. Made before a clock runs. Knows no server.

use std::io::{self, Write};

use mcr_oci::{Algorithm, Digest, Hasher};
use serde_json::{Value, json};

/// Media type of an image manifest.
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of an index.
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// Bytes that do not compress, from a seed (xorshift64*, enough for that).
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// A generator whose bytes depend on `seed` alone.
    pub(crate) fn new(seed: u64) -> Random {
        // Spread small seeds over all bits; the state must not be zero.
        Random(seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// A number from `low` up to, not including, `high`.
    pub(crate) fn between(&mut self, low: usize, high: usize) -> usize {
        let span = high.saturating_sub(low).max(1) as u64;
        low + usize::try_from(self.next() % span).unwrap_or(0)
    }

    /// `length` bytes.
    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }
}

/// A blob held in memory.
#[derive(Debug)]
pub(crate) struct Blob {
    /// Its digest.
    pub(crate) digest: Digest,
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
}

impl Blob {
    /// A blob of these bytes.
    pub(crate) fn new(bytes: Vec<u8>) -> Blob {
        Blob { digest: Digest::sha256(&bytes), bytes }
    }

    fn descriptor(&self, media_type: &str) -> Value {
        json!({"mediaType": media_type, "digest": self.digest.as_str(), "size": self.bytes.len()})
    }
}

/// An image: its blobs and its manifest.
#[derive(Debug)]
pub(crate) struct Image {
    /// Config and layers, in push order.
    pub(crate) blobs: Vec<Blob>,
    /// The manifest.
    pub(crate) manifest: Blob,
}

impl Image {
    /// An image of these layers with a config of about 1 KiB that `random` makes unique.
    pub(crate) fn new(random: &mut Random, layers: Vec<Blob>) -> Image {
        let label: String = random.bytes(350).iter().map(|byte| format!("{byte:02x}")).collect();
        let config = json!({
            "architecture": "amd64",
            "os": "linux",
            "config": {"Env": ["PATH=/usr/bin:/bin"], "Labels": {"bench": label}},
            "rootfs": {
                "type": "layers",
                "diff_ids": layers.iter().map(|layer| layer.digest.as_str()).collect::<Vec<_>>(),
            },
        });
        let config = Blob::new(config.to_string().into_bytes());
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config.descriptor(CONFIG),
            "layers": layers.iter().map(|layer| layer.descriptor(LAYER)).collect::<Vec<_>>(),
        });
        let mut blobs = layers;
        blobs.push(config);
        Image { blobs, manifest: Blob::new(manifest.to_string().into_bytes()) }
    }

    /// An image of `count` layers, each of `low` up to `high` bytes.
    pub(crate) fn random(random: &mut Random, count: usize, low: usize, high: usize) -> Image {
        let layers = (0..count)
            .map(|_| {
                let length = random.between(low, high);
                Blob::new(random.bytes(length))
            })
            .collect();
        Image::new(random, layers)
    }
}

/// An index over `children`; `number` makes it another index than the one before.
pub(crate) fn index(children: &[&Image], number: u64) -> Blob {
    let manifests: Vec<Value> = children
        .iter()
        .enumerate()
        .map(|(position, child)| {
            let mut descriptor = child.manifest.descriptor(MANIFEST);
            if let Some(descriptor) = descriptor.as_object_mut() {
                let variant = format!("v{position}");
                let platform = json!({"os": "linux", "architecture": "arm", "variant": variant});
                descriptor.insert("platform".to_owned(), platform);
            }
            descriptor
        })
        .collect();
    let index = json!({
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": manifests,
        "annotations": {"org.example.bench": number.to_string()},
    });
    Blob::new(index.to_string().into_bytes())
}

/// A blob too large to hold: one random piece, repeated, each time with its own first bytes.
#[derive(Debug)]
pub(crate) struct LargeBlob {
    /// Its digest.
    pub(crate) digest: Digest,
    /// Its length in bytes.
    pub(crate) length: u64,
    seed: u64,
    piece: Vec<u8>,
}

/// Length of a piece: stays in a processor's cache, so that making it costs the server little.
const PIECE: usize = 256 * 1024;

impl LargeBlob {
    /// A blob of `length` bytes, rounded down to whole pieces, that `seed` makes unique.
    pub(crate) fn new(seed: u64, length: u64) -> LargeBlob {
        let piece = Random::new(seed).bytes(PIECE);
        let length = length - length % PIECE as u64;
        let mut blob = LargeBlob { digest: Digest::sha256(b""), length, seed, piece };
        let mut hasher = Hashing(Hasher::new(Algorithm::Sha256));
        // Hashing takes every write.
        if blob.write(&mut hasher).is_ok() {
            blob.digest = hasher.0.finish();
        }
        blob
    }

    /// Writes the whole blob.
    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut piece = self.piece.clone();
        for number in 0..self.length / PIECE as u64 {
            let stamp = self.seed.to_le_bytes().into_iter().chain(number.to_le_bytes());
            for (byte, stamped) in piece.iter_mut().zip(stamp) {
                *byte = stamped;
            }
            out.write_all(&piece)?;
        }
        Ok(())
    }
}

struct Hashing(Hasher);

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
