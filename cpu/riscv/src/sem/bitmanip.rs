//! Zba, Zbb, Zbc, Zbs, Zbkb, Zbkx, Zicond. Volume I, chapters 18, 28 and 32.

use cpu_core::{Flow, SemanticsExt};

use super::{rr, rri, rrr};
use crate::Riscv;

#[inline(always)]
fn shift_add<S: Riscv>(s: &S, a: S::Value, b: S::Value, by: u64) -> S::Value {
    s.wrap(s.add(s.shl(a, s.imm(by)), b))
}

/// Rotates right by `by` (any value) within XLEN.
#[inline(always)]
fn rotate<S: Riscv>(s: &S, a: S::Value, by: S::Value) -> S::Value {
    if S::XLEN == 32 { rotate_w(s, a, by) } else { s.ror(a, by) }
}

/// Rotates the low 32 bits right.
#[inline(always)]
fn rotate_w<S: Riscv>(s: &S, a: S::Value, by: S::Value) -> S::Value {
    s.sext32(s.ror32(a, by))
}

#[inline(always)]
fn negate<S: Riscv>(s: &S, a: S::Value) -> S::Value {
    s.sub(s.imm(0), a)
}

/// One bit, its number taken modulo XLEN.
#[inline(always)]
fn bit<S: Riscv>(s: &S, number: S::Value) -> S::Value {
    s.wrap(s.shl(s.imm(1), s.and_imm(number, S::XLEN as u64 - 1)))
}

#[inline(always)]
fn extract<S: Riscv>(s: &S, a: S::Value, number: S::Value) -> S::Value {
    s.and_imm(s.shr(a, s.and_imm(number, S::XLEN as u64 - 1)), 1)
}

#[inline(always)]
fn clz_w<S: Riscv>(s: &S, a: S::Value) -> S::Value {
    s.add_imm(s.clz(s.zext32(a)), -32)
}

#[inline(always)]
fn ctz_w<S: Riscv>(s: &S, a: S::Value) -> S::Value {
    s.ctz(s.or(a, s.imm(1 << 32)))
}

/// `or-combine`: 0xff for each byte that is not zero.
fn or_combine(a: u64, _: u64) -> u64 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let high = ((a & LOW).wrapping_add(LOW) | a) & !LOW;
    (high >> 7).wrapping_mul(0xff)
}

fn zip32(a: u64, _: u64) -> u64 {
    (0..16).fold(0, |v, i| v | (a >> i & 1) << (2 * i) | (a >> (i + 16) & 1) << (2 * i + 1))
}

fn unzip32(a: u64, _: u64) -> u64 {
    (0..16).fold(0, |v, i| v | (a >> (2 * i) & 1) << i | (a >> (2 * i + 1) & 1) << (i + 16))
}

fn lookup4(table: u64, indices: u64) -> u64 {
    (0..16).fold(0, |v, i| v | (table >> (4 * (indices >> (4 * i) & 15)) & 15) << (4 * i))
}

fn lookup8(table: u64, indices: u64) -> u64 {
    (0..8).fold(0, |v, i| {
        let index = indices >> (8 * i) & 255;
        if index < 8 { v | (table >> (8 * index) & 255) << (8 * i) } else { v }
    })
}

/// On RV32 the table has 8 nibbles only.
fn lookup4_32(table: u64, indices: u64) -> u64 {
    (0..8).fold(0, |v, i| {
        let index = indices >> (4 * i) & 15;
        if index < 8 { v | (table >> (4 * index) & 15) << (4 * i) } else { v }
    })
}

