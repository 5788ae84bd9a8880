//! A directory of the host, from which no path leads out.
//!
//! A path is a list of names. Each directory on the way is opened by its name in the one before, without following
//! symbolic links; the last name is only ever used by calls that do not follow one either.

use super::message::Qid;
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use std::fs::File;
use std::path::Path as HostPath;

/// Names from the root on.
pub type Path = Vec<Vec<u8>>;

/// Most bytes in all names of a path.
const MAX_PATH: usize = 4096;

/// Bits of a mode that a guest can set; those that change identity (setuid, setgid) would reach the host's users.
const MODE: u32 = 0o777;

/// A name in a directory.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, serde::Serialize, serde::Deserialize)]
pub struct Entry {
    /// The name.
    pub name: Vec<u8>,
    /// As in `struct dirent`.
    pub inode: u64,
    /// As in `struct dirent`: 4 a directory, 8 a file, 10 a symbolic link.
    pub kind: u8,
}

/// A shared directory.
pub struct Tree {
    root: OwnedFd,
    device: u64,
}

/// Whether `name` is one that a directory can hold.
pub fn is_name(name: &[u8]) -> bool {
    !name.is_empty()
        && name.len() <= 255
        && name != b"."
        && name != b".."
        && !name.iter().any(|c| matches!(c, b'/' | 0))
}

/// `path` with `name` at its end.
pub fn join(path: &Path, name: &[u8]) -> Result<Path, Errno> {
    if !is_name(name) {
        return Err(if name.len() > 255 { Errno::NAMETOOLONG } else { Errno::INVAL });
    }
    if path.iter().map(|name| name.len() + 1).sum::<usize>() + name.len() > MAX_PATH {
        return Err(Errno::NAMETOOLONG);
    }
    let mut path = path.clone();
    path.push(name.to_vec());
    Ok(path)
}

impl Tree {
    /// Opens the directory.
    pub fn new(root: &HostPath) -> Result<Tree, Errno> {
        let root = fs::open(root, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let device = fs::fstat(&root)?.st_dev;
        Ok(Tree { root, device })
    }

    fn step(at: impl AsFd, name: &[u8]) -> Result<OwnedFd, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        fs::openat(at, name, flags, Mode::empty())
    }

