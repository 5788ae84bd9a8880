//! Data processing: arithmetic, logic, moves, bit fields. DDI 0403E, A4.4 and A7.7.

use cpu_core::{Flow, SemanticsExt};

use super::shift::{operand, set_nzc, top};
use crate::semantics::Arm;
use crate::slot;

/// The complement of a 32-bit value.
#[inline(always)]
pub(crate) fn complement<S: Arm>(s: &S, value: S::Value) -> S::Value {
    s.xor(value, s.imm(0xffff_ffff))
}

/// `a + b`, and its flags.
#[inline(always)]
fn add<S: Arm>(s: &S, set: u8, a: S::Value, b: S::Value) -> S::Value {
    let result = s.zext32(s.add(a, b));
    if set != 0 {
        s.set_nz(result);
        s.set_slot(slot::C, s.ltu(result, a));
        s.set_slot(slot::V, s.add_overflows32(a, b));
    }
    result
}

/// `a + b + carry`, a 33-bit sum, and its flags.
#[inline(always)]
fn adc<S: Arm>(s: &S, set: u8, a: S::Value, b: S::Value) -> S::Value {
    let wide = s.add(s.add(a, b), s.slot(slot::C));
    let result = s.zext32(wide);
    if set != 0 {
        s.set_nz(result);
        s.set_slot(slot::C, s.shr(wide, s.imm(32)));
        s.set_slot(slot::V, top(s, s.and(s.xor(a, result), s.xor(b, result))));
    }
    result
}

#[inline(always)]
fn sbc<S: Arm>(s: &S, set: u8, a: S::Value, b: S::Value) -> S::Value {
    adc(s, set, a, complement(s, b))
}

/// `a - b`, and its flags.
#[inline(always)]
fn sub<S: Arm>(s: &S, set: u8, a: S::Value, b: S::Value) -> S::Value {
    let result = s.zext32(s.sub(a, b));
    if set != 0 {
        s.set_nz(result);
        s.set_slot(slot::C, s.eq(s.ltu(a, b), s.imm(0)));
        s.set_slot(slot::V, s.sub_overflows32(a, b));
    }
    result
}

#[inline(always)]
fn rsb<S: Arm>(s: &S, set: u8, a: S::Value, b: S::Value) -> S::Value {
    sub(s, set, b, a)
}

/// The carry that a constant gives to a logical operation: bit 31 where it is rotated (ThumbExpandImm_C, A5.3.2).
#[inline(always)]
fn constant_carry<S: Arm>(s: &S, imm: i64) -> Option<S::Value> {
    let value = imm as u32;
    // One that is rotated fills at most 8 bits in a row, and is no byte in the lowest place.
    let rotated = value > 0xff && value.leading_zeros() + value.trailing_zeros() >= 24;
    rotated.then(|| s.imm(value as u64 >> 31))
}

/// Arithmetic: with a constant, with a register, with a shifted register.
macro_rules! arithmetic {
    ($($op:ident: $imm:ident $reg:ident $shifted:ident;)*) => {$(
        #[inline(always)]
        pub fn $imm<S: Arm>(s: &S, set: u8, rd: u8, rn: u8, imm: i64) -> Flow<S> {
            let result = $op(s, set, s.r(rn), s.imm(imm as u32 as u64));
            s.set_r(rd, result);
            s.fall()
        }

        // Not every operation has 16-bit instructions, which this is for.
        #[allow(dead_code)]
        #[inline(always)]
        pub fn $reg<S: Arm>(s: &S, set: u8, rd: u8, rn: u8, rm: u8) -> Flow<S> {
            let result = $op(s, set, s.r(rn), s.r(rm));
            s.set_r(rd, result);
            s.fall()
        }

        #[inline(always)]
        pub fn $shifted<S: Arm>(s: &S, set: u8, rd: u8, rn: u8, rm: u8, imm: i64) -> Flow<S> {
            let result = $op(s, set, s.r(rn), operand(s, rm, imm).0);
            s.set_r(rd, result);
            s.fall()
        }
    )*};
}

arithmetic! {
    add: add_imm add_reg add_shifted;
    adc: adc_imm adc_reg adc_shifted;
    sub: sub_imm sub_reg sub_shifted;
    sbc: sbc_imm sbc_reg sbc_shifted;
    rsb: rsb_imm rsb_reg rsb_shifted;
}