rrr! {
    sh1add(s, a, b) = shift_add(s, a, b, 1);
    sh2add(s, a, b) = shift_add(s, a, b, 2);
    sh3add(s, a, b) = shift_add(s, a, b, 3);
    add_uw(s, a, b) = s.add(s.zext32(a), b);
    sh1add_uw(s, a, b) = shift_add(s, s.zext32(a), b, 1);
    sh2add_uw(s, a, b) = shift_add(s, s.zext32(a), b, 2);
    sh3add_uw(s, a, b) = shift_add(s, s.zext32(a), b, 3);
    andn(s, a, b) = s.and(a, s.not(b));
    orn(s, a, b) = s.or(a, s.not(b));
    xnor(s, a, b) = s.not(s.xor(a, b));
    max(s, a, b) = s.select(s.lts(a, b), b, a);
    maxu(s, a, b) = s.select(s.ltu(a, b), b, a);
    min(s, a, b) = s.select(s.lts(a, b), a, b);
    minu(s, a, b) = s.select(s.ltu(a, b), a, b);
    rol(s, a, b) = rotate(s, a, negate(s, b));
    ror(s, a, b) = rotate(s, a, b);
    rolw(s, a, b) = rotate_w(s, a, negate(s, b));
    rorw(s, a, b) = rotate_w(s, a, b);
    clmul(s, a, b) = s.wrap(s.clmul(a, b));
    clmulh(s, a, b) = if S::XLEN == 32 {
        s.sar(s.clmul(s.unsigned(a), s.unsigned(b)), s.imm(32))
    } else {
        s.clmulh(a, b)
    };
    clmulr(s, a, b) = if S::XLEN == 32 {
        s.sext32(s.shr(s.clmul(s.unsigned(a), s.unsigned(b)), s.imm(31)))
    } else {
        s.or(s.shl(s.clmulh(a, b), s.imm(1)), s.shr(s.clmul(a, b), s.imm(63)))
    };
    bclr(s, a, b) = s.and(a, s.not(bit(s, b)));
    bext(s, a, b) = extract(s, a, b);
    binv(s, a, b) = s.xor(a, bit(s, b));
    bset(s, a, b) = s.or(a, bit(s, b));
    czero_eqz(s, a, b) = s.select(b, a, s.imm(0));
    czero_nez(s, a, b) = s.select(b, s.imm(0), a);
    pack(s, a, b) = if S::XLEN == 32 {
        s.sext32(s.or(s.zext16(a), s.shl(b, s.imm(16))))
    } else {
        s.or(s.zext32(a), s.shl(b, s.imm(32)))
    };
    packh(s, a, b) = s.or(s.zext8(a), s.shl(s.zext8(b), s.imm(8)));
    packw(s, a, b) = s.sext32(s.or(s.zext16(a), s.shl(b, s.imm(16))));
    xperm4(s, a, b) = if S::XLEN == 32 { s.wrap(s.pure(lookup4_32, a, b)) } else { s.pure(lookup4, a, b) };
    xperm8(s, a, b) = s.wrap(s.pure(lookup8, s.unsigned(a), s.unsigned(b)));
}

rri! {
    slli_uw(s, a, imm) = s.shl(s.zext32(a), s.imm(imm as u64));
    rori(s, a, imm) = rotate(s, a, s.imm(imm as u64));
    roriw(s, a, imm) = rotate_w(s, a, s.imm(imm as u64));
    bclri(s, a, imm) = s.and(a, s.not(bit(s, s.imm(imm as u64))));
    bexti(s, a, imm) = extract(s, a, s.imm(imm as u64));
    binvi(s, a, imm) = s.xor(a, bit(s, s.imm(imm as u64)));
    bseti(s, a, imm) = s.or(a, bit(s, s.imm(imm as u64)));
}

rr! {
    clz(s, a) = if S::XLEN == 32 { clz_w(s, a) } else { s.clz(a) };
    ctz(s, a) = if S::XLEN == 32 { ctz_w(s, a) } else { s.ctz(a) };
    cpop(s, a) = s.popcount(s.unsigned(a));
    clzw(s, a) = clz_w(s, a);
    ctzw(s, a) = ctz_w(s, a);
    cpopw(s, a) = s.popcount(s.zext32(a));
    sext_b(s, a) = s.sext8(a);
    sext_h(s, a) = s.sext16(a);
    zext_h(s, a) = s.zext16(a);
    orc_b(s, a) = s.wrap(s.pure(or_combine, a, s.imm(0)));
    rev8(s, a) = if S::XLEN == 32 { s.sar(s.bswap(a), s.imm(32)) } else { s.bswap(a) };
    brev8(s, a) = s.wrap(s.bit_swap_bytes(a));
    zip(s, a) = s.wrap(s.pure(zip32, a, s.imm(0)));
    unzip(s, a) = s.wrap(s.pure(unzip32, a, s.imm(0)));
}
