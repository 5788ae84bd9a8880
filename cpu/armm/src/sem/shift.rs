//! Shifts, with the carry that they give. DDI 0403E, A2.2.1.

use cpu_core::{Flow, SemanticsExt};

use crate::semantics::Arm;
use crate::slot;

/// Bit `n` of a value.
#[inline(always)]
pub(crate) fn bit<S: Arm>(s: &S, value: S::Value, n: u64) -> S::Value {
    s.and_imm(s.shr(value, s.imm(n)), 1)
}

/// Bit 31 of a 32-bit value.
#[inline(always)]
pub(crate) fn top<S: Arm>(s: &S, value: S::Value) -> S::Value {
    s.shr(value, s.imm(31))
}

/// A value shifted by a constant: `kind` 0 LSL, 1 LSR, 2 ASR, 3 ROR; the amount as it is encoded, that is, 0 for 32 of the
/// right shifts, and for RRX. With the carry, if it changes.
#[inline(always)]
pub(crate) fn shifted<S: Arm>(s: &S, value: S::Value, kind: u8, amount: i64) -> (S::Value, Option<S::Value>) {
    let n = s.imm(amount as u64);
    match (kind & 3, amount) {
        (0, 0) => (value, None),
        (0, _) => {
            let wide = s.shl(value, n);
            (s.zext32(wide), Some(bit(s, wide, 32)))
        }
        (1, 0) => (s.imm(0), Some(top(s, value))),
        (1, _) => (s.shr(value, n), Some(bit(s, value, amount as u64 - 1))),
        (2, 0) => (s.zext32(s.sar(s.sext32(value), s.imm(31))), Some(top(s, value))),
        (2, _) => (s.zext32(s.sar(s.sext32(value), n)), Some(bit(s, value, amount as u64 - 1))),
        (_, 0) => {
            let carry = s.shl(s.slot(slot::C), s.imm(31));
            (s.or(carry, s.shr(value, s.imm(1))), Some(s.and_imm(value, 1)))
        }
        _ => {
            let result = rotate(s, value, n);
            (result, Some(top(s, result)))
        }
    }
}

/// A 32-bit value rotated right by less than 32.
#[inline(always)]
pub(crate) fn rotate<S: Arm>(s: &S, value: S::Value, n: S::Value) -> S::Value {
    s.ror32(value, n)
}

/// A register as the second operand, shifted as `shift` says: the type from bit 5 up, below it the amount.
#[inline(always)]
pub(crate) fn operand<S: Arm>(s: &S, rm: u8, shift: i64) -> (S::Value, Option<S::Value>) {
    shifted(s, s.r(rm), (shift >> 5) as u8, shift & 31)
}

/// Sets N and Z, and C where it changes.
#[inline(always)]
pub(crate) fn set_nzc<S: Arm>(s: &S, result: S::Value, carry: Option<S::Value>) {
    s.set_nz(result);
    if let Some(carry) = carry {
        s.set_slot(slot::C, carry);
    }
}

/// LSL, LSR, ASR, ROR, RRX and MOV of a shifted register.
#[inline(always)]
pub fn shift_imm<S: Arm>(s: &S, set: u8, rd: u8, rm: u8, kind: u8, amount: i64) -> Flow<S> {
    let (result, carry) = shifted(s, s.r(rm), kind, amount);
    s.set_r(rd, result);
    if set != 0 {
        set_nzc(s, result, carry);
    }
    s.fall()
}

/// Ends a shift by a register: `carry` counts where the amount is not 0.
#[inline(always)]
fn shift_reg<S: Arm>(s: &S, set: u8, rd: u8, amount: S::Value, result: S::Value, carry: S::Value) -> Flow<S> {
    if set != 0 {
        let carry = s.select(amount, carry, s.slot(slot::C));
        set_nzc(s, result, Some(carry));
    }
    s.set_r(rd, result);
    s.fall()
}

/// The low byte of a register, and that limited to 33, where shifts have lost everything.
#[inline(always)]
fn amount<S: Arm>(s: &S, rm: u8) -> (S::Value, S::Value) {
    let amount = s.and_imm(s.r(rm), 0xff);
    let limit = s.imm(33);
    (amount, s.select(s.ltu(amount, limit), amount, limit))
}

/// LSL by a register.
#[inline(always)]
pub fn lsl_reg<S: Arm>(s: &S, set: u8, rd: u8, rn: u8, rm: u8) -> Flow<S> {
    let (amount, limited) = amount(s, rm);
    let wide = s.shl(s.r(rn), limited);
    shift_reg(s, set, rd, amount, s.zext32(wide), bit(s, wide, 32))
}

/// LSR by a register.
#[inline(always)]
pub fn lsr_reg<S: Arm>(s: &S, set: u8, rd: u8, rn: u8, rm: u8) -> Flow<S> {
    let (amount, limited) = amount(s, rm);
    // One bit further left, so that the last bit that falls out is there.
    let wide = s.shr(s.shl(s.r(rn), s.imm(1)), limited);
    shift_reg(s, set, rd, amount, s.shr(wide, s.imm(1)), s.and_imm(wide, 1))
}

/// ASR by a register.
#[inline(always)]
pub fn asr_reg<S: Arm>(s: &S, set: u8, rd: u8, rn: u8, rm: u8) -> Flow<S> {
    let (amount, limited) = amount(s, rm);
    let wide = s.sar(s.shl(s.sext32(s.r(rn)), s.imm(1)), limited);
    shift_reg(s, set, rd, amount, s.zext32(s.sar(wide, s.imm(1))), s.and_imm(wide, 1))
}

/// ROR by a register.
#[inline(always)]
pub fn ror_reg<S: Arm>(s: &S, set: u8, rd: u8, rn: u8, rm: u8) -> Flow<S> {
    let (amount, _) = amount(s, rm);
    let result = rotate(s, s.r(rn), s.and_imm(amount, 31));
    shift_reg(s, set, rd, amount, result, top(s, result))
}