    /// The directory that holds `path`, and its name there; the root is "." in itself.
    fn parent<'a>(&self, path: &'a Path) -> Result<(OwnedFd, &'a [u8]), Errno> {
        let mut directory = self.root.try_clone().map_err(|_| Errno::MFILE)?;
        let Some((last, rest)) = path.split_last() else { return Ok((directory, b".")) };
        for name in rest {
            directory = Tree::step(&directory, name)?;
        }
        Ok((directory, last))
    }

    /// As [`Tree::parent`], refusing the root.
    fn entry<'a>(&self, path: &'a Path) -> Result<(OwnedFd, &'a [u8]), Errno> {
        if path.is_empty() { Err(Errno::BUSY) } else { self.parent(path) }
    }

    /// What a path is.
    pub fn stat(&self, path: &Path) -> Result<Stat, Errno> {
        let (directory, name) = self.parent(path)?;
        fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
    }

    /// Identity of a file.
    pub fn qid(&self, stat: &Stat) -> Qid {
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => 0x80,
            FileType::Symlink => 0x02,
            _ => 0,
        };
        // Inode numbers are unique on one file system only.
        let path = stat.st_ino ^ (stat.st_dev ^ self.device).rotate_left(40);
        let version = (stat.st_mtime as u32) ^ (stat.st_size as u32) << 8;
        Qid { kind, version, path }
    }

    /// Opens a file or directory; anything else might block or act on the host.
    pub fn open(&self, path: &Path, flags: OFlags) -> Result<File, Errno> {
        let (directory, name) = self.parent(path)?;
        let stat = fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
        Tree::check_kind(&stat)?;
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = fs::openat(directory, name, flags, Mode::empty())?;
        Tree::check_kind(&fs::fstat(&file)?)?;
        Ok(File::from(file))
    }

    fn check_kind(stat: &Stat) -> Result<(), Errno> {
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile | FileType::Directory => Ok(()),
            FileType::Symlink => Err(Errno::LOOP),
            _ => Err(Errno::PERM),
        }
    }

    /// Makes and opens a file.
    pub fn create(&self, path: &Path, flags: OFlags, mode: u32) -> Result<File, Errno> {
        let (directory, name) = self.entry(path)?;
        if let Ok(stat) = fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Tree::check_kind(&stat)?;
        }
        let fixed = OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = fs::openat(directory, name, flags | fixed, Mode::from_raw_mode(mode & MODE))?;
        Tree::check_kind(&fs::fstat(&file)?)?;
        Ok(File::from(file))
    }

    /// All names in a directory, in the order of their bytes.
    pub fn list(&self, path: &Path, limit: usize) -> Result<Vec<Entry>, Errno> {
        let file = self.open(path, OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut entries = Vec::new();
        for entry in fs::Dir::new(OwnedFd::from(file))? {
            let entry = entry?;
            let kind = match entry.file_type() {
                FileType::Directory => 4,
                FileType::RegularFile => 8,
                FileType::Symlink => 10,
                _ => 0,
            };
            let name = entry.file_name().to_bytes().to_vec();
            // The root's parent is outside.
            let inode = if path.is_empty() && name == b".." { self.stat(path)?.st_ino } else { entry.ino() };
            entries.push(Entry { name, inode, kind });
            if entries.len() > limit {
                return Err(Errno::NOMEM);
            }
        }
        entries.sort();
        Ok(entries)
    }

    /// Where a symbolic link points.
    pub fn read_link(&self, path: &Path) -> Result<Vec<u8>, Errno> {
        let (directory, name) = self.parent(path)?;
        Ok(fs::readlinkat(directory, name, Vec::new())?.into_bytes())
    }

    /// Makes a directory.
    pub fn make_directory(&self, path: &Path, mode: u32) -> Result<(), Errno> {
        let (directory, name) = self.entry(path)?;
        fs::mkdirat(directory, name, Mode::from_raw_mode(mode & MODE))
    }

    /// Makes a symbolic link; where it points matters to those who follow it only.
    pub fn make_link_to(&self, path: &Path, target: &[u8]) -> Result<(), Errno> {
        let (directory, name) = self.entry(path)?;
        fs::symlinkat(target, directory, name)
    }

    /// Gives a file another name.
    pub fn link(&self, path: &Path, other: &Path) -> Result<(), Errno> {
        let ((directory, name), (other_directory, other_name)) = (self.entry(path)?, self.entry(other)?);
        fs::linkat(directory, name, other_directory, other_name, AtFlags::empty())
    }

    /// Moves a file or directory.
    pub fn rename(&self, path: &Path, other: &Path) -> Result<(), Errno> {
        let ((directory, name), (other_directory, other_name)) = (self.entry(path)?, self.entry(other)?);
        fs::renameat(directory, name, other_directory, other_name)
    }

    /// Removes a file, or an empty directory.
    pub fn remove(&self, path: &Path, directory: bool) -> Result<(), Errno> {
        let (at, name) = self.entry(path)?;
        fs::unlinkat(at, name, if directory { AtFlags::REMOVEDIR } else { AtFlags::empty() })
    }

    /// Sets the permissions.
    pub fn set_mode(&self, path: &Path, mode: u32) -> Result<(), Errno> {
        let (directory, name) = self.parent(path)?;
        // No call changes the mode of a name without following it, so it is pinned first.
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let pinned = fs::openat(directory, name, flags, Mode::empty())?;
        if FileType::from_raw_mode(fs::fstat(&pinned)?.st_mode) == FileType::Symlink {
            return Err(Errno::OPNOTSUPP);
        }
        let mode = Mode::from_raw_mode(mode & MODE);
        fs::chmodat(fs::CWD, format!("/proc/self/fd/{}", pinned.as_raw_fd()), mode, AtFlags::empty())
    }

    /// Sets the times.
    pub fn set_times(&self, path: &Path, times: &fs::Timestamps) -> Result<(), Errno> {
        let (directory, name) = self.parent(path)?;
        fs::utimensat(directory, name, times, AtFlags::SYMLINK_NOFOLLOW)
    }

    /// Sets the length of a file.
    pub fn set_len(&self, path: &Path, len: u64) -> Result<(), Errno> {
        fs::ftruncate(self.open(path, OFlags::WRONLY)?, len)
    }

    /// The file system of the root.
    pub fn file_system(&self) -> Result<fs::StatFs, Errno> {
        fs::fstatfs(&self.root)
    }
}
