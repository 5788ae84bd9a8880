//! The 9P transport device (virtio device ID 9, as in Linux's `net/9p/trans_virtio.c`) with a server of 9P2000.L
//! over a directory of the host.
//!
//! The guest never gets out of the directory (see `tree`), and acts as the user that runs the emulator. Left
//! out: device nodes, changes of owner, setuid and setgid, extended attributes, authentication. Locks are always
//! granted: the guest is the only client. What a guest reads here is the host's, so a run depends on it as it does
//! on a disk; names are listed in a fixed order.

mod message;
mod tree;

use super::device::{Io, VirtioDevice};
use devices_core::{Component, Ctx, Field, RestoreError, state};
use message::{Body, Fields, HEADER, kind};
use rustix::fs::{OFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use tree::{Entry, Path, Tree, is_name, join};

const F_MOUNT_TAG: u64 = 1 << 0;

/// Largest message; Linux's virtio transport makes none of more than 500,000 bytes.
const MAX_MESSAGE: u32 = 512 << 10;
const MIN_MESSAGE: u32 = 4096;
const MAX_FIDS: usize = 4096;
const MAX_OPEN: usize = 256;
/// Most names that open directories hold together.
const MAX_ENTRIES: usize = 1 << 20;
/// Most names in one walk (`P9_MAXWELEM`).
const MAX_WALK: u16 = 16;
/// Size, type, tag and count of an answer to a read.
const READ_HEADER: u32 = 11;

/// Fields of getattr that are answered: all of `struct stat` (`P9_STATS_BASIC`).
const STATS_BASIC: u64 = 0x7ff;

type Result<T> = std::result::Result<T, Errno>;

/// How a file was opened.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Access {
    /// As the protocol numbers them, without those that act once, at opening.
    flags: u32,
}

/// What a guest's file identifier stands for.
#[derive(Default, Serialize, Deserialize)]
struct Fid {
    path: Path,
    access: Option<Access>,
    /// A directory's names, when it is being read.
    listing: Option<Vec<Entry>>,
    #[serde(skip)]
    file: Option<File>,
}

#[derive(Default, Serialize, Deserialize)]
struct State {
    message_size: u32,
    fids: BTreeMap<u32, Fid>,
}

/// A share.
pub struct Share {
    tree: Tree,
    tag: String,
    state: State,
}

/// A message ended too early.
fn short<T>(field: Option<T>) -> Result<T> {
    field.ok_or(Errno::INVAL)
}

impl Share {
    /// The directory `root` under the mount tag `tag`.
    pub fn new(root: &std::path::Path, tag: &str) -> std::io::Result<Share> {
        Ok(Share { tree: Tree::new(root)?, tag: tag.to_string(), state: State::default() })
    }

    fn fid(&self, fid: u32) -> Result<&Fid> {
        self.state.fids.get(&fid).ok_or(Errno::BADF)
    }

    fn path(&self, fid: u32) -> Result<&Path> {
        self.fid(fid).map(|fid| &fid.path)
    }

    /// The path of `name` in the directory `fid`.
    fn child(&self, fid: u32, name: &[u8]) -> Result<Path> {
        join(self.path(fid)?, name)
    }

    fn insert(&mut self, fid: u32, path: Path) -> Result<()> {
        if self.state.fids.contains_key(&fid) {
            return Err(Errno::BADF);
        }
        if self.state.fids.len() >= MAX_FIDS {
            return Err(Errno::NFILE);
        }
        self.state.fids.insert(fid, Fid { path, ..Fid::default() });
        Ok(())
    }

    /// The open file behind `fid`; opened again after a restore.
    fn file(&mut self, fid: u32) -> Result<&File> {
        let entry = self.state.fids.get_mut(&fid).ok_or(Errno::BADF)?;
        let access = entry.access.ok_or(Errno::BADF)?;
        if entry.file.is_none() {
            let flags = open_flags(access.flags);
            entry.file = Some(self.tree.open(&entry.path, flags).map_err(|_| Errno::STALE)?);
        }
        entry.file.as_ref().ok_or(Errno::BADF)
    }

    fn count_open(&self) -> Result<()> {
        let open = self.state.fids.values().filter(|fid| fid.access.is_some()).count();
        if open < MAX_OPEN { Ok(()) } else { Err(Errno::MFILE) }
    }

