//! The GET rows: one image that every server holds, fetched by `wrk`.

use super::Row;
use crate::{
    content::{Blob, Image, MANIFEST, Random},
    error::Error,
    host,
    http::Body,
    push,
    servers::{Kind, Server},
    wrk::Wrk,
};

const REPOSITORY: &str = "bench/pull";
const TAG: &str = "latest";
/// Seeds of different rows lie far apart, so that no blob occurs in two.
const SEED: u64 = 1 << 40;

/// The image: three small layers, one of 1 MiB, one of 64 MiB.
pub(crate) struct Pull {
    image: Image,
    manifest: String,
    small: String,
    large: String,
}

impl Pull {
    /// Makes it.
    pub(crate) fn new() -> Pull {
        let mut random = Random::new(SEED);
        let layers: Vec<Blob> = [4 << 10, 16 << 10, 64 << 10, 1 << 20, 64 << 20]
            .into_iter()
            .map(|length| Blob::new(random.bytes(length)))
            .collect();
        let path =
            |length: usize| layers.iter().find(|layer| layer.bytes.len() == length).map(blob_path).unwrap_or_default();
        let (small, large) = (path(1 << 20), path(64 << 20));
        Pull {
            small,
            large,
            manifest: format!("/v2/{REPOSITORY}/manifests/{TAG}"),
            image: Image::new(&mut random, layers),
        }
    }

    /// Pushes the image, or for nginx lays out its files, and reads everything back once: it must be
    /// what was pushed, and it is in the page cache from then on.
    pub(crate) fn seed(&self, server: &Server) -> Result<(), Error> {
        let mut connection = server.connect()?;
        if server.kind == Kind::Nginx {
            let at = |path: &str| server.data().join(path.trim_start_matches('/'));
            host::write(&at(&self.manifest), &self.image.manifest.bytes)?;
            for blob in &self.image.blobs {
                host::write(&at(&blob_path(blob)), &blob.bytes)?;
            }
        } else {
            push::image(&mut connection, REPOSITORY, TAG, &self.image)?;
        }
        let blobs = self.image.blobs.iter().map(|blob| (blob_path(blob), blob));
        for (path, blob) in blobs.chain([(self.manifest.clone(), &self.image.manifest)]) {
            let got = connection
                .send("GET", &path, &[("Accept", MANIFEST)], Body::Empty)?
                .require(200, || format!("GET {path} on {}", server.kind.slug()))?;
            if got.body != blob.bytes {
                return Err(Error::Wrong {
                    what: format!("GET {path} on {}", server.kind.slug()),
                    problem: "other bytes than were pushed".to_owned(),
                });
            }
        }
        Ok(())
    }

    /// The path of its manifest.
    pub(crate) fn manifest(&self) -> &str {
        &self.manifest
    }

    /// The repository it is in.
    pub(crate) fn repository(&self) -> &'static str {
        REPOSITORY
    }

    /// Runs `wrk` once.
    pub(super) fn sample(&self, row: Row, server: &Server, wrk: &Wrk, seconds: u32) -> Result<f64, Error> {
        let (path, connections) = match row {
            Row::Blob1m => (&self.small, 16),
            Row::Blob64m => (&self.large, 4),
            _ => (&self.manifest, 32),
        };
        let figures = wrk.run(&server.url(path), connections, seconds)?;
        Ok(match row {
            Row::Blob1m | Row::Blob64m => figures.bytes_per_second,
            _ => figures.requests_per_second,
        })
    }
}

fn blob_path(blob: &Blob) -> String {
    format!("/v2/{REPOSITORY}/blobs/{}", blob.digest)
}
