//! Environment calls, CSR access, privileged instructions, fence.i, cache-block operations. Volume I, chapters 2, 5, 6, 19;
//! Volume II, chapters 3 and 10.

use cpu_core::Flow;

use crate::Riscv;
use crate::semantics::{CsrOp, System};

macro_rules! plain {
    ($($name:ident $op:ident;)*) => {$(
        pub fn $name<S: Riscv>(s: &S) -> Flow<S> {
            s.system(System::$op, s.imm(0), s.imm(0))
        }
    )*};
}

plain! {
    ecall Ecall;
    ebreak Ebreak;
    mret Mret;
    sret Sret;
    wfi Wfi;
    fence_i FenceI;
    sfence_w_inval SfenceOrder;
    sfence_inval_ir SfenceOrder;
}

macro_rules! csr {
    ($($name:ident $iname:ident $op:ident;)*) => {$(
        pub fn $name<S: Riscv>(s: &S, rd: u8, rs1: u8, csr: i64) -> Flow<S> {
            csr_op(s, CsrOp::$op, rd, rs1, csr, s.x(rs1))
        }
        pub fn $iname<S: Riscv>(s: &S, rd: u8, zimm: u8, csr: i64) -> Flow<S> {
            csr_op(s, CsrOp::$op, rd, zimm, csr, s.imm(zimm as u64))
        }
    )*};
}

csr! {
    csrrw csrrwi Write;
    csrrs csrrsi Set;
    csrrc csrrci Clear;
}

/// Setting or clearing with `x0` or 0 does not write.
fn csr_op<S: Riscv>(s: &S, op: CsrOp, rd: u8, source: u8, csr: i64, operand: S::Value) -> Flow<S> {
    let writes = op == CsrOp::Write || source != 0;
    s.system(System::Csr { op, csr: csr as u16 & 0xfff, rd, writes }, operand, s.imm(0))
}

pub fn sfence_vma<S: Riscv>(s: &S, rs1: u8, rs2: u8) -> Flow<S> {
    s.system(System::SfenceVma { address: rs1 != 0, asid: rs2 != 0 }, s.x(rs1), s.x(rs2))
}

pub fn sinval_vma<S: Riscv>(s: &S, rs1: u8, rs2: u8) -> Flow<S> {
    sfence_vma(s, rs1, rs2)
}

macro_rules! cbo {
    ($($name:ident $op:ident;)*) => {$(
        pub fn $name<S: Riscv>(s: &S, rs1: u8) -> Flow<S> {
            s.system(System::$op, s.address(rs1, 0), s.imm(0))
        }
    )*};
}

cbo! {
    cbo_inval CboInval;
    cbo_clean CboClean;
    cbo_flush CboFlush;
    cbo_zero CboZero;
}
