//! Which registries lie at a path, found by looking; never a look into one.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::ScanError;
use crate::io::{Answer, Directory, EntryKind, Listing, Tree};
use crate::settings::Watch;

/// How a registry keeps its content on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// The tree of `distribution`, 2 and 3: links and blobs below `docker/registry/v2`.
    Distribution,
    /// This registry's: a database and files.
    Mcr,
    /// An OCI image layout: `oci-layout`, `index.json`, `blobs`.
    OciLayout,
}

impl Layout {
    /// The layout as it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Distribution => "distribution",
            Self::Mcr => "mcr",
            Self::OciLayout => "oci-layout",
        }
    }

    /// The layout of that exact name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Distribution, Self::Mcr, Self::OciLayout].into_iter().find(|layout| layout.as_str() == text)
    }
}

/// Entries that are said to be passed over, at most.
const NOTED_MAX: usize = 10;
/// Entries that are kept of what is passed over.
const PASSED_MAX: usize = 1_000;
/// Directories that are looked at for registries below a path.
const LOOKED_AT_MAX: usize = 20_000;

/// How deep below a path registries are looked for.
const DEPTH_MAX: usize = 3;

/// Where distribution keeps everything, below its storage root.
const STORAGE: &[u8] = b"docker/registry/v2";

/// The name of our database in a data directory.
const DATABASE: &[u8] = b"mcr.db";

/// What a disk check makes in the root of a file system, closed to everybody: never a registry.
const LOST_AND_FOUND: &[u8] = b"lost+found";

/// What lies at a path.
#[derive(Debug, Default)]
pub(crate) struct Registries {
    /// Those that are known, by name.
    pub(crate) found: Vec<Found>,
    /// What may hold others, and was not looked into.
    pub(crate) passed: Vec<Passed>,
}

/// A directory that was not looked into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Passed {
    /// One line that says which, and why.
    pub(crate) line: String,
    /// Whether it could not be looked into, and may be another time; what leads out of the folder never is.
    pub(crate) closed: bool,
}

/// One registry.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) name: String,
    /// What is shown as its place, and opened as its tree.
    pub(crate) path: PathBuf,
    pub(crate) layout: Layout,
    /// Where its own directory lies below `path`; the name of the database file for our layout.
    pub(crate) inside: Vec<u8>,
    /// Whether it keeps the schedule of a proxy.
    pub(crate) has_proxy_state: bool,
}

/// The registries at `path`: it is one, or holds some.
///
/// # Errors
/// Where there is none that is known, or nothing can be looked at.
pub(crate) fn find(path: &Path, forced: Option<Layout>, watch: &dyn Watch) -> Result<Registries, ScanError> {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let name = path.file_name().map_or_else(|| "/".to_owned(), |name| name.to_string_lossy().into_owned());
    let tree = match Tree::open(&path) {
        Answer::There(tree) => tree,
        Answer::Odd(_) if forced.is_none_or(|forced| forced == Layout::Mcr) => return database_file(&path, forced),
        other => return Err(ScanError::Unreachable { path, why: other.reason() }),
    };
    if let Some(found) = registry_at(&tree, &path, &name, forced)? {
        return Ok(Registries::of(found));
    }
    let mut search = Search { folder: &path, forced, all: Registries::default(), looked_at: 0, noted: 0, watch };
    search.below(&tree, tree.root(), "", 1)?;
    let mut all = search.all;
    if all.found.is_empty() {
        return match forced {
            // Somebody says so, and an empty registry has nothing to know it by.
            Some(layout) if is_empty(&tree) => {
                let inside = if layout == Layout::Mcr { DATABASE.to_vec() } else { Vec::new() };
                Ok(Registries::of(Found { name, path, layout, inside, has_proxy_state: has_proxy_state(&tree) }))
            }
            _ => Err(ScanError::NotRecognised { path }),
        };
    }
    all.found.sort_by(|one, two| one.name.cmp(&two.name));
    Ok(all)
}

impl Registries {
    /// One, and nothing beside it.
    fn of(found: Found) -> Self {
        Self { found: vec![found], passed: Vec::new() }
    }
}

