//! The DSP extension. DDI 0403E, A4.4.3 to A4.4.7 and A7.7.

use cpu_core::{Flow, SemanticsExt};

use super::mul::{note_saturation, pair, saturate, set_pair, signed};
use super::shift::{operand, rotate};
use crate::semantics::Arm;
use crate::slot;

/// How lanes are added: the letters before the name.
mod kind {
    pub const S: u8 = 0;
    pub const Q: u8 = 1;
    pub const SH: u8 = 2;
    pub const U: u8 = 3;
    pub const UQ: u8 = 4;
    pub const UH: u8 = 5;
}

/// `a + b` or `a - b` of one lane of `bits` bits, and whether its GE bits are set.
fn lane(kind: u8, bits: u32, a: u64, b: u64, add: bool) -> (u64, bool) {
    let up = 64 - bits;
    let number = |value: u64| match kind {
        kind::S | kind::Q | kind::SH => (value << up) as i64 >> up,
        _ => (value << up >> up) as i64,
    };
    let (a, b) = (number(a), number(b));
    let result = if add { a + b } else { a - b };
    let top = 1i64 << (bits - 1);
    let value = match kind {
        kind::Q => result.clamp(-top, top - 1),
        kind::UQ => result.clamp(0, 2 * top - 1),
        kind::SH | kind::UH => result >> 1,
        _ => result,
    };
    let ge = if kind == kind::U && add { result >= 2 * top } else { result >= 0 };
    (value as u64 & (u64::MAX >> up), ge)
}

/// Four bytes; GE from bit 32 up.
fn bytes<const KIND: u8, const ADD: bool>(a: u64, b: u64) -> u64 {
    (0..4).fold(0, |all, i| {
        let (value, ge) = lane(KIND, 8, a >> (8 * i), b >> (8 * i), ADD);
        all | value << (8 * i) | (ge as u64) << (32 + i)
    })
}

/// Two halfwords, of which `LOW` and `HIGH` are added, else subtracted; with those of `b` exchanged where the two differ.
fn halves<const KIND: u8, const LOW: bool, const HIGH: bool>(a: u64, b: u64) -> u64 {
    let b = if LOW != HIGH { b >> 16 & 0xffff | (b & 0xffff) << 16 } else { b };
    let (low, low_ge) = lane(KIND, 16, a, b, LOW);
    let (high, high_ge) = lane(KIND, 16, a >> 16, b >> 16, HIGH);
    low | high << 16 | ((low_ge as u64 * 3) | (high_ge as u64 * 12)) << 32
}

macro_rules! parallel {
    ($($kind:ident $ge:literal: $add16:ident $asx:ident $sax:ident $sub16:ident $add8:ident $sub8:ident;)*) => {$(
        parallel!(@ $add16 $ge halves::<{ kind::$kind }, true, true>);
        parallel!(@ $asx $ge halves::<{ kind::$kind }, false, true>);
        parallel!(@ $sax $ge halves::<{ kind::$kind }, true, false>);
        parallel!(@ $sub16 $ge halves::<{ kind::$kind }, false, false>);
        parallel!(@ $add8 $ge bytes::<{ kind::$kind }, true>);
        parallel!(@ $sub8 $ge bytes::<{ kind::$kind }, false>);
    )*};
    (@ $name:ident $ge:literal $f:expr) => {
        pub fn $name<S: Arm>(s: &S, rd: u8, rn: u8, rm: u8) -> Flow<S> {
            let both = s.pure($f, s.r(rn), s.r(rm));
            s.set_r(rd, s.zext32(both));
            if $ge {
                s.set_slot(slot::GE, s.shr(both, s.imm(32)));
            }
            s.fall()
        }
    };
}

parallel! {
    S true: sadd16 sasx ssax ssub16 sadd8 ssub8;
    Q false: qadd16 qasx qsax qsub16 qadd8 qsub8;
    SH false: shadd16 shasx shsax shsub16 shadd8 shsub8;
    U true: uadd16 uasx usax usub16 uadd8 usub8;
    UQ false: uqadd16 uqasx uqsax uqsub16 uqadd8 uqsub8;
    UH false: uhadd16 uhasx uhsax uhsub16 uhadd8 uhsub8;
}