    /// Answers a request with a whole message, of at most `room` bytes.
    pub fn answer(&mut self, request: &[u8], room: usize) -> Vec<u8> {
        let mut fields = Fields(request);
        let header = (|| Some((fields.u32()?, fields.u8()?, fields.u16()?)))();
        let Some((size, kind, tag)) = header else { return error(u16::MAX, Errno::INVAL) };
        let body = (size as usize).checked_sub(HEADER).and_then(|len| fields.bytes(len));
        let room = room.min(self.limit()) as u32;
        let answer = short(body).and_then(|body| self.serve(kind, Fields(body), room));
        match answer {
            Ok(body) => body.message(kind + 1, tag),
            Err(errno) => error(tag, errno),
        }
    }

    fn limit(&self) -> usize {
        if self.state.message_size == 0 { MAX_MESSAGE as usize } else { self.state.message_size as usize }
    }

    fn serve(&mut self, kind: u8, mut fields: Fields, room: u32) -> Result<Body> {
        let f = &mut fields;
        let mut body = Body::default();
        match kind {
            kind::VERSION => {
                let (size, version) = (short(f.u32())?, short(f.string())?);
                if size < MIN_MESSAGE {
                    return Err(Errno::INVAL);
                }
                let known = version == b"9P2000.L";
                self.state = State { message_size: size.min(MAX_MESSAGE), fids: BTreeMap::new() };
                body.u32(self.state.message_size).string(if known { version } else { b"unknown" });
            }
            // No request is ever in flight when another one arrives.
            kind::FLUSH => drop(short(f.u16())?),
            kind::ATTACH => {
                let fid = short(f.u32())?;
                let stat = self.tree.stat(&Path::new())?;
                self.insert(fid, Path::new())?;
                body.qid(self.tree.qid(&stat));
            }
            kind::WALK => self.walk(f, &mut body)?,
            kind::CLUNK => drop(self.state.fids.remove(&short(f.u32())?).ok_or(Errno::BADF)?),
            kind::STATFS => {
                self.fid(short(f.u32())?)?;
                self.statfs(&mut body)?;
            }
            kind::GETATTR => self.getattr(short(f.u32())?, &mut body)?,
            kind::SETATTR => self.setattr(f)?,
            kind::LOPEN => self.open(f, &mut body)?,
            kind::LCREATE => self.create(f, &mut body)?,
            kind::READ => self.read(f, room, &mut body)?,
            kind::WRITE => self.write(f, &mut body)?,
            kind::READDIR => self.readdir(f, room, &mut body)?,
            kind::READLINK => {
                body.string(&self.tree.read_link(self.path(short(f.u32())?)?)?);
            }
            kind::SYMLINK => {
                let path = self.child(short(f.u32())?, short(f.string())?)?;
                self.tree.make_link_to(&path, short(f.string())?)?;
                body.qid(self.tree.qid(&self.tree.stat(&path)?));
            }
            kind::MKDIR => {
                let path = self.child(short(f.u32())?, short(f.string())?)?;
                self.tree.make_directory(&path, short(f.u32())?)?;
                body.qid(self.tree.qid(&self.tree.stat(&path)?));
            }
            kind::MKNOD => return Err(Errno::PERM),
            kind::LINK => {
                let (directory, fid) = (short(f.u32())?, short(f.u32())?);
                let path = self.child(directory, short(f.string())?)?;
                self.tree.link(self.path(fid)?, &path)?;
            }
            kind::RENAME => {
                let (fid, directory) = (short(f.u32())?, short(f.u32())?);
                let to = self.child(directory, short(f.string())?)?;
                self.rename(self.path(fid)?.clone(), to)?;
            }
            kind::RENAMEAT => {
                let from = self.child(short(f.u32())?, short(f.string())?)?;
                let to = self.child(short(f.u32())?, short(f.string())?)?;
                self.rename(from, to)?;
            }
            kind::UNLINKAT => {
                let path = self.child(short(f.u32())?, short(f.string())?)?;
                let flags = short(f.u32())?;
                self.tree.remove(&path, flags & 0x200 != 0)?; // AT_REMOVEDIR
            }
            kind::REMOVE => {
                // The identifier is gone even if the file is not.
                let fid = self.state.fids.remove(&short(f.u32())?).ok_or(Errno::BADF)?;
                let is_directory = self.tree.qid(&self.tree.stat(&fid.path)?).kind & 0x80 != 0;
                self.tree.remove(&fid.path, is_directory)?;
            }
            kind::FSYNC => self.file(short(f.u32())?)?.sync_all().map_err(host)?,
            kind::LOCK => {
                self.fid(short(f.u32())?)?;
                body.u8(0); // P9_LOCK_SUCCESS
            }
            kind::GETLOCK => {
                self.fid(short(f.u32())?)?;
                let (_, start, length) = (short(f.u8())?, short(f.u64())?, short(f.u64())?);
                let (process, client) = (short(f.u32())?, short(f.string())?);
                body.u8(2).u64(start).u64(length).u32(process).string(client); // F_UNLCK
            }
            kind::XATTRWALK => {
                self.fid(short(f.u32())?)?;
                let (_, name) = (short(f.u32())?, short(f.string())?);
                return Err(if name.is_empty() { Errno::OPNOTSUPP } else { Errno::NODATA });
            }
            _ => return Err(Errno::OPNOTSUPP),
        }
        Ok(body)
    }

