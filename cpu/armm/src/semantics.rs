//! What M-profile meanings need beyond the ISA-neutral operations: registers and flags by slot, changes of state on branches,
//! exclusives and special registers.

use cpu_core::{Flow, SemanticsExt, Width};

use crate::slot;

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
/// What stops compiled code makes the interpreter run the instruction from its start. So a meaning first does all that may stop
/// (loads, stores, checks), and writes registers only then, unless writing them twice is the same.
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
    /// Comes before the first register is written by an instruction that ends in [`Arm::exchange`]: stops recorded code, which
    /// only branches, where the branch does more. The interpreter then runs the whole instruction.
    fn may_exchange(&self, target: Self::Value) -> Result<(), Self::Stop>;
    /// Branches as BX does (BXWritePC, LoadWritePC): bit 0 goes to EPSR.T, and in Handler mode 0xFxxxxxxx returns from an
    /// exception. With `link` as BLX, to which no value is an EXC_RETURN.
    fn exchange(&self, target: Self::Value, link: bool) -> Flow<Self>;
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
    /// Sets N and Z for a result, a word.
    #[inline(always)]
    fn set_nz(&self, result: Self::Value) {
        self.set_slot(slot::NZ, result);
    }
    /// N, 0 or 1.
    #[inline(always)]
    fn n(&self) -> Self::Value {
        self.ltu(self.imm(0x7fff_ffff), self.slot(slot::NZ))
    }
    /// Zero iff Z is set.
    #[inline(always)]
    fn nonzero(&self) -> Self::Value {
        self.zext32(self.slot(slot::NZ))
    }
}
