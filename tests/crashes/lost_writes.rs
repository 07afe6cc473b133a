//! Power loss: through the disk facade everything unsynced is forgotten at a random call, and the next life on what is
//! left finds every acknowledged push whole. In this process, since no `kill -9` makes a kernel forget.

use std::path::Path;
use std::sync::{Arc, Mutex};

use mcr_blobs::Disk;
use mcr_registry::{Error, Paths, Registry, Settings, StartError};
use mcr_seams::Clock;
use mcr_tests::{Random, long};
use tempfile::TempDir;

use crate::first_life::{Acknowledged, FirstLife};
use crate::second_life::SecondLife;

/// Clients at once.
const CLIENTS: usize = 4;
/// Pushes that each of them does at most.
const PUSHES: usize = 12;
/// Among the first so many disk calls the power goes; all those pushes make more.
const CALLS: usize = 1200;
/// Lives that end in a power loss on one data directory: its directories are new in the first one only.
const LIVES: usize = 3;

/// A registry over `home` on `disk`.
pub(crate) fn open(home: &Path, disk: Disk) -> Result<Registry, StartError> {
    let paths = Paths { database: home.join("mcr.db"), layers: home.join("layers"), uploads: home.join("uploads") };
    Registry::open(&paths, Settings { reserve: 0, ..Settings::default() }, Clock::system(), disk)
}

/// The clients push until they are through or the power has gone, at call `at`; says what was acknowledged.
async fn push_until_dark(registry: &Registry, disk: &Disk, at: u64, random: &mut Random) -> Acknowledged {
    let acknowledged = Arc::new(Mutex::new(Acknowledged::default()));
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..CLIENTS {
        let mut client = FirstLife::new(registry.clone(), Arc::clone(&acknowledged), random.fork(number), number);
        let disk = disk.clone();
        clients.spawn(async move {
            for _ in 0..PUSHES {
                if let Err(error) = client.push().await {
                    assert!(disk.calls() > at, "with the power on nothing fails: {error}");
                    // A disk that does not answer is never "not there", nor the client's fault.
                    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
                    return;
                }
            }
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended.unwrap();
    }
    std::mem::take(&mut *acknowledged.lock().unwrap())
}

/// One life that ends after `calls` disk calls, and the one after it. Says how many pushes were acknowledged.
async fn lose_power(home: &Path, calls: u64, random: &mut Random) -> usize {
    let disk = Disk::forgetful();
    let registry = open(home, disk.clone()).unwrap();
    disk.crash_at(calls);
    let at = disk.calls() + calls;
    let acknowledged = push_until_dark(&registry, &disk, at, random).await;
    disk.crash().unwrap();
    registry.close().await;
    let second = SecondLife::begin(home);
    second.assert_kept(&acknowledged).await;
    second.assert_all_listed_whole().await;
    second.assert_goes_on(random).await;
    acknowledged.manifests.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_the_loss_of_everything_unsynced() {
    let random = &mut Random::announced("lost writes");
    let (homes, mut acknowledged) = (if long() { 70 } else { 5 }, 0);
    for number in 0..homes {
        let home = TempDir::new().unwrap();
        for life in 1..=LIVES {
            let calls = u64::try_from(random.below(CALLS)).unwrap();
            eprintln!("lost writes: registry {number}, life {life} ends after {calls} disk calls");
            acknowledged += lose_power(home.path(), calls, random).await;
        }
    }
    let losses = homes * LIVES;
    eprintln!("lost writes: {losses} power losses, {acknowledged} manifests acknowledged before them");
    assert!(acknowledged > losses, "hardly anything was pushed");
}

/// The first start makes directories, marker and database; whatever a power loss leaves of that, another start works.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_start_that_loses_power_is_begun_again() {
    let random = &mut Random::announced("lost writes of a first start");
    for at in 0.. {
        let home = TempDir::new().unwrap();
        let disk = Disk::forgetful();
        disk.crash_at(at);
        let opened = open(home.path(), disk.clone());
        let through = disk.calls() <= at;
        // The last calls only look whether the volume is there: a start may live without them.
        assert!(opened.is_ok() || !through, "{:?}", opened.err());
        drop(opened);
        disk.crash().unwrap();
        let second = SecondLife::begin(home.path());
        second.assert_goes_on(random).await;
        if through {
            assert!(at > 10, "a start makes more calls than {at}");
            return;
        }
    }
}
