//! Chunks as a static program for user mode on Linux: it loads each chunk's initial state, runs it, and writes registers
//! and memory to standard output.
//!
//! Its own instructions are written here by their encodings, so that a mistake in the tables under test can not hide in it.

use super::stream::{Chunk, SCRATCH};
use crate::elf::{Machine, Segment, executable};

/// Address of the routine that loads a chunk's state.
const LOAD: u32 = 0xe_0000;
/// Address of the routine that writes a chunk's record.
const SAVE: u32 = 0xf_0000;
/// Address of the routine that ends the program.
const END: u32 = 0xf_1000;
/// Address of the first chunk's code; the others follow at [`STRIDE`].
pub const CODE: u32 = 0x10_0000;
/// Bytes for one chunk's code.
pub const STRIDE: u32 = 2048;
/// Initial states.
pub const DATA: u32 = 0x200_0000;
/// Bytes of the record that a chunk writes: scratch area, r0 to r14, APSR, FPSCR, s0 to s31.
pub const RECORD: usize = SCRATCH as usize + 4 * (15 + 2 + 32);
/// Where the record is built; the scratch area is its start.
pub const BUFFER: u32 = 0x400_0000;

/// Offsets in the record.
const R: u32 = SCRATCH;
const APSR: u32 = R + 60;

/// System calls of Linux that the program makes.
pub const WRITE: u32 = 4;
/// Ends the program.
pub const EXIT: u32 = 1;

/// Thumb code from an address on.
struct Code {
    base: u32,
    bytes: Vec<u8>,
}

impl Code {
    fn at(base: u32) -> Code {
        Code { base, bytes: Vec::new() }
    }

    fn here(&self) -> u32 {
        self.base + self.bytes.len() as u32
    }

    fn half(&mut self, half: u32) {
        self.bytes.extend((half as u16).to_le_bytes());
    }

    /// A 32-bit instruction, its first half-word in the upper half.
    fn wide(&mut self, word: u32) {
        self.half(word >> 16);
        self.half(word);
    }

    /// MOVW and MOVT.
    fn constant(&mut self, rd: u32, value: u32) {
        for (opcode, v) in [(0xf240_0000, value & 0xffff), (0xf2c0_0000, value >> 16)] {
            let imm = (v >> 12) << 16 | (v >> 11 & 1) << 26 | (v >> 8 & 7) << 12 | v & 0xff;
            self.wide(opcode | imm | rd << 8);
        }
    }

    /// LDR rt, [rn, #offset].
    fn load(&mut self, rt: u32, rn: u32, offset: u32) {
        self.wide(0xf8d0_0000 | rn << 16 | rt << 12 | offset);
    }

    /// STR rt, [rn, #offset].
    fn store(&mut self, rt: u32, rn: u32, offset: u32) {
        self.wide(0xf8c0_0000 | rn << 16 | rt << 12 | offset);
    }

    /// B.W, or BL.
    fn branch(&mut self, target: u32, link: bool) {
        let offset = target.wrapping_sub(self.here() + 4);
        let (s, i1, i2) = (offset >> 24 & 1, offset >> 23 & 1, offset >> 22 & 1);
        let (j1, j2) = (i1 ^ s ^ 1, i2 ^ s ^ 1);
        let opcode = if link { 0xf000_d000 } else { 0xf000_9000 };
        let imm = s << 26 | (offset >> 12 & 0x3ff) << 16 | j1 << 13 | j2 << 11 | offset >> 1 & 0x7ff;
        self.wide(opcode | imm);
    }

    /// MOVS rd, #value.
    fn small(&mut self, rd: u32, value: u32) {
        self.half(0x2000 | rd << 8 | value);
    }
}

/// The program that runs these chunks in this order, each at the address of its number.
pub fn program(chunks: &[(usize, &Chunk)]) -> Vec<u8> {
    let last = chunks.iter().map(|(i, _)| *i).max().map_or(0, |i| i + 1);
    let mut code = vec![0; last * STRIDE as usize];
    let mut data = Vec::new();
    for (k, (i, chunk)) in chunks.iter().enumerate() {
        let next = chunks.get(k + 1).map_or(END, |(n, _)| start(*n));
        let bytes = one(start(*i), chunk, DATA + data.len() as u32, next);
        assert!(bytes.len() <= STRIDE as usize, "a chunk of {} bytes", bytes.len());
        let at = i * STRIDE as usize;
        code[at..at + bytes.len()].copy_from_slice(&bytes);
        let init = &chunk.init;
        debug_assert_eq!(init.scratch.len(), SCRATCH as usize);
        data.extend(&init.scratch);
        for v in [&init.fpscr, &init.apsr].into_iter().chain(&init.s).chain(&init.r) {
            data.extend(v.to_le_bytes());
        }
    }
    let segment = |address: u32, data: Vec<u8>, flags| Segment {
        address: address.into(),
        size: data.len() as u64,
        data,
        flags,
    };
    let segments = [
        segment(LOAD, load(), 5),
        segment(SAVE, save().0, 5),
        segment(END, end().0, 5),
        segment(CODE, code, 5),
        segment(DATA, data, 4),
        Segment { address: BUFFER.into(), size: 4096, data: Vec::new(), flags: 6 },
    ];
    let entry = chunks.first().map_or(END, |(i, _)| start(*i));
    executable(Machine::Arm, u64::from(entry | 1), &segments)
}

