//! `mcrctl verify` and `mcrctl probe` against real registries, sound and damaged, behind networks that flap and
//! servers that lie.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::disallowed_methods, reason = "tests")]

mod catalog;
mod flapping;
mod ladder;
mod lies;
mod logins;
mod outputs;
mod said;

use mcr_tests::{Blob, Client, Image, Index, Random, push};

/// Two images and an index over them, pushed as `infra/ci:latest`, the images untagged.
pub(crate) struct Content {
    pub(crate) images: Vec<Image>,
    pub(crate) index: Index,
}

/// Pushes random content.
pub(crate) fn push_index(client: &Client, repository: &str, tag: &str, seed: u64) -> Content {
    let mut random = Random::new(seed);
    let images: Vec<Image> = ["amd64", "arm64"]
        .map(|architecture| {
            let layers = (0..2).map(|_| Blob::random(&mut random, 4096)).collect();
            Image::over(architecture, layers)
        })
        .to_vec();
    let index = Index::over(images.clone());
    for image in &images {
        push::image(client, repository, image.manifest.digest.as_str(), image);
    }
    push::index(client, repository, tag, &index);
    Content { images, index }
}