/// A signed number limited to 32 bits, with Q.
#[inline(always)]
fn saturate32<S: Arm>(s: &S, value: S::Value) -> S::Value {
    saturate(s, value, i32::MIN as i64, i32::MAX as i64)
}

macro_rules! saturating {
    ($($name:ident $doubled:literal $op:ident;)*) => {$(
        pub fn $name<S: Arm>(s: &S, rd: u8, rm: u8, rn: u8) -> Flow<S> {
            let (a, b) = (signed(s, rm), signed(s, rn));
            let b = if $doubled { saturate32(s, s.add(b, b)) } else { b };
            s.set_r(rd, s.zext32(saturate32(s, s.$op(a, b))));
            s.fall()
        }
    )*};
}

saturating! {
    qadd false add;
    qsub false sub;
    qdadd true add;
    qdsub true sub;
}

/// A byte of ones for each bit of GE.
fn spread(ge: u64, _: u64) -> u64 {
    (0..4).fold(0, |mask, i| mask | ((ge >> i & 1) * 0xff) << (8 * i))
}

/// SEL.
pub fn sel<S: Arm>(s: &S, rd: u8, rn: u8, rm: u8) -> Flow<S> {
    let mask = s.pure(spread, s.slot(slot::GE), s.imm(0));
    // Where the mask is set the bits of `rn`, else those of `rm`.
    let (a, b) = (s.r(rn), s.r(rm));
    s.set_r(rd, s.xor(b, s.and(s.xor(a, b), mask)));
    s.fall()
}

/// The two halves of a word limited to `bits` bits, and from bit 32 up whether that changed one.
fn saturate_halves<const SIGNED: bool>(value: u64, bits: u64) -> u64 {
    let (min, max) = if SIGNED {
        let limit = 1i64 << (bits.wrapping_sub(1) & 15);
        (-limit, limit - 1)
    } else {
        (0, (1i64 << (bits & 15)) - 1)
    };
    [0, 16].into_iter().fold(0, |all, at| {
        let old = (value >> at) as i16 as i64;
        let new = old.clamp(min, max);
        all | (new as u64 & 0xffff) << at | ((new != old) as u64) << 32
    })
}

#[inline(always)]
fn sat16<S: Arm>(s: &S, rd: u8, rn: u8, bits: u8, f: fn(u64, u64) -> u64) -> Flow<S> {
    let both = s.pure(f, s.r(rn), s.imm(bits as u64));
    s.set_r(rd, s.zext32(both));
    note_saturation(s, s.and_imm(s.shr(both, s.imm(32)), 1));
    s.fall()
}

/// SSAT16.
pub fn ssat16<S: Arm>(s: &S, rd: u8, rn: u8, bits: u8) -> Flow<S> {
    sat16(s, rd, rn, bits, saturate_halves::<true>)
}

/// USAT16.
pub fn usat16<S: Arm>(s: &S, rd: u8, rn: u8, bits: u8) -> Flow<S> {
    sat16(s, rd, rn, bits, saturate_halves::<false>)
}

/// The low half of one value below the high half of another.
#[inline(always)]
fn pack<S: Arm>(s: &S, high: S::Value, low: S::Value) -> S::Value {
    s.or(s.and_imm(high, 0xffff_0000), s.and_imm(low, 0xffff))
}

/// PKHBT.
#[inline(always)]
pub fn pkhbt<S: Arm>(s: &S, rd: u8, rn: u8, rm: u8, imm: i64) -> Flow<S> {
    let high = operand(s, rm, imm).0;
    s.set_r(rd, pack(s, high, s.r(rn)));
    s.fall()
}

/// PKHTB.
#[inline(always)]
pub fn pkhtb<S: Arm>(s: &S, rd: u8, rn: u8, rm: u8, imm: i64) -> Flow<S> {
    let low = operand(s, rm, imm | 2 << 5).0;
    s.set_r(rd, pack(s, s.r(rn), low));
    s.fall()
}

/// Extend a rotated register and add.
macro_rules! extend_add {
    ($($name:ident $extend:ident;)*) => {$(
        pub fn $name<S: Arm>(s: &S, rd: u8, rn: u8, rm: u8, imm: i64) -> Flow<S> {
            let value = rotate(s, s.r(rm), s.imm(imm as u64));
            s.set_r(rd, s.zext32(s.add(s.r(rn), s.$extend(value))));
            s.fall()
        }
    )*};
}

