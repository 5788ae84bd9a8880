//! Small ELF files, written byte by byte.

/// The instruction set of a file.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum Machine {
    /// RISC-V of 32 or 64 bits.
    Riscv(u32),
    /// Arm, always of 32 bits here.
    Arm,
}

/// A relocatable RISC-V object with one code section and the attribute that names the extensions
/// (`rv64i2p1_m2p0_...`), by which disassemblers choose what they decode.
pub fn object(xlen: u32, arch: &str, code: &[u8]) -> Vec<u8> {
    let attributes = {
        let mut file = vec![5];
        file.extend(arch.bytes());
        file.push(0);
        let mut sub = vec![1];
        sub.extend((file.len() as u32 + 5).to_le_bytes());
        sub.extend(file);
        let mut vendor = b"riscv\0".to_vec();
        vendor.extend(sub);
        let mut all = vec![b'A'];
        all.extend((vendor.len() as u32 + 4).to_le_bytes());
        all.extend(vendor);
        all
    };
    let names = b"\0.text\0.riscv.attributes\0.shstrtab\0";
    let w = Writer::new(Machine::Riscv(xlen));
    let header = if w.wide { 64 } else { 52 };
    let (text, attr) = (header, header + code.len());
    let strings = attr + attributes.len();
    let sections = (strings + names.len()).next_multiple_of(8);
    let mut out = w.header(1, 0, 0, sections as u64, 0, 4, 3);
    out.extend(code);
    out.extend(attributes.iter());
    out.extend(names);
    out.resize(sections, 0);
    w.section(&mut out, [0; 8]);
    w.section(&mut out, [1, 1, 6, 0, text as u64, code.len() as u64, 0, 4]);
    w.section(&mut out, [7, 0x7000_0003, 0, 0, attr as u64, attributes.len() as u64, 0, 1]);
    w.section(&mut out, [25, 3, 0, 0, strings as u64, names.len() as u64, 0, 1]);
    out
}

/// A part of an executable's memory.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Guest virtual address; page-aligned.
    pub address: u64,
    /// Initial content.
    pub data: Vec<u8>,
    /// Size in memory; what exceeds `data` is zero.
    pub size: u64,
    /// 1 execute, 2 write, 4 read.
    pub flags: u32,
}

/// A static executable.
pub fn executable(machine: Machine, entry: u64, segments: &[Segment]) -> Vec<u8> {
    const PAGE: usize = 4096;
    let w = Writer::new(machine);
    let header = if w.wide { 64 } else { 52 };
    let mut out = w.header(2, entry, header, 0, segments.len() as u16, 0, 0);
    let table = segments.len() * if w.wide { 56 } else { 32 };
    let mut at = (header as usize + table).next_multiple_of(PAGE);
    for s in segments {
        let (offset, len) = (at as u64, s.data.len() as u64);
        if w.wide {
            out.extend(1u32.to_le_bytes());
            out.extend(s.flags.to_le_bytes());
            for v in [offset, s.address, s.address, len, s.size, PAGE as u64] {
                out.extend(v.to_le_bytes());
            }
        } else {
            for v in [1, offset, s.address, s.address, len, s.size, s.flags.into(), PAGE as u64] {
                out.extend((v as u32).to_le_bytes());
            }
        }
        at = (at + s.data.len()).next_multiple_of(PAGE);
    }
    for s in segments {
        out.resize(out.len().next_multiple_of(PAGE), 0);
        out.extend(&s.data);
    }
    out
}

struct Writer {
    machine: Machine,
    wide: bool,
}

impl Writer {
    fn new(machine: Machine) -> Writer {
        Writer { machine, wide: machine == Machine::Riscv(64) }
    }

    fn word(&self, out: &mut Vec<u8>, v: u64) {
        let bytes = v.to_le_bytes();
        out.extend(&bytes[..if self.wide { 8 } else { 4 }]);
    }

    /// ELF header; `kind` is 1 for an object and 2 for an executable.
    #[allow(clippy::too_many_arguments)]
    fn header(
        &self,
        kind: u16,
        entry: u64,
        segments_at: u64,
        sections_at: u64,
        segments: u16,
        sections: u16,
        names: u16,
    ) -> Vec<u8> {
        let mut out = vec![0x7f, b'E', b'L', b'F', if self.wide { 2 } else { 1 }, 1, 1];
        out.resize(16, 0);
        out.extend(kind.to_le_bytes());
        let (machine, abi) = match self.machine {
            // RVC and the double-precision ABI.
            Machine::Riscv(_) => (243u16, 5u32),
            // EABI version 5 with arguments in floating-point registers.
            Machine::Arm => (40, 0x500_0400),
        };
        out.extend(machine.to_le_bytes());
        out.extend(1u32.to_le_bytes());
        self.word(&mut out, entry);
        self.word(&mut out, segments_at);
        self.word(&mut out, sections_at);
        out.extend(abi.to_le_bytes());
        let sizes: [u16; 3] = if self.wide { [64, 56, 64] } else { [52, 32, 40] };
        for v in [sizes[0], sizes[1], segments, sizes[2], sections, names] {
            out.extend(v.to_le_bytes());
        }
        out
    }

    /// Section header from name, type, flags, address, offset, size, link, alignment.
    fn section(&self, out: &mut Vec<u8>, v: [u64; 8]) {
        out.extend((v[0] as u32).to_le_bytes());
        out.extend((v[1] as u32).to_le_bytes());
        for x in &v[2..6] {
            self.word(out, *x);
        }
        out.extend((v[6] as u32).to_le_bytes());
        out.extend(0u32.to_le_bytes());
        self.word(out, v[7]);
        self.word(out, 0);
    }
}
