//! Exception entry. B1.5.6 to B1.5.13 of DDI 0403E.
//!
//! An entry runs for no instruction, so that nothing can come between its steps but what they do themselves. What the manual
//! calls late arrival is therefore one rule: which exception is taken is decided when the frame is on the stack, among all that
//! are pending by then, faults of stacking among them.

use super::control;
use super::fault::hfsr;
use super::nvic::{ExceptionNumber, exception as number};
use super::stack::FrameFault;
use super::table::Word;
use crate::slot;
use crate::state::State;

impl State {
    /// Takes the exception that is to run before the next instruction, if there is one. Asked whenever `pending_hint` is set,
    /// which the caller clears. Entry counts no instruction.
    pub(crate) fn take_pending(&self) -> bool {
        let taken = self.sys.nvic.candidate(self.sys.execution_priority()).is_some();
        if taken {
            // An NMI ends lockup.
            self.sys.lockup.set(false);
            self.enter_exception();
        }
        taken
    }

    /// Stacks the state of the code at `pc` and takes the first of the exceptions that are pending, of which one can be taken.
    pub(super) fn enter_exception(&self) {
        let priority = self.sys.execution_priority();
        let (exc_return, stacked) = self.push_frame();
        if let Err(fault) = stacked {
            self.pend_frame_fault(fault, priority);
        }
        self.take_vector(exc_return, priority);
    }

    /// Pends the derived exception of a frame that could not be stored or loaded.
    pub(super) fn pend_frame_fault(&self, (number, status): FrameFault, priority: i16) {
        self.sys.set_bits(Word::Cfsr, status);
        self.pend_escalated(number, priority);
    }

    /// Starts the handler of the first pending exception, over a frame that `exc_return` leads to. `priority` is that of
    /// the code below (ExceptionTaken).
    pub(super) fn take_vector(&self, exc_return: u32, priority: i16) {
        let nvic = &self.sys.nvic;
        if self.sys.lockup.get() {
            return;
        }
        let Some(first) = nvic.candidate(priority) else { return };
        if let Some(vector) = self.read_vector(first) {
            return self.start_handler(first, exc_return, vector);
        }
        self.sys.set_bits(Word::Hfsr, hfsr::VECTTBL);
        // B1.5.15: what was to be taken stays pending; where even HardFault has no vector, nothing can go on.
        let terminal = matches!(first, number::NMI | number::HARD_FAULT);
        match self.read_vector(number::HARD_FAULT).filter(|_| !terminal) {
            Some(vector) => self.start_handler(number::HARD_FAULT, exc_return, vector),
            None => {
                let locked = if terminal { first } else { number::HARD_FAULT };
                self.start_handler(locked, exc_return, 1);
                self.lock_up();
            }
        }
    }

    /// Reads an entry of the vector table: as data, by the default memory map.
    fn read_vector(&self, number: ExceptionNumber) -> Option<u32> {
        let addr = self.sys.get(Word::Vtor).wrapping_add(4 * number as u32);
        self.memory.read_le(addr as u64, 4).ok().map(|vector| vector as u32)
    }

    fn start_handler(&self, number: ExceptionNumber, exc_return: u32, vector: u32) {
        let sys = &self.sys;
        sys.nvic.activate(number);
        sys.exception.set(number);
        sys.control.set(sys.control.get() & !(control::SPSEL | control::FPCA));
        self.select_stack();
        self.cell(slot::LR).set(exc_return as u64);
        self.frame.pc.set((vector & !1) as u64);
        // A vector without bit 0 faults at the handler's first instruction.
        self.thumb.set(vector & 1 != 0);
        self.itstate.set(0);
        sys.lockup.set(false);
        self.context_changed();
    }

    /// After an entry or a return: exclusives, events, rights.
    pub(super) fn context_changed(&self) {
        self.monitor.set(None);
        self.sys.event.set(true);
        self.pending_hint.set(true);
        self.update_contexts();
    }
}
