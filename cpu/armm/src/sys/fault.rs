//! Synchronous exceptions: what they leave in the status registers, escalation, lockup. B1.5.4, B1.5.14, B1.5.15 and B3.2.15
//! to B3.2.19 of DDI 0403E.

use cpu_core::Exit;

use super::bits;
use super::nvic::{ExceptionNumber, exception as number};
use super::table::Word;
use crate::cause;
use crate::state::State;

/// Bits of CFSR: MMFSR in the low byte, BFSR in the second, UFSR in the upper half.
pub(super) mod cfsr {
    pub const IACCVIOL: u32 = 1;
    pub const DACCVIOL: u32 = 1 << 1;
    pub const MUNSTKERR: u32 = 1 << 3;
    pub const MSTKERR: u32 = 1 << 4;
    pub const MLSPERR: u32 = 1 << 5;
    pub const MMARVALID: u32 = 1 << 7;
    pub const IBUSERR: u32 = 1 << 8;
    pub const PRECISERR: u32 = 1 << 9;
    pub const UNSTKERR: u32 = 1 << 11;
    pub const STKERR: u32 = 1 << 12;
    pub const LSPERR: u32 = 1 << 13;
    pub const BFARVALID: u32 = 1 << 15;
    pub const UNDEFINSTR: u32 = 1 << 16;
    pub const INVSTATE: u32 = 1 << 17;
    pub const INVPC: u32 = 1 << 18;
    pub const NOCP: u32 = 1 << 19;
    pub const UNALIGNED: u32 = 1 << 24;
    pub const DIVBYZERO: u32 = 1 << 25;
}

/// Bits of HFSR.
pub(super) mod hfsr {
    pub const VECTTBL: u32 = 1 << 1;
    pub const FORCED: u32 = 1 << 30;
    pub const DEBUGEVT: u32 = 1 << 31;
}

/// DFSR.BKPT.
const DFSR_BKPT: u32 = 1 << 1;

/// Where a core that is locked up fetches from.
const LOCKUP_PC: u64 = 0xffff_fffe;

/// The exception of a cause, and the bits of CFSR that tell it.
fn exception_of(why: u64) -> (ExceptionNumber, u32) {
    match why {
        cause::NO_COPROCESSOR => (number::USAGE_FAULT, cfsr::NOCP),
        cause::INVALID_STATE => (number::USAGE_FAULT, cfsr::INVSTATE),
        cause::UNALIGNED => (number::USAGE_FAULT, cfsr::UNALIGNED),
        cause::DIVIDE_BY_ZERO => (number::USAGE_FAULT, cfsr::DIVBYZERO),
        cause::DATA_ACCESS => (number::MEM_MANAGE, cfsr::DACCVIOL | cfsr::MMARVALID),
        cause::FETCH_ACCESS => (number::MEM_MANAGE, cfsr::IACCVIOL),
        cause::DATA_BUS => (number::BUS_FAULT, cfsr::PRECISERR | cfsr::BFARVALID),
        cause::FETCH_BUS => (number::BUS_FAULT, cfsr::IBUSERR),
        cause::SUPERVISOR_CALL => (number::SV_CALL, 0),
        cause::BREAKPOINT => (number::DEBUG_MONITOR, 0),
        _ => (number::USAGE_FAULT, cfsr::UNDEFINSTR),
    }
}

impl State {
    /// The instruction at `pc` raised a synchronous exception: a cause of [`crate::cause`] with its value. It counts as
    /// executed. `itstate` is that of the instruction; for SVC, both are those behind it.
    pub(crate) fn fault(&self, why: u64, value: u64) {
        let sys = &self.sys;
        if sys.lockup.get() {
            return self.lock_up();
        }
        let (number, status) = exception_of(why);
        sys.set_bits(Word::Cfsr, status);
        match why {
            cause::DATA_ACCESS => sys.set(Word::Mmfar, value as u32),
            cause::DATA_BUS => sys.set(Word::Bfar, value as u32),
            cause::BREAKPOINT => sys.set_bits(Word::Dfsr, DFSR_BKPT),
            _ => {}
        }
        if self.pend_escalated(number, sys.execution_priority()) {
            self.enter_exception();
        }
    }

    /// Makes a synchronous exception pending over code of this priority, as HardFault where it can not be taken itself. Where
    /// not even that can, the core locks up: false.
    pub(super) fn pend_escalated(&self, number: ExceptionNumber, priority: i16) -> bool {
        let (sys, nvic) = (&self.sys, &self.sys.nvic);
        if nvic.is_enabled(number) && nvic.group(nvic.priority(number)) < priority {
            nvic.pend(number);
            return true;
        }
        if nvic.priority(number::HARD_FAULT) >= priority {
            self.lock_up();
            return false;
        }
        let why = if number == number::DEBUG_MONITOR { hfsr::DEBUGEVT } else { hfsr::FORCED };
        sys.set_bits(Word::Hfsr, why);
        nvic.pend(number::HARD_FAULT);
        true
    }

    /// Nothing can go on but by NMI or reset.
    pub(super) fn lock_up(&self) {
        self.sys.lockup.set(true);
        self.frame.pc.set(LOCKUP_PC);
        self.thumb.set(true);
        self.itstate.set(0);
        self.update_contexts();
        self.stop_with(Exit::Lockup);
    }

    /// Whether a data access that the bus did not complete goes on as if it had: CCR.BFHFNMIGN at a negative priority. The
    /// status registers tell it all the same.
    pub(crate) fn ignores_bus_fault(&self, addr: u32) -> bool {
        let sys = &self.sys;
        let ignores = sys.has(Word::Ccr, bits::BFHFNMIGN) && sys.execution_priority() < 0;
        if ignores {
            sys.set_bits(Word::Cfsr, cfsr::PRECISERR | cfsr::BFARVALID);
            sys.set(Word::Bfar, addr);
        }
        ignores
    }
}
