//! What can happen to a blob's file while nobody looks, and what the scrub must call it; never the looking.

use std::path::Path;
use std::time::SystemTime;

use mcr_oci::Digest;
use mcr_tests::{Random, damage};

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A bit is another one; length and times are as they were.
    Flip,
    /// The end is missing.
    Cut,
    /// Nothing is left but the name.
    Empty,
    /// The file is gone.
    Lost,
    /// Two files stand in each other's place.
    Swap,
    /// More bytes than there were.
    Grown,
    /// A directory stands there.
    Directory,
    /// A link to the bytes stands there.
    Link,
}

/// Those that the issue names, and the others.
pub(crate) const FAULTS: [Fault; 8] =
    [Fault::Flip, Fault::Cut, Fault::Empty, Fault::Lost, Fault::Swap, Fault::Grown, Fault::Directory, Fault::Link];

impl Fault {
    /// Does it to `digest` of `size` bytes, and for a swap to `other`. Answers what has to be found of which.
    pub(crate) fn strike(
        self,
        data: &Path,
        random: &mut Random,
        digest: &Digest,
        size: u64,
        other: (&Digest, u64),
    ) -> Vec<(Digest, &'static str)> {
        let path = damage::blob_path(data, digest);
        let offset = |random: &mut Random| u64::try_from(random.below(usize::try_from(size).unwrap())).unwrap();
        let kind = match self {
            Self::Flip => {
                quietly(&path, || damage::flip(data, digest, offset(random)));
                "blob-corrupt"
            }
            Self::Cut => {
                quietly(&path, || damage::truncate(data, digest, offset(random)));
                "blob-truncated"
            }
            Self::Empty => {
                quietly(&path, || damage::truncate(data, digest, 0));
                "blob-truncated"
            }
            Self::Grown => {
                quietly(&path, || damage::lengthen(data, digest));
                "blob-size-mismatch"
            }
            Self::Lost => {
                std::fs::remove_file(&path).unwrap();
                "blob-missing"
            }
            Self::Directory => {
                std::fs::remove_file(&path).unwrap();
                std::fs::create_dir(&path).unwrap();
                "blob-missing"
            }
            Self::Link => {
                let aside = data.join(format!("aside-{}", digest.hex()));
                std::fs::rename(&path, &aside).unwrap();
                std::os::unix::fs::symlink(&aside, &path).unwrap();
                "blob-missing"
            }
            Self::Swap => return swap(data, (digest, size), other),
        };
        vec![(digest.clone(), kind)]
    }
}

fn swap(data: &Path, one: (&Digest, u64), other: (&Digest, u64)) -> Vec<(Digest, &'static str)> {
    let [first, second] = [one.0, other.0].map(|digest| damage::blob_path(data, digest));
    let aside = data.join("aside");
    std::fs::rename(&first, &aside).unwrap();
    std::fs::rename(&second, &first).unwrap();
    std::fs::rename(&aside, &second).unwrap();
    let kind = |want: u64, have: u64| match have.cmp(&want) {
        std::cmp::Ordering::Less => "blob-truncated",
        std::cmp::Ordering::Equal => "blob-corrupt",
        std::cmp::Ordering::Greater => "blob-size-mismatch",
    };
    vec![(one.0.clone(), kind(one.1, other.1)), (other.0.clone(), kind(other.1, one.1))]
}

/// Puts the modification time back after `change`.
fn quietly(path: &Path, change: impl FnOnce()) {
    let before: SystemTime = std::fs::metadata(path).unwrap().modified().unwrap();
    change();
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(before).unwrap();
}
