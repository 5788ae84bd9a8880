//! Chunks as a static program for user mode: it loads each chunk's initial state, runs it, and writes
//! registers and memory to standard output.

use cpu_riscv::isa::{Id, Operands, encode};

use crate::elf::{Machine, Segment, executable};
use crate::stream::{Chunk, SCRATCH, len};

/// Address of the routine that loads a chunk's state.
const LOAD: u64 = 0xe_0000;
/// Address of the routine that writes a chunk's record.
const SAVE: u64 = 0xf_0000;
/// System calls of Linux that the program makes.
pub const WRITE: u64 = 64;
/// Ends the program.
pub const EXIT: u64 = 94;
/// Address of the first chunk's code; the others follow at [`STRIDE`].
pub const CODE: u64 = 0x10_0000;
/// Bytes for one chunk's code.
pub const STRIDE: u64 = 4096;
/// Initial states.
pub const DATA: u64 = 0x200_0000;
/// Bytes of an initial state, and of the record that a chunk writes: scratch area, 32 integer registers, 32
/// floating-point registers (8 bytes each), fcsr.
pub const RECORD: usize = SCRATCH as usize + 32 * 8 + 32 * 8 + 8;
/// Where the record is built; the scratch area is its start.
pub const BUFFER: u64 = 0x400_0000;

const X: i32 = SCRATCH as i32;
const F: i32 = X + 256;
const FCSR: i32 = F + 256;

struct Code {
    bytes: Vec<u8>,
    xlen: u32,
}

impl Code {
    fn word(&mut self, word: u32) {
        self.bytes.extend(&word.to_le_bytes()[..len(word) as usize]);
    }

    fn insn(&mut self, id: Id, rd: u8, rs1: u8, rs2: u8, imm: i32) {
        let ops = Operands { rd, rs1, rs2, imm, ..Operands::ZERO };
        let word = encode(id, &ops).unwrap_or_else(|| panic!("{} cannot hold {ops:?}", id.name()));
        self.word(word);
    }

    fn constant(&mut self, rd: u8, value: u64) {
        let value = value as i32;
        let low = value << 20 >> 20;
        self.insn(Id::Lui, rd, 0, 0, value.wrapping_sub(low));
        self.insn(Id::Addi, rd, rd, 0, low);
    }

    fn load(&mut self, rd: u8, base: u8, offset: i32) {
        self.insn(if self.xlen == 64 { Id::Ld } else { Id::Lw }, rd, base, 0, offset);
    }

    fn store(&mut self, base: u8, src: u8, offset: i32) {
        self.insn(if self.xlen == 64 { Id::Sd } else { Id::Sw }, 0, base, src, offset);
    }

    /// A system call with constant arguments.
    fn call(&mut self, number: u64, args: &[u64]) {
        for (i, arg) in args.iter().enumerate() {
            self.constant(10 + i as u8, *arg);
        }
        self.constant(17, number);
        self.insn(Id::Ecall, 0, 0, 0, 0);
    }
}

/// The program that runs these chunks in this order, each at the address of its number.
pub fn program(xlen: u32, chunks: &[(usize, &Chunk)]) -> Vec<u8> {
    let last = chunks.iter().map(|(i, _)| *i).max().map_or(0, |i| i + 1);
    let mut code = vec![0; last * STRIDE as usize];
    let mut data = Vec::new();
    for (k, (i, chunk)) in chunks.iter().enumerate() {
        let next = chunks.get(k + 1).map(|(n, _)| CODE + *n as u64 * STRIDE);
        let bytes = one(xlen, chunk, DATA + data.len() as u64, next);
        assert!(bytes.len() <= STRIDE as usize, "a chunk of {} bytes", bytes.len());
        let at = i * STRIDE as usize;
        code[at..at + bytes.len()].copy_from_slice(&bytes);
        data.extend(&chunk.init.scratch);
        for v in chunk.init.x.iter().chain(&chunk.init.f).chain([&chunk.init.fcsr]) {
            data.extend(v.to_le_bytes());
        }
    }
    let (load, save) = (load(xlen), save(xlen));
    let size = data.len() as u64;
    let segments = [
        Segment { address: LOAD, size: load.len() as u64, data: load, flags: 5 },
        Segment { address: SAVE, size: save.len() as u64, data: save, flags: 5 },
        Segment { address: CODE, size: code.len() as u64, data: code, flags: 5 },
        Segment { address: DATA, size, data, flags: 4 },
        Segment { address: BUFFER, size: 4096, data: Vec::new(), flags: 6 },
    ];
    executable(Machine::Riscv(xlen), CODE + chunks.first().map_or(0, |(i, _)| *i as u64 * STRIDE), &segments)
}

