//! Special-purpose registers and the instructions that act on the core as a whole. B1.4, B5.2, B4.1 of DDI 0403E.

use cpu_core::{Exit, Flow, Next, Semantics};
use cpu_fp::Flags;

use crate::semantics::System;
use crate::state::State;
use crate::{cause, slot};

/// Numbers of special registers (B5.1.1).
mod sysm {
    pub const MSP: u8 = 8;
    pub const PSP: u8 = 9;
    pub const PRIMASK: u8 = 16;
    pub const BASEPRI: u8 = 17;
    pub const BASEPRI_MAX: u8 = 18;
    pub const FAULTMASK: u8 = 19;
    pub const CONTROL: u8 = 20;
}

impl State {
    /// APSR: flags, and GE where the DSP extension is there.
    pub(crate) fn apsr(&self) -> u32 {
        let get = |number| self.cell(number).get() as u32;
        let nz = self.cell(slot::NZ).get();
        let flags = ((nz > 0x7fff_ffff) as u32) << 31
            | ((nz as u32 == 0) as u32) << 30
            | (get(slot::C) & 1) << 29
            | (get(slot::V) & 1) << 28
            | (get(slot::Q) & 1) << 27;
        flags | (get(slot::GE) & 15) << 16
    }

    /// Sets N, Z, C and V from bits 31 to 28.
    pub(crate) fn set_nzcv(&self, value: u32) {
        let set = |number, value: u32| self.cell(number).set(value as u64);
        self.cell(slot::NZ).set(slot::nz(value >> 31 != 0, value >> 30 & 1 != 0));
        set(slot::C, value >> 29 & 1);
        set(slot::V, value >> 28 & 1);
    }

    /// Sets all flags from APSR's layout; Q exists in ARMv7-M, GE with DSP.
    pub(crate) fn set_apsr(&self, value: u32) {
        self.set_nzcv(value);
        if self.config.is_v7m() {
            self.cell(slot::Q).set((value >> 27 & 1) as u64);
        }
        self.set_ge(value);
    }

    fn set_ge(&self, value: u32) {
        if self.config.architecture == crate::Architecture::V7EM {
            self.cell(slot::GE).set((value >> 16 & 15) as u64);
        }
    }

    /// xPSR, with T and ITSTATE, as an exception stacks it.
    pub(crate) fn xpsr(&self) -> u32 {
        let it = self.itstate.get() as u32;
        self.apsr()
            | (it & 3) << 25
            | (it >> 2) << 10
            | (self.thumb.get() as u32) << 24
            | self.sys.exception.get() as u32
    }

    /// Sets flags, T and ITSTATE from xPSR; the exception number is the caller's.
    pub(crate) fn set_xpsr(&self, value: u32) {
        self.set_apsr(value);
        self.thumb.set(value >> 24 & 1 != 0);
        let it = if self.config.is_v7m() { value >> 25 & 3 | (value >> 10 & 0x3f) << 2 } else { 0 };
        self.itstate.set(it as u8);
    }

    /// MSP.
    pub(crate) fn msp(&self) -> u32 {
        if self.sys.on_psp.get() { self.sys.other_sp.get() } else { self.cell(slot::SP).get() as u32 }
    }

    /// PSP.
    pub(crate) fn psp(&self) -> u32 {
        if self.sys.on_psp.get() { self.cell(slot::SP).get() as u32 } else { self.sys.other_sp.get() }
    }

    /// Sets MSP.
    pub(crate) fn set_msp(&self, value: u32) {
        self.set_stack(!self.sys.on_psp.get(), value);
    }

    /// Sets PSP.
    pub(crate) fn set_psp(&self, value: u32) {
        self.set_stack(self.sys.on_psp.get(), value);
    }

    fn set_stack(&self, current: bool, value: u32) {
        let value = value & !3;
        if current {
            self.cell(slot::SP).set(value as u64);
        } else {
            self.sys.other_sp.set(value);
        }
    }

    /// Makes the stack pointer current that mode and CONTROL.SPSEL ask for.
    pub(crate) fn select_stack(&self) {
        let psp = self.sys.exception.get() == 0 && self.sys.control.get() & 2 != 0;
        if psp != self.sys.on_psp.replace(psp) {
            let sp = self.cell(slot::SP);
            sp.set(self.sys.other_sp.replace(sp.get() as u32) as u64);
        }
    }

