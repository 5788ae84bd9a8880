//! Exception return. B1.5.8 and B1.5.14 of DDI 0403E (ExceptionReturn).

use super::fault::cfsr;
use super::nvic::exception as number;
use super::stack::{BASIC_FRAME, ON_PROCESS_STACK, TO_THREAD};
use super::table::Word;
use super::{bits, control};
use crate::state::State;

impl State {
    /// Returns from an exception: `value` was branched to in Handler mode and is 0xFxxxxxxx. The branch counts as executed.
    pub(crate) fn exception_return(&self, value: u32) {
        let sys = &self.sys;
        let returning = sys.exception.get();
        let depth = sys.nvic.active_count();
        let legal = sys.nvic.is_active(returning) && self.is_legal(value, depth);
        self.deactivate(returning);
        let priority = sys.execution_priority();
        if !legal {
            // Taken over the frame that is there.
            self.pend_frame_fault((number::USAGE_FAULT, cfsr::INVPC), priority);
            return self.take_vector(value, priority);
        }
        // Tail-chaining: the frame stays for the next.
        if sys.nvic.candidate(priority).is_some() {
            return self.take_vector(value, priority);
        }
        let to_thread = value & TO_THREAD != 0;
        if to_thread {
            sys.exception.set(0);
            let spsel = if value & ON_PROCESS_STACK != 0 { control::SPSEL } else { 0 };
            sys.control.set(sys.control.get() & !control::SPSEL | spsel);
            self.select_stack();
        }
        // The frame is loaded with the rights of the code that goes on.
        self.update_contexts();
        match self.pop_frame(value) {
            Ok(number) => {
                sys.exception.set(number);
                self.context_changed();
                if to_thread && depth == 1 && sys.has(Word::Scr, bits::SLEEPONEXIT) {
                    self.sleep(false);
                }
            }
            Err(fault) => {
                self.pend_frame_fault(fault, priority);
                self.take_vector(value, priority);
            }
        }
    }

    /// Whether a return value names a frame that this core has, and a mode that fits `depth` active exceptions.
    fn is_legal(&self, value: u32, depth: u32) -> bool {
        let ones = if self.config.fpu { 0xffff_ffe0 } else { 0xffff_ffe0 | BASIC_FRAME };
        let to_thread = depth == 1 || self.sys.has(Word::Ccr, bits::NONBASETHRDENA);
        value & ones == ones
            && match value & 15 {
                1 => depth != 1,
                9 | 13 => to_thread,
                _ => false,
            }
    }

    /// DeActivate: the exception is over, and FAULTMASK with it.
    fn deactivate(&self, number: u16) {
        if self.sys.nvic.deactivate(number) {
            self.became_pending();
        }
        if number != number::NMI {
            self.sys.faultmask.set(0);
        }
    }
}