/// Offset of a chunk's own instructions from the start of its code.
pub fn body(xlen: u32) -> u64 {
    let mut code = Code { bytes: Vec::new(), xlen };
    prologue(&mut code, DATA);
    code.bytes.len() as u64
}

/// Address of the state during [`LOAD`] and of the record during [`SAVE`].
const BASE: u8 = 5;

/// What a chunk does itself, so that its code stays short: most time goes into translating code that runs
/// once.
fn prologue(code: &mut Code, data: u64) {
    let link = 31;
    code.constant(BASE, data);
    code.constant(link, LOAD);
    code.insn(Id::Jalr, link, link, 0, 0);
    code.load(link, BASE, 8 * i32::from(link));
    code.load(BASE, BASE, 8 * i32::from(BASE));
}

/// Copies the scratch area, then loads all registers but `x31`, its link, and `BASE`, which is left
/// pointing to the integer registers.
fn load(xlen: u32) -> Vec<u8> {
    let mut code = Code { bytes: Vec::new(), xlen };
    let step = (xlen / 8) as i32;
    let (dst, count, temp) = (6, 7, 8);
    code.constant(dst, BUFFER);
    code.insn(Id::Addi, count, 0, 0, SCRATCH as i32 / step);
    code.load(temp, BASE, 0);
    code.store(dst, temp, 0);
    code.insn(Id::Addi, BASE, BASE, 0, step);
    code.insn(Id::Addi, dst, dst, 0, step);
    code.insn(Id::Addi, count, count, 0, -1);
    code.insn(Id::Bne, 0, count, 0, -20);
    code.load(dst, BASE, FCSR - X);
    code.insn(Id::Csrrw, 0, dst, 0, 3);
    for r in 0..32 {
        code.insn(Id::Fld, r, BASE, 0, F - X + 8 * i32::from(r));
    }
    for r in (1..31).filter(|r| *r != BASE) {
        code.load(r, BASE, 8 * i32::from(r));
    }
    code.insn(Id::Jalr, 0, 31, 0, 0);
    code.bytes
}

/// Stores all registers but `x1`, its link, and `BASE`, and writes the record.
fn save(xlen: u32) -> Vec<u8> {
    let mut code = Code { bytes: Vec::new(), xlen };
    for r in (2..32).filter(|r| *r != BASE) {
        code.store(BASE, r, X + 8 * i32::from(r));
    }
    for r in 0..32 {
        code.insn(Id::Fsd, 0, BASE, r, F + 8 * i32::from(r));
    }
    code.insn(Id::Csrrs, 6, 0, 0, 3);
    code.store(BASE, 6, FCSR);
    code.call(WRITE, &[1, BUFFER, RECORD as u64]);
    code.insn(Id::Jalr, 0, 1, 0, 0);
    code.bytes
}

fn one(xlen: u32, chunk: &Chunk, data: u64, next: Option<u64>) -> Vec<u8> {
    let mut code = Code { bytes: Vec::new(), xlen };
    debug_assert_eq!(chunk.init.scratch.len() as u64, SCRATCH);
    prologue(&mut code, data);
    chunk.words.iter().for_each(|w| code.word(*w));
    let (pointer, at) = chunk.pointer;
    let link = 1;
    for r in [link, BASE] {
        code.store(pointer, r, X + 8 * i32::from(r) - at as i32);
    }
    code.constant(BASE, BUFFER);
    code.constant(link, SAVE);
    code.insn(Id::Jalr, link, link, 0, 0);
    match next {
        Some(address) => {
            code.constant(BASE, address);
            code.insn(Id::Jalr, 0, BASE, 0, 0);
        }
        None => code.call(EXIT, &[0]),
    }
    code.bytes
}
