//! Multiplication and division of ARMv7-M, saturation. DDI 0403E, A4.4.3 to A4.4.5.

use cpu_core::{Flow, SemanticsExt};

use super::shift::operand;
use crate::semantics::Arm;
use crate::{cause, slot};

/// MUL.
#[inline(always)]
pub fn mul<S: Arm>(s: &S, set: u8, rd: u8, rn: u8, rm: u8) -> Flow<S> {
    let result = s.zext32(s.mul(s.r(rn), s.r(rm)));
    s.set_r(rd, result);
    if set != 0 {
        s.set_nz(result);
    }
    s.fall()
}

/// MLA.
#[inline(always)]
pub fn mla<S: Arm>(s: &S, rd: u8, rn: u8, rm: u8, ra: u8) -> Flow<S> {
    s.set_r(rd, s.zext32(s.add(s.r(ra), s.mul(s.r(rn), s.r(rm)))));
    s.fall()
}

/// MLS.
#[inline(always)]
pub fn mls<S: Arm>(s: &S, rd: u8, rn: u8, rm: u8, ra: u8) -> Flow<S> {
    s.set_r(rd, s.zext32(s.sub(s.r(ra), s.mul(s.r(rn), s.r(rm)))));
    s.fall()
}

/// The 64 bits that two registers hold.
#[inline(always)]
pub(crate) fn pair<S: Arm>(s: &S, low: u8, high: u8) -> S::Value {
    s.or(s.r(low), s.shl(s.r(high), s.imm(32)))
}

/// Sets two registers to 64 bits.
#[inline(always)]
pub(crate) fn set_pair<S: Arm>(s: &S, low: u8, high: u8, value: S::Value) -> Flow<S> {
    s.set_r(low, s.zext32(value));
    s.set_r(high, s.shr(value, s.imm(32)));
    s.fall()
}

/// A register as a signed number.
#[inline(always)]
pub(crate) fn signed<S: Arm>(s: &S, r: u8) -> S::Value {
    s.sext32(s.r(r))
}

/// SMULL.
#[inline(always)]
pub fn smull<S: Arm>(s: &S, low: u8, high: u8, rn: u8, rm: u8) -> Flow<S> {
    set_pair(s, low, high, s.mul(signed(s, rn), signed(s, rm)))
}

/// UMULL.
#[inline(always)]
pub fn umull<S: Arm>(s: &S, low: u8, high: u8, rn: u8, rm: u8) -> Flow<S> {
    set_pair(s, low, high, s.mul(s.r(rn), s.r(rm)))
}

/// SMLAL.
#[inline(always)]
pub fn smlal<S: Arm>(s: &S, low: u8, high: u8, rn: u8, rm: u8) -> Flow<S> {
    let product = s.mul(signed(s, rn), signed(s, rm));
    set_pair(s, low, high, s.add(pair(s, low, high), product))
}

/// UMLAL.
#[inline(always)]
pub fn umlal<S: Arm>(s: &S, low: u8, high: u8, rn: u8, rm: u8) -> Flow<S> {
    let product = s.mul(s.r(rn), s.r(rm));
    set_pair(s, low, high, s.add(pair(s, low, high), product))
}

/// Raises where the divisor is 0 and CCR.DIV_0_TRP is set.
#[inline(always)]
fn check_divisor<S: Arm>(s: &S, divisor: S::Value) -> Result<(), S::Stop> {
    let zero = s.imm(0);
    s.raise_if(s.and(s.slot(slot::DIVIDE_TRAP), s.eq(divisor, zero)), cause::DIVIDE_BY_ZERO, zero)
}

/// SDIV: by zero gives zero.
#[inline(always)]
pub fn sdiv<S: Arm>(s: &S, rd: u8, rn: u8, rm: u8) -> Flow<S> {
    check_divisor(s, s.r(rm))?;
    s.set_r(rd, s.zext32(s.divs(signed(s, rn), signed(s, rm))));
    s.fall()
}

/// UDIV: by zero gives zero.
#[inline(always)]
pub fn udiv<S: Arm>(s: &S, rd: u8, rn: u8, rm: u8) -> Flow<S> {
    check_divisor(s, s.r(rm))?;
    s.set_r(rd, s.divu(s.r(rn), s.r(rm)));
    s.fall()
}

/// Sets Q where `cond` is 1.
#[inline(always)]
pub(crate) fn note_saturation<S: Arm>(s: &S, cond: S::Value) {
    s.set_slot(slot::Q, s.or(s.slot(slot::Q), cond));
}

/// A signed number limited to `min..=max`; Q tells whether that changed it.
#[inline(always)]
pub(crate) fn saturate<S: Arm>(s: &S, value: S::Value, min: i64, max: i64) -> S::Value {
    let (low, high) = (s.imm(min as u64), s.imm(max as u64));
    let below = s.select(s.lts(value, low), low, value);
    let result = s.select(s.lts(high, below), high, below);
    note_saturation(s, s.ne(result, value));
    result
}

/// SSAT to `bits` bits.
#[inline(always)]
pub fn ssat<S: Arm>(s: &S, rd: u8, rn: u8, bits: u8, shift: i64) -> Flow<S> {
    let limit = 1i64 << (bits - 1);
    let result = saturate(s, s.sext32(operand(s, rn, shift).0), -limit, limit - 1);
    s.set_r(rd, s.zext32(result));
    s.fall()
}

/// USAT to `bits` bits.
#[inline(always)]
pub fn usat<S: Arm>(s: &S, rd: u8, rn: u8, bits: u8, shift: i64) -> Flow<S> {
    let result = saturate(s, s.sext32(operand(s, rn, shift).0), 0, (1i64 << bits) - 1);
    s.set_r(rd, result);
    s.fall()
}