    /// What MRS reads.
    pub(crate) fn read_special(&self, sysm: u8) -> u32 {
        let sys = &self.sys;
        let privileged = self.privileged();
        match sysm {
            // Any of APSR, IPSR and EPSR, whose execution state reads as zero.
            0..=7 => {
                let apsr = if sysm & 4 == 0 { self.apsr() } else { 0 };
                let ipsr = if sysm & 1 != 0 && privileged { sys.exception.get() as u32 } else { 0 };
                apsr | ipsr
            }
            sysm::CONTROL => sys.control.get(),
            _ if !privileged => 0,
            sysm::MSP => self.msp(),
            sysm::PSP => self.psp(),
            sysm::PRIMASK => sys.primask.get(),
            sysm::BASEPRI | sysm::BASEPRI_MAX if self.config.is_v7m() => sys.basepri.get(),
            sysm::FAULTMASK if self.config.is_v7m() => sys.faultmask.get(),
            _ => 0,
        }
    }

    /// What MSR writes; `mask` is bit 1 for the flags and bit 0 for GE.
    pub(crate) fn write_special(&self, sysm: u8, mask: u8, value: u32) {
        let sys = &self.sys;
        let privileged = self.privileged();
        match sysm {
            0..=3 => {
                if mask & 2 != 0 {
                    self.set_nzcv(value);
                    if self.config.is_v7m() {
                        self.cell(slot::Q).set((value >> 27 & 1) as u64);
                    }
                }
                if mask & 1 != 0 {
                    self.set_ge(value);
                }
            }
            _ if !privileged => {}
            sysm::MSP => self.set_msp(value),
            sysm::PSP => self.set_psp(value),
            sysm::PRIMASK => sys.primask.set(value & 1),
            sysm::BASEPRI if self.config.is_v7m() => sys.basepri.set(value & self.priority_mask()),
            sysm::BASEPRI_MAX if self.config.is_v7m() => {
                let (new, old) = (value & self.priority_mask(), sys.basepri.get());
                if new != 0 && (old == 0 || new < old) {
                    sys.basepri.set(new);
                }
            }
            sysm::FAULTMASK if self.config.is_v7m() => self.set_faultmask(value & 1),
            sysm::CONTROL => self.set_control(value),
            _ => {}
        }
    }

    /// Sets the bits of CONTROL that exist and can be written now.
    pub(crate) fn set_control(&self, value: u32) {
        let unprivileged = if self.config.unprivileged { 1 } else { 0 };
        let fpca = if self.config.fpu { 4 } else { 0 };
        // SPSEL can not be written in Handler mode.
        let stack = if self.sys.exception.get() == 0 { 2 } else { 0 };
        let writable = unprivileged | fpca | stack;
        self.sys.control.set(self.sys.control.get() & !writable | value & writable);
        self.select_stack();
        self.update_contexts();
    }

    /// The bits of a priority that exist.
    pub(crate) fn priority_mask(&self) -> u32 {
        0xff00 >> self.config.priority_bits.min(8) & 0xff
    }

    /// Sets FAULTMASK where the execution priority allows it (B5.2.3: not in NMI and HardFault).
    fn set_faultmask(&self, value: u32) {
        if value == 0 || self.sys.execution_priority() > -1 {
            self.sys.faultmask.set(value);
            // The MPU may be off at a negative priority.
            self.update_contexts();
        }
    }

    /// FPSCR as a whole.
    pub(crate) fn read_fpscr(&self) -> u32 {
        let nzcv = self.cell(slot::FLOAT_NZCV).get() as u32 & 0xf000_0000;
        let flags = Flags::from_bits_truncate(self.cell(slot::FLOAT_FLAGS).get() as u8);
        nzcv | self.sys.fpscr.get() | flags.to_fpscr()
    }

    /// Sets FPSCR.
    pub(crate) fn write_fpscr(&self, value: u32) {
        self.cell(slot::FLOAT_NZCV).set((value & 0xf000_0000) as u64);
        self.cell(slot::FLOAT_FLAGS).set(Flags::from_fpscr(value).bits() as u64);
        self.sys.fpscr.set(value & crate::sys::FPSCR_MODES);
        self.update_contexts();
    }

    /// Runs an instruction that no consumer lifts.
    pub(crate) fn execute_system(&self, op: System, value: u32) -> Flow<State> {
        match op {
            System::Breakpoint(0xab) if self.config.semihosting => self.stop_with(Exit::Semihosting),
            System::Breakpoint(number) => return Err(self.raise(cause::BREAKPOINT, number as u64)),
            System::Wfi => self.sleep(false),
            System::Wfe => {
                if !self.sys.event.replace(false) {
                    self.sleep(true);
                }
            }
            System::Sev => self.sys.event.set(true),
            System::Barrier => {}
            System::Cps { disable, i, f } => {
                if self.privileged() {
                    if i {
                        self.sys.primask.set(disable as u32);
                    }
                    if f && self.config.is_v7m() {
                        self.set_faultmask(disable as u32);
                    }
                }
            }
            System::Msr { sysm, mask } => self.write_special(sysm, mask, value),
            System::SetFpscr => self.write_fpscr(value),
        }
        self.pending_hint.set(true);
        Ok(Next::Leave)
    }
}
