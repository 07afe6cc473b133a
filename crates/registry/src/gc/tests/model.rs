//! The removal path under every order of steps that a seed leads to: pushes, mounts, promises, commits, deletes,
//! snapshots, the collector and its death, each as a machine whose steps are calls of the real rows, files, locks and
//! holds. One step at a time, so that a seed that fails fails again.
//!
//! After every step: whatever is live has its rows and files; no promise that still holds is refused; what a snapshot
//! refers to is there. After quiet, a run and a reconcile: a file for every row and a row for every file.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{ControlFlow, Range};
use std::path::Path;

use mcr_blobs::shards;
use mcr_metadata::{Done, Due, Lookup, Metadata, PlanState, SnapshotFolder};
use mcr_oci::{Digest, Reference, RepositoryName};
use mcr_seams::Clock;

use super::{AT_ONCE, DAY, over};
use crate::gc::GcOptions;
use crate::gc::asked::Asked;
use crate::holds::Holds;
use crate::locks::DigestLocks;
use crate::testing::{Bed, name};

mod clients;
mod collector;
mod snapshot;

/// How long a promise holds here, in milliseconds.
const LEASE: i64 = 10_000;
/// Steps of one seed.
const STEPS: usize = 220;
/// Seeds of the quick test; each takes some tens of milliseconds.
const SEEDS: u64 = 25;

const REPOSITORIES: [&str; 2] = ["a", "b"];
const BLOBS: [&[u8]; 4] = [b"blob zero", b"blob one", b"blob two", b"blob three"];

/// A defect that the test must find.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plant {
    Nothing,
    /// What was planned is removed without another look at its times.
    TrustThePlan,
    /// The collector takes no locks.
    NoLocks,
    /// The file goes before the row.
    FileFirst,
    /// A file goes because its row went, without another look for one.
    TrustTheRows,
    /// Nobody asks what snapshots hold.
    NoHolds,
    /// A kill between row and file is not made good.
    NoReconcile,
}

/// One thing under way.
trait Machine {
    /// Does its next step.
    ///
    /// # Errors
    /// What must never happen, in words.
    fn step(&mut self, world: &mut World) -> Result<Progress, String>;

    /// Whether it dies with the server.
    fn is_of_server(&self) -> bool {
        true
    }

    /// The plan that it is applying.
    fn plan(&self) -> Option<String> {
        None
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Going,
    /// It waits for another one.
    Blocked,
    Over,
}

/// What a snapshot's view has, and until when it holds.
struct View {
    blobs: Vec<Digest>,
    until_ms: i64,
}

struct World {
    bed: Bed,
    random: u64,
    plant: Plant,
    /// Locks that nobody else looks at, for [`Plant::NoLocks`].
    no_locks: DigestLocks,
    /// Holds of a folder without snapshots, for [`Plant::NoHolds`].
    no_holds: Holds,
    /// When a blob was last promised in a repository.
    promises: BTreeMap<(usize, usize), i64>,
    /// Manifests that were committed, by repository and digest: the blobs they name.
    manifests: BTreeMap<(usize, Digest), [usize; 2]>,
    views: Vec<View>,
    plans: u64,
}

fn blob(at: usize) -> Digest {
    Digest::sha256(BLOBS[at])
}

fn repository(at: usize) -> RepositoryName {
    name(REPOSITORIES[at])
}

impl World {
    fn new(seed: u64, plant: Plant) -> Self {
        // In memory where that is to be had: the model is about orders, not about the disk.
        let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        // A day ahead of the files' own times: their age protects nothing here.
        let clock = Clock::fixed(Clock::system().now_ms() + DAY);
        let nowhere = SnapshotFolder::at(directory.path().join("nowhere"));
        let no_holds = Holds::new(nowhere, std::time::Duration::ZERO, clock.clone());
        Self {
            bed: Bed::again(directory, clock),
            random: seed,
            plant,
            no_locks: DigestLocks::default(),
            no_holds,
            promises: BTreeMap::new(),
            manifests: BTreeMap::new(),
            views: Vec::new(),
            plans: 0,
        }
    }

    /// The next of a fixed sequence of numbers (splitmix64), below `below`.
    fn random(&mut self, below: usize) -> usize {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % below as u64).unwrap()
    }

    fn now(&self) -> i64 {
        self.bed.clock.now_ms()
    }

    fn metadata(&self) -> &Metadata {
        &self.bed.registry.parts.metadata
    }

