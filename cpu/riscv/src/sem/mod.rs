//! The meaning of every instruction: one generic function each, with the operands in the order of the tables.

mod atomic;
mod bitmanip;
mod crypto;
mod float;
mod int;
mod mul;
mod system;

pub use atomic::*;
pub use bitmanip::*;
pub use crypto::*;
pub use float::*;
pub use int::*;
pub use mul::*;
pub use system::*;

/// `rd = expression of two registers`.
macro_rules! rrr {
    ($($name:ident($s:ident, $a:ident, $b:ident) = $value:expr;)*) => {$(
        #[inline(always)]
        pub fn $name<S: Riscv>($s: &S, rd: u8, rs1: u8, rs2: u8) -> Flow<S> {
            let ($a, $b) = ($s.x(rs1), $s.x(rs2));
            $s.set_x(rd, $value);
            $s.fall()
        }
    )*};
}

/// `rd = expression of a register and an immediate`.
macro_rules! rri {
    ($($name:ident($s:ident, $a:ident, $imm:ident) = $value:expr;)*) => {$(
        #[inline(always)]
        pub fn $name<S: Riscv>($s: &S, rd: u8, rs1: u8, $imm: i64) -> Flow<S> {
            let $a = $s.x(rs1);
            $s.set_x(rd, $value);
            $s.fall()
        }
    )*};
}

/// `rd = expression of a register`.
macro_rules! rr {
    ($($name:ident($s:ident, $a:ident) = $value:expr;)*) => {$(
        #[inline(always)]
        pub fn $name<S: Riscv>($s: &S, rd: u8, rs1: u8) -> Flow<S> {
            let $a = $s.x(rs1);
            $s.set_x(rd, $value);
            $s.fall()
        }
    )*};
}

use {rr, rri, rrr};
