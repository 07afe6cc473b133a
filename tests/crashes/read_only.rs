//! A disk that turns read-only under a running server: pushes 503, pulls go on, recovery without a restart.

use std::path::{Path, PathBuf};
use std::process::Command;

use mcr_tests::clock::wait_until;
use mcr_tests::{Image, Options, Random, Server, damage, process, pull, push};

/// A read-only view laid over a directory: whoever opens a path below it meets EROFS, as on a disk that the kernel has
/// remounted after an error. (A plain remount is refused by the kernel while the database is open for writing.)
struct ReadOnly(PathBuf);

impl ReadOnly {
    fn over(directory: &Path) -> Self {
        let mount = |arguments: &[&str], places: &[&Path]| {
            let _ = process::run(Command::new("mount").args(arguments).args(places)).ok();
        };
        mount(&["--bind"], &[directory, directory]);
        mount(&["-o", "remount,bind,ro"], &[directory]);
        Self(directory.to_owned())
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        let _ = process::run(Command::new("umount").arg("-l").arg(&self.0));
    }
}

#[test]
fn pushes_are_503_and_pulls_go_on() {
    let server = Server::start();
    let client = server.client();
    let random = &mut Random::new(421);
    let [image, fresh] = [(); 2].map(|()| Image::random(random, 2, 100_000));
    push::image(&client, "a", "v1", &image);
    let session = push::open_upload(&client, "a");
    let view = ReadOnly::over(server.data());
    for _ in 0..2 {
        let at_once = format!("/v2/a/blobs/uploads/?digest={}", fresh.config.digest);
        let answers = [
            client.post("/v2/a/blobs/uploads/"),
            client.request("POST", &at_once).body(&fresh.config.bytes).call(),
            client.request("PATCH", &session).body(b"bytes").call(),
        ];
        for answer in answers {
            assert_eq!(answer.status, 503, "{}", answer.text());
            assert!(!answer.codes().is_empty(), "{}", answer.text());
        }
        let _ = client.head(&format!("/v2/a/blobs/{}", fresh.config.digest)).expect(404);
        let _ = pull::assert_whole(&client, "a", "v1");
        let _ = client.get("/readyz").expect(200);
    }
    assert!(damage::quarantined(server.data()).is_empty());
    drop(view);
    wait_until("pushes are taken again", || client.post("/v2/a/blobs/uploads/").status == 202);
    push::image(&client, "a", "v2", &fresh);
    assert_eq!(pull::assert_all_whole(&client), 2);
}

#[test]
fn blobs_alone_may_be_read_only() {
    let mut server = Server::start();
    let image = Image::random(&mut Random::new(422), 1, 1000);
    push::image(&server.client(), "a", "v1", &image);
    let layers = server.data().join("layers");
    let _view = ReadOnly::over(&layers);
    let fresh = mcr_tests::Blob::new("fresh");
    let refused = push::try_blob(&server.client(), "a", &fresh).unwrap();
    assert!([503, 507].contains(&refused.status), "{}", refused.text());
    let _ = server.client().head(&format!("/v2/a/blobs/{}", fresh.digest)).expect(404);
    assert_eq!(pull::assert_all_whole(&server.client()), 1);
    assert!(server.alive());
}

/// The database's open files outlive the turn to read-only, until an error makes the writer open them again.
#[test]
fn the_database_too_may_be_read_only() {
    let server = Server::with(Options::faulty("metadata.before_commit=eio@40"));
    let client = server.client();
    let random = &mut Random::new(423);
    let [image, fresh] = [(); 2].map(|()| Image::random(random, 2, 100_000));
    push::image(&client, "a", "v1", &image);
    let view = ReadOnly::over(server.data());
    let mut tags = 1;
    let refused = loop {
        let answer = push::put_image(&client, "a", &format!("t{tags}"), &image);
        if answer.status != 201 {
            break answer;
        }
        tags += 1;
        assert!(tags < 100, "the database is never read-only");
    };
    assert_eq!(refused.status, 503, "{}", refused.text());
    for _ in 0..3 {
        let answers = [
            push::put_image(&client, "a", "more", &image),
            client.delete("/v2/a/manifests/v1"),
            client.post("/v2/a/blobs/uploads/"),
        ];
        for answer in answers {
            assert_eq!(answer.status, 503, "{}", answer.text());
            assert!(!answer.codes().is_empty(), "{}", answer.text());
        }
        assert_eq!(pull::assert_all_whole(&client), tags);
        let _ = client.head(&format!("/v2/a/blobs/{}", image.layers[0].digest)).expect(200);
        let _ = client.get("/readyz").expect(200);
        let health = client.get("/v1/health").expect(200).text();
        assert!(health.contains("degraded"), "{health}");
    }
    drop(view);
    push::image(&client, "a", "v2", &fresh);
    let _ = client.delete("/v2/a/manifests/v1").expect(202);
    assert_eq!(pull::assert_all_whole(&client), tags);
    assert!(damage::quarantined(server.data()).is_empty());
}