    fn write<T: Send + 'static>(&self, write: impl FnOnce(&Metadata, Done<T>)) -> T {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        write(self.metadata(), Box::new(move |answer| sender.send(answer).unwrap()));
        receiver.recv().unwrap().unwrap()
    }

    fn has_row(&self, repository_at: usize, digest: &Digest) -> bool {
        matches!(self.metadata().blob(&repository(repository_at), digest).unwrap(), Lookup::Found(_))
    }

    fn has_file(&self, digest: &Digest) -> bool {
        self.bed.registry.parts.blobs.stat(digest).unwrap().is_some()
    }

    fn locks(&self) -> &DigestLocks {
        &self.bed.registry.parts.locks
    }

    /// As `--grace 0s --undo 0s` with a short lease.
    fn due(&self) -> Due {
        let asked = Asked { grace_ms: 0, lease_ms: LEASE, undo_ms: 0, reconcile: false, confirmed: true };
        asked.due(self.now())
    }

    /// What must hold after every step.
    fn check(&self) -> Result<(), String> {
        for ((at, digest), blobs) in &self.manifests {
            let reference = Reference::Digest(digest.clone());
            if !matches!(self.metadata().manifest(&repository(*at), &reference).unwrap(), Lookup::Found(_)) {
                continue;
            }
            for named in blobs.iter().map(|at| blob(*at)) {
                if !self.has_row(*at, &named) || !self.has_file(&named) {
                    return Err(format!("a live manifest of {} lacks {named}", REPOSITORIES[*at]));
                }
            }
        }
        let promised = self.promises.iter().filter(|(_, at)| **at >= self.now() - LEASE);
        for ((at, of), _) in promised {
            let digest = blob(*of);
            if !self.has_row(*at, &digest) || !self.has_file(&digest) {
                return Err(format!("{digest} was promised in {} within the lease, and is gone", REPOSITORIES[*at]));
            }
        }
        let held = self.views.iter().filter(|view| view.until_ms > self.now()).flat_map(|view| &view.blobs);
        match held.into_iter().find(|digest| !self.has_file(digest)) {
            Some(digest) => Err(format!("a snapshot refers to {digest}, whose file is gone")),
            None => Ok(()),
        }
    }

    /// Two blobs that a client was promised in a repository, mostly; else none.
    fn promised(&mut self, at: usize) -> Option<[usize; 2]> {
        let blobs: Vec<usize> = self.promises.keys().filter(|key| key.0 == at).map(|key| key.1).collect();
        if blobs.is_empty() || self.random(4) == 0 {
            return None;
        }
        Some([blobs[self.random(blobs.len())], blobs[self.random(blobs.len())]])
    }

    /// A machine to begin, by chance.
    fn begin(&mut self, running: &[Box<dyn Machine>]) -> Box<dyn Machine> {
        let (at, other, one, two) = (self.random(2), self.random(2), self.random(4), self.random(4));
        match self.random(20) {
            0..=4 => Box::new(clients::Push::new(at, one)),
            5..=6 => Box::new(clients::Head::new(at, one)),
            7 => Box::new(clients::Mount::new(other, at, one)),
            8..=11 => {
                let blobs = self.promised(at).unwrap_or([one, two]);
                Box::new(clients::Commit::new(at, blobs, format!("t{}", one % 2)))
            }
            12..=14 => Box::new(clients::Delete::new(at, format!("t{}", one % 2), two % 2 == 0)),
            15 => Box::new(snapshot::Take::new()),
            _ if running.iter().any(|machine| machine.plan().is_some()) => Box::new(clients::Head::new(at, one)),
            _ => {
                self.plans += 1;
                Box::new(collector::Collect::new(format!("{:032}", self.plans)))
            }
        }
    }
}

/// Runs one seed.
fn run(seed: u64, plant: Plant) -> Result<(), String> {
    let mut world = World::new(seed, plant);
    let mut machines: Vec<Box<dyn Machine>> = Vec::new();
    for step in 0..STEPS {
        let happened = |error: String| format!("seed {seed}, step {step}: {error}");
        match world.random(40) {
            0 => kill(&mut world, &mut machines),
            1..=3 => {
                let time = world.random(6000);
                world.bed.clock.advance(i64::try_from(time).unwrap());
            }
            4..=11 if machines.len() < 6 => {
                let begun = world.begin(&machines);
                machines.push(begun);
            }
            _ if machines.is_empty() => {}
            _ => {
                let at = world.random(machines.len());
                if machines[at].step(&mut world).map_err(happened)? == Progress::Over {
                    machines.swap_remove(at);
                }
            }
        }
        world.check().map_err(happened)?;
    }
    let quiet = |error: String| format!("seed {seed}, on the way to quiet: {error}");
    while !machines.is_empty() {
        let mut at = 0;
        while at < machines.len() {
            match machines[at].step(&mut world).map_err(quiet)? {
                Progress::Over => drop(machines.swap_remove(at)),
                Progress::Going | Progress::Blocked => at += 1,
            }
            world.check().map_err(quiet)?;
        }
    }
    settle(&world).map_err(|error| format!("seed {seed}, after quiet: {error}"))
}

