//! Exception frames. B1.5.6 and B1.5.7 of DDI 0403E (PushStack, PopStack).

use cpu_core::Width;

use super::fault::cfsr;
use super::float::{FLOAT_WORDS, fpccr};
use super::nvic::exception as number;
use super::table::Word;
use super::{bits, control};
use crate::state::State;
use crate::{cause, slot};

/// Bytes of a frame without and with floating-point registers.
const BASIC: u32 = 0x20;
const EXTENDED: u32 = 0x68;

/// xPSR bit 9 in a frame: the stack pointer was moved to be aligned.
const REALIGNED: u32 = 1 << 9;

/// EXC_RETURN bit 4: the frame is a basic one.
pub(super) const BASIC_FRAME: u32 = 1 << 4;
/// EXC_RETURN bit 3: to Thread mode.
pub(super) const TO_THREAD: u32 = 1 << 3;
/// EXC_RETURN bit 2: the frame is on the process stack.
pub(super) const ON_PROCESS_STACK: u32 = 1 << 2;

/// A frame that could not be stored or loaded: the exception, and CFSR's bit that says why.
pub(super) type FrameFault = (u16, u32);

impl State {
    /// Stores the state on the current stack, and gives the EXC_RETURN value that leads back to it. A failure is left to the
    /// caller, with the stack pointer already moved: what the frame holds is then unknown (B1.5.13).
    pub(super) fn push_frame(&self) -> (u32, Result<(), FrameFault>) {
        let sys = &self.sys;
        let float = sys.control.get() & control::FPCA != 0;
        let align = float || sys.has(Word::Ccr, bits::STKALIGN);
        let sp = self.cell(slot::SP).get() as u32;
        let moved = align && sp & 4 != 0;
        let size = if float { EXTENDED } else { BASIC };
        let frame = sp.wrapping_sub(size) & if align { !7 } else { !3 };
        self.cell(slot::SP).set(frame as u64);

        let basic = if float { 0 } else { BASIC_FRAME };
        let from = match (sys.exception.get(), sys.on_psp.get()) {
            (0, true) => TO_THREAD | ON_PROCESS_STACK,
            (0, false) => TO_THREAD,
            _ => 0,
        };
        (0xffff_ffe1 | basic | from, self.store_frame(frame, float, moved))
    }

    fn store_frame(&self, frame: u32, float: bool, moved: bool) -> Result<(), FrameFault> {
        let r = |r: u16| self.cell(r).get() as u32;
        let pc = self.frame.pc.get() as u32;
        let xpsr = self.xpsr() & !REALIGNED | if moved { REALIGNED } else { 0 };
        for (i, word) in (0..).zip([r(0), r(1), r(2), r(3), r(12), r(14), pc, xpsr]) {
            self.push_word(frame.wrapping_add(4 * i), word)?;
        }
        if !float {
            return Ok(());
        }
        let registers = frame.wrapping_add(BASIC);
        if self.sys.has(Word::Fpccr, fpccr::LSPEN) {
            self.reserve_float(registers);
            return Ok(());
        }
        if !self.float_enabled() {
            return Err((number::USAGE_FAULT, cfsr::NOCP));
        }
        (0..FLOAT_WORDS).try_for_each(|i| self.push_word(registers.wrapping_add(4 * i), self.float_word(i)))
    }

    fn push_word(&self, addr: u32, value: u32) -> Result<(), FrameFault> {
        let (addr, value) = (addr as u64, value as u64);
        if self.frame.tlb.store(self.frame.data_context.get(), addr, Width::B4, value) {
            return Ok(());
        }
        self.write_as(addr, Width::B4, value, self.privileged()).map_err(|(why, _)| match why {
            cause::DATA_ACCESS => (number::MEM_MANAGE, cfsr::MSTKERR),
            _ => (number::BUS_FAULT, cfsr::STKERR),
        })
    }

    /// Loads a word of a frame.
    fn pop_word(&self, addr: u32) -> Result<u32, FrameFault> {
        let addr = addr as u64;
        if let Some(value) = self.frame.tlb.load(self.frame.data_context.get(), addr, Width::B4) {
            return Ok(value as u32);
        }
        let read = self.read_as(addr, Width::B4, self.privileged());
        read.map(|value| value as u32).map_err(|(why, _)| match why {
            cause::DATA_ACCESS => (number::MEM_MANAGE, cfsr::MUNSTKERR),
            _ => (number::BUS_FAULT, cfsr::UNSTKERR),
        })
    }

    /// Loads the state that `exc_return` leads to from the stack that is current by now. All or nothing: where it fails, the
    /// frame stays on the stack. Gives the number of the exception that goes on.
    pub(super) fn pop_frame(&self, exc_return: u32) -> Result<u16, FrameFault> {
        let sys = &self.sys;
        let float = self.config.fpu && exc_return & BASIC_FRAME == 0;
        let align = float || sys.has(Word::Ccr, bits::STKALIGN);
        let frame = self.cell(slot::SP).get() as u32;
        let mut words = [0; 8];
        for (i, word) in (0..).zip(&mut words) {
            *word = self.pop_word(frame.wrapping_add(4 * i))?;
        }
        let [.., pc, xpsr] = words;
        let number = (xpsr & 0x1ff) as u16;
        if (number == 0) != (exc_return & TO_THREAD != 0) {
            return Err((number::USAGE_FAULT, cfsr::INVPC));
        }
        if float {
            self.pop_float(frame.wrapping_add(BASIC))?;
        }
        for (r, word) in [0, 1, 2, 3, 12, 14].into_iter().zip(words) {
            self.cell(r).set(word as u64);
        }
        self.frame.pc.set((pc & !1) as u64);
        self.set_xpsr(xpsr);
        let size = if float { EXTENDED } else { BASIC };
        let moved = if align && xpsr & REALIGNED != 0 { 4 } else { 0 };
        self.cell(slot::SP).set((frame.wrapping_add(size) | moved) as u64);
        if self.config.fpu {
            let fpca = if float { control::FPCA } else { 0 };
            sys.control.set(sys.control.get() & !control::FPCA | fpca);
        }
        Ok(number)
    }

    /// Loads the floating-point registers, unless they never left.
    fn pop_float(&self, registers: u32) -> Result<(), FrameFault> {
        let fpccr = self.sys.get(Word::Fpccr);
        if fpccr & fpccr::LSPACT != 0 {
            self.sys.set(Word::Fpccr, fpccr & !fpccr::LSPACT);
            return Ok(());
        }
        if !self.float_enabled() {
            return Err((number::USAGE_FAULT, cfsr::NOCP));
        }
        let mut words = [0; FLOAT_WORDS as usize];
        for (i, word) in (0..).zip(&mut words) {
            *word = self.pop_word(registers.wrapping_add(4 * i))?;
        }
        (0..).zip(words).for_each(|(i, word)| self.set_float_word(i, word));
        Ok(())
    }
}
