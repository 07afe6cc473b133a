//! Random faults in a store that lay there for a while: each is found and nothing else, none is served, a push heals each.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use mcr_oci::Digest;
use mcr_tests::{Client, Options, Random, Server, damage, pull, push};

use crate::fault::{FAULTS, Fault};
use crate::scene::{open_findings, passes, sql};
use crate::store::Store;

#[test]
fn a_hundred_faults_are_found_and_nothing_else() {
    faults(100, 260, 400_000);
}

#[test]
#[ignore = "10 GiB on the disk, and minutes: make test-long"]
fn a_thousand_faults_in_ten_gibibytes_are_found_and_nothing_else() {
    faults(1000, 2560, 4 << 20);
}

fn faults(number: usize, layers: usize, size: usize) {
    let random = &mut Random::announced("faults");
    let mut server = Server::with(Options::default().env("MCR_SCRUB_RATE", "100GiB/s"));
    let store = Store::push(&server.client(), random, layers, size);
    let _ = server.stop();
    let expected = strike(&server, &store, random, number);
    // All is as if it had lain there for longer than a pass may take.
    let _ = sql(
        &server,
        "UPDATE blobs SET hashed_at = hashed_at - 40 * 86400000;
         UPDATE manifests SET hashed_at = hashed_at - 40 * 86400000",
    );
    let began = Instant::now();
    server.restart();
    wait_until_long("a whole pass", || passes(&server) == 1);
    let took = began.elapsed();
    let found: BTreeMap<String, String> = open_findings(&server).into_iter().collect();
    let wanted: BTreeMap<String, String> =
        expected.iter().map(|(digest, kind)| (digest.to_string(), (*kind).to_owned())).collect();
    assert_eq!(found, wanted);
    eprintln!(
        "{number} faults, {} damaged of {} blobs, {} MiB: all found in {took:.1?}",
        wanted.len(),
        store.blobs.len(),
        store.size() >> 20
    );
    assert_lines_name_tags(&server, wanted.len());
    nothing_damaged_is_served(&server.client(), &store, &expected);
    heal(&server.client(), &store, &expected);
    assert_eq!(open_findings(&server), []);
    assert_eq!(pull::assert_all_whole(&server.client()), store.images.len());
}

/// A pass over gigabytes takes its time.
#[track_caller]
fn wait_until_long(what: &str, mut ready: impl FnMut() -> bool) {
    let began = Instant::now();
    while !ready() {
        assert!(began.elapsed().as_secs() < 1200, "waited 20 minutes for this in vain: {what}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// Does what may happen to files of a server that is off; answers what has to be found.
fn strike(server: &Server, store: &Store, random: &mut Random, number: usize) -> BTreeMap<Digest, &'static str> {
    let mut places: Vec<usize> = (0..store.blobs.len()).collect();
    let mut draw = |random: &mut Random| {
        let at = random.below(places.len());
        places.swap_remove(at)
    };
    let mut expected = BTreeMap::new();
    let mut flipped = Vec::new();
    for n in 0..number {
        let fault = FAULTS[n % FAULTS.len()];
        let one = &store.blobs[draw(random)];
        let other = if fault == Fault::Swap { &store.blobs[draw(random)] } else { one };
        expected.extend(fault.strike(server.data(), random, &one.digest, one.size, (&other.digest, other.size)));
        if fault == Fault::Flip {
            flipped.push(one.digest.clone());
        }
    }
    // A disk that loses a bit leaves no trace in the stat: the rows get the one that the test's own writing made.
    let rows = flipped.iter().map(|digest| {
        use std::os::unix::fs::MetadataExt as _;
        let stat = std::fs::metadata(damage::blob_path(server.data(), digest)).unwrap();
        let [mtime, ctime] = [(stat.mtime(), stat.mtime_nsec()), (stat.ctime(), stat.ctime_nsec())]
            .map(|(seconds, rest)| seconds * 1_000_000_000 + rest);
        format!("UPDATE blobs SET mtime_ns = {mtime}, ctime_ns = {ctime} WHERE digest = '{digest}';")
    });
    let _ = sql(server, &rows.collect::<String>());
    expected
}

fn assert_lines_name_tags(server: &Server, number: usize) {
    let log = server.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("scrub: a blob is damaged")).collect();
    assert_eq!(lines.len(), number);
    assert!(lines.iter().all(|line| line.contains("many:v")), "{lines:?}");
}

fn nothing_damaged_is_served(client: &Client, store: &Store, damaged: &BTreeMap<Digest, &'static str>) {
    for kept in &store.blobs {
        let target = format!("/v2/many/blobs/{}", kept.digest);
        match damaged.get(&kept.digest) {
            Some(kind) => {
                let answer = client.get(&target).expect_error(404, "BLOB_UNKNOWN");
                assert_eq!(answer.json()["errors"][0]["detail"]["kind"], *kind, "{target}");
            }
            None => drop(client.head(&target).expect(200)),
        }
    }
    for image in &store.images {
        let broken = image.blobs.iter().any(|place| damaged.contains_key(&store.blobs[*place].digest));
        let wanted = if broken { 404 } else { 200 };
        for reference in [image.tag.as_str(), image.manifest.as_str()] {
            let _ = client.get(&format!("/v2/many/manifests/{reference}")).expect(wanted);
        }
    }
}

fn heal(client: &Client, store: &Store, damaged: &BTreeMap<Digest, &'static str>) {
    let mut left: BTreeSet<&Digest> = damaged.keys().collect();
    for (place, kept) in store.blobs.iter().enumerate() {
        if left.remove(&kept.digest) {
            push::blob(client, "many", &store.blob(place));
            let _ = client.head(&format!("/v2/many/blobs/{}", kept.digest)).expect(200);
        }
    }
    assert!(left.is_empty());
}