/// A file: our database, or nothing we know.
fn database_file(path: &Path, forced: Option<Layout>) -> Result<Registries, ScanError> {
    let not_known = || ScanError::NotRecognised { path: path.to_owned() };
    let (Some(folder), Some(file)) = (path.parent(), path.file_name()) else { return Err(not_known()) };
    let tree = match Tree::open(folder) {
        Answer::There(tree) => tree,
        other => return Err(ScanError::Unreachable { path: path.to_owned(), why: other.reason() }),
    };
    let inside = file.as_encoded_bytes().to_vec();
    match is_database(&tree, &inside) {
        Answer::There(true) => {}
        Answer::There(false) if forced.is_some() => {}
        Answer::There(false) => return Err(not_known()),
        other => return Err(ScanError::Unreachable { path: path.to_owned(), why: other.reason() }),
    }
    let name = file.to_string_lossy().into_owned();
    let path = folder.to_owned();
    Ok(Registries::of(Found { name, path, layout: Layout::Mcr, inside, has_proxy_state: false }))
}

/// Whether the file begins as a SQLite database does.
fn is_database(tree: &Tree, name: &[u8]) -> Answer<bool> {
    let mut head = [0; 16];
    tree.read_few(tree.root(), name, &mut head).map(|length| length == head.len() && &head == b"SQLite format 3\0")
}

/// The registry whose root this directory is.
fn registry_at(tree: &Tree, path: &Path, name: &str, forced: Option<Layout>) -> Result<Option<Found>, ScanError> {
    let wanted = |layout| forced.is_none_or(|forced| forced == layout);
    let found = |layout, inside: &[u8], has_proxy_state| {
        Some(Found { name: name.to_owned(), path: path.to_owned(), layout, inside: inside.to_vec(), has_proxy_state })
    };
    let unreachable = |what: &[u8], why: String| {
        let path = path.join(String::from_utf8_lossy(what).into_owned());
        Err(ScanError::Unreachable { path, why })
    };
    let root = tree.root();
    if wanted(Layout::Mcr) && matches!(is_database(tree, DATABASE), Answer::There(true)) {
        return Ok(found(Layout::Mcr, DATABASE, false));
    }
    if wanted(Layout::Distribution) {
        match tree.directory(root, STORAGE) {
            Answer::There(_) => return Ok(found(Layout::Distribution, STORAGE, has_proxy_state(tree))),
            other @ (Answer::Failed(_) | Answer::Outside) => return unreachable(STORAGE, other.reason()),
            Answer::Absent | Answer::Odd(_) => {}
        }
    }
    if wanted(Layout::OciLayout) {
        let file = |name: &[u8]| matches!(tree.stat(root, name), Answer::There(_));
        if file(b"oci-layout") || (file(b"index.json") && is_directory(tree, root, b"blobs")) {
            return Ok(found(Layout::OciLayout, b"", false));
        }
    }
    if wanted(Layout::Distribution) && is_storage_itself(tree) {
        // `docker/registry/v2` itself: its storage root is three directories above.
        let storage_root = path.ancestors().nth(3).filter(|_| path.ends_with("docker/registry/v2"));
        let proxy = storage_root.and_then(|root| Tree::open(root).there()).is_some_and(|root| has_proxy_state(&root));
        let mut found = found(Layout::Distribution, b"", proxy);
        if let (Some(found), Some(folder)) = (&mut found, storage_root.and_then(Path::file_name)) {
            found.name = folder.to_string_lossy().into_owned();
        }
        return Ok(found);
    }
    Ok(None)
}

fn is_directory(tree: &Tree, at: &Directory, name: &[u8]) -> bool {
    matches!(tree.directory(at, name), Answer::There(_))
}

/// Whether this is a `docker/registry/v2`: repositories, and blobs by algorithm.
fn is_storage_itself(tree: &Tree) -> bool {
    let root = tree.root();
    let repositories = is_directory(tree, root, b"repositories");
    let blobs = is_directory(tree, root, b"blobs/sha256") || is_directory(tree, root, b"blobs/sha512");
    (repositories && (blobs || !is_directory(tree, root, b"blobs")))
        || (blobs && tree.path().ends_with("docker/registry/v2"))
}

