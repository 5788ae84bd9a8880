//! What RISC-V meanings need beyond the ISA-neutral operations: registers, rounding, reservations and the
//! privileged instructions.

use cpu_core::float::Rounding;
use cpu_core::{Flow, SemanticsExt, Width};

/// How a CSR instruction combines the old value with its operand.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
pub enum CsrOp {
    /// Replace.
    Write,
    /// Set the operand's bits.
    Set,
    /// Clear the operand's bits.
    Clear,
}

/// Instructions that act on the hart as a whole. No consumer lifts them.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs)]
pub enum System {
    Ecall,
    Ebreak,
    Mret,
    Sret,
    Wfi,
    /// Wait on the reservation set; `timeout` for `wrs.sto`.
    Wrs {
        timeout: bool,
    },
    /// Operands: address, address-space number. `rs1` and `rs2` tell whether each is given.
    SfenceVma {
        address: bool,
        asid: bool,
    },
    /// `sfence.w.inval` and `sfence.inval.ir`.
    SfenceOrder,
    FenceI,
    /// First operand: the value. `writes` is false for the forms that only read.
    Csr {
        op: CsrOp,
        csr: u16,
        rd: u8,
        writes: bool,
    },
    /// First operand: an address in the block.
    CboInval,
    CboClean,
    CboFlush,
    CboZero,
    /// First operand: the address; expected and new values are in the register pairs `rd` and `rs2`.
    CompareExchangePair {
        rd: u8,
        rs2: u8,
    },
}

/// A consumer of RISC-V instruction meanings.
///
/// Registers hold 64 bits on RV32 too: the value sign-extended. Addresses and program counters are zero-extended.
pub trait Riscv: cpu_core::Semantics {
    /// 32 or 64.
    const XLEN: u32;

    /// Integer register `r`; zero for `x0`.
    fn x(&self, r: u8) -> Self::Value;
    /// Sets integer register `r`; no effect for `x0`.
    fn set_x(&self, r: u8, value: Self::Value);
    /// All 64 bits of floating-point register `r`.
    fn f(&self, r: u8) -> Self::Value;
    /// Sets floating-point register `r`, and marks the state dirty.
    fn set_f(&self, r: u8, value: Self::Value);
    /// The rounding mode of an instruction's `rm` field; an illegal instruction where `frm` is invalid.
    fn rounding(&self, rm: u8) -> Result<Rounding, Self::Stop>;
    /// Whether jumps need a target aligned to 4 only to 2 bytes.
    fn compressed(&self) -> bool;
    /// Loads and reserves.
    fn load_reserved(&self, addr: Self::Value, width: Width) -> Result<Self::Value, Self::Stop>;
    /// Stores if the reservation holds; gives 0 on success, else 1.
    fn store_conditional(
        &self,
        addr: Self::Value,
        width: Width,
        value: Self::Value,
    ) -> Result<Self::Value, Self::Stop>;
    /// A privileged or otherwise heavy instruction.
    fn system(&self, op: System, a: Self::Value, b: Self::Value) -> Flow<Self>;

    /// The value as a register holds it: sign-extended from XLEN.
    #[inline(always)]
    fn wrap(&self, value: Self::Value) -> Self::Value {
        if Self::XLEN == 32 { self.sext32(value) } else { value }
    }
    /// The low XLEN bits.
    #[inline(always)]
    fn unsigned(&self, value: Self::Value) -> Self::Value {
        if Self::XLEN == 32 { self.zext32(value) } else { value }
    }
    /// The address `x[r] + offset`.
    #[inline(always)]
    fn address(&self, r: u8, offset: i64) -> Self::Value {
        self.unsigned(self.add_imm(self.x(r), offset))
    }
}
