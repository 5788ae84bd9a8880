//! File operations whose errors name the file.

use crate::Result;
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};

/// Adds the path to an I/O error.
pub fn named<T>(result: std::io::Result<T>, path: &Path) -> Result<T> {
    result.map_err(|e| format!("{}: {e}", path.display()).into())
}

/// Makes a folder and those above it.
pub fn make_folder(path: &Path) -> Result {
    named(fs::create_dir_all(path), path)
}

/// Removes a folder and what is in it; it may be absent.
pub fn remove_folder(path: &Path) -> Result {
    match fs::remove_dir_all(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => named(other, path),
    }
}

/// Reads a whole file.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    named(fs::read(path), path)
}

/// Writes a file, making its folder.
pub fn write(path: &Path, bytes: impl AsRef<[u8]>) -> Result {
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    named(fs::write(path, bytes), path)
}

/// Moves a file or folder within one file system, making the folder it goes to.
pub fn rename(from: &Path, to: &Path) -> Result {
    if let Some(folder) = to.parent() {
        make_folder(folder)?;
    }
    named(fs::rename(from, to), from)
}

/// The only entry of a folder whose name starts so: kernels carry their version in their file names.
pub fn find(folder: &Path, prefix: &str) -> Result<PathBuf> {
    let mut found = children(folder)?;
    found.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix)));
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(format!("{}: nothing here is named {prefix}*", folder.display()).into()),
        _ => Err(format!("{}: more than one entry is named {prefix}*", folder.display()).into()),
    }
}

/// The entries of a folder, in order of name.
pub fn children(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = named(fs::read_dir(folder), folder)?;
    let mut paths = entries.map(|e| Ok(named(e, folder)?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// The regular files below a folder, in order of path.
pub fn below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in children(folder)? {
        let kind = named(path.symlink_metadata(), &path)?.file_type();
        if kind.is_dir() {
            files.extend(below(&path)?);
        } else if kind.is_file() {
            files.push(path);
        }
    }
    Ok(files)
}

/// SHA-256 and size of a file, or of a folder: then the hash is that of the lines "hash  path" of its files.
pub fn digest(path: &Path) -> Result<(String, u64)> {
    if !path.is_dir() {
        let bytes = read(path)?;
        return Ok((sha256(&bytes), bytes.len() as u64));
    }
    let (mut lines, mut total) = (String::new(), 0);
    for file in below(path)? {
        let (hash, size) = digest(&file)?;
        lines += &format!("{hash}  {}\n", file.strip_prefix(path)?.display());
        total += size;
    }
    Ok((sha256(lines.as_bytes()), total))
}

/// SHA-256 in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
