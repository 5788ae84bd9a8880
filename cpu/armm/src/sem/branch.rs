//! Branches. DDI 0403E, A4.3 and A7.3.

use cpu_core::{Flow, SemanticsExt};

use crate::semantics::Arm;
use crate::slot;

/// Whether condition `cond` holds, 0 or 1.
#[inline(always)]
pub(crate) fn condition<S: Arm>(s: &S, cond: u8) -> S::Value {
    let zero = s.imm(0);
    let not = |value| s.eq(value, zero);
    let differs = || s.xor(s.n(), s.slot(slot::V));
    let nonzero = || s.ne(s.nonzero(), zero);
    match cond {
        0 => not(s.nonzero()),
        1 => nonzero(),
        2 => s.slot(slot::C),
        3 => not(s.slot(slot::C)),
        4 => s.n(),
        5 => not(s.n()),
        6 => s.slot(slot::V),
        7 => not(s.slot(slot::V)),
        8 => s.and(s.slot(slot::C), nonzero()),
        9 => not(s.and(s.slot(slot::C), nonzero())),
        10 => not(differs()),
        11 => differs(),
        12 => s.and(nonzero(), not(differs())),
        13 => not(s.and(nonzero(), not(differs()))),
        _ => s.imm(1),
    }
}

/// B with a condition.
#[inline(always)]
pub fn b_cond<S: Arm>(s: &S, cond: u8, imm: i64) -> Flow<S> {
    s.branch_if(condition(s, cond), imm)
}

/// B.
#[inline(always)]
pub fn b<S: Arm>(s: &S, imm: i64) -> Flow<S> {
    s.jump_by(imm)
}

/// Puts the return address into LR.
#[inline(always)]
fn link<S: Arm>(s: &S) {
    s.set_slot(slot::LR, s.or(s.next_pc(), s.imm(1)));
}

/// BL.
#[inline(always)]
pub fn bl<S: Arm>(s: &S, imm: i64) -> Flow<S> {
    link(s);
    s.jump_by(imm)
}

/// BX.
#[inline(always)]
pub fn bx<S: Arm>(s: &S, rm: u8) -> Flow<S> {
    let target = s.r(rm);
    s.may_exchange(target)?;
    s.exchange(target, false)
}

/// BLX.
#[inline(always)]
pub fn blx<S: Arm>(s: &S, rm: u8) -> Flow<S> {
    let target = s.r(rm);
    s.may_exchange(target)?;
    link(s);
    s.exchange(target, true)
}

/// CBZ.
#[inline(always)]
pub fn cbz<S: Arm>(s: &S, rn: u8, imm: i64) -> Flow<S> {
    s.branch_if(s.eq(s.r(rn), s.imm(0)), imm)
}

/// CBNZ.
#[inline(always)]
pub fn cbnz<S: Arm>(s: &S, rn: u8, imm: i64) -> Flow<S> {
    s.branch_if(s.ne(s.r(rn), s.imm(0)), imm)
}

/// `MOV pc, rm`, which ignores bit 0.
#[inline(always)]
pub fn mov_to_pc<S: Arm>(s: &S, rm: u8) -> Flow<S> {
    s.jump(s.and_imm(s.r(rm), 0xffff_fffe))
}

/// `ADD pc, rm`, which ignores bit 0.
#[inline(always)]
pub fn add_to_pc<S: Arm>(s: &S, rm: u8) -> Flow<S> {
    s.jump(s.and_imm(s.add(s.r(rm), s.r_or_pc(15)), 0xffff_fffe))
}
