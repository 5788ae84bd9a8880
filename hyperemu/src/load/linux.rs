//! The header of Linux `Image` files: `Documentation/arch/riscv/boot-image-header.rst`, and arm64's to tell it apart.

use super::{Arch, Format};

/// The format with its offsets if this is an `Image` for `arch`; `None` if it is no `Image`; an error if it is for
/// another architecture or too short.
pub fn parse(bytes: &[u8], arch: Arch) -> Result<Option<Format>, String> {
    let word = |at: usize| {
        let field = bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok());
        field.map(u64::from_le_bytes)
    };
    let magic = |at: usize| bytes.get(at..at + 4);
    if magic(56) == Some(b"ARM\x64") {
        return Err(format!("a Linux kernel for AArch64; this machine is {arch}"));
    }
    if magic(0x202) == Some(b"HdrS") {
        return Err(format!("a Linux kernel for x86; this machine is {arch}"));
    }
    if magic(56) != Some(b"RSC\x05") {
        return Ok(None);
    }
    if arch == Arch::ArmM {
        return Err(format!("a Linux kernel for RISC-V; this machine is {arch}"));
    }
    let (Some(text_offset), Some(image_size)) = (word(8), word(16)) else { return Ok(None) };
    let expected = if arch == Arch::Riscv32 { 0x40_0000 } else { 0x20_0000 };
    if text_offset != expected {
        return Err(format!("a Linux kernel for another width of RISC-V; this machine is {arch}"));
    }
    if image_size > 1 << 31 {
        return Err("a damaged Linux kernel: its header asks for more than 2 GiB of memory".into());
    }
    Ok(Some(Format::LinuxImage { text_offset, image_size: image_size.max(bytes.len() as u64) }))
}