/// `kill -9` of the server: what it was doing is gone, with its locks; what was durable stays. A snapshot is another
/// process. The next start goes on with the plan that was being applied.
fn kill(world: &mut World, machines: &mut Vec<Box<dyn Machine>>) {
    let plan = machines.iter().find_map(|machine| machine.plan());
    machines.retain(|machine| !machine.is_of_server());
    match plan {
        None => {}
        Some(plan) if world.plant == Plant::NoReconcile => collector::turn(world, &plan, PlanState::Failed),
        Some(plan) => machines.push(Box::new(collector::Collect::resume(world, plan))),
    }
}

/// A real run and reconcile of the registry, then a look at every row and file.
fn settle(world: &World) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let options = GcOptions { confirmed: true, reconcile: world.plant != Plant::NoReconcile, ..AT_ONCE };
    for _ in 0..3 {
        world.bed.clock.advance(3 * DAY);
        runtime.block_on(async {
            let id = world.bed.registry.start_gc(&world.bed.global(), options).await.unwrap();
            assert_eq!(over(&world.bed, &id).await.state, PlanState::Done);
        });
        world.check()?;
    }
    let mut files = BTreeSet::new();
    for shard in shards() {
        let visit = |digest: Digest, _stat| {
            files.insert(digest);
            ControlFlow::Continue(())
        };
        world.bed.registry.parts.blobs.visit_files(shard, visit).unwrap();
    }
    let rows: BTreeSet<Digest> =
        world.metadata().expected_files(0, 100).unwrap().into_iter().map(|row| row.digest).collect();
    if files != rows {
        return Err(format!("files {files:?}, rows {rows:?}"));
    }
    let live = |key: &(usize, Digest)| {
        let reference = Reference::Digest(key.1.clone());
        matches!(world.metadata().manifest(&repository(key.0), &reference).unwrap(), Lookup::Found(_))
    };
    let named: BTreeSet<Digest> =
        world.manifests.iter().filter(|(key, _)| live(key)).flat_map(|(_, blobs)| blobs.map(blob)).collect();
    if rows != named {
        return Err(format!("rows {rows:?}, but live manifests name {named:?}"));
    }
    Ok(())
}

fn runs(plant: Plant, seeds: Range<u64>) -> Result<(), String> {
    seeds.into_iter().try_for_each(|seed| run(seed, plant))
}

#[test]
fn no_order_of_steps_breaks_what_was_promised() {
    runs(Plant::Nothing, 0..SEEDS).unwrap();
}

#[test]
#[ignore = "minutes: run by make test-long"]
fn no_order_of_steps_breaks_what_was_promised_long() {
    runs(Plant::Nothing, SEEDS..1500).unwrap();
}

/// The test can fail: each defect is found, and says what broke. The search begins at a seed that is known to find it.
#[test]
fn planted_defects_are_found() {
    let plants = [
        (Plant::TrustThePlan, 0, "promised"),
        (Plant::NoLocks, 0, ""),
        (Plant::FileFirst, 0, ""),
        (Plant::TrustTheRows, 0, ""),
        (Plant::NoHolds, 0, "a snapshot refers to"),
        (Plant::NoReconcile, 20, "after quiet: files"),
    ];
    for (plant, from, told) in plants {
        let found = runs(plant, from..from + 400).expect_err(&format!("{plant:?} was not found"));
        assert!(found.contains(told), "{plant:?}: {found}");
        println!("{plant:?}: {found}");
    }
}

/// The folder of snapshots of a world.
fn folder(world: &World) -> SnapshotFolder {
    SnapshotFolder::beside(&world.bed.database())
}

fn inside(world: &World, path: &str) -> std::path::PathBuf {
    Path::new(world.bed.directory.path()).join(path)
}