    fn walk(&mut self, f: &mut Fields, body: &mut Body) -> Result<()> {
        let (fid, new, count) = (short(f.u32())?, short(f.u32())?, short(f.u16())?);
        if count > MAX_WALK {
            return Err(Errno::INVAL);
        }
        let from = self.fid(fid)?;
        if from.access.is_some() && count > 0 {
            return Err(Errno::BUSY);
        }
        let mut path = from.path.clone();
        let mut qids = Vec::new();
        for _ in 0..count {
            let name = short(f.string())?;
            let stat = if name == b".." {
                path.pop();
                self.tree.stat(&path)
            } else if is_name(name) {
                path = join(&path, name)?;
                self.tree.stat(&path)
            } else {
                Err(Errno::NOENT)
            };
            match stat {
                Ok(stat) => qids.push(self.tree.qid(&stat)),
                Err(errno) if qids.is_empty() => return Err(errno),
                // Walked in part: the new identifier is not made.
                Err(_) => break,
            }
        }
        if qids.len() == usize::from(count) {
            if fid == new {
                self.state.fids.remove(&fid);
            }
            self.insert(new, path)?;
        }
        body.u16(qids.len() as u16);
        for qid in qids {
            body.qid(qid);
        }
        Ok(())
    }

    fn statfs(&self, body: &mut Body) -> Result<()> {
        let fs = self.tree.file_system()?;
        body.u32(0x0102_1997).u32(fs.f_bsize as u32); // V9FS_MAGIC
        body.u64(fs.f_blocks).u64(fs.f_bfree).u64(fs.f_bavail).u64(fs.f_files).u64(fs.f_ffree);
        body.u64(0).u32(fs.f_namelen as u32);
        Ok(())
    }

    fn getattr(&self, fid: u32, body: &mut Body) -> Result<()> {
        let fid = self.fid(fid)?;
        // An open file can be asked after its name is gone.
        let stat = match &fid.file {
            Some(file) => rustix::fs::fstat(file)?,
            None => self.tree.stat(&fid.path)?,
        };
        body.u64(STATS_BASIC).qid(self.tree.qid(&stat));
        body.u32(stat.st_mode).u32(stat.st_uid).u32(stat.st_gid).u64(stat.st_nlink);
        body.u64(stat.st_rdev)
            .u64(stat.st_size as u64)
            .u64(stat.st_blksize as u64)
            .u64(stat.st_blocks as u64);
        body.u64(stat.st_atime as u64).u64(stat.st_atime_nsec);
        body.u64(stat.st_mtime as u64).u64(stat.st_mtime_nsec);
        body.u64(stat.st_ctime as u64).u64(stat.st_ctime_nsec);
        body.u64(0).u64(0).u64(0).u64(0); // time of birth, generation, data version
        Ok(())
    }