/// Arithmetic for its flags.
macro_rules! compare {
    ($($op:ident: $imm:ident $reg:ident $shifted:ident;)*) => {$(
        #[inline(always)]
        pub fn $imm<S: Arm>(s: &S, rn: u8, imm: i64) -> Flow<S> {
            $op(s, 1, s.r(rn), s.imm(imm as u32 as u64));
            s.fall()
        }

        // Not every operation has 16-bit instructions, which this is for.
        #[allow(dead_code)]
        #[inline(always)]
        pub fn $reg<S: Arm>(s: &S, rn: u8, rm: u8) -> Flow<S> {
            $op(s, 1, s.r(rn), s.r(rm));
            s.fall()
        }

        #[inline(always)]
        pub fn $shifted<S: Arm>(s: &S, rn: u8, rm: u8, imm: i64) -> Flow<S> {
            $op(s, 1, s.r(rn), operand(s, rm, imm).0);
            s.fall()
        }
    )*};
}

compare! {
    sub: cmp_imm cmp_reg cmp_shifted;
    add: cmn_imm cmn_reg cmn_shifted;
}

/// Logic: with a constant, with a register, with a shifted register.
macro_rules! logic {
    ($($imm:ident $reg:ident $shifted:ident($s:ident, $a:ident, $b:ident) = $value:expr;)*) => {$(
        #[inline(always)]
        pub fn $imm<S: Arm>($s: &S, set: u8, rd: u8, rn: u8, imm: i64) -> Flow<S> {
            let ($a, $b) = ($s.r(rn), $s.imm(imm as u32 as u64));
            let result = $value;
            $s.set_r(rd, result);
            if set != 0 {
                set_nzc($s, result, constant_carry($s, imm));
            }
            $s.fall()
        }

        // Not every operation has 16-bit instructions, which this is for.
        #[allow(dead_code)]
        #[inline(always)]
        pub fn $reg<S: Arm>($s: &S, set: u8, rd: u8, rn: u8, rm: u8) -> Flow<S> {
            let ($a, $b) = ($s.r(rn), $s.r(rm));
            let result = $value;
            $s.set_r(rd, result);
            if set != 0 {
                $s.set_nz(result);
            }
            $s.fall()
        }

        #[inline(always)]
        pub fn $shifted<S: Arm>($s: &S, set: u8, rd: u8, rn: u8, rm: u8, imm: i64) -> Flow<S> {
            let ($a, ($b, carry)) = ($s.r(rn), operand($s, rm, imm));
            let result = $value;
            $s.set_r(rd, result);
            if set != 0 {
                set_nzc($s, result, carry);
            }
            $s.fall()
        }
    )*};
}

logic! {
    and_imm and_reg and_shifted(s, a, b) = s.and(a, b);
    orr_imm orr_reg orr_shifted(s, a, b) = s.or(a, b);
    eor_imm eor_reg eor_shifted(s, a, b) = s.xor(a, b);
    bic_imm bic_reg bic_shifted(s, a, b) = s.and(a, complement(s, b));
    orn_imm orn_reg orn_shifted(s, a, b) = s.or(a, complement(s, b));
}

/// Logic for its flags.
macro_rules! test {
    ($($imm:ident $reg:ident $shifted:ident($s:ident, $a:ident, $b:ident) = $value:expr;)*) => {$(
        #[inline(always)]
        pub fn $imm<S: Arm>($s: &S, rn: u8, imm: i64) -> Flow<S> {
            let ($a, $b) = ($s.r(rn), $s.imm(imm as u32 as u64));
            set_nzc($s, $value, constant_carry($s, imm));
            $s.fall()
        }

        // Not every operation has 16-bit instructions, which this is for.
        #[allow(dead_code)]
        #[inline(always)]
        pub fn $reg<S: Arm>($s: &S, rn: u8, rm: u8) -> Flow<S> {
            let ($a, $b) = ($s.r(rn), $s.r(rm));
            $s.set_nz($value);
            $s.fall()
        }

        #[inline(always)]
        pub fn $shifted<S: Arm>($s: &S, rn: u8, rm: u8, imm: i64) -> Flow<S> {
            let ($a, ($b, carry)) = ($s.r(rn), operand($s, rm, imm));
            set_nzc($s, $value, carry);
            $s.fall()
        }
    )*};
}

test! {
    tst_imm tst_reg tst_shifted(s, a, b) = s.and(a, b);
    teq_imm teq_reg teq_shifted(s, a, b) = s.xor(a, b);
}

/// MOV of an expanded constant.
#[inline(always)]
pub fn mov_imm<S: Arm>(s: &S, set: u8, rd: u8, imm: i64) -> Flow<S> {
    let value = s.imm(imm as u32 as u64);
    s.set_r(rd, value);
    if set != 0 {
        set_nzc(s, value, constant_carry(s, imm));
    }
    s.fall()
}

