//! What an earlier run has hashed: a file that grows line by line and goes when a run ends; never a finding.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use mcr_oci::Digest;

use crate::io::{FileStat, StateFile, Tree};
use crate::key::Key;
use crate::settings::Watch;

/// The first line; another one is another program's file, or of another tree.
const HEAD: &str = "mcrctl scan --deep 1";

/// Hashed bytes after which what is known is written down, so that an interruption costs less than this a thread.
const WRITE_AFTER: u64 = 16 << 20;

/// What is known to be sound, and where it is written down.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    earlier: HashMap<(usize, Key), FileStat>,
    file: Option<Mutex<Lines>>,
}

#[derive(Debug)]
struct Lines {
    file: StateFile,
    waiting: String,
    bytes: u64,
}

impl Progress {
    /// Takes up what an earlier run of the same tree wrote down in the directory `state`.
    pub(crate) fn open(state: Option<&Path>, tree: &Tree, watch: &dyn Watch) -> Self {
        let Some(directory) = state else { return Self::default() };
        let head = format!("{HEAD} {}", tree.path().display());
        let id = Digest::sha256(tree.path().as_os_str().as_encoded_bytes());
        let path = directory.join(format!("deep-{}.state", id.hex().get(..16).unwrap_or_default()));
        let mut earlier = HashMap::new();
        let opened = StateFile::open(&path, &head, |line| {
            if let Some((digest, stat)) = parse(line) {
                earlier.insert(Key::of(&digest), stat);
            }
        });
        match opened {
            Ok(file) => {
                if !earlier.is_empty() {
                    watch.note(&format!("an earlier run was interrupted after {} blobs; going on", earlier.len()));
                }
                Self { earlier, file: Some(Mutex::new(Lines { file, waiting: String::new(), bytes: 0 })) }
            }
            Err(error) => {
                watch.note(&format!("{}: {error}; an interrupted run will begin anew", path.display()));
                Self::default()
            }
        }
    }

    /// Whether an earlier run found exactly this file sound.
    pub(crate) fn has(&self, digest: &Digest, stat: FileStat) -> bool {
        self.earlier.get(&Key::of(digest)) == Some(&stat)
    }

    /// Notes that these bytes are what they should be.
    pub(crate) fn sound(&self, digest: &Digest, stat: FileStat) {
        let Some(lines) = &self.file else { return };
        let mut lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.waiting.push_str(&format!("{digest} {} {} {}\n", stat.size, stat.mtime_ns, stat.inode));
        lines.bytes += stat.size;
        if lines.bytes >= WRITE_AFTER || lines.waiting.len() > 64 * 1024 {
            let waiting = std::mem::take(&mut lines.waiting);
            lines.bytes = 0;
            // What cannot be written down is hashed again by the next run.
            let _ = lines.file.append(waiting.as_bytes());
        }
    }

    /// The run came to its end: the next one begins anew.
    pub(crate) fn finish(self, watch: &dyn Watch) {
        let Some(lines) = self.file else { return };
        let lines = lines.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = lines.file.remove() {
            watch.note(&format!("the file of what was hashed cannot be removed: {error}"));
        }
    }
}

fn parse(line: &str) -> Option<(Digest, FileStat)> {
    let mut words = line.split(' ');
    let digest = Digest::parse(words.next()?).ok()?;
    let stat = FileStat {
        size: words.next()?.parse().ok()?,
        mtime_ns: words.next()?.parse().ok()?,
        inode: words.next()?.parse().ok()?,
    };
    words.next().is_none().then_some((digest, stat))
}
