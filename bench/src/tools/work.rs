//! The works themselves: what is made, and which commands are timed over it; never how a figure is shown.

use std::path::{Path, PathBuf};
use std::thread;

use super::child::{self, Sample};
use super::page::{Goal, Page};
use crate::content::{Blob, Image, LargeBlob, MANIFEST, Random};
use crate::error::Error;
use crate::scan_tree::{self, ScanTree};
use crate::servers::{Kind, Server, Setting, Transport};
use crate::{host, push, tls};

/// Tags of the probe, and the repositories they are spread over.
const TAGS: usize = 10_000;
const REPOSITORIES: usize = 50;
/// Clients that push at once while a server is filled.
const PUSHERS: usize = 8;
/// Indexes of the tree that is scanned.
const INDEXES: usize = 10_000;
/// Bytes of the large image, and of the blobs that are hashed.
const LARGE: u64 = 2 << 30;

/// Programs and places.
pub(crate) struct Works {
    pub(crate) mcrctl: PathBuf,
    pub(crate) mcrsrv: PathBuf,
    pub(crate) registry2: PathBuf,
    pub(crate) scratch: PathBuf,
    pub(crate) rounds: usize,
    pub(crate) times: usize,
}

impl Works {
    /// Runs a command `rounds` times, after once for the caches.
    fn timed(&self, rounds: usize, program: &Path, arguments: &[&str]) -> Result<Vec<Sample>, Error> {
        host::settle(&self.scratch)?;
        child::run(program, arguments, &self.scratch, &[0])?;
        (0..rounds).map(|_| child::run(program, arguments, &self.scratch, &[0])).collect()
    }

    pub(crate) fn scan(&self, page: &mut Page) -> Result<(), Error> {
        let tree = |name: &str, indexes: usize| -> Result<(PathBuf, scan_tree::Grown), Error> {
            let root = self.scratch.join(name);
            let grown = scan_tree::run(&ScanTree::of(root.clone(), indexes))?;
            Ok((root, grown))
        };
        let (root, grown) = tree("tree", INDEXES)?;
        let path = root.display().to_string();
        let samples = self.timed(self.rounds, &self.mcrctl, &["scan", &path])?;
        let what = |grown: scan_tree::Grown| {
            format!("{} indexes, {} images, {} links", grown.indexes, grown.images, grown.links)
        };
        let allowed = |grown: scan_tree::Grown| 64.0 + 16.0 * digests(grown) / f64::from(1_u32 << 20);
        let goal = Goal { seconds: Some(1.0), peak_mib: Some(allowed(grown)) };
        page.row(&format!("`mcrctl scan`, {}", what(grown)), &samples, goal, "warm");
        let config = self.scratch.join("collect.yml");
        let text = format!("version: 0.1\nlog: {{level: error}}\nstorage:\n  filesystem: {{rootdirectory: {path}}}\n");
        host::write(&config, text.as_bytes())?;
        let config = config.display().to_string();
        let collect = ["garbage-collect", "--dry-run", &config];
        let samples = self.timed(1, &self.registry2, &collect)?;
        page.row(
            "`docker-registry garbage-collect --dry-run`, the same tree",
            &samples,
            Goal::default(),
            "checks less",
        );
        host::remove_tree(&root)?;
        if self.times == 1 {
            return Ok(());
        }
        let (root, grown) = tree("larger", INDEXES * self.times)?;
        let samples = self.timed(self.rounds, &self.mcrctl, &["scan", &root.display().to_string()])?;
        let goal = Goal { seconds: None, peak_mib: Some(allowed(grown)) };
        let note = format!("{} times the tree", self.times);
        page.row(&format!("`mcrctl scan`, {}", what(grown)), &samples, goal, &note);
        host::remove_tree(&root)
    }

    pub(crate) fn deep(&self, page: &mut Page) -> Result<(), Error> {
        // Eight layers of an eighth each, in one image: all cores have something to do.
        let root = self.scratch.join("deep");
        let options = ScanTree { indexes: 4, repositories: 1, layers: 4, layer_bytes: (LARGE / 32) as usize, root };
        scan_tree::run(&options)?;
        let path = options.root.display().to_string();
        let samples = self.timed(self.rounds, &self.mcrctl, &["scan", "--deep", &path])?;
        page.row("`mcrctl scan --deep`, 2 GiB of blobs", &samples, Goal::default(), "warm");
        let all = format!("find {path} -name data -print0 | xargs -0 -P \"$(nproc)\" -n 1 sha256sum");
        let samples = self.timed(self.rounds, Path::new("/bin/sh"), &["-c", &all])?;
        page.row("`sha256sum` on all cores, the same files", &samples, Goal::default(), "");
        host::remove_tree(&options.root)
    }