extend_add! {
    sxtah sext16;
    uxtah zext16;
    sxtab sext8;
    uxtab zext8;
}

/// Extend bytes 0 and 2 of a rotated register, and add them to halfwords.
macro_rules! extend_halves {
    ($($name:ident $plain:ident $extend:ident;)*) => {$(
        pub fn $name<S: Arm>(s: &S, rd: u8, rn: u8, rm: u8, imm: i64) -> Flow<S> {
            let value = rotate(s, s.r(rm), s.imm(imm as u64));
            let base = s.r(rn);
            let low = s.add(base, s.$extend(value));
            let high = s.add(s.shr(base, s.imm(16)), s.$extend(s.shr(value, s.imm(16))));
            s.set_r(rd, s.or(s.zext16(low), s.shl(s.zext16(high), s.imm(16))));
            s.fall()
        }

        pub fn $plain<S: Arm>(s: &S, rd: u8, rm: u8, imm: i64) -> Flow<S> {
            let value = rotate(s, s.r(rm), s.imm(imm as u64));
            let high = s.$extend(s.shr(value, s.imm(16)));
            s.set_r(rd, s.or(s.zext16(s.$extend(value)), s.shl(s.zext16(high), s.imm(16))));
            s.fall()
        }
    )*};
}

extend_halves! {
    sxtab16 sxtb16 sext8;
    uxtab16 uxtb16 zext8;
}

/// One half of a register as a signed number.
#[inline(always)]
fn half<S: Arm>(s: &S, r: u8, top: bool) -> S::Value {
    if top { s.sar(signed(s, r), s.imm(16)) } else { s.sext16(s.r(r)) }
}

/// Sets `rd` to a signed sum, and Q where it does not fit.
#[inline(always)]
fn set_sum<S: Arm>(s: &S, rd: u8, sum: S::Value) -> Flow<S> {
    note_saturation(s, s.ne(s.sext32(sum), sum));
    s.set_r(rd, s.zext32(sum));
    s.fall()
}

/// Sets `rd` to a signed product, which fits, and `ra`; Q where their sum does not.
#[inline(always)]
fn accumulate<S: Arm>(s: &S, rd: u8, product: S::Value, ra: u8) -> Flow<S> {
    let to = s.r(ra);
    let sum = s.zext32(s.add(product, to));
    note_saturation(s, s.add_overflows32(product, to));
    s.set_r(rd, sum);
    s.fall()
}

/// `rn` half times `rm` half; bit 1 of `tops` says which of `rn`, bit 0 which of `rm`.
#[inline(always)]
fn half_product<S: Arm>(s: &S, tops: u8, rn: u8, rm: u8) -> S::Value {
    s.mul(half(s, rn, tops & 2 != 0), half(s, rm, tops & 1 != 0))
}

/// SMULBB and its like.
pub fn smul_half<S: Arm>(s: &S, tops: u8, rd: u8, rn: u8, rm: u8) -> Flow<S> {
    s.set_r(rd, s.zext32(half_product(s, tops, rn, rm)));
    s.fall()
}

/// SMLABB and its like.
pub fn smla_half<S: Arm>(s: &S, tops: u8, rd: u8, rn: u8, rm: u8, ra: u8) -> Flow<S> {
    accumulate(s, rd, half_product(s, tops, rn, rm), ra)
}

/// SMLALBB and its like.
pub fn smlal_half<S: Arm>(s: &S, tops: u8, low: u8, high: u8, rn: u8, rm: u8) -> Flow<S> {
    set_pair(s, low, high, s.add(pair(s, low, high), half_product(s, tops, rn, rm)))
}

/// The upper 32 bits of the 48 of `rn` times a half of `rm`.
#[inline(always)]
fn word_product<S: Arm>(s: &S, top: u8, rn: u8, rm: u8) -> S::Value {
    s.sar(s.mul(signed(s, rn), half(s, rm, top != 0)), s.imm(16))
}

/// SMULWB and SMULWT.
pub fn smulw<S: Arm>(s: &S, top: u8, rd: u8, rn: u8, rm: u8) -> Flow<S> {
    s.set_r(rd, s.zext32(word_product(s, top, rn, rm)));
    s.fall()
}

