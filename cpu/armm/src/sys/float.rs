//! Who owns the floating-point registers: access rights, activating a context, and stacking it when it is needed.
//!
//! B1.5.7 and B1.4.7 of DDI 0403E: an entry may only reserve room for the registers; they are stored by the first
//! floating-point instruction behind it.

use cpu_core::{AccessKind, Width};

use super::mpu::Accessor;
use super::nvic::exception as number;
use super::table::Word;
use super::{FPSCR_MODES, bits, control};
use crate::state::State;
use crate::{cause, slot};

/// Bits of FPCCR.
pub(super) mod fpccr {
    pub const ASPEN: u32 = 1 << 31;
    pub const LSPEN: u32 = 1 << 30;
    pub const MONRDY: u32 = 1 << 8;
    pub const BFRDY: u32 = 1 << 6;
    pub const MMRDY: u32 = 1 << 5;
    pub const HFRDY: u32 = 1 << 4;
    pub const THREAD: u32 = 1 << 3;
    pub const USER: u32 = 1 << 1;
    pub const LSPACT: u32 = 1;
}

/// Words of a floating-point frame: s0 to s15 and FPSCR. A reserved one follows.
pub(super) const FLOAT_WORDS: u32 = 17;

impl State {
    /// Lets all code use the FPU.
    pub(crate) fn enable_float(&self) {
        self.sys.set_bits(Word::Cpacr, if self.config.fpu { 0x00f0_0000 } else { 0 });
        self.update_contexts();
    }

    /// Whether CPACR lets the current code use the FPU.
    pub(super) fn float_enabled(&self) -> bool {
        // CP10 and CP11 say the same, or what they do is unpredictable.
        match self.sys.get(Word::Cpacr) >> 20 & 3 {
            3 => self.config.fpu,
            1 => self.config.fpu && self.privileged(),
            _ => false,
        }
    }

    /// Whether floating-point instructions run as they are: the FPU is on for the current privilege, its context active
    /// (CONTROL.FPCA), and nothing waits to be stacked.
    pub(crate) fn float_ready(&self) -> bool {
        let fpccr = self.sys.get(Word::Fpccr);
        let active = fpccr & fpccr::ASPEN == 0 || self.sys.control.get() & control::FPCA != 0;
        active && fpccr & fpccr::LSPACT == 0 && self.float_enabled()
    }

    /// Before a floating-point instruction where [`State::float_ready`] is not so: stacks what waits, activates the context,
    /// or gives the cause of the exception to raise. It runs for no cycle. Where stacking fails with an exception that can be
    /// taken now, nothing changes: the instruction starts again behind it.
    pub(crate) fn prepare_float(&self) -> Result<(), (u64, u64)> {
        if !self.float_enabled() {
            return Err((cause::NO_COPROCESSOR, 0));
        }
        let sys = &self.sys;
        if sys.has(Word::Fpccr, fpccr::LSPACT) && !self.preserve_float() {
            return Ok(());
        }
        if sys.has(Word::Fpccr, fpccr::ASPEN) && sys.control.get() & control::FPCA == 0 {
            sys.fpscr.set(sys.get(Word::Fpdscr) & FPSCR_MODES);
            sys.control.set(sys.control.get() | control::FPCA);
        }
        self.update_contexts();
        Ok(())
    }

    /// Word `i` of a floating-point frame.
    pub(super) fn float_word(&self, i: u32) -> u32 {
        if i < 16 { self.cell(slot::FLOAT + i as u16).get() as u32 } else { self.read_fpscr() }
    }

    /// Sets word `i` of a floating-point frame.
    pub(super) fn set_float_word(&self, i: u32, value: u32) {
        if i < 16 {
            self.cell(slot::FLOAT + i as u16).set(value as u64);
        } else {
            self.write_fpscr(value);
        }
    }

    /// At an entry with an active context: remembers where it belongs, and what the preempted code could have taken
    /// (UpdateFPCCR). `frame` is the address of the floating-point frame.
    pub(super) fn reserve_float(&self, frame: u32) {
        let (sys, nvic) = (&self.sys, &self.sys.nvic);
        let priority = sys.execution_priority();
        let ready = |number, enabled: bool| enabled && priority > nvic.group(nvic.priority(number));
        let fault_ready = |number| ready(number, nvic.is_enabled(number));
        let flag = |on: bool, bit: u32| if on { bit } else { 0 };
        let kept = sys.get(Word::Fpccr) & (fpccr::ASPEN | fpccr::LSPEN);
        sys.set(Word::Fpcar, frame & !7);
        sys.set(
            Word::Fpccr,
            kept | fpccr::LSPACT
                | flag(!self.privileged(), fpccr::USER)
                | flag(sys.exception.get() == 0, fpccr::THREAD)
                | flag(ready(number::HARD_FAULT, true), fpccr::HFRDY)
                | flag(fault_ready(number::BUS_FAULT), fpccr::BFRDY)
                | flag(fault_ready(number::MEM_MANAGE), fpccr::MMRDY)
                | flag(ready(number::DEBUG_MONITOR, sys.has(Word::Demcr, bits::MON_EN)), fpccr::MONRDY),
        );
    }

    /// Stores the context that waits (PreserveFPState). False: an exception has to be taken first, and it still waits.
    fn preserve_float(&self) -> bool {
        let sys = &self.sys;
        let flags = sys.get(Word::Fpccr);
        let frame = sys.get(Word::Fpcar);
        let who =
            Accessor { privileged: flags & fpccr::USER == 0, negative_priority: flags & fpccr::HFRDY == 0 };
        for i in 0..FLOAT_WORDS {
            let addr = frame.wrapping_add(4 * i);
            let failed = if sys.mpu.check(addr, 4, AccessKind::Write, who).is_err() {
                Some((number::MEM_MANAGE, super::fault::cfsr::MLSPERR, fpccr::MMRDY))
            } else {
                // The rights are those of the code that was preempted, and checked.
                let done = self.store_unchecked(addr, self.float_word(i));
                done.err().map(|()| (number::BUS_FAULT, super::fault::cfsr::LSPERR, fpccr::BFRDY))
            };
            if let Some((number, status, ready)) = failed {
                sys.set_bits(Word::Cfsr, status);
                self.pend_lazily(number, flags & ready != 0, flags & fpccr::HFRDY != 0);
                if sys.nvic.candidate(sys.execution_priority()).is_some() || sys.lockup.get() {
                    return false;
                }
                break;
            }
        }
        sys.set(Word::Fpccr, sys.get(Word::Fpccr) & !fpccr::LSPACT);
        true
    }

    /// Pends the exception of a lazy store, escalated by what the preempted code could have taken.
    fn pend_lazily(&self, number: u16, ready: bool, hard_ready: bool) {
        let nvic = &self.sys.nvic;
        if ready {
            nvic.pend(number);
        } else if hard_ready {
            self.sys.set_bits(Word::Hfsr, super::fault::hfsr::FORCED);
            nvic.pend(number::HARD_FAULT);
        } else if self.sys.execution_priority() < 0 {
            self.lock_up();
        }
        self.pending_hint.set(true);
    }

    /// Stores a word with all rights.
    fn store_unchecked(&self, addr: u32, value: u32) -> Result<(), ()> {
        let addr = addr as u64;
        if self.memory.page(addr).is_some_and(|page| page.writable) {
            return self.memory.write(addr, &value.to_le_bytes()).map_err(|_| ());
        }
        self.write_as(addr, Width::B4, value as u64, true).map_err(|_| ())
    }
}
