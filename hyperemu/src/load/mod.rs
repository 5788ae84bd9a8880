//! Image files: ELF, Linux `Image`, Intel HEX, UF2 and raw bytes. The format is told from the content.

mod elf;
mod hex;
mod linux;
mod uf2;

use std::path::{Path, PathBuf};
use thiserror::Error;

/// Bytes for one place in memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Segment {
    /// Physical address.
    pub addr: u64,
    /// Content.
    pub bytes: Vec<u8>,
    /// Zero bytes behind it.
    pub zeroes: u64,
}

impl Segment {
    /// One past its last byte.
    pub fn end(&self) -> u64 {
        self.addr.saturating_add(self.bytes.len() as u64).saturating_add(self.zeroes)
    }
}

/// The instruction sets that images are checked for.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Arch {
    /// 32-bit RISC-V.
    Riscv32,
    /// 64-bit RISC-V.
    Riscv64,
    /// Arm of the M profile: Thumb.
    ArmM,
}

impl std::fmt::Display for Arch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Arch::Riscv32 => "32-bit RISC-V",
            Arch::Riscv64 => "64-bit RISC-V",
            Arch::ArmM => "Arm Cortex-M",
        })
    }
}

/// What a file turned out to be.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Format {
    /// ELF executable.
    Elf,
    /// Linux `Image`, with its text offset and its size in memory.
    LinuxImage {
        /// Bytes from a 2 MiB (64-bit) or 4 MiB (32-bit) boundary.
        text_offset: u64,
        /// Bytes it needs in memory, its bss included.
        image_size: u64,
    },
    /// Intel HEX.
    IntelHex,
    /// UF2.
    Uf2,
    /// Just bytes.
    Raw,
}

/// A loaded image.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Image {
    /// Its file.
    pub path: PathBuf,
    /// Its format.
    pub format: Format,
    /// Where it goes. A Linux image or raw bytes without an address start at 0 and are for the caller to place.
    pub segments: Vec<Segment>,
    /// Where it starts.
    pub entry: Option<u64>,
}

impl Image {
    /// Moves all segments and the entry up by `offset`.
    pub fn place(mut self, offset: u64) -> Image {
        for segment in &mut self.segments {
            segment.addr = segment.addr.wrapping_add(offset);
        }
        self.entry = Some(self.entry.unwrap_or(0).wrapping_add(offset));
        self
    }
}

/// An image can not be used.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The file can not be read.
    #[error("can not read {path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is damaged, or for another machine.
    #[error("{path}: {why}")]
    Bad {
        /// Which file.
        path: PathBuf,
        /// What is wrong, and what to do.
        why: String,
    },
    /// It is damaged at a line.
    #[error("{path}:{line}:{column}: {why}")]
    BadLine {
        /// Which file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What was expected.
        why: String,
    },
}

/// The largest file worth reading whole: larger than any board's memory that an image could fill.
const MAX_BYTES: u64 = 4 << 30;

/// Reads a whole file. Errors name it.
pub fn read_file(path: &Path) -> Result<Vec<u8>, LoadError> {
    let io = |source| LoadError::Io { path: path.to_path_buf(), source };
    let meta = std::fs::metadata(path).map_err(io)?;
    if !meta.is_file() || meta.len() > MAX_BYTES {
        let why = if meta.is_file() { "larger than 4 GiB" } else { "not a regular file" };
        return Err(LoadError::Bad { path: path.to_path_buf(), why: why.into() });
    }
    std::fs::read(path).map_err(io)
}

/// Splits `FILE@ADDRESS`; without an address where what follows the last `@` is not a number.
pub fn split_address(text: &str) -> (&str, Option<u64>) {
    if let Some((file, addr)) = text.rsplit_once('@')
        && let Some(addr) = parse_number(addr)
    {
        return (file, Some(addr));
    }
    (text, None)
}

/// A number as users write addresses: decimal, `0x` hexadecimal, `_` between digits.
pub fn parse_number(text: &str) -> Option<u64> {
    let text = text.replace('_', "");
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// Loads `FILE` or `FILE@ADDRESS` for a machine of `arch`. An address makes it raw, whatever it holds.
pub fn load(text: &str, arch: Arch) -> Result<Image, LoadError> {
    let (file, addr) = split_address(text);
    let path = Path::new(file);
    parse(path, &read_file(path)?, addr, arch)
}

/// As [`load`], of bytes already read.
pub fn parse(path: &Path, bytes: &[u8], addr: Option<u64>, arch: Arch) -> Result<Image, LoadError> {
    let bad = |why: String| LoadError::Bad { path: path.to_path_buf(), why };
    if bytes.is_empty() {
        return Err(bad("the file is empty".into()));
    }
    let image = |format, segments, entry| Image { path: path.to_path_buf(), format, segments, entry };
    if let Some(addr) = addr {
        let segment = Segment { addr, bytes: bytes.to_vec(), zeroes: 0 };
        return Ok(image(Format::Raw, vec![segment], Some(addr)));
    }
    if bytes.starts_with(b"\x7fELF") {
        let (segments, entry) = elf::parse(bytes, arch).map_err(bad)?;
        return Ok(image(Format::Elf, segments, Some(entry)));
    }
    if let Some(header) = linux::parse(bytes, arch).map_err(bad)? {
        let segment = Segment { addr: 0, bytes: bytes.to_vec(), zeroes: 0 };
        return Ok(image(header, vec![segment], None));
    }
    if let Some(segments) = uf2::parse(bytes).map_err(bad)? {
        return Ok(image(Format::Uf2, segments, None));
    }
    if bytes.starts_with(b":") {
        let bad_line =
            |(line, column, why)| LoadError::BadLine { path: path.to_path_buf(), line, column, why };
        let (segments, entry) = hex::parse(bytes).map_err(bad_line)?;
        return Ok(image(Format::IntelHex, segments, entry));
    }
    if bytes.starts_with(&[0x1f, 0x8b])
        || bytes.starts_with(b"\xfd7zXZ")
        || bytes.starts_with(b"\x28\xb5\x2f\xfd")
    {
        return Err(bad("the file is compressed; decompress it first (gunzip, unxz or unzstd)".into()));
    }
    let segment = Segment { addr: 0, bytes: bytes.to_vec(), zeroes: 0 };
    Ok(image(Format::Raw, vec![segment], None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_split_off() {
        assert_eq!(split_address("a.bin@0x8020_0000"), ("a.bin", Some(0x8020_0000)));
        assert_eq!(split_address("me@home/a.bin"), ("me@home/a.bin", None));
        assert_eq!(split_address("a.bin@4096"), ("a.bin", Some(4096)));
    }

    #[test]
    fn what_is_no_image_is_said() {
        let parse = |bytes: &[u8]| super::parse(Path::new("x"), bytes, None, Arch::Riscv64);
        assert!(parse(b"").unwrap_err().to_string().contains("empty"));
        assert!(parse(&[0x1f, 0x8b, 8, 0]).unwrap_err().to_string().contains("compressed"));
        assert_eq!(parse(b"hello").unwrap().format, Format::Raw);
    }

    #[test]
    fn damaged_files_are_errors() {
        arbtest::arbtest(|u| {
            let starts: [&[u8]; 4] = [b"\x7fELF\x02\x01\x01", b":10", b"UF2\n\x57\x51\x5d\x9e", b""];
            let start = *u.choose(&starts)?;
            let rest: Vec<u8> = u.arbitrary()?;
            let _ = super::parse(Path::new("x"), &[start, &rest].concat(), None, Arch::Riscv32);
            Ok(())
        });
    }
}
