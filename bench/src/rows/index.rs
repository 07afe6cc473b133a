//! PUT of an index over 32 children of 20 layers each: the check of 672 blobs in one request.

use std::time::Instant;

use super::small::{self, Tagged};
use crate::{
    content::{self, Blob, INDEX, Image, Random},
    error::Error,
    interrupt, push,
    servers::Server,
    stats,
};

const REPOSITORY: &str = "bench/index";
const CHILDREN: usize = 32;
const LAYERS: usize = 20;
/// Seeds of different rows lie far apart, so that no blob occurs in two.
const SEED: u64 = 4 << 40;

/// The children, each layer of its own.
pub(crate) struct Children(Vec<Tagged>);

impl Children {
    /// Makes them.
    pub(super) fn new() -> Children {
        let mut random = Random::new(SEED);
        let images = (0..CHILDREN).map(|_| {
            let image = Image::random(&mut random, LAYERS, 200, 2000);
            let digest = image.manifest.digest.to_string();
            Tagged::new(REPOSITORY.to_owned(), digest, image)
        });
        Children(images.collect())
    }

    /// Pushes them by digest.
    pub(super) fn seed(&self, server: &Server) -> Result<(), Error> {
        small::push_all(server, &self.0).map(|_| ())
    }

    /// `count` indexes over the same children, none seen before.
    pub(super) fn round(&self, number: u64, count: usize) -> Vec<Blob> {
        let images: Vec<&Image> = self.0.iter().map(Tagged::image).collect();
        let first = number * count as u64;
        (first..first + count as u64).map(|number| content::index(&images, number)).collect()
    }
}

/// PUTs them one after the other, each under a tag of its own; the median in milliseconds.
pub(super) fn sample(server: &Server, indexes: &[Blob]) -> Result<f64, Error> {
    let mut connection = server.connect()?;
    let mut times = Vec::with_capacity(indexes.len());
    for index in indexes {
        interrupt::check()?;
        let tag = index.digest.hex().get(..16).unwrap_or("index");
        let started = Instant::now();
        push::manifest(&mut connection, REPOSITORY, tag, INDEX, &index.bytes)?;
        times.push(started.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(stats::median(&times).unwrap_or_default())
}
