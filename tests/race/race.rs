//! The race itself: who runs, for how long, what must be true at the end; never a single request of a client.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mcr_tests::{Options, Random, Server, pull};
use serde_json::Value;

use crate::client::Pusher;
use crate::game::{Game, Lost, expect};
use crate::store;

/// Clients at once.
const CLIENTS: usize = 8;
/// The lease, and how far ahead a promise is written.
const LEASE: Duration = Duration::from_secs(10);
/// How long the end may take to be tidy after that.
const TIDY: Duration = Duration::from_secs(60);

/// A registry that keeps nothing longer than it promised.
fn server(home: &Path) -> Server {
    let at = home.display();
    let text = format!(
        "[server]\nlisten_addr = \"127.0.0.1:0\"\n[database]\npath = \"{at}/mcr.db\"\n\
         [storage]\nlayers_path = \"{at}/layers\"\nuploads_path = \"{at}/uploads\"\n[auth]\nmode = \"none\"\n\
         [gc]\nschedule = \"off\"\ngrace = \"0s\"\nlease = \"10s\"\nundo = \"0s\"\n\
         [[retention.rule]]\nrepositories = [\"race/*\"]\nkeep_last = 4\n"
    );
    let config = home.join("mcr.toml");
    std::fs::write(&config, text).unwrap();
    Server::with(Options { config: Some(config), data: Some(home.to_owned()), ..Options::default() })
}

/// Asks for a run, and waits for its end; `false` where none came about.
fn run(game: &Game, path: &str, body: &str) -> Result<bool, Lost> {
    let client = game.client();
    let request = client.request("POST", path).header("Content-Type", "application/json");
    let begun = expect(request.body(body.as_bytes()).send()?, path, &[202, 409])?;
    if begun.status == 409 {
        return Ok(false);
    }
    let id = begun.json()["id"].as_str().unwrap_or_default().to_owned();
    let limit = Instant::now() + Duration::from_secs(60);
    while Instant::now() < limit {
        let plan = expect(client.request("GET", &format!("/v1/plans/{id}?n=1")).send()?, "a plan", &[200, 404])?;
        // Only so many plans are kept: one that is gone has ended.
        let state = plan.json()["state"].as_str().unwrap_or("done").to_owned();
        match state.as_str() {
            "done" => return Ok(true),
            "planning" | "running" => std::thread::sleep(Duration::from_millis(5)),
            _ => return Err(Lost::Answer(format!("{path} ended as {}", plan.text()))),
        }
    }
    Err(Lost::Answer(format!("{path} {id} does not end")))
}

fn runs(game: &Game, path: &str, body: &str, name: &'static str) {
    while !game.over() {
        match run(game, path, body) {
            Ok(true) => game.ledger.count(name),
            Ok(false) => std::thread::sleep(Duration::from_millis(5)),
            Err(Lost::Connection) => std::thread::sleep(Duration::from_millis(20)),
            Err(Lost::Answer(what)) => game.ledger.wrong(what),
        }
    }
}

const COLLECT: &str = r#"{"grace":"0s","undo":"0s","yes":true}"#;
const RECONCILE: &str = r#"{"grace":"0s","undo":"0s","yes":true,"reconcile":true}"#;

fn race(time: Duration, kill_every: Duration) {
    let home = tempfile::tempdir().unwrap();
    let data = home.path().join("srv");
    std::fs::create_dir_all(&data).unwrap();
    let mut random = Random::announced("race");
    let mut server = server(&data);
    let game = Arc::new(Game::new(server.client(), &mut random));
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let pusher = Pusher { game: &game, random: random.fork(number), number };
            scope.spawn(move || pusher.run());
        }
        scope.spawn(|| runs(&game, "/v1/gc", COLLECT, "collections"));
        scope.spawn(|| runs(&game, "/v1/retention/run", r#"{"yes":true}"#, "retention runs"));
        let (end, mut next_kill) = (Instant::now() + time, Instant::now() + kill_every);
        while Instant::now() < end {
            std::thread::sleep(Duration::from_millis(50));
            if Instant::now() >= next_kill {
                server.kill();
                server.restart();
                game.moved(server.client());
                game.ledger.count("kills");
                next_kill = Instant::now() + kill_every.mul_f64(0.5 + random.below(100) as f64 / 100.0);
            }
        }
        game.stop();
    });
    eprintln!("race: {}", game.ledger.counts());
    game.ledger.assert_clean();
    let kept = assert_kept(&game);
    settle(&game, &data);
    assert_eq!(assert_kept(&game), kept, "nobody pushed any more");
    let _ = server.stop();
    store::assert_tidy(&data);
    for what in
        ["images pushed", "indexes pushed", "blobs relied on", "pulls", "deletes", "collections", "retention runs"]
    {
        assert!(game.ledger.counted(what) > 0, "the race had no {what}: {}", game.ledger.counts());
    }
}

/// Every tag that nobody deletes points where its last acknowledged push put it, or where one that nobody answered
/// would have; and every listed one can be pulled whole. Gives where they point.
fn assert_kept(game: &Game) -> BTreeMap<(String, String), String> {
    let client = game.client();
    let mut found = BTreeMap::new();
    for (place, kept) in game.ledger.kept() {
        let (repository, tag) = &place;
        let answer = client.get(&format!("/v2/{repository}/manifests/{tag}"));
        let digest = (answer.status != 404).then(|| answer.expect(200).digest().to_string());
        assert!(kept.allows(digest.as_deref()), "{repository}:{tag} is {digest:?}, promised was {kept:?}");
        found.extend(digest.map(|digest| (place, digest)));
    }
    let whole = pull::assert_all_whole(&client);
    eprintln!("race: {whole} listed tags are whole, {} of them kept", found.len());
    found
}

/// Collects until nothing is left that nothing needs.
fn settle(game: &Game, data: &Path) {
    // Untagged manifests are roots for ever: what the clients left of them is deleted as an operator would.
    delete_untagged(game, data);
    std::thread::sleep(LEASE * 2);
    let limit = Instant::now() + TIDY;
    let lost = |lost| match lost {
        Lost::Connection => "no connection".to_owned(),
        Lost::Answer(what) => what,
    };
    assert!(run(game, "/v1/gc", RECONCILE).map_err(lost).unwrap());
    let database = data.join("mcr.db");
    while !store::rows(&database, "SELECT 1 FROM manifests WHERE deleted_at IS NOT NULL").is_empty() {
        assert!(Instant::now() < limit, "tombstones stay");
        assert!(run(game, "/v1/gc", RECONCILE).map_err(lost).unwrap());
    }
}

fn delete_untagged(game: &Game, data: &Path) {
    let sql = "SELECT r.name || ' ' || m.digest FROM manifests m JOIN repositories r ON r.id = m.repository_id
               WHERE m.deleted_at IS NULL AND m.unreferenced_since IS NOT NULL";
    for row in store::rows(&data.join("mcr.db"), sql) {
        let (repository, digest) = row.split_once(' ').unwrap();
        let answer: Value = Value::from(game.client().delete(&format!("/v2/{repository}/manifests/{digest}")).status);
        assert!(answer == 202 || answer == 404, "{row}: {answer}");
    }
}

/// A lease must run out at least once for anything to be collected.
#[test]
fn what_was_promised_for_ten_seconds_is_there_for_ten_seconds() {
    if mcr_tests::long() {
        race(Duration::from_secs(300), Duration::from_secs(15));
    } else {
        race(Duration::from_secs(25), Duration::from_secs(9));
    }
}
