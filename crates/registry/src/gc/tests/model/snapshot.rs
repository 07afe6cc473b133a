//! Another process that takes a snapshot: a locked file that shows it, a view of the rows, the file under its name.

use std::fs::File;
use std::path::PathBuf;

use mcr_metadata::{SnapshotFolder, take_snapshot};

use super::{BLOBS, DAY, Machine, Progress, View, World, blob, folder, inside};

pub(super) struct Take {
    partial: Option<(PathBuf, File)>,
    taken: Option<PathBuf>,
}

impl Take {
    pub(super) fn new() -> Self {
        Self { partial: None, taken: None }
    }
}

impl Machine for Take {
    fn step(&mut self, world: &mut World) -> Result<Progress, String> {
        let Some((partial, _locked)) = &self.partial else {
            let folder = folder(world);
            std::fs::create_dir_all(folder.path()).unwrap();
            world.plans += 1;
            let path = folder.path().join(format!("mcr-20000101-{:06}.db.partial", world.plans));
            let file = File::create(&path).unwrap();
            file.try_lock().unwrap();
            self.partial = Some((path, file));
            return Ok(Progress::Going);
        };
        let Some(taken) = &self.taken else {
            let elsewhere = SnapshotFolder::at(inside(world, "elsewhere"));
            let taken = take_snapshot(&world.bed.database(), &elsewhere, world.now()).unwrap();
            let known: Vec<_> = (0..BLOBS.len()).map(blob).collect();
            let rows = world.metadata().have_blobs(&known).unwrap();
            let blobs = known.into_iter().zip(rows).filter_map(|(digest, known)| known.then_some(digest)).collect();
            world.views.push(View { blobs, until_ms: world.now() + DAY });
            self.taken = Some(taken.file.path);
            return Ok(Progress::Going);
        };
        let name = taken.file_name().unwrap();
        std::fs::rename(taken, folder(world).path().join(name)).unwrap();
        std::fs::remove_file(partial).unwrap();
        Ok(Progress::Over)
    }

    fn is_of_server(&self) -> bool {
        false
    }
}
