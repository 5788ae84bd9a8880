//! What the cache of guest images holds: one line per image, with where it came from.

use crate::Result;
use crate::files;
use std::fmt;
use std::path::Path;

/// One image, or one folder of many small files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Path within the cache.
    pub path: String,
    /// Package with architecture, or `-` for what is built here.
    pub package: String,
    /// Version of the package, or `-`.
    pub version: String,
    /// As [`files::digest`] makes it.
    pub sha256: String,
    /// Bytes, summed over a folder's files.
    pub size: u64,
}

/// The entries of one stage, with the key that says what they were made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Differs when the entries must be made again.
    pub key: String,
    /// In order of path.
    pub entries: Vec<Entry>,
}

impl Manifest {
    /// Reads the manifest back; `None` where there is none or it is not one of ours.
    pub fn load(path: &Path) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(path).ok()?)
    }

    /// Writes the manifest in one step.
    pub fn store(&self, path: &Path) -> Result {
        let new = path.with_extension("new");
        files::write(&new, self.to_string())?;
        files::rename(&new, path)
    }

    /// Whether every image is there with its size.
    pub fn is_complete(&self, root: &Path) -> bool {
        self.entries.iter().all(|entry| {
            let meta = root.join(&entry.path).metadata();
            meta.is_ok_and(|meta| meta.is_dir() || meta.len() == entry.size)
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let key = lines.next()?.strip_prefix("key\t")?.to_owned();
        let entries = lines.map(|line| {
            let mut fields = line.split('\t').map(str::to_owned);
            Some(Entry {
                path: fields.next()?,
                package: fields.next()?,
                version: fields.next()?,
                sha256: fields.next()?,
                size: fields.next()?.parse().ok()?,
            })
        });
        Some(Self { key, entries: entries.collect::<Option<_>>()? })
    }
}

impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "key\t{}", self.key)?;
        for Entry { path, package, version, sha256, size } in &self.entries {
            writeln!(f, "{path}\t{package}\t{version}\t{sha256}\t{size}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let entry = Entry {
            path: "opensbi/rv64/fw_jump.bin".into(),
            package: "opensbi:all".into(),
            version: "1.6-1".into(),
            sha256: "ab".into(),
            size: 7,
        };
        let manifest = Manifest { key: "k".into(), entries: vec![entry] };
        assert_eq!(Manifest::parse(&manifest.to_string()), Some(manifest));
        assert_eq!(Manifest::parse("key\tk\nonly a path\n"), None);
        assert_eq!(Manifest::parse(""), None);
    }
}