    fn setattr(&mut self, f: &mut Fields) -> Result<()> {
        let (fid, valid, mode) = (short(f.u32())?, short(f.u32())?, short(f.u32())?);
        let (uid, gid, size) = (short(f.u32())?, short(f.u32())?, short(f.u64())?);
        let mut time = || Some((f.u64()?, f.u64()?));
        let (atime, mtime) = (short(time())?, short(time())?);
        let has = |bit: u32| valid >> bit & 1 != 0;
        let path = self.path(fid)?.clone();
        if has(1) || has(2) {
            let stat = self.tree.stat(&path)?;
            if has(1) && uid != stat.st_uid || has(2) && gid != stat.st_gid {
                return Err(Errno::PERM);
            }
        }
        if has(0) {
            self.tree.set_mode(&path, mode)?;
        }
        if has(3) {
            let size = i64::try_from(size).map_err(|_| Errno::FBIG)?;
            let fid = self.fid(fid)?;
            let writable = fid.access.is_some_and(|access| access.flags & 3 != 0);
            match &fid.file {
                Some(file) if writable => file.set_len(size as u64).map_err(host)?,
                _ => self.tree.set_len(&path, size as u64)?,
            }
        }
        if has(4) || has(5) {
            let spec = |now: u32, set: u32, (sec, nsec): (u64, u64)| match (has(now), has(set)) {
                (true, true) => Timespec { tv_sec: sec as i64, tv_nsec: nsec.min(999_999_999) as _ },
                (true, false) => Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
                _ => Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
            };
            let (last_access, last_modification) = (spec(4, 7, atime), spec(5, 8, mtime));
            self.tree.set_times(&path, &Timestamps { last_access, last_modification })?;
        }
        Ok(())
    }

    fn open(&mut self, f: &mut Fields, body: &mut Body) -> Result<()> {
        let (fid, flags) = (short(f.u32())?, short(f.u32())?);
        let entry = self.fid(fid)?;
        if entry.access.is_some() {
            return Err(Errno::BADF);
        }
        self.count_open()?;
        let once = if flags & 0o1000 != 0 { OFlags::TRUNC } else { OFlags::empty() };
        let file = self.tree.open(&entry.path, open_flags(flags) | once)?;
        self.opened(fid, None, file, flags, body)
    }

    fn create(&mut self, f: &mut Fields, body: &mut Body) -> Result<()> {
        let (fid, name) = (short(f.u32())?, short(f.string())?);
        let (flags, mode) = (short(f.u32())?, short(f.u32())?);
        if self.fid(fid)?.access.is_some() {
            return Err(Errno::BADF);
        }
        self.count_open()?;
        let path = self.child(fid, name)?;
        let mut once = OFlags::empty();
        once.set(OFlags::TRUNC, flags & 0o1000 != 0);
        once.set(OFlags::EXCL, flags & 0o200 != 0);
        let file = self.tree.create(&path, open_flags(flags) | once, mode)?;
        self.opened(fid, Some(path), file, flags, body)
    }

    fn opened(
        &mut self,
        fid: u32,
        path: Option<Path>,
        file: File,
        flags: u32,
        body: &mut Body,
    ) -> Result<()> {
        body.qid(self.tree.qid(&rustix::fs::fstat(&file)?));
        body.u32(0); // iounit: what a message holds
        let entry = self.state.fids.get_mut(&fid).ok_or(Errno::BADF)?;
        entry.path = path.unwrap_or_else(|| std::mem::take(&mut entry.path));
        entry.access = Some(Access { flags: flags & LASTING });
        entry.file = Some(file);
        Ok(())
    }

