//! M. Volume I, chapter 12.

use cpu_core::{Flow, SemanticsExt};

use super::rrr;
use crate::Riscv;

/// RISC-V quotients: all ones for a zero divisor.
#[inline(always)]
fn or_ones<S: Riscv>(s: &S, divisor: S::Value, quotient: S::Value) -> S::Value {
    s.select(divisor, quotient, s.imm(u64::MAX))
}

/// The high half of a product whose low 64 bits hold all of it on RV32.
#[inline(always)]
fn high<S: Riscv>(s: &S, full: S::Value, high64: S::Value) -> S::Value {
    if S::XLEN == 32 { s.sar(full, s.imm(32)) } else { high64 }
}

rrr! {
    mul(s, a, b) = s.wrap(s.mul(a, b));
    mulh(s, a, b) = high(s, s.mul(a, b), s.mulhs(a, b));
    mulhsu(s, a, b) = high(s, s.mul(a, s.unsigned(b)), s.mulhsu(a, b));
    mulhu(s, a, b) = high(s, s.mul(s.unsigned(a), s.unsigned(b)), s.mulhu(a, b));
    div(s, a, b) = or_ones(s, b, s.wrap(s.divs(a, b)));
    divu(s, a, b) = or_ones(s, b, s.wrap(s.divu(s.unsigned(a), s.unsigned(b))));
    rem(s, a, b) = s.wrap(s.rems(a, b));
    remu(s, a, b) = s.wrap(s.remu(s.unsigned(a), s.unsigned(b)));
    mulw(s, a, b) = s.sext32(s.mul(a, b));
    divw(s, a, b) = or_ones(s, s.zext32(b), s.sext32(s.divs(s.sext32(a), s.sext32(b))));
    divuw(s, a, b) = or_ones(s, s.zext32(b), s.sext32(s.divu(s.zext32(a), s.zext32(b))));
    remw(s, a, b) = s.sext32(s.rems(s.sext32(a), s.sext32(b)));
    remuw(s, a, b) = s.sext32(s.remu(s.zext32(a), s.zext32(b)));
}
