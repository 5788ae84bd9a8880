//! What compiled code reaches by one pointer: registers, budget, TLB and jump cache of one core.
//!
//! The layout is C's, so that compiled code addresses every part by a constant offset (`offset_of!`). Interpreters use the
//! same cells: control passes between the two at any instruction without copying.

use std::cell::Cell;

use crate::tlb::{ContextKey, Tlb};

/// Number of slots.
pub const SLOTS: usize = 128;
/// Entries of the jump cache.
pub const JUMPS: usize = 16384;

/// The part of a core's state that compiled code works on.
#[repr(C)]
pub struct Frame {
    /// Guest registers by slot number, as the ISA numbers them (the compiler's `Slot`).
    pub slots: [Cell<u64>; SLOTS],
    /// Address of the instruction that runs, or where compiled code was left.
    pub pc: Cell<u64>,
    /// Virtual address of the page that compiled code runs in.
    pub page: Cell<u64>,
    /// Instructions that compiled code may still run.
    pub remaining: Cell<i64>,
    /// Instructions that compiled code could run when it was entered.
    pub room: Cell<i64>,
    /// The TLB's number for data accesses (of [`Tlb::context`]).
    pub data_context: Cell<u64>,
    /// The TLB's number for fetches; names everything that decoded code depends on, beside its address.
    pub fetch_context: Cell<u64>,
    /// Scratch of compiled code: why it returned, and operands.
    pub exit: [Cell<u64>; 4],
    /// Scratch of compiled code: values that host registers do not hold.
    pub spill: [Cell<u64>; 64],
    /// Scratch of compiled code: the host's stack pointer at entry, how far down calls may take it, and what helpers are given.
    pub host: [Cell<u64>; 3],
    /// Where code for a virtual address is: filled by whoever runs compiled code.
    pub jumps: [Jump; JUMPS],
    /// From virtual pages to host memory.
    pub tlb: Tlb,
}

/// An entry of the jump cache; zeros: none. Aligned, so that one lies in one cache line.
#[repr(C, align(16))]
pub struct Jump {
    /// What is looked up.
    pub key: Cell<u64>,
    /// Host address of its code.
    pub code: Cell<u64>,
}

impl Frame {
    /// Where the jump cache keeps what it knows of `pc`.
    #[inline(always)]
    pub fn jump_index(pc: u64) -> usize {
        // The page's bits, which the key holds, only permute the places of its instructions.
        (pc >> 1 ^ pc >> 13) as usize & (JUMPS - 1)
    }

    /// Asks the TLB for the numbers of the contexts of fetches and of data accesses. Gives [`Tlb::flushes`], up to whose next change
    /// they are valid.
    pub fn set_contexts(&self, fetch: ContextKey, data: ContextKey) -> u64 {
        self.fetch_context.set(self.tlb.context(fetch));
        let before = self.tlb.flushes();
        self.data_context.set(self.tlb.context(data));
        if self.tlb.flushes() != before {
            // The numbers ran out between the two.
            self.fetch_context.set(self.tlb.context(fetch));
        }
        self.tlb.flushes()
    }

    /// Empties the jump cache.
    pub fn forget_jumps(&self) {
        self.jumps.iter().for_each(|jump| jump.key.set(0));
    }
}

#[cfg(test)]
mod tests {
    use std::mem::{align_of, offset_of, size_of};

    use super::*;
    use crate::memory::{GuestMemory, MemoryKind, RegionSpec};
    use crate::window::{Behind, FrameBox};

    #[test]
    fn a_frame_starts_empty_and_its_parts_lie_where_compiled_code_looks() {
        let ram = RegionSpec { name: "ram".into(), base: 0, size: 0x1000, kind: MemoryKind::Ram };
        let frame = FrameBox::new(GuestMemory::new(vec![ram]).unwrap(), Behind::Nothing);
        assert!(frame.slots.iter().chain(&frame.spill).chain(&frame.exit).all(|cell| cell.get() == 0));
        assert!(frame.jumps.iter().all(|jump| jump.key.get() | jump.code.get() == 0));
        assert_eq!(frame.tlb.memory().regions().len(), 1);
        assert_eq!((offset_of!(Frame, slots), size_of::<Jump>()), (0, 16));
        // No entry lies in two cache lines.
        for offset in [offset_of!(Frame, jumps), Tlb::READ, Tlb::WRITE, Tlb::NEAR, align_of::<Frame>()] {
            assert_eq!(offset % 16, 0, "{offset:#x}");
        }
    }
}
