//! Incident 17: `kill -9` among pushes, at random moments and at named points; nothing acknowledged is lost, nothing
//! listed is incomplete.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mcr_tests::{Options, Random, Server, long};

use crate::clients::{Crowd, Pusher};

/// Clients at once.
const CLIENTS: usize = 4;

/// Where the process may kill itself: every step of the way from bytes to rows.
const POINTS: &[&str] = &[
    "upload.created",
    "blob.write",
    "blob.sync",
    "blob.synced",
    "blob.renamed",
    "blob.dir_synced",
    "metadata.begin",
    "metadata.before_commit",
    "metadata.committed",
];

/// Lets the clients push until `end` has ended the server.
fn push_until(server: &mut Server, crowd: &Arc<Crowd>, random: &mut Random, end: impl FnOnce(&mut Server)) {
    crowd.stop.store(false, Ordering::Relaxed);
    let client = server.client();
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let random = random.fork(number);
            let (client, crowd) = (&client, crowd);
            scope.spawn(move || Pusher { client, crowd, random, number }.work());
        }
        end(server);
        crowd.stop.store(true, Ordering::Relaxed);
    });
}

/// Kills `rounds` times and checks after each restart.
fn rounds(what: &str, rounds: usize, mut round: impl FnMut(usize, &mut Server, &Arc<Crowd>, &mut Random)) {
    let random = &mut Random::announced(what);
    let mut server = Server::start();
    let crowd = Crowd::new(random);
    let mut acknowledged = 0;
    for number in 0..rounds {
        round(number, &mut server, &crowd, random);
        *server.options() = Options::default();
        server.restart();
        acknowledged += crowd.promises.count();
        crowd.promises.assert_kept(&server.client(), &format!("{what}, kill {number}"));
    }
    // Nothing that outlived one kill is lost in a later one.
    crowd.promises.assert_all_kept(&server.client());
    eprintln!("{what}: {rounds} kills, {acknowledged} manifests acknowledged before them");
    assert!(acknowledged > rounds, "hardly anything was pushed");
}

#[test]
fn killed_at_random_nothing_acknowledged_is_lost() {
    rounds("killed at random", if long() { 60 } else { 5 }, |_, server, crowd, random| {
        let pause = Duration::from_millis(20 + u64::try_from(random.below(600)).unwrap());
        push_until(server, crowd, random, |server| {
            std::thread::sleep(pause);
            server.kill();
        });
    });
}

#[test]
fn killed_at_named_points_nothing_acknowledged_is_lost() {
    let mut reached = 0;
    let kills = POINTS.len() * if long() { 8 } else { 1 };
    rounds("killed at named points", kills, |number, server, crowd, random| {
        let point = POINTS[number % POINTS.len()];
        let nth = 1 + random.below(40);
        server.kill();
        *server.options() = Options::faulty(&format!("{point}=kill@{nth}"));
        server.restart();
        push_until(server, crowd, random, |server| {
            if server.wait_gone(Duration::from_secs(20)) {
                reached += 1;
            } else {
                eprintln!("{point}@{nth} was not reached");
                server.kill();
            }
        });
    });
    assert_eq!(reached, kills, "every named point is on the way of a push");
}

#[test]
fn killed_while_it_recovers_it_recovers_the_next_time() {
    let random = &mut Random::announced("killed while it starts");
    let mut server = Server::start();
    let crowd = Crowd::new(random);
    push_until(&mut server, &crowd, random, |server| {
        std::thread::sleep(Duration::from_millis(400));
        server.kill();
    });
    for _ in 0..if long() { 20 } else { 3 } {
        let mut command = Options::default().command(server.data());
        command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let mut child = command.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(u64::try_from(random.below(60)).unwrap()));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    server.restart();
    crowd.promises.assert_kept(&server.client(), "after kills at the start");
}
