//! The real server on a disk that forgets, its power cut among pushes and deletes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mcr_tests::forgetful_fs::Forgetful;
use mcr_tests::forgetful_fs::disk::Loss;
use mcr_tests::{Options, Random, Server, pull, tools};

use crate::clients::{Crowd, Pusher};

/// Clients at once.
const CLIENTS: usize = 3;
/// Power losses of the short version, and of the long one.
const SHORT: usize = 4;
const LONG: usize = 48;

/// Lets clients work until the power goes.
fn work_until_dark(server: &mut Server, disk: &Forgetful, crowd: &Arc<Crowd>, random: &mut Random) {
    crowd.stop.store(false, Ordering::Relaxed);
    let client = server.client();
    let pause = Duration::from_millis(150 + u64::try_from(random.below(700)).unwrap());
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let random = random.fork(number);
            let (client, crowd) = (&client, crowd);
            scope.spawn(move || Pusher { client, crowd, random, number }.work());
        }
        std::thread::sleep(pause);
        // First the disk, so that nothing is acknowledged for what happens between here and the kill.
        crowd.stop.store(true, Ordering::Relaxed);
        disk.cut_power();
        server.kill();
    });
}

fn lose_power(what: &str, losses: usize) {
    if let Err(why) = Forgetful::possible() {
        return tools::not_run("power loss", &why);
    }
    let random = &mut Random::announced(what);
    let mut disk = Forgetful::mount();
    // A file system of its own kind: the server would take it for one of a network.
    let options = Options::default().at(&disk.path().join("srv")).env("MCR_DATABASE_ALLOW_NETWORK_FILESYSTEM", "true");
    let mut server = Server::with(options);
    let crowd = Crowd::new(random);
    let mut acknowledged = 0;
    for number in 0..losses {
        work_until_dark(&mut server, &disk, &crowd, random);
        let loss = if number % 2 == 0 { Loss::Everything } else { Loss::Some };
        disk.restore_power(loss, random);
        server.restart();
        acknowledged += crowd.promises.count();
        crowd.promises.assert_kept(&server.client(), &format!("{what}, loss {number} ({loss:?})"));
    }
    crowd.promises.assert_all_kept(&server.client());
    let tags = pull::assert_all_whole(&server.client());
    eprintln!(
        "{what}: {losses} losses, {acknowledged} manifests acknowledged before them, {tags} tags whole after them"
    );
    assert!(acknowledged >= losses, "hardly anything was pushed");
    server.kill();
}

#[test]
fn what_was_acknowledged_survives_some_losses_of_power() {
    lose_power("losses of power", SHORT);
}

#[test]
#[ignore = "dozens of power losses: make test-long"]
fn what_was_acknowledged_survives_many_losses_of_power() {
    lose_power("many losses of power", LONG);
}
