//! Running `mcrsrv import`, and what a tree looks like before and after; never what should come of it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use mcr_oci::Digest;
use mcr_tests::distribution::{Distribution, Program, Setup};
use mcr_tests::process::{self, Output};
use mcr_tests::server::mcrsrv;
use mcr_tests::{Image, Index, Options, Random, Server, push};
use serde_json::Value;
use tempfile::TempDir;

/// Longer than this no import of a small tree takes.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// What an import said.
#[derive(Debug)]
pub(crate) struct Import {
    pub(crate) code: Option<i32>,
    pub(crate) json: Value,
}

/// The command line of an import into the `--dev` registry at `data`.
pub(crate) fn command(data: &Path) -> Command {
    let mut command = mcrsrv();
    command.args(["import", "--dev", "--data"]).arg(data);
    command
}

pub(crate) fn import<I: AsRef<OsStr>>(data: &Path, words: impl IntoIterator<Item = I>) -> Import {
    read(&process::run_within(command(data).arg("--json").args(words), LIMIT))
}

pub(crate) fn read(output: &Output) -> Import {
    assert!(!output.stderr.contains("panicked"), "{}", output.stderr);
    let json = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    Import { code: output.code, json }
}

impl Import {
    pub(crate) fn count(&self, name: &str) -> u64 {
        self.json["counts"][name].as_u64().unwrap_or_else(|| panic!("{name}: {self:#?}"))
    }

    pub(crate) fn bytes(&self, name: &str) -> u64 {
        self.json["bytes"][name].as_u64().unwrap_or_else(|| panic!("{name}: {self:#?}"))
    }

    #[track_caller]
    pub(crate) fn expect(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// `repository:tag` of the tags in one of the report's lists.
    pub(crate) fn listed(&self, list: &str) -> Vec<String> {
        let tags = self.json[list].as_array().unwrap_or_else(|| panic!("{list}: {self:#?}"));
        let name = |tag: &Value| format!("{}:{}", tag["repository"].as_str().unwrap(), tag["tag"].as_str().unwrap());
        tags.iter().map(name).collect()
    }

    /// Kinds and digests of what is wrong with a tag.
    pub(crate) fn wrong(&self, repository: &str, tag: &str) -> Vec<(String, String)> {
        let broken = self.json["broken"].as_array().unwrap();
        let of_tag = broken.iter().find(|broken| broken["repository"] == repository && broken["tag"] == tag);
        let findings = of_tag.unwrap_or_else(|| panic!("{repository}:{tag} is not broken: {self:#?}"));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut wrong: Vec<_> =
            findings["findings"].as_array().unwrap().iter().map(|f| (text(&f["kind"]), text(&f["digest"]))).collect();
        wrong.sort();
        wrong
    }
}

/// A server on the data directory that was imported into.
pub(crate) fn serve(data: &Path) -> Server {
    Server::with(Options::default().at(data))
}

/// What stands at a path, as far as an import must leave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    mode: u32,
    owner: (u32, u32),
    inode: u64,
    links: u64,
    mtime: (i64, i64),
    bytes: Option<Digest>,
}

/// A whole tree: names, bytes, owner, mode, mtime, inodes and how many names they have.
pub(crate) fn picture(root: &Path) -> BTreeMap<PathBuf, Seen> {
    let mut seen = BTreeMap::new();
    look(root, &mut seen);
    seen
}

fn look(path: &Path, seen: &mut BTreeMap<PathBuf, Seen>) {
    let stat = std::fs::symlink_metadata(path).unwrap();
    let bytes = stat.is_file().then(|| Digest::sha256(&std::fs::read(path).unwrap()));
    let picture = Seen {
        mode: stat.mode(),
        owner: (stat.uid(), stat.gid()),
        inode: stat.ino(),
        links: stat.nlink(),
        mtime: (stat.mtime(), stat.mtime_nsec()),
        bytes,
    };
    seen.insert(path.to_owned(), picture);
    if stat.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            look(&entry.unwrap().path(), seen);
        }
    }
}

/// A picture without the number of names: hard links change that, and nothing else.
pub(crate) fn without_links(picture: &BTreeMap<PathBuf, Seen>) -> BTreeMap<PathBuf, Seen> {
    picture.iter().map(|(path, seen)| (path.clone(), Seen { links: 0, ..seen.clone() })).collect()
}

/// A registry of others with an index in `team/app`, two images that share a layer in `base`, and a place to import to.
pub(crate) struct Scene {
    pub(crate) registry: Distribution,
    pub(crate) index: Index,
    pub(crate) images: Vec<Image>,
    pub(crate) home: TempDir,
}

impl Scene {
    pub(crate) fn new(program: Program, seed: u64) -> Self {
        let registry = Distribution::with(Setup { program, uncached: true, ..Setup::default() });
        let mut random = Random::new(seed);
        let index = Index::random(&mut random, 3_000);
        let first = Image::random(&mut random, 2, 4_000);
        let mut layers = Image::random(&mut random, 1, 5_000).layers;
        layers.push(first.layers[0].clone());
        let images = vec![first, Image::over("arm64", layers)];
        let client = registry.client();
        push::index(&client, "team/app", "v1", &index);
        push::put_index(&client, "team/app", "latest", &index.manifest).expect(201);
        for (image, tag) in images.iter().zip(["1", "2"]) {
            push::image(&client, "base", tag, image);
        }
        Self { registry, index, images, home: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.home.path().join("srv")
    }

    pub(crate) fn root(&self) -> &Path {
        self.registry.root()
    }

    /// The bytes of every blob, each once; manifests are none.
    pub(crate) fn blob_bytes(&self) -> u64 {
        let images = self.index.images.iter().chain(&self.images);
        let blobs: BTreeMap<&Digest, usize> =
            images.flat_map(Image::blobs).map(|blob| (&blob.digest, blob.size())).collect();
        blobs.values().map(|size| *size as u64).sum()
    }
}

/// Sets the time of a tag's link, as a push at that time would have.
pub(crate) fn pushed_at(registry: &Distribution, repository: &str, tag: &str, seconds: u64) {
    let link = std::fs::File::options().write(true).open(registry.tree().current(repository, tag)).unwrap();
    link.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap();
}
