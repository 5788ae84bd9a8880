//! The RISC-V instructions, generated from the tables in `isa/*.insn` (grammar: the `cpu-decode` crate).
//!
//! - [`decode`] takes a word (a 16-bit instruction in the low half) and the hart's [`Features`] to
//!   [`Decoded`]: [`Id`], length in bytes and [`Operands`]. Compressed instructions have ids of their own
//!   and the operands of their expansion. What is reserved or belongs to a missing extension is `None`,
//!   that is, an illegal instruction.
//! - [`Operands`]: register numbers; `rm` is the rounding mode, or aq (bit 1) and rl (bit 0) of atomics;
//!   `imm` is the sign-extended immediate. Branches and jumps have byte offsets, `lui` and `auipc` the
//!   value already shifted, CSR instructions the CSR number (and the 5-bit immediate of the `i` forms in
//!   `rs1`), `fence` its fm, predecessor and successor fields as encoded (12 bits), `aes32*` and `sm4*` the
//!   byte select, `aes64ks1i` the round number; `fli` has the number of the constant in `rs1`.
//! - [`encode`] is the inverse, [`random_of`] and [`random`] make valid words for tests, [`disassemble`]
//!   prints.
//! - [`dispatch`] leads from an id to the semantic function: `execute(s, id, &operands)` and `handler(id)`.
//!   Calls have the operands in the order rd, rs1, rs2, rs3, rm, imm, without those that the instruction
//!   lacks; registers and `rm` as `u8`, immediates as `i64`.

pub mod dispatch;
pub mod fmt;
#[cfg(test)]
mod tests;

#[allow(clippy::all, unused_parens)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/isa.rs"));
}

pub use generated::*;

/// Assembly text with ABI register names, as binutils would write it without aliases. `pc` is the address
/// of the instruction; an undecodable word prints as data.
pub fn disassemble(bits: u32, pc: u64, ext: &Features) -> String {
    disassemble_with(bits, ext, &fmt::Context { pc, numeric: false, xlen64: ext.contains(Features::RV64) })
}

/// [`disassemble`] with a choice of register names.
pub fn disassemble_with(bits: u32, ext: &Features, cx: &fmt::Context) -> String {
    let mut text = String::new();
    match decode(bits, ext) {
        Some(d) => format_insn(&mut text, &d, cx),
        None if bits & 3 == 3 => text = format!(".word\t{bits:#010x}"),
        None => text = format!(".half\t{:#06x}", bits & 0xffff),
    }
    text
}
