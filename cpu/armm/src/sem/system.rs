//! Instructions that act on the core as a whole. DDI 0403E, A4.8 and B5.2.

use cpu_core::Flow;

use crate::cause;
use crate::semantics::{Arm, System};

/// NOP, hints without effect, and barriers: memory is sequentially consistent here.
#[inline(always)]
pub fn nop<S: Arm>(s: &S) -> Flow<S> {
    s.fall()
}

/// IT: what it makes of the instructions behind it is decided when they are decoded.
#[inline(always)]
pub fn it<S: Arm>(s: &S, _imm: i64) -> Flow<S> {
    s.fall()
}

/// UDF.
pub fn udf<S: Arm>(s: &S) -> Flow<S> {
    Err(s.raise(cause::UNDEFINED, s.imm(0)))
}

/// SVC.
pub fn svc<S: Arm>(s: &S, imm: i64) -> Flow<S> {
    Err(s.raise(cause::SUPERVISOR_CALL, s.imm(imm as u64)))
}

/// BKPT.
pub fn bkpt<S: Arm>(s: &S, imm: i64) -> Flow<S> {
    s.system(System::Breakpoint(imm as u8), s.imm(0))
}

/// WFI.
pub fn wfi<S: Arm>(s: &S) -> Flow<S> {
    s.system(System::Wfi, s.imm(0))
}

/// WFE.
pub fn wfe<S: Arm>(s: &S) -> Flow<S> {
    s.system(System::Wfe, s.imm(0))
}

/// SEV.
pub fn sev<S: Arm>(s: &S) -> Flow<S> {
    s.system(System::Sev, s.imm(0))
}

/// ISB.
pub fn isb<S: Arm>(s: &S) -> Flow<S> {
    s.system(System::Barrier, s.imm(0))
}

/// CPSIE and CPSID; `effect` is bit 1 for PRIMASK and bit 0 for FAULTMASK.
pub fn cps<S: Arm>(s: &S, disable: u8, effect: u8) -> Flow<S> {
    let op = System::Cps { disable: disable != 0, i: effect & 2 != 0, f: effect & 1 != 0 };
    s.system(op, s.imm(0))
}

/// MSR.
pub fn msr<S: Arm>(s: &S, rn: u8, mask: u8, sysm: i64) -> Flow<S> {
    s.system(System::Msr { sysm: sysm as u8, mask }, s.r(rn))
}

/// MRS.
pub fn mrs<S: Arm>(s: &S, rd: u8, sysm: i64) -> Flow<S> {
    s.set_r(rd, s.special(sysm as u8));
    s.fall()
}
