//! Everything that a registry listed is there again, by the same bytes; what it no longer listed is not.

use std::time::Duration;

use mcr_tests::push::with_query;
use mcr_tests::{Blob, Client, Image, Index, Random, Server, pull, push};

use crate::loss::{Slowness, journal, listed, lose_database, restore, told, wait_tagged, wait_told, wait_whole};

/// A history with everything in it that changes manifests or tags.
fn live(client: &Client, random: &mut Random) -> Image {
    let base = Blob::random(random, 30_000);
    let over = |random: &mut Random, architecture: &str| {
        Image::over(architecture, vec![base.clone(), Blob::random(random, 5000)])
    };
    let one = over(random, "amd64");
    push::image(client, "team/app", "1", &one);
    push::image(client, "team/app", "latest", &one);
    let two = Index::over(vec![over(random, "amd64"), over(random, "arm64")]);
    push::index(client, "team/app", "2", &two);
    push::index(client, "team/app", "latest", &two);
    // Referrers: by digest, and of one that has a tag.
    for (kind, tag) in [("application/vnd.example.signature", None), ("application/vnd.example.sbom", Some("sbom"))] {
        let about = over(random, "amd64").about(&one.manifest, kind);
        let digest = about.digest().as_str().to_owned();
        push::image(client, "team/app", tag.unwrap_or(&digest), &about);
    }
    // By mount into another repository.
    for blob in one.blobs() {
        let mount = with_query("/v2/team/copy/blobs/uploads/", &format!("mount={}&from=team/app", blob.digest));
        let _ = client.post(&mount).expect(201);
    }
    let _ = push::put_image(client, "team/copy", "mounted", &one).expect(201);
    // What is deleted: a tag, a manifest with its tag, a repository; one of them is pushed again.
    let gone = over(random, "amd64");
    push::image(client, "team/app", "gone", &gone);
    let _ = client.delete(&format!("/v2/team/app/manifests/{}", gone.digest())).expect(202);
    push::image(client, "team/app", "tag-only", &over(random, "amd64"));
    let _ = client.delete("/v2/team/app/manifests/tag-only").expect(202);
    for repository in ["old/one", "old/back"] {
        push::image(client, repository, "1", &gone);
        let _ = client.delete(&format!("/v1/repositories/{repository}")).expect(200);
    }
    push::image(client, "old/back", "again", &gone);
    one
}

#[test]
fn what_was_acknowledged_and_told_is_there_again() {
    let random = &mut Random::announced("a lost database");
    let mut server = Server::start();
    wait_whole(&server);
    let client = server.client();
    let one = live(&client, random);
    let before = listed(&client);
    let referrers = format!("/v2/team/app/referrers/{}", one.digest());
    let referred = client.get(&referrers).expect(200).json();
    assert_eq!(referred["manifests"].as_array().unwrap().len(), 2);
    // The last that it did; how soon that is told, another test says.
    wait_tagged(&server, "again");
    server.kill();
    lose_database(&server);
    let refused = server.try_start().unwrap_err();
    assert!(refused.contains("exit status: 1"), "{refused}");
    assert!(server.log().contains("mcrsrv restore --from-blobs"), "{}", server.log());

    let looked = restore(&server, &["--dry-run"]).ok().text();
    assert!(looked.contains("would restore registry") && looked.contains("nothing was changed"), "{looked}");
    let said = restore(&server, &["--accept-default-policy"]).ok().text();
    assert!(said.contains(&format!("{} tags in 3 repositories", before.len())), "{said}");
    assert!(said.contains("not recovered: policy rules, API tokens, the audit trail"), "{said}");
    let again = restore(&server, &[]).failed();
    assert!(again.stderr.contains("--replace"), "{}", again.stderr);
    server.restart();
    let client = server.client();
    assert_eq!(listed(&client), before);
    assert_eq!(client.get(&referrers).expect(200).json(), referred);
    assert_eq!(pull::tags(&client, "old/one"), Vec::<String>::new());
    // It lives on, and so does its journal: a new one.
    wait_whole(&server);
    push::image(&client, "team/app", "after", &Image::random(random, 2, 4000));
    let before = listed(&client);
    wait_tagged(&server, "after");
    server.kill();
    lose_database(&server);
    let said = restore(&server, &["--accept-default-policy", "--deep"]).ok().text();
    assert!(said.contains(&format!("{} tags", before.len())), "{said}");
    server.restart();
    assert_eq!(listed(&server.client()), before);
}

#[test]
fn a_second_start_goes_on_with_the_journal_and_one_that_was_taken_away_is_told_anew() {
    let random = &mut Random::announced("the journal goes on");
    let mut server = Server::start();
    push::image(&server.client(), "demo/app", "1", &Image::random(random, 2, 4000));
    wait_told(&server, "\"op\":\"complete\"");
    let _ = server.stop();
    let first = (journal(&server), told(&server));
    assert!(first.1.contains("\"op\":\"tag\""), "the end of a server writes what is left: {}", first.1);
    server.restart();
    push::image(&server.client(), "demo/app", "2", &Image::random(random, 2, 4000));
    wait_tagged(&server, "2");
    assert_eq!(journal(&server), first.0);
    assert!(told(&server).starts_with(&first.1));
    let before = listed(&server.client());
    server.kill();
    std::fs::remove_dir_all(server.data().join("layers/journal")).unwrap();
    server.restart();
    wait_told(&server, "\"op\":\"complete\"");
    server.kill();
    lose_database(&server);
    let _ = restore(&server, &["--accept-default-policy"]).ok();
    server.restart();
    assert_eq!(listed(&server.client()), before);
}

#[test]
fn the_journal_is_for_its_owner_and_never_far_behind() {
    use std::os::unix::fs::PermissionsExt as _;

    let random = &mut Random::announced("never far behind");
    let server = Server::start();
    wait_told(&server, "\"op\":\"complete\"");
    let client = server.client();
    let (mut slowest, slowness) = (Duration::ZERO, Slowness::measure(&server));
    for number in 0..5 {
        push::image(&client, "demo/app", &format!("t{number}"), &Image::random(random, 1, 2000));
        let start = std::time::Instant::now();
        wait_tagged(&server, &format!("t{number}"));
        slowest = slowest.max(start.elapsed());
    }
    let promise = slowness.promised();
    eprintln!("the journal told of a push after {slowest:?} at the latest, promised here: {promise:?}");
    assert!(slowest < promise, "{slowest:?}");
    for file in journal(&server) {
        assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(server.data().join("layers/journal").metadata().unwrap().permissions().mode() & 0o777, 0o700);
}
