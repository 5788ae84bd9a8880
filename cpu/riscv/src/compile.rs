//! The compiled tier of a hart.

use cpu_core::Block;
use cpu_jit::lift::Space;
use cpu_jit::tier::{Source, Tier};
use cpu_jit::{GuestLine, Layout, Lifter, Slot};

use crate::exec::Op;
use crate::isa;
use crate::lift::{Call, Rv};
use crate::state::{State, mode};

pub use cpu_jit::tier::HOT;

/// Blocks of a hart as host code.
pub(crate) type Compiler<const XLEN: u32> = Tier<State<XLEN>>;

impl<const XLEN: u32> Source for State<XLEN> {
    type Op = Op<XLEN>;
    type Isa = Rv<XLEN>;

    fn layout() -> Layout {
        crate::quick::layout::<XLEN>()
    }

    fn mode(&self) -> u32 {
        State::mode(self)
    }

    fn is_flat(&self, mode: u32) -> bool {
        // Without a window, memory is not where flat code looks for it.
        mode & mode::FLAT != 0 && self.windowed.get()
    }

    fn lifter(&self, space: &mut Space) -> Lifter<Rv<XLEN>> {
        crate::exec::lifter(self, space)
    }

    fn record(&self, lifter: &Lifter<Rv<XLEN>>, block: &Block<Op<XLEN>>) -> bool {
        crate::exec::record(lifter, &block.ops);
        true
    }

    fn record_part(&self, lifter: &Lifter<Rv<XLEN>>, block: &Block<Op<XLEN>>, bytes: u32) -> bool {
        let Some(ops) = cpu_jit::tier::ops_in(&block.ops, bytes, |op| op.len() as u32) else { return false };
        crate::exec::record(lifter, ops);
        true
    }

    fn number(call: &Call) -> Option<u64> {
        call.number()
    }

    fn guest_lines(&self, block: &Block<Op<XLEN>>, start: u64) -> Vec<GuestLine> {
        let mut offset = 0;
        let line = |op: &Op<XLEN>| {
            let len = op.len();
            let bits = self.memory.read_le(block.paddr + offset, len).unwrap_or(0) as u32;
            let address = Self::mask_address(start.wrapping_add(offset));
            offset += len as u64;
            GuestLine {
                address,
                word: format!("{bits:0digits$x}", digits = 2 * len),
                text: isa::disassemble(bits, address, &self.config.extensions),
            }
        };
        block.ops.iter().map(line).collect()
    }

    fn slot_name(slot: Slot) -> String {
        crate::listing::slot_name(slot)
    }
}
