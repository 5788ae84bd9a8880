//! How the slots of a frame are used. Each but [`NZ`] holds a zero-extended value; `pc` has a place of its own in the frame.

/// `r0` to `r12` start here.
pub const R: u16 = 0;
/// The current stack pointer; the other one is in [`crate::sys::System`].
pub const SP: u16 = 13;
/// The link register.
pub const LR: u16 = 14;
/// C, 0 or 1.
pub const C: u16 = 18;
/// V, 0 or 1.
pub const V: u16 = 19;
/// Q, 0 or 1.
pub const Q: u16 = 20;
/// GE, 4 bits.
pub const GE: u16 = 21;
/// CCR.DIV_0_TRP, 0 or 1: kept by `sys`.
pub const DIVIDE_TRAP: u16 = 22;
/// ITSTATE of the instruction that compiled code leaves to the interpreter, if that is in an IT block; 0 while interpreting.
pub const ITSTATE: u16 = 23;
/// N and Z: most often a result. N is set iff it is more than 0x7fffffff, Z iff its low word is 0; see [`nz`] for both.
pub const NZ: u16 = 24;
/// Slots below this one hold nothing above their low words, for compiled code.
pub const WORDS: u16 = NZ;
/// `s0` to `s31` start here, 32 raw bits each; `dN` is the pair from `s2N`.
pub const FLOAT: u16 = 32;
/// Cumulative floating-point flags, as [`cpu_fp::Flags`], without what compiled code has raised and not handed over yet.
pub const FLOAT_FLAGS: u16 = 65;
/// FPSCR's N, Z, C and V, in bits 31 to 28.
pub const FLOAT_NZCV: u16 = 66;

/// What [`NZ`] holds for flags that no result gave.
pub const fn nz(n: bool, z: bool) -> u64 {
    match (n, z) {
        (false, false) => 1,
        (false, true) => 0,
        (true, false) => 1 << 31,
        (true, true) => 1 << 32,
    }
}
