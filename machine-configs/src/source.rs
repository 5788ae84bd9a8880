//! Source files, positions in them, and where files are looked for.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Files larger than this are refused: no board needs them, and a mistyped path often hits one.
const MAX_FILE: u64 = 64 << 20;

/// A range of bytes in one file of a [`SourceMap`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// Index of the file in its [`SourceMap`].
    pub file: u32,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The span from the start of `self` to the end of `other`, or `self` when they lie in different files.
    pub fn to(self, other: Span) -> Span {
        if self.file == other.file && other.end >= self.start {
            Span { end: other.end, ..self }
        } else {
            self
        }
    }
}

/// A position as people read it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Position {
    /// The file as it was named.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// One file that took part in a compilation.
#[derive(Clone, Debug)]
pub struct SourceFile {
    /// The name shown in messages.
    pub name: String,
    /// The whole text.
    pub text: Arc<str>,
    /// The include directive that brought it in.
    pub included_from: Option<Span>,
    /// Where it lies, to resolve files named relative to it.
    location: Location,
}

/// Where a file came from.
#[derive(Clone, Debug)]
enum Location {
    Disk(PathBuf),
    /// Key in the table of files inside the program.
    Builtin(&'static str),
    /// Text that has no directory: a command line argument, a string in a test.
    Memory,
}

/// Every file of a compilation; spans index into it.
#[derive(Clone, Debug, Default)]
pub struct SourceMap {
    files: Vec<SourceFile>,
    /// Calls of macros: where the macro is defined.
    calls: HashMap<Span, Span>,
}

impl SourceMap {
    /// The files, in the order in which they were read.
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// The file that `span` lies in.
    pub fn file(&self, span: Span) -> Option<&SourceFile> {
        self.files.get(span.file as usize)
    }

    /// The text under `span`.
    pub fn text(&self, span: Span) -> &str {
        self.file(span).and_then(|f| f.text.get(span.start as usize..span.end as usize)).unwrap_or("")
    }

    /// File, line and column of the start of `span`.
    pub fn position(&self, span: Span) -> Position {
        let Some(file) = self.file(span) else {
            return Position { file: "<none>".into(), line: 1, column: 1 };
        };
        let bytes = file.text.as_bytes();
        let before = &bytes[..(span.start as usize).min(bytes.len())];
        let line_start = before.iter().rposition(|&b| b == b'\n').map_or(0, |i| i + 1);
        let line = before.iter().filter(|&&b| b == b'\n').count() as u32 + 1;
        // Characters, not bytes: count everything but UTF-8 continuation bytes.
        let column = before[line_start..].iter().filter(|&&b| b & 0xc0 != 0x80).count() as u32 + 1;
        Position { file: file.name.clone(), line, column }
    }

    /// Adds text that is in no file, such as a command line argument.
    pub fn add_text(&mut self, name: impl Into<String>, text: impl Into<Arc<str>>) -> u32 {
        self.push(SourceFile {
            name: name.into(),
            text: text.into(),
            included_from: None,
            location: Location::Memory,
        })
    }

    /// Where the macro is defined whose call `span` is.
    pub fn macro_at(&self, span: Span) -> Option<Span> {
        self.calls.get(&span).copied()
    }

    pub(crate) fn add_call(&mut self, call: Span, definition: Span) {
        self.calls.insert(call, definition);
    }

    fn push(&mut self, file: SourceFile) -> u32 {
        self.files.push(file);
        self.files.len() as u32 - 1
    }
}

/// Bytes found for a file name, and what is needed to add them to a [`SourceMap`].
pub(crate) struct Found {
    name: String,
    location: Location,
    pub(crate) bytes: Vec<u8>,
}

impl Found {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Adds the file to `map` if it is text. The error is the offset of the first byte that is not UTF-8.
    pub(crate) fn into_source(self, map: &mut SourceMap, included_from: Option<Span>) -> Result<u32, usize> {
        let text = String::from_utf8(self.bytes).map_err(|e| e.utf8_error().valid_up_to())?;
        Ok(map.push(SourceFile {
            name: self.name,
            text: text.into(),
            included_from,
            location: self.location,
        }))
    }
}

/// Where included files are looked for.
#[derive(Clone, Debug, Default)]
pub struct SearchPath {
    /// Directories, tried in order after the directory of the including file (`""` form only).
    pub directories: Vec<PathBuf>,
    /// Text files inside the program, by path; tried last.
    pub builtin: &'static [(&'static str, &'static str)],
}

/// Folders of the built-in files that `#include` looks into.
const BUILTIN_ROOTS: [&str; 4] = ["", "boards/", "soc/", "include/"];

impl SearchPath {
    /// Reads the file that a command line names.
    pub(crate) fn open_path(&self, path: &Path) -> Result<Found, String> {
        read_file(path)
    }

    /// Reads a built-in file by its exact path.
    pub(crate) fn open_builtin(&self, path: &str) -> Option<Found> {
        let &(name, text) = self.builtin.iter().find(|(name, _)| *name == path)?;
        Some(Found {
            name: format!("<builtin>/{name}"),
            location: Location::Builtin(name),
            bytes: text.as_bytes().to_vec(),
        })
    }

    /// Finds `name` as included from `from`. The error is a sentence for the user.
    pub(crate) fn find(&self, name: &str, from: Option<&SourceFile>, quoted: bool) -> Result<Found, String> {
        if name.is_empty() || name.contains('\0') {
            return Err("the file name is empty or holds a NUL".into());
        }
        let mut tried = Vec::new();
        let mut candidates: Vec<PathBuf> = Vec::new();
        let path = Path::new(name);
        if path.is_absolute() {
            candidates.push(path.into());
        } else {
            if quoted && let Some(Location::Disk(file)) = from.map(|f| &f.location) {
                candidates.push(file.parent().unwrap_or(Path::new("")).join(path));
            }
            candidates.extend(self.directories.iter().map(|d| d.join(path)));
        }
        for candidate in candidates {
            if candidate.exists() {
                return read_file(&candidate);
            }
            tried.push(candidate.display().to_string());
        }
        if quoted && let Some(Location::Builtin(file)) = from.map(|f| &f.location) {
            let dir = file.rsplit_once('/').map_or("", |(dir, _)| dir);
            if let Some(found) = normalize(dir, name).and_then(|path| self.open_builtin(&path)) {
                return Ok(found);
            }
        }
        for root in BUILTIN_ROOTS {
            if let Some(found) = self.open_builtin(&format!("{root}{name}")) {
                return Ok(found);
            }
        }
        tried.push("the built-in files".into());
        Err(format!("looked for it in: {}", tried.join(", ")))
    }
}

/// Joins a relative path to a folder of the built-in tree, resolving `.` and `..`.
fn normalize(dir: &str, name: &str) -> Option<String> {
    let mut parts: Vec<&str> = dir.split('/').filter(|p| !p.is_empty()).collect();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            _ => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

fn read_file(path: &Path) -> Result<Found, String> {
    let shown = path.display().to_string();
    let meta = std::fs::metadata(path).map_err(|e| format!("{shown}: {e}"))?;
    if !meta.is_file() {
        return Err(format!("{shown} is not a regular file"));
    }
    if meta.len() > MAX_FILE {
        return Err(format!("{shown} is larger than {} MiB", MAX_FILE >> 20));
    }
    let bytes = std::fs::read(path).map_err(|e| format!("{shown}: {e}"))?;
    Ok(Found { name: shown, location: Location::Disk(path.into()), bytes })
}