fn start(number: usize) -> u32 {
    CODE + number as u32 * STRIDE
}

/// Address of the first of a chunk's own instructions.
pub fn body(number: usize) -> u32 {
    let mut code = Code::at(start(number));
    prologue(&mut code, DATA);
    code.here()
}

/// Addresses of the two SVC instructions.
pub fn calls() -> [u64; 2] {
    [save().1.into(), end().1.into()]
}

const SP: u32 = 13;
const LR: u32 = 14;

/// What a chunk does itself, so that its code stays short.
fn prologue(code: &mut Code, data: u32) {
    code.constant(0, data);
    code.branch(LOAD, true);
    code.load(LR, SP, 4 * LR);
    code.load(SP, SP, 4 * SP);
}

/// Copies the scratch area from `r0`, then loads all registers but `lr`, its link, and `sp`, which is left pointing to the
/// values of `r0` to `lr`.
fn load() -> Vec<u8> {
    let mut code = Code::at(LOAD);
    code.constant(1, BUFFER);
    code.small(2, SCRATCH / 16);
    code.wide(0xe8b0_0078); // ldm r0!, {r3-r6}
    code.wide(0xe8a1_0078); // stm r1!, {r3-r6}
    code.half(0x3a01); // subs r2, #1
    code.half(0xd1f9); // bne to the first of these
    code.wide(0xe8b0_0006); // ldm r0!, {r1, r2}
    code.wide(0xeee1_1a10); // vmsr fpscr, r1
    code.wide(0xecb0_0a20); // vldm r0!, {s0-s31}
    code.wide(0xf382_8c00); // msr APSR_nzcvqg, r2
    code.wide(0xf3bf_8f2f); // clrex
    code.half(0x4685); // mov sp, r0
    code.wide(0xe89d_1fff); // ldm sp, {r0-r12}
    code.half(0x4770); // bx lr
    code.bytes
}

/// Stores all registers but `sp` and `lr`, and writes the record. Also gives the address of its system call.
fn save() -> (Vec<u8>, u32) {
    let mut code = Code::at(SAVE);
    code.wide(0xf8df_d000 | 52); // ldr sp, [pc, #52]
    code.wide(0xe88d_1fff); // stm sp, {r0-r12}
    code.wide(0xf3ef_8000); // mrs r0, APSR
    code.store(0, SP, APSR - R);
    code.wide(0xeef1_1a10); // vmrs r1, fpscr
    code.store(1, SP, APSR - R + 4);
    code.wide(0xf20d_0100 | (APSR - R + 8)); // addw r1, sp, #68
    code.wide(0xec81_0a20); // vstm r1, {s0-s31}
    code.small(0, 1);
    code.constant(1, BUFFER);
    code.wide(0xf44f_7200); // mov r2, #512
    code.wide(0xf202_0200 | (RECORD as u32 - 512)); // addw r2, r2, #...
    code.small(7, WRITE);
    let call = code.here();
    code.half(0xdf00); // svc 0
    code.half(0x4770); // bx lr
    debug_assert_eq!(code.here(), SAVE + 4 + 52);
    code.bytes.extend((BUFFER + R).to_le_bytes());
    (code.bytes, call)
}

/// Also gives the address of its system call.
fn end() -> (Vec<u8>, u32) {
    let mut code = Code::at(END);
    code.small(0, 0);
    code.small(7, EXIT);
    let call = code.here();
    code.half(0xdf00); // svc 0
    (code.bytes, call)
}

fn one(start: u32, chunk: &Chunk, data: u32, next: u32) -> Vec<u8> {
    let mut code = Code::at(start);
    prologue(&mut code, data);
    code.bytes.extend(chunk.bytes());
    let (pointer, at) = chunk.pointer;
    for r in [LR, SP] {
        code.store(r, pointer.into(), R + 4 * r - at);
    }
    code.branch(SAVE, true);
    code.branch(next, false);
    code.bytes
}