/// MVN of an expanded constant.
#[inline(always)]
pub fn mvn_imm<S: Arm>(s: &S, set: u8, rd: u8, imm: i64) -> Flow<S> {
    let value = s.imm(!(imm as u32) as u64);
    s.set_r(rd, value);
    if set != 0 {
        set_nzc(s, value, constant_carry(s, imm));
    }
    s.fall()
}

/// MOV of a constant that is no expanded one, without flags (MOVW, and MOV in an IT block).
#[inline(always)]
pub fn mov_small<S: Arm>(s: &S, rd: u8, imm: i64) -> Flow<S> {
    s.set_r(rd, s.imm(imm as u64));
    s.fall()
}

/// MOVS of a byte: C stays.
#[inline(always)]
pub fn movs_small<S: Arm>(s: &S, rd: u8, imm: i64) -> Flow<S> {
    let value = s.imm(imm as u64);
    s.set_r(rd, value);
    s.set_nz(value);
    s.fall()
}

/// MOV of a register.
#[inline(always)]
pub fn mov_reg<S: Arm>(s: &S, set: u8, rd: u8, rm: u8) -> Flow<S> {
    let value = s.r(rm);
    s.set_r(rd, value);
    if set != 0 {
        s.set_nz(value);
    }
    s.fall()
}

/// MVN of a register.
#[inline(always)]
pub fn mvn_reg<S: Arm>(s: &S, set: u8, rd: u8, rm: u8) -> Flow<S> {
    let value = complement(s, s.r(rm));
    s.set_r(rd, value);
    if set != 0 {
        s.set_nz(value);
    }
    s.fall()
}

/// MVN of a shifted register.
#[inline(always)]
pub fn mvn_shifted<S: Arm>(s: &S, set: u8, rd: u8, rm: u8, imm: i64) -> Flow<S> {
    let (value, carry) = operand(s, rm, imm);
    let value = complement(s, value);
    s.set_r(rd, value);
    if set != 0 {
        set_nzc(s, value, carry);
    }
    s.fall()
}

/// `ADD rd, pc` of 16 bits.
#[inline(always)]
pub fn add_pc_to<S: Arm>(s: &S, rd: u8) -> Flow<S> {
    let value = s.zext32(s.add(s.r(rd), s.r_or_pc(15)));
    s.set_r(rd, value);
    s.fall()
}

/// `MOV rd, pc`.
#[inline(always)]
pub fn mov_from_pc<S: Arm>(s: &S, rd: u8) -> Flow<S> {
    s.set_r(rd, s.zext32(s.r_or_pc(15)));
    s.fall()
}

/// `MOV sp, rm`.
#[inline(always)]
pub fn mov_to_sp<S: Arm>(s: &S, rm: u8) -> Flow<S> {
    s.set_r_or_sp(13, s.r(rm));
    s.fall()
}

/// Adds a shifted register to the stack pointer.
#[inline(always)]
pub fn add_to_sp_reg<S: Arm>(s: &S, set: u8, rm: u8, imm: i64) -> Flow<S> {
    let result = add(s, set, s.r(13), operand(s, rm, imm).0);
    s.set_r_or_sp(13, result);
    s.fall()
}

/// Subtracts a shifted register from the stack pointer.
#[inline(always)]
pub fn sub_from_sp_reg<S: Arm>(s: &S, set: u8, rm: u8, imm: i64) -> Flow<S> {
    let result = sub(s, set, s.r(13), operand(s, rm, imm).0);
    s.set_r_or_sp(13, result);
    s.fall()
}

/// Adds a constant to the stack pointer.
#[inline(always)]
pub fn add_to_sp_imm<S: Arm>(s: &S, set: u8, imm: i64) -> Flow<S> {
    let result = add(s, set, s.r(13), s.imm(imm as u32 as u64));
    s.set_r_or_sp(13, result);
    s.fall()
}

/// Subtracts a constant from the stack pointer.
#[inline(always)]
pub fn sub_from_sp_imm<S: Arm>(s: &S, set: u8, imm: i64) -> Flow<S> {
    let result = sub(s, set, s.r(13), s.imm(imm as u32 as u64));
    s.set_r_or_sp(13, result);
    s.fall()
}

/// This instruction's address plus 4, down to a word, plus a signed offset.
#[inline(always)]
pub(crate) fn literal<S: Arm>(s: &S, imm: i64) -> S::Value {
    s.zext32(s.add_imm(s.and_imm(s.r_or_pc(15), 0xffff_fffc), imm))
}