    pub(crate) fn probe(&self, page: &mut Page) -> Result<(), Error> {
        for (kind, program) in [(Kind::Mcr, &self.mcrsrv), (Kind::Registry2, &self.registry2)] {
            let server = self.server("probe", kind, program)?;
            fill(&server)?;
            let url = server.url("");
            let samples = self.timed(self.rounds, &self.mcrctl, &["--addr", &url, "probe", "--once"])?;
            let ours = Goal { seconds: Some(10.0), peak_mib: Some(64.0) };
            let goal = if kind == Kind::Mcr { ours } else { Goal::default() };
            let what = format!("`mcrctl probe` of {TAGS} tags, on {}", kind.title());
            page.row(&what, &samples, goal, "level tail, plain HTTP");
        }
        Ok(())
    }

    pub(crate) fn verify(&self, page: &mut Page) -> Result<(), Error> {
        let server = self.server("verify", Kind::Mcr, &self.mcrsrv)?;
        let mut connection = server.connect()?;
        let large = LargeBlob::new(7, LARGE);
        push::large_blob(&mut connection, "bench/large", &large)?;
        let mut image = Image::new(&mut Random::new(8), Vec::new());
        let config = image.blobs.first().map(|blob| (blob.digest.clone(), blob.bytes.len()));
        let (config, length) = config.ok_or_else(|| wrong("an image", "it has no config"))?;
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config.as_str(), "size": length},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": large.digest.as_str(), "size": LARGE}],
        });
        image.manifest = Blob::new(manifest.to_string().into_bytes());
        push::image(&mut connection, "bench/large", "latest", &image)?;
        let url = server.url("");
        let verify = ["--addr", &url, "verify", "--level", "full", "bench/large:latest"];
        let samples = self.timed(self.rounds, &self.mcrctl, &verify)?;
        let goal = Goal { seconds: None, peak_mib: Some(64.0) };
        page.row("`mcrctl verify --level full`, 2 GiB", &samples, goal, "plain HTTP");
        Ok(())
    }

    fn server(&self, work: &str, kind: Kind, program: &Path) -> Result<Server, Error> {
        let directory = self.scratch.join(work);
        let setting = Setting {
            transport: Transport::Plain,
            certificate: tls::Certificate::make(&directory.join("certificate"))?,
            client: tls::client()?,
            directory,
        };
        Server::start(kind, program, &setting)
    }
}

/// Pushes [`TAGS`] images, each with a config and a layer of its own and a layer shared by its repository.
fn fill(server: &Server) -> Result<(), Error> {
    thread::scope(|scope| {
        let pushers: Vec<_> = (0..PUSHERS).map(|pusher| scope.spawn(move || fill_part(server, pusher))).collect();
        pushers.into_iter().try_for_each(|pusher| {
            pusher.join().unwrap_or_else(|_| Err(wrong("filling a server", "a pusher panicked")))
        })
    })
}

fn fill_part(server: &Server, pusher: usize) -> Result<(), Error> {
    let mut connection = server.connect()?;
    for number in (pusher..TAGS).step_by(PUSHERS) {
        let repository = number % REPOSITORIES;
        let shared = Blob::new(Random::new(repository as u64).bytes(2048));
        let mut random = Random::new(1_000_000 + number as u64);
        let own = Blob::new(random.bytes(512));
        let image = Image::new(&mut random, vec![shared, own]);
        push::image(&mut connection, &format!("bench/app{repository}"), &format!("v{number}"), &image)?;
    }
    Ok(())
}

fn wrong(what: &str, problem: &str) -> Error {
    Error::Wrong { what: what.to_owned(), problem: problem.to_owned() }
}

/// Distinct digests of a tree: each of its manifests and blobs is one, and has one link.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2⁵³")]
fn digests(grown: scan_tree::Grown) -> f64 {
    grown.links as f64
}
