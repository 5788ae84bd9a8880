//! What M-profile meanings need beyond the ISA-neutral operations: registers and flags by slot, changes of state on branches,
//! exclusives and special registers.

use cpu_core::{Flow, SemanticsExt, Width};

use crate::{cause, slot};

/// Instructions that act on the core as a whole. No consumer lifts them.
#[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs)]
pub enum System {
    /// BKPT with its immediate.
    Breakpoint(u8),
    Wfi,
    Wfe,
    Sev,
    /// ISB: what was changed before takes effect.
    Barrier,
    /// CPSIE, or CPSID where `disable`, for PRIMASK (`i`) and FAULTMASK (`f`).
    Cps {
        disable: bool,
        i: bool,
        f: bool,
    },
    /// MSR to special register `sysm` with `mask`. First operand: the value.
    Msr {
        sysm: u8,
        mask: u8,
    },
    /// VMSR to FPSCR. First operand: the value.
    SetFpscr,
}

/// A consumer of M-profile instruction meanings.
///
/// Values are zero-extended 32-bit ones wherever a slot, an address or a loaded word is concerned.
pub trait Arm: cpu_core::Semantics {
    /// The value of a slot of [`crate::slot`].
    fn slot(&self, number: u16) -> Self::Value;
    /// Sets a slot.
    fn set_slot(&self, number: u16, value: Self::Value);
    /// Whether no unaligned access is allowed (ARMv6-M, CCR.UNALIGN_TRP).
    fn strict(&self) -> bool;
    /// Loads and claims the monitor; `addr` is aligned.
    fn load_exclusive(&self, addr: Self::Value, width: Width) -> Result<Self::Value, Self::Stop>;
    /// Stores if the monitor is claimed; gives 0 on success, else 1. `addr` is aligned.
    fn store_exclusive(
        &self,
        addr: Self::Value,
        width: Width,
        value: Self::Value,
    ) -> Result<Self::Value, Self::Stop>;
    /// Releases the monitor.
    fn clear_exclusive(&self);
    /// Special register `sysm`, as MRS reads it.
    fn special(&self, sysm: u8) -> Self::Value;
    /// FPSCR, as VMRS reads it.
    fn fpscr(&self) -> Self::Value;
    /// Loads as an unprivileged access (LDRT).
    fn load_unprivileged(
        &self,
        addr: Self::Value,
        width: Width,
        signed: bool,
    ) -> Result<Self::Value, Self::Stop>;
    /// Stores as an unprivileged access (STRT).
    fn store_unprivileged(
        &self,
        addr: Self::Value,
        width: Width,
        value: Self::Value,
    ) -> Result<(), Self::Stop>;
    /// An instruction that acts on the core as a whole.
    fn system(&self, op: System, value: Self::Value) -> Flow<Self>;

    /// Register `r`, 0 to 14.
    #[inline(always)]
    fn r(&self, r: u8) -> Self::Value {
        self.slot(r as u16)
    }
    /// Sets register `r`, 0 to 12 or 14.
    #[inline(always)]
    fn set_r(&self, r: u8, value: Self::Value) {
        self.set_slot(r as u16, value);
    }
    /// Register `r`, where 15 is the address of this instruction plus 4.
    #[inline(always)]
    fn r_or_pc(&self, r: u8) -> Self::Value {
        if r == 15 { self.add_imm(self.pc(), 4) } else { self.r(r) }
    }
    /// Sets register `r`, 0 to 14: the low bits of the stack pointer stay 0.
    #[inline(always)]
    fn set_r_or_sp(&self, r: u8, value: Self::Value) {
        let value = if r == 13 { self.and_imm(value, 0xffff_fffc) } else { value };
        self.set_slot(r as u16, value);
    }
    /// Sets N and Z for a result.
    #[inline(always)]
    fn set_nz(&self, result: Self::Value) {
        self.set_slot(slot::N, result);
        self.set_slot(slot::Z, result);
    }
    /// Branches as BX does (BXWritePC, LoadWritePC).
    #[inline(always)]
    fn branch_exchange(&self, target: Self::Value) -> Flow<Self> {
        let even = self.xor(self.and_imm(target, 1), self.imm(1));
        let high = self.ltu(self.imm(0xefff_ffff), target);
        let unusual = self.or(even, high);
        self.raise_if(unusual, cause::EXCHANGE, target)?;
        self.jump(self.and_imm(target, 0xffff_fffe))
    }
}