fn has_proxy_state(tree: &Tree) -> bool {
    matches!(tree.stat(tree.root(), b"scheduler-state.json"), Answer::There(_))
}

/// Whether nothing was ever pushed here: at most a proxy's schedule.
fn is_empty(tree: &Tree) -> bool {
    let mut others = 0;
    let listed = Listing::new().entries(tree.root(), |_, entry| {
        others += u32::from(entry.name != b"scheduler-state.json");
    });
    listed.is_ok() && others == 0
}

struct Search<'a> {
    folder: &'a Path,
    forced: Option<Layout>,
    all: Registries,
    looked_at: usize,
    noted: usize,
    watch: &'a dyn Watch,
}

impl Search<'_> {
    /// Looks for registries among the directories of `at`, which is `name` below the folder.
    fn below(&mut self, tree: &Tree, at: &Directory, name: &str, depth: usize) -> Result<(), ScanError> {
        let mut parts = Vec::new();
        let listed = Listing::new().entries(at, |_, entry| {
            if !matches!(entry.kind, EntryKind::File | EntryKind::Other) {
                parts.push(entry.name.to_vec());
            }
        });
        if let Err(error) = listed {
            let why = Answer::<()>::Failed(error).reason();
            return Err(ScanError::Unreachable { path: self.folder.join(name), why });
        }
        parts.sort_unstable();
        for part in parts {
            self.looked_at += 1;
            if self.looked_at > LOOKED_AT_MAX {
                if self.looked_at == LOOKED_AT_MAX + 1 {
                    self.pass(
                        format!("only the first {LOOKED_AT_MAX} directories were looked at for registries"),
                        true,
                    );
                }
                break;
            }
            // A name that is no text is opened as its bytes and shown as well as it can be.
            let shown = String::from_utf8_lossy(&part).into_owned();
            let whole = if name.is_empty() { shown } else { format!("{name}/{shown}") };
            match tree.directory(at, &part) {
                Answer::There(directory) => self.child(tree, &directory, &whole, depth)?,
                // A link to a file, or to nothing, leads to no registry.
                Answer::Outside if self.leads_to_no_directory(at, &part) => {}
                Answer::Outside => {
                    let shown = self.folder.join(&whole);
                    let why = "a symbolic link that leads out of the folder is not followed; name its target as a path of its own";
                    self.pass(format!("{}: {why}", shown.display()), false);
                }
                Answer::Failed(_) if part == LOST_AND_FOUND => {}
                failed @ Answer::Failed(_) => {
                    let shown = self.folder.join(&whole);
                    self.pass(format!("{} cannot be looked at: {}", shown.display(), failed.reason()), true);
                }
                Answer::Absent | Answer::Odd(_) => {}
            }
        }
        Ok(())
    }

    fn leads_to_no_directory(&self, at: &Directory, part: &[u8]) -> bool {
        use std::os::unix::ffi::OsStrExt as _;

        let [above, own] = [at.below_root(), part].map(std::ffi::OsStr::from_bytes);
        matches!(Tree::open(&self.folder.join(above).join(own)), Answer::Odd(_) | Answer::Absent)
    }

    /// Tells what was passed over; a folder of something else has thousands of such entries.
    fn pass(&mut self, line: String, closed: bool) {
        self.noted += 1;
        match self.noted.cmp(&NOTED_MAX) {
            Ordering::Less => self.watch.note(&line),
            Ordering::Equal => self.watch.note("and more that is passed over"),
            Ordering::Greater => {}
        }
        if self.all.passed.len() < PASSED_MAX {
            self.all.passed.push(Passed { line, closed });
        }
    }

    fn child(&mut self, tree: &Tree, at: &Directory, name: &str, depth: usize) -> Result<(), ScanError> {
        use std::os::unix::ffi::OsStrExt as _;

        let path = self.folder.join(std::ffi::OsStr::from_bytes(at.below_root()));
        let Answer::There(own) = Tree::open(&path) else { return Ok(()) };
        match registry_at(&own, &path, name, self.forced)? {
            Some(mut found) => {
                name.clone_into(&mut found.name);
                self.all.found.push(found);
                Ok(())
            }
            None if depth < DEPTH_MAX => self.below(tree, at, name, depth + 1),
            None => Ok(()),
        }
    }
}
