//! A file system that forgets what was not synced: mounted for real by FUSE, so that the shipping program runs on it;
//! never a device of the machine.

pub mod disk;

use std::ffi::OsStr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use fuser::{
    BackgroundSession, BsdFileFlags, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, LockOwner, MountOption, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use tempfile::TempDir;

use crate::Random;
use disk::{Content, Disk, File, Loss, Node};

/// Nothing is remembered by the kernel but pages.
const TTL: Duration = Duration::ZERO;
/// What `statfs` tells, in blocks of 4 KiB: 64 GiB.
const BLOCKS: u64 = 16 << 20;

/// A disk that is mounted.
#[derive(Debug)]
pub struct Forgetful {
    shared: Arc<Mutex<Shared>>,
    session: Option<BackgroundSession>,
    home: TempDir,
}

#[derive(Debug)]
struct Shared {
    disk: Disk,
    /// The power is gone: nothing is written any more.
    dead: bool,
}

impl Forgetful {
    /// Whether this machine has what it needs.
    ///
    /// # Errors
    /// Why not.
    pub fn possible() -> Result<(), String> {
        let opened = std::fs::OpenOptions::new().read(true).write(true).open("/dev/fuse");
        opened.map(drop).map_err(|error| format!("/dev/fuse: {error}"))
    }

    /// Mounts an empty disk.
    ///
    /// # Panics
    /// Where that is refused.
    #[must_use]
    pub fn mount() -> Self {
        let home = tempfile::Builder::new().prefix("mcr-test-power-").tempdir().expect("a directory to mount on");
        let shared = Arc::new(Mutex::new(Shared { disk: Disk::default(), dead: false }));
        let mut mounted = Self { shared, session: None, home };
        mounted.remount();
        mounted
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.home.path()
    }

    /// Syncs so far.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        lock(&self.shared).disk.syncs
    }

    /// The power goes: from this call on every write and sync answers EIO. The caller kills whoever uses it.
    pub fn cut_power(&self) {
        lock(&self.shared).dead = true;
    }

    /// The power comes back: what is there then is mounted.
    ///
    /// # Panics
    /// Where somebody still uses it.
    pub fn restore_power(&mut self, loss: Loss, random: &mut Random) {
        let session = self.session.take().expect("it is mounted");
        session.umount_and_join().expect("nobody uses it any more");
        let disk = lock(&self.shared).disk.clone().after(loss, random);
        self.shared = Arc::new(Mutex::new(Shared { disk, dead: false }));
        self.remount();
    }

    fn remount(&mut self) {
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("mcr-test".to_owned())];
        let served = Served(Arc::clone(&self.shared));
        self.session = Some(fuser::spawn_mount(served, self.home.path(), &config).expect("FUSE mounts it"));
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Served(Arc<Mutex<Shared>>);

impl Served {
    fn disk<T>(&self, look: impl FnOnce(&mut Disk) -> Result<T, Errno>) -> Result<T, Errno> {
        look(&mut lock(&self.0).disk)
    }

    /// The same for what changes something.
    fn change<T>(&self, change: impl FnOnce(&mut Disk) -> Result<T, Errno>) -> Result<T, Errno> {
        let mut shared = lock(&self.0);
        if shared.dead { Err(Errno::EIO) } else { change(&mut shared.disk) }
    }
}

fn attributes(number: u64, node: &Node) -> FileAttr {
    let (kind, size) = match &node.content {
        Content::File(file) => (FileType::RegularFile, file.bytes.len() as u64),
        Content::Directory(_) => (FileType::Directory, 4096),
    };
    FileAttr {
        ino: INodeNo(number),
        size,
        blocks: size.div_ceil(512),
        atime: node.mtime,
        mtime: node.mtime,
        ctime: node.ctime,
        crtime: node.ctime,
        kind,
        perm: node.mode,
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}

fn look(disk: &Disk, number: u64) -> Result<FileAttr, Errno> {
    disk.node(number).map(|node| attributes(number, node)).ok_or(Errno::ENOENT)
}

fn make(disk: &mut Disk, parent: INodeNo, name: &OsStr, content: Content, mode: u32) -> Result<FileAttr, Errno> {
    if disk.find(parent.0, name).is_some() {
        return Err(Errno::EEXIST);
    }
    let number = disk.make(content, u16::try_from(mode & 0o7777).unwrap_or(0o600));
    disk.change(vec![(parent.0, name.to_owned(), Some(number))]);
    look(disk, number)
}

fn empty(reply: ReplyEmpty, outcome: Result<(), Errno>) {
    match outcome {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}

fn entry(reply: ReplyEntry, outcome: Result<FileAttr, Errno>) {
    match outcome {
        Ok(attributes) => reply.entry(&TTL, &attributes, Generation(0)),
        Err(error) => reply.error(error),
    }
}

impl Filesystem for Served {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        entry(
            reply,
            self.disk(|disk| disk.find(parent.0, name).ok_or(Errno::ENOENT).and_then(|number| look(disk, number))),
        );
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.disk(|disk| look(disk, ino.0)) {
            Ok(attributes) => reply.attr(&TTL, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _fh: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let outcome = self.change(|disk| {
            if let Some(size) = size
                && !disk.truncate(ino.0, size)
            {
                return Err(Errno::EISDIR);
            }
            let node = disk.node_mut(ino.0).ok_or(Errno::ENOENT)?;
            if let Some(mode) = mode {
                node.mode = u16::try_from(mode & 0o7777).unwrap_or(0o600);
            }
            if let Some(TimeOrNow::SpecificTime(time)) = mtime {
                node.mtime = time;
            }
            node.ctime = SystemTime::now();
            look(disk, ino.0)
        });
        match outcome {
            Ok(attributes) => reply.attr(&TTL, &attributes),
            Err(error) => reply.error(error),
        }
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, _umask: u32, reply: ReplyEntry) {
        let content = Content::Directory(std::collections::BTreeMap::new());
        entry(reply, self.change(|disk| make(disk, parent, name, content, mode)));
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        match self.change(|disk| make(disk, parent, name, Content::File(File::default()), mode)) {
            Ok(attributes) => {
                reply.created(&TTL, &attributes, Generation(0), FileHandle(0), FopenFlags::empty());
            }
            Err(error) => reply.error(error),
        }
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let outcome = self.change(|disk| {
            disk.find(parent.0, name).ok_or(Errno::ENOENT)?;
            disk.change(vec![(parent.0, name.to_owned(), None)]);
            Ok(())
        });
        empty(reply, outcome);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let outcome = self.change(|disk| {
            let number = disk.find(parent.0, name).ok_or(Errno::ENOENT)?;
            if disk.names(number).ok_or(Errno::ENOTDIR)?.is_empty() {
                disk.change(vec![(parent.0, name.to_owned(), None)]);
                return Ok(());
            }
            Err(Errno::ENOTEMPTY)
        });
        empty(reply, outcome);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let outcome = self.change(|disk| {
            if !(flags - RenameFlags::RENAME_NOREPLACE).is_empty() {
                return Err(Errno::EINVAL);
            }
            let number = disk.find(parent.0, name).ok_or(Errno::ENOENT)?;
            if flags.contains(RenameFlags::RENAME_NOREPLACE) && disk.find(newparent.0, newname).is_some() {
                return Err(Errno::EEXIST);
            }
            let gone = (parent.0, name.to_owned(), None);
            disk.change(vec![gone, (newparent.0, newname.to_owned(), Some(number))]);
            Ok(())
        });
        empty(reply, outcome);
    }

    fn link(&self, _: &Request, ino: INodeNo, newparent: INodeNo, newname: &OsStr, reply: ReplyEntry) {
        let outcome = self.change(|disk| {
            if disk.find(newparent.0, newname).is_some() {
                return Err(Errno::EEXIST);
            }
            disk.change(vec![(newparent.0, newname.to_owned(), Some(ino.0))]);
            look(disk, ino.0)
        });
        entry(reply, outcome);
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let outcome = self.disk(|disk| match disk.node(ino.0).map(|node| &node.content) {
            Some(Content::File(file)) => {
                let start = usize::try_from(offset).unwrap_or(usize::MAX).min(file.bytes.len());
                let end = start.saturating_add(size as usize).min(file.bytes.len());
                Ok(file.bytes[start..end].to_vec())
            }
            Some(Content::Directory(_)) => Err(Errno::EISDIR),
            None => Err(Errno::ENOENT),
        });
        match outcome {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(error),
        }
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let outcome = self.change(|disk| if disk.write(ino.0, offset, data) { Ok(()) } else { Err(Errno::EISDIR) });
        match outcome {
            Ok(()) => reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX)),
            Err(error) => reply.error(error),
        }
    }

    fn flush(&self, _: &Request, _ino: INodeNo, _fh: FileHandle, _lock_owner: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _: &Request, ino: INodeNo, _fh: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        let outcome = self.change(|disk| {
            disk.sync(ino.0);
            Ok(())
        });
        empty(reply, outcome);
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _fh: FileHandle, _datasync: bool, reply: ReplyEmpty) {
        let outcome = self.change(|disk| {
            disk.sync_names(ino.0);
            Ok(())
        });
        empty(reply, outcome);
    }

    fn open(&self, _: &Request, _ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::FOPEN_KEEP_CACHE);
    }

    fn readdir(&self, _: &Request, ino: INodeNo, _fh: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let listed = self.disk(|disk| {
            let names = disk.names(ino.0).ok_or(Errno::ENOTDIR)?;
            let kind = |number: &u64| disk.names(*number).map_or(FileType::RegularFile, |_| FileType::Directory);
            Ok(names.iter().map(|(name, number)| (*number, kind(number), name.clone())).collect::<Vec<_>>())
        });
        let listed = match listed {
            Ok(listed) => listed,
            Err(error) => return reply.error(error),
        };
        for (at, (number, kind, name)) in (1..).zip(listed).skip(usize::try_from(offset).unwrap_or(usize::MAX)) {
            if reply.add(INodeNo(number), at, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        reply.statfs(BLOCKS, BLOCKS, BLOCKS, 1 << 20, 1 << 20, 4096, 255, 4096);
    }
}
