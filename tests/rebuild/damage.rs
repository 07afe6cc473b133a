//! What is not whole is left out and named: blobs that are gone or damaged, lines of the journal.

use mcr_tests::{Blob, Image, Index, Random, Server, pull, push};

use crate::loss::{journal, listed, lose_database, restore, wait_tagged, wait_whole};

#[test]
fn a_tag_that_lacks_something_is_left_out_and_named_and_the_others_are_there() {
    let random = &mut Random::announced("damaged blobs");
    let mut server = Server::start();
    wait_whole(&server);
    let client = server.client();
    let [missing, cut, rotten, sound] = [(); 4].map(|()| Image::random(random, 2, 6000));
    for (tag, image) in [("missing", &missing), ("cut", &cut), ("rotten", &rotten), ("sound", &sound)] {
        push::image(&client, "demo/app", tag, image);
    }
    let index = Index::over(vec![sound.clone(), missing.clone()]);
    push::index(&client, "demo/app", "index", &index);
    let before = listed(&client);
    wait_tagged(&server, "index");
    server.kill();
    lose_database(&server);
    let path = |blob: &Blob| {
        let hex = blob.digest.hex();
        server.data().join("layers/sha256").join(&hex[..2]).join(hex)
    };
    std::fs::remove_file(path(&missing.layers[1])).unwrap();
    std::fs::write(path(&cut.layers[0]), &cut.layers[0].bytes[..100]).unwrap();
    let mut bytes = rotten.config.bytes.clone();
    bytes[3] ^= 1;
    std::fs::write(path(&rotten.config), bytes).unwrap();

    let deep = restore(&server, &["--deep", "--dry-run"]).failed();
    let gone = &missing.layers[1].digest;
    let way = format!("in {} > {}", index.manifest.digest, missing.digest());
    for expected in [
        format!("left out: demo/app:missing ({})", missing.digest()),
        format!("blob-missing {gone} in {}", missing.digest()),
        format!("blob-missing {gone} {way}"),
        format!("blob-truncated {}", cut.layers[0].digest),
        format!("blob-corrupt {}", rotten.config.digest),
        "would restore".to_owned(),
    ] {
        assert!(deep.all().contains(&expected), "{expected}: {}", deep.all());
    }
    // Without a hash of everything, what rots in silence is left to reads and the scrub.
    let said = restore(&server, &["--accept-default-policy"]).failed();
    assert_eq!(said.code, Some(1));
    assert!(said.text().contains("2 tags in 1 repository"), "{}", said.text());
    server.restart();
    let client = server.client();
    assert_eq!(pull::tags(&client, "demo/app"), ["rotten", "sound"]);
    pull::assert_whole(&client, "demo/app", "sound");
    assert!(pull::pull_whole(&client, "demo/app", "rotten").is_err(), "a read verifies what was never hashed");
    // Pushing again heals.
    for (tag, image) in [("missing", &missing), ("cut", &cut), ("rotten", &rotten)] {
        push::image(&client, "demo/app", tag, image);
    }
    push::index(&client, "demo/app", "index", &index);
    assert_eq!(listed(&client), before);
}

#[test]
fn damaged_lines_lose_what_they_told_and_nothing_else() {
    let random = &mut Random::announced("damaged lines");
    let mut server = Server::start();
    wait_whole(&server);
    let client = server.client();
    for number in 0..4 {
        push::image(&client, "demo/app", &format!("t{number}"), &Image::random(random, 1, 3000));
    }
    let mut before = listed(&client);
    wait_tagged(&server, "t3");
    server.kill();
    lose_database(&server);
    let [file] = &journal(&server)[..] else { panic!("one file") };
    let text = std::fs::read_to_string(file).unwrap();
    let damaged = text.replacen("\"tag\":\"t1\"", "\"tag\":\"t7\"", 1);
    assert_ne!(damaged, text);
    std::fs::write(file, damaged + "{\"n\":1,\"op\":\"torn").unwrap();
    let said = restore(&server, &["--accept-default-policy"]).failed().text();
    assert!(said.contains("1 damaged or missing lines"), "{said}");
    before.remove(&("demo/app".to_owned(), "t1".to_owned())).unwrap();
    server.restart();
    assert_eq!(listed(&server.client()), before);
}
