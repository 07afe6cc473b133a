//! Histories: clients with connections of their own take turns, so that one seed is one history; restarts of both kinds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mcr_tests::{Client, Random, Server, long};

use crate::catalogue::Catalogue;
use crate::step::Step;
use crate::world::World;

/// Clients that take turns.
const CLIENTS: usize = 4;
/// Steps between two comparisons of everything.
const COMPARE_EVERY: usize = 40;
/// Steps between two restarts, on average.
const RESTART_EVERY: usize = 150;

/// What was done so far; shown when the test fails.
struct History {
    server: Server,
    clients: Vec<Client>,
    world: World,
    steps: Vec<String>,
    restarts: usize,
}

impl Drop for History {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let last = self.steps.len().saturating_sub(60);
            eprintln!("--- the history, its last steps of {}\n{}", self.steps.len(), self.steps[last..].join("\n"));
        }
    }
}

fn connect(server: &Server) -> Vec<Client> {
    let client: Arc<Client> = server.client();
    (0..CLIENTS).map(|_| client.fresh()).collect()
}

impl History {
    fn begin(random: &mut Random) -> Self {
        let server = Server::start();
        let clients = connect(&server);
        Self { server, clients, world: World::new(Catalogue::new(random)), steps: Vec::new(), restarts: 0 }
    }

    fn step(&mut self, random: &mut Random) {
        if random.once_in(RESTART_EVERY) {
            self.restart(random.once_in(2));
        }
        let step = Step::any(random, &self.world);
        let number = random.below(CLIENTS);
        self.steps.push(format!("client {number}: {step:?}"));
        step.run(&self.clients[number], &mut self.world);
        if self.steps.len().is_multiple_of(COMPARE_EVERY) {
            self.world.assert_same(&self.clients[0]);
        }
    }

    /// Everything acknowledged is there after `kill -9` as after SIGTERM.
    fn restart(&mut self, kill: bool) {
        self.steps.push(format!("restart, killed: {kill}"));
        if kill {
            self.server.kill();
        } else {
            let (code, _) = self.server.stop();
            assert_eq!(code, Some(0), "{}", self.server.log());
        }
        self.server.restart();
        self.restarts += 1;
        self.clients = connect(&self.server);
        self.world.assert_same(&self.clients[0]);
    }
}

#[test]
fn every_answer_is_what_the_model_says() {
    let random = &mut Random::announced("the model");
    let limit = Duration::from_secs(if long() { 600 } else { 15 });
    let (start, steps) = (Instant::now(), if long() { 60_000 } else { 2000 });
    let mut history = History::begin(random);
    while history.steps.len() < steps && start.elapsed() < limit {
        history.step(random);
    }
    history.restart(true);
    eprintln!("the model: {} steps, {} restarts, {:?}", history.steps.len(), history.restarts, start.elapsed());
}