/// ADR.
#[inline(always)]
pub fn adr<S: Arm>(s: &S, rd: u8, imm: i64) -> Flow<S> {
    s.set_r(rd, literal(s, imm));
    s.fall()
}

/// ADR of an address before the instruction.
#[inline(always)]
pub fn adr_before<S: Arm>(s: &S, rd: u8, imm: i64) -> Flow<S> {
    adr(s, rd, -imm)
}

/// MOVT.
#[inline(always)]
pub fn movt<S: Arm>(s: &S, rd: u8, imm: i64) -> Flow<S> {
    s.set_r(rd, s.or(s.and_imm(s.r(rd), 0xffff), s.imm((imm as u64) << 16)));
    s.fall()
}

/// SBFX.
#[inline(always)]
pub fn sbfx<S: Arm>(s: &S, rd: u8, rn: u8, width: u8, lsb: i64) -> Flow<S> {
    let up = s.shl(s.r(rn), s.imm((64 - lsb - width as i64) as u64));
    s.set_r(rd, s.zext32(s.sar(up, s.imm(64 - width as u64))));
    s.fall()
}

/// UBFX.
#[inline(always)]
pub fn ubfx<S: Arm>(s: &S, rd: u8, rn: u8, width: u8, lsb: i64) -> Flow<S> {
    s.set_r(rd, s.and_imm(s.shr(s.r(rn), s.imm(lsb as u64)), (1 << width) - 1));
    s.fall()
}

/// The bits of a field from `lsb` to `msb`.
fn field(msb: u8, lsb: i64) -> u64 {
    (2 << msb) - (1 << lsb)
}

/// BFI.
#[inline(always)]
pub fn bfi<S: Arm>(s: &S, rd: u8, rn: u8, msb: u8, lsb: i64) -> Flow<S> {
    let bits = field(msb, lsb);
    let new = s.and_imm(s.shl(s.r(rn), s.imm(lsb as u64)), bits);
    s.set_r(rd, s.or(s.and_imm(s.r(rd), !bits & 0xffff_ffff), new));
    s.fall()
}

/// BFC.
#[inline(always)]
pub fn bfc<S: Arm>(s: &S, rd: u8, msb: u8, lsb: i64) -> Flow<S> {
    s.set_r(rd, s.and_imm(s.r(rd), !field(msb, lsb) & 0xffff_ffff));
    s.fall()
}

/// CLZ.
#[inline(always)]
pub fn clz<S: Arm>(s: &S, rd: u8, rm: u8) -> Flow<S> {
    s.set_r(rd, s.sub(s.clz(s.r(rm)), s.imm(32)));
    s.fall()
}

/// RBIT.
#[inline(always)]
pub fn rbit<S: Arm>(s: &S, rd: u8, rm: u8) -> Flow<S> {
    s.set_r(rd, reversed(s, s.bit_swap_bytes(s.r(rm))));
    s.fall()
}

/// Extensions of a part of a register, which is rotated by `imm` before.
macro_rules! extend {
    ($($name:ident $extend:ident;)*) => {$(
        #[inline(always)]
        pub fn $name<S: Arm>(s: &S, rd: u8, rm: u8, imm: i64) -> Flow<S> {
            let value = super::shift::rotate(s, s.r(rm), s.imm(imm as u64));
            s.set_r(rd, s.zext32(s.$extend(value)));
            s.fall()
        }
    )*};
}

extend! {
    sxth sext16;
    sxtb sext8;
    uxth zext16;
    uxtb zext8;
}

/// The bytes of a 32-bit value reversed.
#[inline(always)]
fn reversed<S: Arm>(s: &S, value: S::Value) -> S::Value {
    s.shr(s.bswap(value), s.imm(32))
}

/// REV.
#[inline(always)]
pub fn rev<S: Arm>(s: &S, rd: u8, rm: u8) -> Flow<S> {
    s.set_r(rd, reversed(s, s.r(rm)));
    s.fall()
}

/// REV16.
#[inline(always)]
pub fn rev16<S: Arm>(s: &S, rd: u8, rm: u8) -> Flow<S> {
    s.set_r(rd, super::shift::rotate(s, reversed(s, s.r(rm)), s.imm(16)));
    s.fall()
}

/// REVSH.
#[inline(always)]
pub fn revsh<S: Arm>(s: &S, rd: u8, rm: u8) -> Flow<S> {
    s.set_r(rd, s.zext32(s.sext16(s.shr(reversed(s, s.r(rm)), s.imm(16)))));
    s.fall()
}
