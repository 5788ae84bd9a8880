//! ELF executables, by the `object` crate.

use super::{Arch, Segment};
use object::elf;
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, FileKind};

/// The loadable segments at their physical addresses, and the entry point. The error says what is wrong.
pub fn parse(bytes: &[u8], arch: Arch) -> Result<(Vec<Segment>, u64), String> {
    match (FileKind::parse(bytes), arch) {
        (Ok(FileKind::Elf32), Arch::Riscv32 | Arch::ArmM) => {
            read::<elf::FileHeader32<Endianness>>(bytes, arch)
        }
        (Ok(FileKind::Elf64), Arch::Riscv64) => read::<elf::FileHeader64<Endianness>>(bytes, arch),
        (Ok(FileKind::Elf32), _) => Err(format!("a 32-bit ELF file; this machine is {arch}")),
        (Ok(FileKind::Elf64), _) => Err(format!("a 64-bit ELF file; this machine is {arch}")),
        _ => Err("a damaged ELF file: its header is not complete".into()),
    }
}

fn read<H: FileHeader<Endian = Endianness>>(bytes: &[u8], arch: Arch) -> Result<(Vec<Segment>, u64), String> {
    let broken = |error: object::Error| format!("a damaged ELF file: {error}");
    let header = H::parse(bytes).map_err(broken)?;
    let endian = header.endian().map_err(broken)?;
    let machine = header.e_machine(endian);
    let expected = if arch == Arch::ArmM { elf::EM_ARM } else { elf::EM_RISCV };
    if machine != expected || endian != Endianness::Little {
        return Err(format!("an ELF file for {}; this machine is {arch}", machine_name(machine, endian)));
    }
    let file_type = header.e_type(endian);
    if file_type != elf::ET_EXEC && file_type != elf::ET_DYN {
        return Err("an ELF file that is not linked; link it to an executable first".into());
    }
    let mut segments = Vec::new();
    // Headers that all name the same bytes would multiply a small file without bound.
    let mut room = 2 * bytes.len();
    let headers = header.program_headers(endian, bytes).map_err(broken)?;
    for segment in headers.iter().filter(|segment| segment.p_type(endian) == elf::PT_LOAD) {
        let content = segment
            .data(endian, bytes)
            .map_err(|()| "a truncated ELF file: a segment reaches past the end of the file".to_string())?;
        let size: u64 = segment.p_memsz(endian).into();
        if size == 0 {
            continue;
        }
        let content = &content[..content.len().min(usize::try_from(size).unwrap_or(usize::MAX))];
        room = room
            .checked_sub(content.len())
            .ok_or_else(|| "a damaged ELF file: its segments hold more than the file does".to_string())?;
        let zeroes = size - content.len() as u64;
        segments.push(Segment { addr: segment.p_paddr(endian).into(), bytes: content.to_vec(), zeroes });
    }
    if segments.is_empty() {
        return Err("an ELF file without loadable segments".into());
    }
    Ok((segments, header.e_entry(endian).into()))
}

fn machine_name(machine: elf::Machine, endian: Endianness) -> String {
    let name = match machine {
        elf::EM_AARCH64 => "AArch64".into(),
        elf::EM_ARM => "Arm".into(),
        elf::EM_X86_64 => "x86-64".into(),
        elf::EM_386 => "x86".into(),
        elf::EM_RISCV => "RISC-V".into(),
        other => format!("machine number {}", other.0),
    };
    if endian == Endianness::Big { format!("big-endian {name}") } else { name }
}
