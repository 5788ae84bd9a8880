//! RV32I and RV64I. Volume I, chapters 2 and 4.

use cpu_core::{Flow, SemanticsExt, Width};

use super::{rri, rrr};
use crate::Riscv;
use crate::sys::cause;

/// The shift amount in a register.
#[inline(always)]
fn amount<S: Riscv>(s: &S, b: S::Value) -> S::Value {
    s.and_imm(b, S::XLEN as u64 - 1)
}

#[inline(always)]
fn amount_w<S: Riscv>(s: &S, b: S::Value) -> S::Value {
    s.and_imm(b, 31)
}

#[inline(always)]
pub fn lui<S: Riscv>(s: &S, rd: u8, imm: i64) -> Flow<S> {
    s.set_x(rd, s.imm(imm as u64));
    s.fall()
}

#[inline(always)]
pub fn auipc<S: Riscv>(s: &S, rd: u8, imm: i64) -> Flow<S> {
    s.set_x(rd, s.wrap(s.add_imm(s.pc(), imm)));
    s.fall()
}

#[inline(always)]
pub fn jal<S: Riscv>(s: &S, rd: u8, imm: i64) -> Flow<S> {
    if !s.compressed() && imm & 2 != 0 {
        return Err(s.raise(cause::INSTRUCTION_MISALIGNED, s.unsigned(s.add_imm(s.pc(), imm))));
    }
    if rd != 0 {
        s.set_x(rd, s.wrap(s.next_pc()));
    }
    s.jump_by(imm)
}

#[inline(always)]
pub fn jalr<S: Riscv>(s: &S, rd: u8, rs1: u8, imm: i64) -> Flow<S> {
    let target = s.and_imm(s.address(rs1, imm), !1);
    if !s.compressed() {
        s.raise_if(s.and_imm(target, 2), cause::INSTRUCTION_MISALIGNED, target)?;
    }
    if rd != 0 {
        s.set_x(rd, s.wrap(s.next_pc()));
    }
    s.jump(target)
}

#[inline(always)]
fn branch<S: Riscv>(s: &S, taken: S::Value, imm: i64) -> Flow<S> {
    if !s.compressed() && imm & 2 != 0 {
        s.raise_if(taken, cause::INSTRUCTION_MISALIGNED, s.unsigned(s.add_imm(s.pc(), imm)))?;
    }
    s.branch_if(taken, imm)
}

macro_rules! branches {
    ($($name:ident($s:ident, $a:ident, $b:ident) = $taken:expr;)*) => {$(
        #[inline(always)]
        pub fn $name<S: Riscv>($s: &S, rs1: u8, rs2: u8, imm: i64) -> Flow<S> {
            let ($a, $b) = ($s.x(rs1), $s.x(rs2));
            branch($s, $taken, imm)
        }
    )*};
}

branches! {
    beq(s, a, b) = s.eq(a, b);
    bne(s, a, b) = s.ne(a, b);
    blt(s, a, b) = s.lts(a, b);
    bge(s, a, b) = s.eq(s.lts(a, b), s.imm(0));
    bltu(s, a, b) = s.ltu(a, b);
    bgeu(s, a, b) = s.eq(s.ltu(a, b), s.imm(0));
}

macro_rules! loads {
    ($($name:ident $width:ident $signed:literal;)*) => {$(
        #[inline(always)]
        pub fn $name<S: Riscv>(s: &S, rd: u8, rs1: u8, imm: i64) -> Flow<S> {
            let value = s.load(s.address(rs1, imm), Width::$width, $signed)?;
            s.set_x(rd, value);
            s.fall()
        }
    )*};
}

loads! {
    lb B1 true;
    lh B2 true;
    ld B8 true;
    lbu B1 false;
    lhu B2 false;
    lwu B4 false;
}

#[inline(always)]
pub fn lw<S: Riscv>(s: &S, rd: u8, rs1: u8, imm: i64) -> Flow<S> {
    // Without the extension, which a register of 32 bits has no room for.
    let value = s.load(s.address(rs1, imm), Width::B4, S::XLEN == 64)?;
    s.set_x(rd, s.wrap(value));
    s.fall()
}

macro_rules! stores {
    ($($name:ident $width:ident;)*) => {$(
        #[inline(always)]
        pub fn $name<S: Riscv>(s: &S, rs1: u8, rs2: u8, imm: i64) -> Flow<S> {
            s.store(s.address(rs1, imm), Width::$width, s.x(rs2))?;
            s.fall()
        }
    )*};
}

stores! {
    sb B1;
    sh B2;
    sw B4;
    sd B8;
}

rri! {
    addi(s, a, imm) = s.wrap(s.add_imm(a, imm));
    slti(s, a, imm) = s.lts(a, s.imm(imm as u64));
    sltiu(s, a, imm) = s.ltu(a, s.imm(imm as u64));
    xori(s, a, imm) = s.xor(a, s.imm(imm as u64));
    ori(s, a, imm) = s.or(a, s.imm(imm as u64));
    andi(s, a, imm) = s.and(a, s.imm(imm as u64));
    slli(s, a, imm) = s.wrap(s.shl(a, s.imm(imm as u64)));
    srli(s, a, imm) = s.wrap(s.shr(s.unsigned(a), s.imm(imm as u64)));
    srai(s, a, imm) = s.sar(a, s.imm(imm as u64));
    addiw(s, a, imm) = s.sext32(s.add_imm(a, imm));
    slliw(s, a, imm) = s.sext32(s.shl(a, s.imm(imm as u64)));
    srliw(s, a, imm) = s.sext32(s.shr(s.zext32(a), s.imm(imm as u64)));
    sraiw(s, a, imm) = s.sar(s.sext32(a), s.imm(imm as u64));
}

rrr! {
    add(s, a, b) = s.wrap(s.add(a, b));
    sub(s, a, b) = s.wrap(s.sub(a, b));
    sll(s, a, b) = s.wrap(s.shl(a, amount(s, b)));
    slt(s, a, b) = s.lts(a, b);
    sltu(s, a, b) = s.ltu(a, b);
    xor(s, a, b) = s.xor(a, b);
    srl(s, a, b) = s.wrap(s.shr(s.unsigned(a), amount(s, b)));
    sra(s, a, b) = s.sar(a, amount(s, b));
    or(s, a, b) = s.or(a, b);
    and(s, a, b) = s.and(a, b);
    addw(s, a, b) = s.sext32(s.add(a, b));
    subw(s, a, b) = s.sext32(s.sub(a, b));
    sllw(s, a, b) = s.sext32(s.shl(a, amount_w(s, b)));
    srlw(s, a, b) = s.sext32(s.shr(s.zext32(a), amount_w(s, b)));
    sraw(s, a, b) = s.sar(s.sext32(a), amount_w(s, b));
}

/// Memory is sequentially consistent here: nothing to order.
#[inline(always)]
pub fn fence<S: Riscv>(s: &S, _sets: i64) -> Flow<S> {
    s.fall()
}

#[inline(always)]
pub fn pause<S: Riscv>(s: &S) -> Flow<S> {
    s.fall()
}
