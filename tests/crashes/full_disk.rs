//! A full disk, with the database on it too: refused clearly, nothing listed that is not whole, deletes and pulls go on,
//! recovery without a restart.

use mcr_tests::clock::wait_until;
use mcr_tests::mount::Tmpfs;
use mcr_tests::{Client, Image, Options, Random, Server, damage, pull, push};

/// A server whose everything lies on a small disk, with this reserve.
fn on_small_disk(mebibytes: usize, reserve: &str) -> (Server, Tmpfs) {
    let disk = Tmpfs::mount(mebibytes);
    let options = Options::default().at(&disk.path().join("srv")).env("MCR_STORAGE_RESERVE", reserve);
    (Server::with(options), disk)
}

/// Pushes fresh images until one is refused; returns the tags that were taken and the refusal.
fn push_until_refused(client: &Client, random: &mut Random, size: usize) -> (Vec<String>, mcr_tests::Response) {
    let mut taken = Vec::new();
    loop {
        let image = Image::random(random, 1, size);
        let tag = format!("v{}", taken.len());
        for blob in image.blobs() {
            let answer = push::try_blob(client, "a", blob).unwrap();
            if answer.status != 201 {
                return (taken, answer);
            }
        }
        let answer = push::put_image(client, "a", &tag, &image);
        if answer.status != 201 {
            return (taken, answer);
        }
        taken.push(tag);
        assert!(taken.len() < 1000, "the disk is never full");
    }
}

#[track_caller]
fn assert_clear(refusal: &mcr_tests::Response) {
    assert_eq!(refusal.status, 507, "{}", refusal.text());
    assert!(!refusal.codes().is_empty(), "{}", refusal.text());
    let message = refusal.messages();
    assert!(message.contains("disk") && message.contains("full"), "{message}");
}

#[test]
fn a_disk_that_fills_up_refuses_keeps_serving_and_recovers() {
    let (mut server, disk) = on_small_disk(32, "0");
    // Room that comes back later: what the last refused push leaves may be next to nothing.
    let ballast = disk.path().join("ballast");
    std::fs::write(&ballast, vec![0_u8; 2 << 20]).unwrap();
    let client = server.client();
    let random = &mut Random::new(411);
    let (taken, refusal) = push_until_refused(&client, random, 1_500_000);
    assert_clear(&refusal);
    assert!(!taken.is_empty());
    // To the last byte.
    let filler = disk.fill();
    let small = Image::random(random, 1, 20_000);
    assert_clear(&push::try_blob(&client, "b", &small.layers[0]).unwrap());
    assert_eq!(pull::tags(&client, "a").len(), taken.len());
    assert_eq!(pull::assert_all_whole(&client), taken.len());
    let health = client.get("/v1/health").expect(200).text();
    assert!(health.contains("degraded"), "{health}");
    let _ = client.get("/readyz").expect(200);
    // Deletes work, of tags and of manifests.
    let _ = client.delete("/v2/a/manifests/v0").expect(202);
    let digest = client.head("/v2/a/manifests/v1").expect(200).required("docker-content-digest").to_owned();
    let _ = client.delete(&format!("/v2/a/manifests/{digest}")).expect(202);
    assert_eq!(pull::tags(&client, "a").len(), taken.len() - 2);
    assert_eq!(pull::assert_all_whole(&client), taken.len() - 2);
    // Room again, no restart.
    std::fs::remove_file(filler).unwrap();
    std::fs::remove_file(ballast).unwrap();
    let small = Image::random(random, 1, 20_000);
    wait_until("pushes are taken again", || push::try_blob(&client, "b", &small.layers[0]).unwrap().status == 201);
    push::image(&client, "b", "v1", &small);
    assert_eq!(pull::assert_all_whole(&client), taken.len() - 1);
    assert!(server.alive());
    server.kill();
    server.restart();
    assert_eq!(pull::assert_all_whole(&server.client()), taken.len() - 1);
}

#[test]
fn a_refused_upload_leaves_no_bytes_behind() {
    let (server, disk) = on_small_disk(32, "0");
    let client = server.client();
    let random = &mut Random::new(412);
    for _ in 0..5 {
        let blob = mcr_tests::Blob::random(random, 40 << 20);
        let refusal = client.request("POST", &format!("/v2/a/blobs/uploads/?digest={}", blob.digest));
        match refusal.body(&blob.bytes).send() {
            Ok(answer) => assert_clear(&answer),
            Err(failure) => panic!("the answer did not come: {failure}"),
        }
    }
    wait_until("nothing is left in uploads", || damage::uploads(server.data()).is_empty());
    push::image(&client, "a", "v1", &Image::random(random, 2, 5_000_000));
    drop(disk);
}

