//! The M-profile instructions, generated from the tables in `isa/*.insn` (grammar: the `cpu-decode` crate).
//!
//! - [`decode`] takes a word, whose first halfword is the high half (of a 16-bit instruction only that), and the core's
//!   [`Features`] to [`Decoded`]: [`Id`], length in bytes and [`Operands`]. [`Features::IT`] says that the instruction stands in
//!   an IT block, where most 16-bit ones do not set flags. What does not exist is `None`, an undefined instruction, and
//!   so is most of what is UNPREDICTABLE.
//! - [`Operands`]: register numbers (`rd` is Rt or RdLo where the manual says so, `ra` Rt2 or RdHi); `sh` and `imm` are a shift's
//!   type and amount; `imm` is otherwise the immediate as it takes effect: expanded, sign-extended, branches as byte offsets
//!   from the instruction's address, lists of registers as masks; `wid` is a second small number.
//! - [`encode`] is the inverse, [`random_of`] and [`random`] make valid words for tests, [`disassemble`] prints.
//! - [`dispatch`] leads from an id to the semantic function: `execute(s, id, &operands)` and `handler(id)`.

pub mod dispatch;
pub mod fmt;
#[cfg(test)]
mod tests;

#[allow(clippy::all, unused_parens)]
mod generated {
    include!(concat!(env!("OUT_DIR"), "/isa.rs"));
}

pub use generated::*;

/// Assembly text in the unified syntax, as GNU objdump prints it. `pc` is the address of the instruction; an undecodable word
/// prints as data.
pub fn disassemble(bits: u32, pc: u64, features: &Features) -> String {
    let mut text = String::new();
    match decode(bits, features) {
        Some(d) => format_insn(&mut text, &d, &fmt::Context { pc }),
        None if is_wide(bits >> 16) => text = format!(".word\t{bits:#010x}"),
        None => text = format!(".short\t{:#06x}", bits >> 16),
    }
    text
}
