//! Every step of a push fails once, in every way a disk fails: the client is told, nothing half-written is listed,
//! nothing is quarantined, and the next try works.

use mcr_tests::content::index_of;
use mcr_tests::{Blob, Client, Image, Index, Options, Random, Response, Server, damage, pull, push};

/// The steps from a request to a committed row, and at which of their passings they fail.
const POINTS: &[(&str, usize)] = &[
    ("upload.created", 2),
    ("blob.write", 3),
    ("blob.sync", 4),
    ("blob.synced", 5),
    ("blob.renamed", 6),
    ("blob.dir_synced", 7),
    ("blob.stat", 9),
    ("metadata.begin", 12),
    ("metadata.before_commit", 14),
];

/// Tries until it works; counts the refusals, each of which must be clear.
fn insist(refusals: &mut usize, status: u16, expected: u16, mut attempt: impl FnMut() -> Response) {
    for _ in 0..8 {
        let answer = attempt();
        if answer.status == expected {
            return;
        }
        assert_eq!(answer.status, status, "{}", answer.text());
        assert!(!answer.codes().is_empty(), "{}", answer.text());
        assert!(!answer.messages().is_empty(), "{}", answer.text());
        assert!(status != 507 || answer.messages().contains("full"), "{}", answer.messages());
        *refusals += 1;
    }
    panic!("it does not recover");
}

struct Struck<'a> {
    client: &'a Client,
    status: u16,
    refusals: usize,
}

impl Struck<'_> {
    fn push_image(&mut self, reference: &str, image: &Image) {
        let (client, status) = (self.client, self.status);
        for blob in image.blobs() {
            insist(&mut self.refusals, status, 201, || push::try_blob(client, "b", blob).unwrap());
        }
        self.put(reference, &image.media_type, &image.manifest);
    }

    fn put(&mut self, reference: &str, kind: &str, manifest: &Blob) {
        let (client, status) = (self.client, self.status);
        insist(&mut self.refusals, status, 201, || {
            let answer = push::manifest(client, "b", reference, kind, &manifest.bytes);
            if answer.status != 201 {
                // Told that it failed, and not listed either.
                assert!(!pull::tags(client, "b").contains(&reference.to_owned()), "{}", answer.text());
                // What is listed is whole all the same.
                pull::assert_all_whole(client);
            }
            answer
        });
    }
}

fn strike(error: &str, status: u16) {
    let mut server = Server::start();
    let random = &mut Random::new(441);
    push::image(&server.client(), "a", "v1", &Image::random(random, 1, 1000));
    let _ = server.stop();
    let faults: Vec<String> = POINTS.iter().map(|(point, nth)| format!("{point}={error}@{nth}")).collect();
    *server.options() = Options::faulty(&faults.join(","));
    server.restart();
    let client = server.client();
    let mut struck = Struck { client: &client, status, refusals: 0 };
    let images: Vec<Image> = (0..4).map(|_| Image::random(random, 2, 1 + random.clone().below(400_000))).collect();
    for (number, image) in images.iter().enumerate() {
        struck.push_image(&format!("v{number}"), image);
    }
    let index = Index::over(images);
    struck.put("all", mcr_oci::media_type::OCI_INDEX, &index.manifest);
    struck.put("none", mcr_oci::media_type::OCI_INDEX, &index_of(&[]));
    let refusals = struck.refusals;
    eprintln!("{error}: {refusals} refusals of {} faults", POINTS.len());
    assert!(refusals + 3 >= POINTS.len(), "{error}: only {refusals} faults were met");
    assert_eq!(pull::assert_all_whole(&client), 7);
    assert!(damage::quarantined(server.data()).is_empty());
    // And in the next life, too.
    server.kill();
    *server.options() = Options::default();
    server.restart();
    assert_eq!(pull::assert_all_whole(&server.client()), 7);
    assert!(damage::quarantined(server.data()).is_empty());
}

#[test]
fn an_io_error_is_503_and_the_next_try_works() {
    strike("eio", 503);
}

#[test]
fn a_read_only_file_system_is_503_and_the_next_try_works() {
    strike("erofs", 503);
}

#[test]
fn a_full_disk_is_507_and_the_next_try_works() {
    strike("enospc", 507);
}
