//! The disk as a file system of the kernel, through FUSE: a real server reads, writes and syncs it with real system calls.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    BackgroundSession, BsdFileFlags, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, LockOwner, MountOption, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use parking_lot::{Condvar, Mutex};

use super::disk::Disk;

/// Nothing is cached: the kernel asks each time.
const TTL: Duration = Duration::ZERO;

/// A mounted disk; unmounted when it is dropped.
#[derive(Debug)]
pub struct Mounted {
    shared: Arc<Shared>,
    at: PathBuf,
    /// Dropping it unmounts.
    session: Option<BackgroundSession>,
}

#[derive(Debug, Default)]
struct Shared {
    disk: Mutex<Disk>,
    power: Mutex<Power>,
    goes_on: Condvar,
}

/// What happens to syncs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Power {
    /// They are done.
    #[default]
    On,
    /// They wait.
    Stalled,
    /// They fail, those that wait first.
    Off,
}

struct Served(Arc<Shared>);

impl Mounted {
    /// Mounts `disk` at the folder `at`.
    ///
    /// # Errors
    /// When the system does not allow it.
    pub fn mount(disk: Disk, at: &Path) -> std::io::Result<Mounted> {
        std::fs::create_dir_all(at)?;
        let shared = Arc::new(Shared { disk: Mutex::new(disk), ..Shared::default() });
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("quartermaster-proof".to_owned())];
        let session = fuser::spawn_mount(Served(Arc::clone(&shared)), at, &config)?;
        Ok(Mounted { shared, at: at.to_owned(), session: Some(session) })
    }

    /// Where it is mounted.
    pub fn at(&self) -> &Path {
        &self.at
    }

    /// From now on no sync is answered, until `go_on`.
    pub fn stall(&self) {
        self.set(Power::Stalled);
    }

    /// Syncs are answered again, those that wait first.
    pub fn go_on(&self) {
        self.set(Power::On);
    }

    /// From now on nothing that is not synced ever will be: syncs fail, those that wait, too.
    pub fn power_off(&self) {
        self.set(Power::Off);
    }

    fn set(&self, power: Power) {
        *self.shared.power.lock() = power;
        self.shared.goes_on.notify_all();
    }

    /// Unmounts it and gives the disk. No process may be using it.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn unmount(mut self) -> std::io::Result<Disk> {
        self.power_off();
        if let Some(session) = self.session.take() {
            session.umount_and_join()?;
        }
        Ok(std::mem::take(&mut *self.shared.disk.lock()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Whoever waits for a sync cannot be unmounted from.
        self.power_off();
    }
}

impl Served {
    /// Answers a sync, now or when the stall is over; the thread that serves everything else never waits.
    fn when_it_goes_on(&self, reply: ReplyEmpty, sync: impl FnOnce(&mut Disk) + Send + 'static) {
        let answer = |shared: &Shared, power: Power| {
            if power == Power::Off {
                return reply.error(Errno::EIO);
            }
            sync(&mut shared.disk.lock());
            reply.ok();
        };
        let power = *self.0.power.lock();
        if power != Power::Stalled {
            return answer(&self.0, power);
        }
        let shared = Arc::clone(&self.0);
        std::thread::spawn(move || {
            let mut power = shared.power.lock();
            while *power == Power::Stalled {
                shared.goes_on.wait(&mut power);
            }
            let power = *power;
            answer(&shared, power);
        });
    }
}

fn ino_of(file: usize) -> INodeNo {
    INodeNo(u64::try_from(file).unwrap_or(u64::MAX).saturating_add(2))
}

fn file_of(ino: INodeNo) -> Option<usize> {
    usize::try_from(u64::from(ino).checked_sub(2)?).ok()
}

fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn narrow(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

fn attributes(ino: INodeNo, kind: FileType, length: usize) -> FileAttr {
    FileAttr {
        ino,
        size: wide(length),
        blocks: wide(length.div_ceil(512)),
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind,
        perm: if kind == FileType::Directory { 0o700 } else { 0o600 },
        nlink: 1,
        uid: rustix::process::getuid().as_raw(),
        gid: rustix::process::getgid().as_raw(),
        rdev: 0,
        flags: 0,
        blksize: 4_096,
    }
}

fn file_attributes(disk: &Disk, file: usize) -> Option<FileAttr> {
    Some(attributes(ino_of(file), FileType::RegularFile, disk.length(file)?))
}

impl Filesystem for Served {
    fn lookup(&self, _request: &Request, _parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let disk = self.0.disk.lock();
        let found = name.to_str().and_then(|name| disk.find(name)).and_then(|file| file_attributes(&disk, file));
        match found {
            Some(attributes) => reply.entry(&TTL, &attributes, Generation(0)),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn getattr(&self, _request: &Request, ino: INodeNo, _handle: Option<FileHandle>, reply: ReplyAttr) {
        let disk = self.0.disk.lock();
        let found = match file_of(ino) {
            None => Some(attributes(ino, FileType::Directory, 0)),
            Some(file) => file_attributes(&disk, file),
        };
        match found {
            Some(attributes) => reply.attr(&TTL, &attributes),
            None => reply.error(Errno::ENOENT),
        }
    }

    fn setattr(
        &self,
        _request: &Request,
        ino: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _handle: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let mut disk = self.0.disk.lock();
        if let (Some(size), Some(file)) = (size, file_of(ino))
            && disk.length(file).is_some()
        {
            disk.resize(file, narrow(size));
        }
        drop(disk);
        self.getattr(_request, ino, None, reply);
    }

    fn unlink(&self, _request: &Request, _parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        if name.to_str().is_some_and(|name| self.0.disk.lock().unlink(name)) {
            reply.ok();
        } else {
            reply.error(Errno::ENOENT);
        }
    }

    fn rename(
        &self,
        _request: &Request,
        _parent: INodeNo,
        name: &OsStr,
        _new_parent: INodeNo,
        new_name: &OsStr,
        _flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let (from, to) = (name.to_str().unwrap_or_default(), new_name.to_str().unwrap_or_default());
        if self.0.disk.lock().rename(from, to) {
            reply.ok();
        } else {
            reply.error(Errno::ENOENT);
        }
    }

    fn create(
        &self,
        _request: &Request,
        _parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        let mut disk = self.0.disk.lock();
        let Some(name) = name.to_str() else { return reply.error(Errno::EINVAL) };
        let file = disk.create(name);
        let attributes = attributes(ino_of(file), FileType::RegularFile, 0);
        reply.created(&TTL, &attributes, Generation(0), FileHandle(0), FopenFlags::empty());
    }

    fn read(
        &self,
        _request: &Request,
        ino: INodeNo,
        _handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let Some(file) = file_of(ino) else { return reply.error(Errno::EISDIR) };
        reply.data(self.0.disk.lock().read(file, narrow(offset), narrow(size.into())));
    }

    fn write(
        &self,
        _request: &Request,
        ino: INodeNo,
        _handle: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let Some(file) = file_of(ino) else { return reply.error(Errno::EISDIR) };
        self.0.disk.lock().write(file, narrow(offset), data);
        reply.written(u32::try_from(data.len()).unwrap_or(u32::MAX));
    }

    fn flush(&self, _request: &Request, _ino: INodeNo, _handle: FileHandle, _owner: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn fsync(&self, _request: &Request, ino: INodeNo, _handle: FileHandle, _data: bool, reply: ReplyEmpty) {
        let Some(file) = file_of(ino) else { return reply.error(Errno::EISDIR) };
        self.when_it_goes_on(reply, move |disk| disk.sync(file));
    }

    fn fsyncdir(&self, _request: &Request, _ino: INodeNo, _handle: FileHandle, _data: bool, reply: ReplyEmpty) {
        self.when_it_goes_on(reply, Disk::sync_folder);
    }

    fn readdir(&self, _request: &Request, ino: INodeNo, _handle: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let disk = self.0.disk.lock();
        let folders = [(".", ino, FileType::Directory), ("..", ino, FileType::Directory)];
        let files = disk.names().map(|(name, file)| (name.as_str(), ino_of(file), FileType::RegularFile));
        for (number, (name, ino, kind)) in (1..).zip(folders.into_iter().chain(files)).skip(narrow(offset)) {
            if reply.add(ino, number, kind, name) {
                break;
            }
        }
        reply.ok();
    }
}
