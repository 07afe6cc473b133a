//! Finding the repositories of a distribution tree; never a look into one.

use crate::io::{Answer, Directory, EntryKind, Listing, Tree};

/// Deeper than any repository name can be: 255 characters have 128 parts at most.
const DEPTH_MAX: usize = 128;

/// The repositories, by the bytes of their names, and what could not be looked at.
#[derive(Debug, Default)]
pub(crate) struct Repositories {
    pub(crate) names: Vec<Vec<u8>>,
    /// Directories that could not be looked at, and why.
    pub(crate) unreachable: Vec<String>,
    /// Files where only directories belong.
    pub(crate) temporary: u64,
}

struct Search<'a> {
    tree: &'a Tree,
    listing: Listing,
    found: Repositories,
    /// The directories above the one that is looked at, so that no circle is walked.
    above: Vec<(u64, u64)>,
}

/// Looks for repositories below `v2/repositories`.
pub(crate) fn find(tree: &Tree, v2: &Directory) -> Repositories {
    let mut search = Search { tree, listing: Listing::new(), found: Repositories::default(), above: Vec::new() };
    match tree.directory(v2, b"repositories") {
        Answer::There(directory) => search.descend(&directory, b""),
        // A registry that nothing was pushed to.
        Answer::Absent => {}
        other => search.found.unreachable.push(format!("repositories: {}", other.reason())),
    }
    search.found.names.sort_unstable();
    search.found
}

impl Search<'_> {
    fn descend(&mut self, directory: &Directory, name: &[u8]) {
        let shown = String::from_utf8_lossy(directory.below_root()).into_owned();
        let Some(identity) = Tree::identity(directory).filter(|identity| !self.above.contains(identity)) else {
            self.found.unreachable.push(format!("{shown}: a symbolic link leads back to a directory above it"));
            return;
        };
        if self.above.len() > DEPTH_MAX {
            self.found.unreachable.push(format!("{shown}: more than {DEPTH_MAX} directories deep"));
            return;
        }
        let mut below = Vec::new();
        let (mut is_repository, mut temporary) = (false, 0);
        let listed = self.listing.entries(directory, |_, entry| match (entry.name, entry.kind) {
            (b"_manifests" | b"_layers" | b"_uploads", _) => is_repository = true,
            (_, EntryKind::File | EntryKind::Other) => temporary += 1,
            (name, _) if name.starts_with(b"_") => {}
            (name, kind) => below.push((name.to_vec(), kind)),
        });
        if let Err(error) = listed {
            self.found.unreachable.push(format!("{shown}: {}", Answer::<()>::Failed(error).reason()));
        }
        self.found.temporary += temporary;
        if is_repository && !name.is_empty() {
            self.found.names.push(name.to_vec());
        }
        self.above.push(identity);
        for (part, kind) in below {
            let whole = if name.is_empty() { part.clone() } else { [name, b"/", part.as_slice()].concat() };
            match self.tree.directory(directory, &part) {
                Answer::There(directory) => self.descend(&directory, &whole),
                Answer::Absent => {}
                // What is no directory is no repository, unless it is one somewhere else.
                Answer::Odd(_) if kind != EntryKind::Directory => self.found.temporary += 1,
                other => {
                    let part = String::from_utf8_lossy(&part).into_owned();
                    self.found.unreachable.push(format!("{shown}/{part}: {}", other.reason()));
                }
            }
        }
        self.above.pop();
    }
}
