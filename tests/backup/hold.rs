//! Holds: the collector leaves what a young snapshot refers to, so that a later copy of the blobs is complete.

use mcr_tests::{Client, Image, Options, Random, Server, clock, damage, pull, push};
use serde_json::Value;

use crate::scene::{json, run, snapshot};

/// Runs the collector without grace, and waits for its end.
fn collect(client: &Client) -> Value {
    let body = br#"{"grace":"0s","undo":"0s","yes":true,"reconcile":true}"#;
    let asked = client.request("POST", "/v1/gc").header("Content-Type", "application/json").body(body).call();
    let id = asked.expect(202).json()["id"].as_str().unwrap().to_owned();
    let mut plan = Value::Null;
    clock::wait_until("the collection", || {
        plan = client.get(&format!("/v1/plans/{id}")).expect(200).json();
        plan["state"] == "done" || plan["state"] == "failed"
    });
    assert_eq!(plan["state"], "done", "{plan:#}");
    plan
}

fn there(server: &Server, image: &Image) -> bool {
    image.blobs().all(|blob| damage::blob_path(server.data(), &blob.digest).exists())
}

/// A registry whose promises end at once, as far as the program lets them.
fn server(hold: &str) -> Server {
    let options = Options::default().env("MCR_GC_LEASE", "10s").env("MCR_GC_GRACE", "0s").env("MCR_BACKUP_HOLD", hold);
    Server::with(options)
}

#[test]
fn what_a_young_snapshot_refers_to_stays_and_an_old_one_lets_go() {
    let mut server = server("48h");
    let client = server.client();
    let random = &mut Random::new(40);
    let kept = Image::random(random, 2, 2_000);
    push::image(&client, "a", "v1", &kept);
    let taken = snapshot(server.data(), &[]);
    let later = Image::random(random, 2, 2_000);
    push::image(&client, "a", "v2", &later);
    for image in [&kept, &later] {
        client.delete(&format!("/v2/a/manifests/{}", image.digest())).expect(202);
    }
    // Until the promises of the pushes have run out, at least the other image stays as well.
    clock::wait_until("the collection of what no snapshot has", || {
        let _ = collect(&client);
        !there(&server, &later)
    });
    assert!(there(&server, &kept), "the snapshot holds it");
    let _ = server.stop();
    // A restore after the collection is whole.
    let (_home, copy) = crate::scene::copy_of(server.data());
    let report = json(&run("restore", &copy, &[taken["name"].as_str().unwrap(), "--json"]).ok());
    assert_eq!((&report["left_out"], &report["tags"]), (&0.into(), &1.into()), "{report:#}");
    let restored = Server::with(Options::default().at(&copy));
    let _ = pull::assert_whole(&restored.client(), "a", "v1");
    drop(restored);
    // Past its hold it lets go.
    *server.options() = server.options().clone().env("MCR_BACKUP_HOLD", "1s");
    server.restart();
    let client = server.client();
    clock::wait_until("the collection of what an old snapshot has", || {
        let _ = collect(&client);
        !there(&server, &kept)
    });
}

#[test]
fn a_young_snapshot_that_cannot_be_read_holds_everything() {
    let server = server("48h");
    let client = server.client();
    let image = Image::random(&mut Random::new(41), 2, 2_000);
    push::image(&client, "a", "v1", &image);
    let taken = snapshot(server.data(), &[]);
    std::fs::write(taken["path"].as_str().unwrap(), "damaged").unwrap();
    client.delete(&format!("/v2/a/manifests/{}", image.digest())).expect(202);
    // Once the promises of the push have run out, the snapshot alone holds it.
    clock::wait_until("only the snapshot to hold it", || {
        collect(&client)["totals"]["held_bytes"].as_u64().unwrap() > 0
    });
    assert!(there(&server, &image));
    std::fs::remove_file(taken["path"].as_str().unwrap()).unwrap();
    let _ = collect(&client);
    assert!(!there(&server, &image), "with the snapshot gone nothing holds it");
}