/// SMLAWB and SMLAWT.
pub fn smlaw<S: Arm>(s: &S, top: u8, rd: u8, rn: u8, rm: u8, ra: u8) -> Flow<S> {
    accumulate(s, rd, word_product(s, top, rn, rm), ra)
}

/// The products of the low halves and of the high halves, with those of `rm` exchanged by `exchange`, added or subtracted.
#[inline(always)]
fn dual<S: Arm>(s: &S, subtract: u8, exchange: u8, rn: u8, rm: u8) -> S::Value {
    let low = s.mul(half(s, rn, false), half(s, rm, exchange != 0));
    let high = s.mul(half(s, rn, true), half(s, rm, exchange == 0));
    if subtract != 0 { s.sub(low, high) } else { s.add(low, high) }
}

/// SMUAD, SMUSD and their exchanging forms.
pub fn smu_dual<S: Arm>(s: &S, subtract: u8, exchange: u8, rd: u8, rn: u8, rm: u8) -> Flow<S> {
    set_sum(s, rd, dual(s, subtract, exchange, rn, rm))
}

/// SMLAD, SMLSD and their exchanging forms.
pub fn sml_dual<S: Arm>(s: &S, subtract: u8, exchange: u8, rd: u8, rn: u8, rm: u8, ra: u8) -> Flow<S> {
    set_sum(s, rd, s.add(dual(s, subtract, exchange, rn, rm), signed(s, ra)))
}

/// SMLALD, SMLSLD and their exchanging forms.
pub fn smlal_dual<S: Arm>(s: &S, subtract: u8, exchange: u8, low: u8, high: u8, rn: u8, rm: u8) -> Flow<S> {
    set_pair(s, low, high, s.add(pair(s, low, high), dual(s, subtract, exchange, rn, rm)))
}

/// Sets `rd` to the upper word of 64 bits, rounded where `round` is 1.
#[inline(always)]
fn set_upper<S: Arm>(s: &S, round: u8, rd: u8, value: S::Value) -> Flow<S> {
    let value = if round != 0 { s.add_imm(value, 0x8000_0000) } else { value };
    s.set_r(rd, s.shr(value, s.imm(32)));
    s.fall()
}

/// SMMUL.
pub fn smmul<S: Arm>(s: &S, round: u8, rd: u8, rn: u8, rm: u8) -> Flow<S> {
    set_upper(s, round, rd, s.mul(signed(s, rn), signed(s, rm)))
}

/// SMMLA.
pub fn smmla<S: Arm>(s: &S, round: u8, rd: u8, rn: u8, rm: u8, ra: u8) -> Flow<S> {
    let upper = s.shl(s.r(ra), s.imm(32));
    set_upper(s, round, rd, s.add(upper, s.mul(signed(s, rn), signed(s, rm))))
}

/// SMMLS.
pub fn smmls<S: Arm>(s: &S, round: u8, rd: u8, rn: u8, rm: u8, ra: u8) -> Flow<S> {
    let upper = s.shl(s.r(ra), s.imm(32));
    set_upper(s, round, rd, s.sub(upper, s.mul(signed(s, rn), signed(s, rm))))
}

/// The sum of the absolute differences of four bytes.
fn differences(a: u64, b: u64) -> u64 {
    (0..4).map(|i| ((a >> (8 * i)) as u8).abs_diff((b >> (8 * i)) as u8) as u64).sum()
}

/// USAD8.
pub fn usad8<S: Arm>(s: &S, rd: u8, rn: u8, rm: u8) -> Flow<S> {
    s.set_r(rd, s.pure(differences, s.r(rn), s.r(rm)));
    s.fall()
}

/// USADA8.
pub fn usada8<S: Arm>(s: &S, rd: u8, rn: u8, rm: u8, ra: u8) -> Flow<S> {
    s.set_r(rd, s.zext32(s.add(s.r(ra), s.pure(differences, s.r(rn), s.r(rm)))));
    s.fall()
}

/// UMAAL.
pub fn umaal<S: Arm>(s: &S, low: u8, high: u8, rn: u8, rm: u8) -> Flow<S> {
    let product = s.mul(s.r(rn), s.r(rm));
    set_pair(s, low, high, s.add(s.add(product, s.r(low)), s.r(high)))
}
