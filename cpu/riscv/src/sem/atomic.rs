//! A, Zabha, Zacas, Zawrs. Volume I, chapters 13 to 16.
//!
//! Memory is sequentially consistent, so that aq and rl say nothing more. Addresses must be naturally aligned.

use cpu_core::{Flow, Rmw, SemanticsExt, Width};

use crate::Riscv;
use crate::semantics::System;
use crate::sys::cause;

/// The operand's address, checked for alignment.
#[inline(always)]
fn aligned<S: Riscv>(s: &S, rs1: u8, bytes: u64, cause: u64) -> Result<S::Value, S::Stop> {
    let addr = s.address(rs1, 0);
    if bytes > 1 {
        s.raise_if(s.and_imm(addr, bytes - 1), cause, addr)?;
    }
    Ok(addr)
}

#[inline(always)]
fn lr<S: Riscv>(s: &S, rd: u8, rs1: u8, width: Width) -> Flow<S> {
    let addr = aligned(s, rs1, width.bytes(), cause::LOAD_MISALIGNED)?;
    let value = s.load_reserved(addr, width)?;
    s.set_x(rd, value);
    s.fall()
}

#[inline(always)]
fn sc<S: Riscv>(s: &S, rd: u8, rs1: u8, rs2: u8, width: Width) -> Flow<S> {
    let addr = aligned(s, rs1, width.bytes(), cause::STORE_MISALIGNED)?;
    let failed = s.store_conditional(addr, width, s.x(rs2))?;
    s.set_x(rd, failed);
    s.fall()
}

pub fn lr_w<S: Riscv>(s: &S, rd: u8, rs1: u8) -> Flow<S> {
    lr(s, rd, rs1, Width::B4)
}

pub fn lr_d<S: Riscv>(s: &S, rd: u8, rs1: u8) -> Flow<S> {
    lr(s, rd, rs1, Width::B8)
}

pub fn sc_w<S: Riscv>(s: &S, rd: u8, rs1: u8, rs2: u8) -> Flow<S> {
    sc(s, rd, rs1, rs2, Width::B4)
}

pub fn sc_d<S: Riscv>(s: &S, rd: u8, rs1: u8, rs2: u8) -> Flow<S> {
    sc(s, rd, rs1, rs2, Width::B8)
}

macro_rules! amo {
    ($($op:ident: $b:ident $h:ident $w:ident $d:ident;)*) => {$(
        amo!(@ $b $op B1);
        amo!(@ $h $op B2);
        amo!(@ $w $op B4);
        amo!(@ $d $op B8);
    )*};
    (@ $name:ident $op:ident $width:ident) => {
        pub fn $name<S: Riscv>(s: &S, rd: u8, rs1: u8, rs2: u8) -> Flow<S> {
            let addr = aligned(s, rs1, Width::$width.bytes(), cause::STORE_MISALIGNED)?;
            let old = s.rmw(Rmw::$op, addr, Width::$width, s.x(rs2))?;
            s.set_x(rd, old);
            s.fall()
        }
    };
}

amo! {
    Swap: amoswap_b amoswap_h amoswap_w amoswap_d;
    Add: amoadd_b amoadd_h amoadd_w amoadd_d;
    Xor: amoxor_b amoxor_h amoxor_w amoxor_d;
    And: amoand_b amoand_h amoand_w amoand_d;
    Or: amoor_b amoor_h amoor_w amoor_d;
    Min: amomin_b amomin_h amomin_w amomin_d;
    Max: amomax_b amomax_h amomax_w amomax_d;
    Minu: amominu_b amominu_h amominu_w amominu_d;
    Maxu: amomaxu_b amomaxu_h amomaxu_w amomaxu_d;
}

#[inline(always)]
fn cas<S: Riscv>(s: &S, rd: u8, rs1: u8, rs2: u8, width: Width) -> Flow<S> {
    let addr = aligned(s, rs1, width.bytes(), cause::STORE_MISALIGNED)?;
    let old = s.compare_exchange(addr, width, s.x(rd), s.x(rs2))?;
    s.set_x(rd, old);
    s.fall()
}

pub fn amocas_b<S: Riscv>(s: &S, rd: u8, rs1: u8, rs2: u8) -> Flow<S> {
    cas(s, rd, rs1, rs2, Width::B1)
}

pub fn amocas_h<S: Riscv>(s: &S, rd: u8, rs1: u8, rs2: u8) -> Flow<S> {
    cas(s, rd, rs1, rs2, Width::B2)
}

pub fn amocas_w<S: Riscv>(s: &S, rd: u8, rs1: u8, rs2: u8) -> Flow<S> {
    cas(s, rd, rs1, rs2, Width::B4)
}

pub fn amocas_d<S: Riscv>(s: &S, rd: u8, rs1: u8, rs2: u8) -> Flow<S> {
    cas(s, rd, rs1, rs2, Width::B8)
}

pub fn amocas_d_rv32<S: Riscv>(s: &S, rd: u8, rs1: u8, rs2: u8) -> Flow<S> {
    let addr = aligned(s, rs1, 8, cause::STORE_MISALIGNED)?;
    // A pair that starts with x0 reads as zero, and is not written.
    let pair = |r: u8| {
        let high = if r == 0 { s.imm(0) } else { s.x(r + 1) };
        s.or(s.zext32(s.x(r)), s.shl(high, s.imm(32)))
    };
    let old = s.compare_exchange(addr, Width::B8, pair(rd), pair(rs2))?;
    if rd != 0 {
        s.set_x(rd, s.sext32(old));
        s.set_x(rd + 1, s.sar(old, s.imm(32)));
    }
    s.fall()
}

pub fn amocas_q<S: Riscv>(s: &S, rd: u8, rs1: u8, rs2: u8) -> Flow<S> {
    let addr = aligned(s, rs1, 16, cause::STORE_MISALIGNED)?;
    s.system(System::CompareExchangePair { rd, rs2 }, addr, s.imm(0))
}

pub fn wrs_nto<S: Riscv>(s: &S) -> Flow<S> {
    s.system(System::Wrs { timeout: false }, s.imm(0), s.imm(0))
}

pub fn wrs_sto<S: Riscv>(s: &S) -> Flow<S> {
    s.system(System::Wrs { timeout: true }, s.imm(0), s.imm(0))
}
