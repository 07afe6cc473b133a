//! What is made is what the rows say: sizes, digests, and nothing twice.

use super::*;

#[test]
fn random_bytes_depend_on_the_seed_alone() {
    assert_eq!(Random::new(1).bytes(33), Random::new(1).bytes(33));
    assert_ne!(Random::new(1).bytes(33), Random::new(2).bytes(33));
    let mut random = Random::new(0);
    assert!((0..1000).all(|_| (4..64).contains(&random.between(4, 64))));
}

#[test]
fn an_image_is_a_manifest_we_would_take() {
    let image = Image::random(&mut Random::new(7), 2, 4096, 65536);
    let manifest = mcr_oci::Manifest::parse(&image.manifest.bytes, Some(MANIFEST)).unwrap();
    let named: Vec<_> = manifest.edges.iter().map(|edge| edge.descriptor.digest.clone()).collect();
    assert_eq!(named.len(), 3);
    assert!(image.blobs.iter().all(|blob| named.contains(&blob.digest)));
    let config = image.blobs.last().unwrap().bytes.len();
    assert!((900..1200).contains(&config), "{config}");
}

#[test]
fn indexes_over_the_same_children_differ() {
    let child = Image::random(&mut Random::new(1), 1, 1, 9);
    let (one, two) = (index(&[&child], 1), index(&[&child], 2));
    assert_ne!(one.digest, two.digest);
    assert!(mcr_oci::Manifest::parse(&one.bytes, Some(INDEX)).is_ok());
}

#[test]
fn a_large_blob_writes_what_its_digest_says() {
    let blob = LargeBlob::new(3, 2 * PIECE as u64 + 5);
    let mut bytes = Vec::new();
    blob.write(&mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, blob.length);
    assert_eq!(Digest::sha256(&bytes), blob.digest);
    assert_ne!(bytes.get(..PIECE), bytes.get(PIECE..));
}
