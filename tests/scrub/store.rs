//! A store of many images whose bytes can be made again from a number, so that gigabytes need no memory; never a check.

use mcr_oci::Digest;
use mcr_tests::{Blob, Client, Image, Random, push};

/// Bytes that all blobs share, apart from the stamps.
const PATTERN: usize = 1 << 20;

/// How far apart the stamps are that make each blob another one.
const STAMP_EVERY: usize = 1 << 14;

/// Layers of an image.
const LAYERS: usize = 8;

/// One blob of the store.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    number: u64,
    pub(crate) size: u64,
    pub(crate) digest: Digest,
}

/// One image of it.
#[derive(Clone, Debug)]
pub(crate) struct KeptImage {
    pub(crate) tag: String,
    pub(crate) manifest: Digest,
    /// Config and layers, as places in [`Store::blobs`].
    pub(crate) blobs: Vec<usize>,
}

/// What was pushed.
#[derive(Debug)]
pub(crate) struct Store {
    pattern: Vec<u8>,
    pub(crate) blobs: Vec<Kept>,
    pub(crate) images: Vec<KeptImage>,
    configs: Vec<Option<Vec<u8>>>,
}

impl Store {
    /// Pushes images into the repository `many` until there are `layers` layers of about `size` bytes.
    pub(crate) fn push(client: &Client, random: &mut Random, layers: usize, size: usize) -> Self {
        let mut store =
            Self { pattern: random.bytes(PATTERN), blobs: Vec::new(), images: Vec::new(), configs: Vec::new() };
        let mut number = 0;
        while number < layers {
            let made: Vec<Blob> = (number..(number + LAYERS).min(layers))
                // Every second one has the same length, so that swapped files are told by their bytes alone.
                .map(|n| if n % 2 == 0 { (n, size) } else { (n, size / 2 + random.below(size)) })
                .map(|(n, size)| store.bytes(u64::try_from(n).unwrap(), size))
                .collect();
            let image = Image::over("amd64", made);
            let tag = format!("v{}", store.images.len());
            push::image(client, "many", &tag, &image);
            store.keep(tag, &image, number);
            number += image.layers.len();
        }
        store
    }

    fn bytes(&self, number: u64, size: usize) -> Blob {
        // Whole slices: byte by byte, a build that is not optimised would take minutes.
        let mut bytes = self.pattern.repeat(size.div_ceil(PATTERN));
        bytes.truncate(size);
        for stamp in bytes.chunks_mut(STAMP_EVERY) {
            let place = stamp.len().min(8);
            stamp[..place].copy_from_slice(&number.to_le_bytes()[..place]);
        }
        Blob::new(bytes)
    }

    fn keep(&mut self, tag: String, image: &Image, first: usize) {
        let mut places = Vec::new();
        for (at, blob) in image.blobs().enumerate() {
            places.push(self.blobs.len());
            let number = u64::try_from((first + at).saturating_sub(1)).unwrap();
            let size = u64::try_from(blob.size()).unwrap();
            self.blobs.push(Kept { number, size, digest: blob.digest.clone() });
            self.configs.push((at == 0).then(|| blob.bytes.clone()));
        }
        self.images.push(KeptImage { tag, manifest: image.digest().clone(), blobs: places });
    }

    /// The bytes of a blob, made again.
    pub(crate) fn blob(&self, place: usize) -> Blob {
        let kept = &self.blobs[place];
        let blob = match &self.configs[place] {
            Some(bytes) => Blob::new(bytes.clone()),
            None => self.bytes(kept.number, usize::try_from(kept.size).unwrap()),
        };
        assert_eq!(blob.digest, kept.digest);
        blob
    }

    /// The bytes of all of them.
    pub(crate) fn size(&self) -> u64 {
        self.blobs.iter().map(|blob| blob.size).sum()
    }
}