    fn read(&mut self, f: &mut Fields, room: u32, body: &mut Body) -> Result<()> {
        let (fid, offset, count) = (short(f.u32())?, short(f.u64())?, short(f.u32())?);
        let mut bytes = vec![0; count.min(room.saturating_sub(READ_HEADER)) as usize];
        let file = self.file(fid)?;
        let mut done = 0;
        while done < bytes.len() {
            match file.read_at(&mut bytes[done..], offset.saturating_add(done as u64)) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(host(error)),
            }
        }
        body.u32(done as u32);
        body.0.extend_from_slice(&bytes[..done]);
        Ok(())
    }

    fn write(&mut self, f: &mut Fields, body: &mut Body) -> Result<()> {
        let (fid, offset, count) = (short(f.u32())?, short(f.u64())?, short(f.u32())?);
        let bytes = short(f.bytes(count as usize))?;
        self.file(fid)?.write_all_at(bytes, offset).map_err(host)?;
        body.u32(count);
        Ok(())
    }

    fn readdir(&mut self, f: &mut Fields, room: u32, body: &mut Body) -> Result<()> {
        let (fid, offset, count) = (short(f.u32())?, short(f.u64())?, short(f.u32())?);
        let held: usize = self.state.fids.values().flat_map(|fid| &fid.listing).map(Vec::len).sum();
        let entry = self.state.fids.get_mut(&fid).ok_or(Errno::BADF)?;
        entry.access.ok_or(Errno::BADF)?;
        // One picture of the directory serves the whole of a reading, so that removing names on the way skips none.
        if offset == 0 || entry.listing.is_none() {
            entry.listing = None;
            entry.listing = Some(self.tree.list(&entry.path, MAX_ENTRIES - held.min(MAX_ENTRIES))?);
        }
        let limit = count.min(room.saturating_sub(READ_HEADER)) as usize;
        let mut names = Body::default();
        let first = usize::try_from(offset).unwrap_or(usize::MAX);
        for (index, entry) in entry.listing.iter().flatten().enumerate().skip(first) {
            if names.0.len() + 24 + entry.name.len() > limit {
                break;
            }
            let kind = match entry.kind {
                4 => 0x80,
                10 => 0x02,
                _ => 0,
            };
            names.qid(message::Qid { kind, version: 0, path: entry.inode });
            names.u64(index as u64 + 1).u8(entry.kind).string(&entry.name);
        }
        body.u32(names.0.len() as u32);
        body.0.extend_from_slice(&names.0);
        Ok(())
    }

    fn rename(&mut self, from: Path, to: Path) -> Result<()> {
        self.tree.rename(&from, &to)?;
        // Identifiers follow what they stand for.
        for fid in self.state.fids.values_mut() {
            if let Some(rest) = fid.path.strip_prefix(from.as_slice()) {
                fid.path = to.iter().chain(rest).cloned().collect();
            }
        }
        Ok(())
    }
}

/// Access mode, append, data sync, directory.
const LASTING: u32 = 0o212003;

/// The flags that matter of those of `open(2)` as 9P2000.L numbers them.
fn open_flags(flags: u32) -> OFlags {
    let mut result = match flags & 3 {
        0 => OFlags::RDONLY,
        1 => OFlags::WRONLY,
        _ => OFlags::RDWR,
    };
    result.set(OFlags::APPEND, flags & 0o2000 != 0);
    result.set(OFlags::DSYNC, flags & 0o10000 != 0);
    result.set(OFlags::DIRECTORY, flags & 0o200000 != 0);
    result
}

fn host(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

fn error(tag: u16, errno: Errno) -> Vec<u8> {
    let mut body = Body::default();
    body.u32(errno.raw_os_error() as u32);
    body.message(kind::LERROR + 1, tag)
}

impl Component for Share {
    fn save(&self) -> Vec<u8> {
        state::encode(&self.state)
    }

    fn restore(&mut self, bytes: &[u8]) -> std::result::Result<(), RestoreError> {
        let saved: State = state::decode(bytes)?;
        if saved.message_size > MAX_MESSAGE
            || !saved.fids.values().flat_map(|fid| &fid.path).all(|name| is_name(name))
        {
            return Err(RestoreError("a share with a path that leads out of it".into()));
        }
        self.state = saved;
        Ok(())
    }

    fn inspect(&self) -> Vec<Field> {
        let field = |name: &str, value: String| Field { name: name.into(), value };
        vec![field("tag", self.tag.clone()), field("fids", self.state.fids.len().to_string())]
    }
}

impl VirtioDevice for Share {
    fn id(&self) -> u32 {
        9
    }

    fn features(&self) -> u64 {
        F_MOUNT_TAG
    }

    fn queues(&self) -> &'static [u16] {
        &[128]
    }

    fn config(&self) -> Vec<u8> {
        let mut body = Body::default();
        body.string(self.tag.as_bytes());
        body.0
    }

    fn reset(&mut self, _ctx: &mut Ctx, _power: bool) {
        self.state = State::default();
    }

    fn notify(&mut self, io: &mut Io, queue: usize) {
        while let Some(mut chain) = io.pop(queue) {
            let request = chain.readable.take(&io.memory, MAX_MESSAGE as usize);
            let room = chain.writable.remaining().min(MAX_MESSAGE.into()) as usize;
            let mut answer = self.answer(&request, room);
            if answer.len() > room {
                answer = error(u16::from_le_bytes([answer[5], answer[6]]), Errno::NOBUFS);
            }
            if answer.len() > room {
                io.fail("a 9p request has no room for an answer");
                return;
            }
            chain.writable.write(&io.memory, &answer);
            io.complete(queue, &chain);
        }
    }
}

#[cfg(test)]
mod tests;