#[test]
fn many_clients_at_a_full_disk_leave_only_whole_tags() {
    let (mut server, disk) = on_small_disk(32, "0");
    let client = server.client();
    let random = &mut Random::new(413);
    std::thread::scope(|scope| {
        for number in 0..4 {
            let mut random = random.fork(number);
            let client = &client;
            scope.spawn(move || push_until_refused(client, &mut random, 700_000));
        }
    });
    let _ = pull::assert_all_whole(&client);
    let filler = disk.fill();
    server.kill();
    // It starts on a full disk, too: pulls have to go on.
    server.restart();
    let listed = pull::assert_all_whole(&server.client());
    std::fs::remove_file(filler).unwrap();
    assert_eq!(pull::assert_all_whole(&server.client()), listed);
}

#[test]
fn below_the_reserve_only_new_content_is_refused() {
    let (server, disk) = on_small_disk(64, "40MiB");
    let client = server.client();
    let random = &mut Random::new(414);
    let image = Image::random(random, 1, 1_000_000);
    push::image(&client, "a", "v1", &image);
    let filler = disk.path().join("some");
    std::fs::write(&filler, vec![0; 30 << 20]).unwrap();
    let fresh = Image::random(random, 1, 1000);
    wait_until("the reserve is noticed", || client.post("/v2/a/blobs/uploads/").status == 507);
    assert_clear(&client.post("/v2/a/blobs/uploads/"));
    assert_clear(&push::try_blob(&client, "a", &fresh.layers[0]).unwrap());
    let other = image.changed(|manifest| manifest["annotations"] = serde_json::json!({"new": "one"}));
    assert_clear(&push::put_image(&client, "a", "v2", &other));
    // Tags move, mounts link, deletes delete, pulls pull.
    let _ = push::put_image(&client, "a", "moved", &image).expect(201);
    let _ = pull::assert_whole(&client, "a", "moved");
    for blob in image.blobs() {
        let mount = format!("/v2/b/blobs/uploads/?mount={}&from=a", blob.digest);
        let _ = client.post(&mount).expect(201);
        let _ = client.delete(&format!("/v2/b/blobs/{}", blob.digest)).expect(202);
    }
    let _ = client.delete("/v2/a/manifests/v1").expect(202);
    assert_eq!(pull::tags(&client, "a"), ["moved"]);
    let health = client.get("/v1/health").expect(200).text();
    assert!(health.contains("degraded"), "{health}");
    let _ = client.get("/readyz").expect(200);
    std::fs::remove_file(filler).unwrap();
    wait_until("pushes are taken again", || push::try_blob(&client, "a", &fresh.layers[0]).unwrap().status == 201);
    let health = client.get("/v1/health").expect(200).text();
    assert!(!health.contains("degraded"), "{health}");
}

/// Everything can be deleted on a disk without a free byte, and that outlives a kill.
#[test]
fn a_foreign_file_that_fills_the_disk_does_not_stop_deletes() {
    let (mut server, disk) = on_small_disk(32, "2MiB");
    let client = server.client();
    let random = &mut Random::new(415);
    let images: Vec<Image> = (0..40).map(|_| Image::random(random, 2, 2000)).collect();
    for (number, image) in images.iter().enumerate() {
        push::image(&client, "a", &format!("v{number}"), image);
    }
    let filler = disk.fill();
    assert_clear(&client.post("/v2/a/blobs/uploads/"));
    let (gone, kept) = images.split_at(30);
    for (number, image) in gone.iter().enumerate() {
        if number % 2 == 0 {
            let _ = client.delete(&format!("/v2/a/manifests/v{number}")).expect(202);
        }
        let _ = client.delete(&format!("/v2/a/manifests/{}", image.digest())).expect(202);
        for blob in image.blobs() {
            let _ = client.delete(&format!("/v2/a/blobs/{}", blob.digest)).expect(202);
        }
    }
    for _ in 0..2 {
        let client = server.client();
        for image in gone {
            let _ = client.head(&format!("/v2/a/manifests/{}", image.digest())).expect(404);
            let _ = client.head(&format!("/v2/a/blobs/{}", image.config.digest)).expect(404);
        }
        assert_eq!(pull::assert_all_whole(&client), kept.len());
        server.kill();
        server.restart();
    }
    // In the life that began on a full disk, too.
    let client = server.client();
    let _ = client.delete("/v2/a/manifests/v39").expect(202);
    assert_clear(&client.post("/v2/a/blobs/uploads/"));
    std::fs::remove_file(filler).unwrap();
    for (number, image) in gone.iter().enumerate() {
        push::image(&client, "a", &format!("v{number}"), image);
    }
    assert_eq!(pull::assert_all_whole(&client), 39);
    assert!(damage::quarantined(server.data()).is_empty());
}
