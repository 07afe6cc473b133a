//! The content that histories are made of: few blobs, so that everything is shared, deleted and pushed again; never the
//! state of a repository.

use mcr_oci::{Digest, media_type};
use mcr_tests::content::index_of;
use mcr_tests::{Blob, Image, Random};
use serde_json::json;

/// A manifest, and what it needs to be whole.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    pub(crate) bytes: Blob,
    pub(crate) media_type: String,
    /// Manifests it names.
    pub(crate) children: Vec<Digest>,
    /// Blobs it names.
    pub(crate) blobs: Vec<Digest>,
    /// What it is about.
    pub(crate) subject: Option<Digest>,
}

impl Manifest {
    fn of_image(image: &Image, subject: Option<&Blob>) -> Self {
        Self {
            bytes: image.manifest.clone(),
            media_type: image.media_type.clone(),
            children: Vec::new(),
            blobs: image.blobs().map(|blob| blob.digest.clone()).collect(),
            subject: subject.map(|subject| subject.digest.clone()),
        }
    }

    fn over(children: &[&Self]) -> Self {
        let descriptors: Vec<_> = children.iter().map(|child| child.bytes.descriptor(&child.media_type)).collect();
        Self {
            bytes: index_of(&descriptors),
            media_type: media_type::OCI_INDEX.to_owned(),
            children: children.iter().map(|child| child.bytes.digest.clone()).collect(),
            blobs: Vec::new(),
            subject: None,
        }
    }
}

/// All blobs and manifests there are.
#[derive(Debug)]
pub(crate) struct Catalogue {
    pub(crate) blobs: Vec<Blob>,
    pub(crate) manifests: Vec<Manifest>,
}

impl Catalogue {
    /// Images over shared layers, indexes over them, an index over indexes, and referrers of some.
    pub(crate) fn new(random: &mut Random) -> Self {
        let layers: Vec<Blob> = (0..5).map(|size| Blob::random(random, 1 + size * 700)).collect();
        let image = |architecture: &str, chosen: &[usize]| {
            Image::over(architecture, chosen.iter().map(|at| layers[*at].clone()).collect())
        };
        let images = [
            image("amd64", &[0]),
            image("amd64", &[0, 1]),
            image("arm64", &[1, 2]),
            image("arm64", &[3]),
            image("s390x", &[0, 1, 2, 3, 4]),
        ];
        let mut blobs = layers;
        blobs.extend(images.iter().map(|image| image.config.clone()));
        let mut manifests: Vec<Manifest> = images.iter().map(|image| Manifest::of_image(image, None)).collect();
        let small = Manifest::over(&[&manifests[0], &manifests[2]]);
        let large = Manifest::over(&[&manifests[1], &manifests[2], &manifests[4]]);
        let nested = Manifest::over(&[&small, &manifests[3]]);
        manifests.push(Manifest::over(&[]));
        // About an image, about an index, and about each other in a row.
        let signature = images[0].about(&images[1].manifest, "application/vnd.test.signature");
        let report = images[3].about(&small.bytes, "application/vnd.test.report");
        let over_signature = images[3].about(&signature.manifest, "application/vnd.test.signature");
        for (image, subject) in
            [(&signature, &images[1].manifest), (&report, &small.bytes), (&over_signature, &signature.manifest)]
        {
            manifests.push(Manifest::of_image(image, Some(subject)));
        }
        // The same blobs under one more manifest, so that what one lets go another still holds.
        let twin = images[1].changed(|manifest| manifest["annotations"] = json!({"twin": "yes"}));
        manifests.push(Manifest::of_image(&twin, None));
        manifests.extend([small, large, nested]);
        Self { blobs, manifests }
    }

    pub(crate) fn blob(&self, digest: &Digest) -> &Blob {
        self.blobs.iter().find(|blob| blob.digest == *digest).expect("every blob is in the catalogue")
    }

    pub(crate) fn manifest(&self, digest: &Digest) -> &Manifest {
        let found = self.manifests.iter().find(|manifest| manifest.bytes.digest == *digest);
        found.expect("every manifest is in the catalogue")
    }
}
