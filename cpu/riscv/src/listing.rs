//! Listings of compiled blocks: what they say of RISC-V.

use cpu_core::Block;
use cpu_jit::{GuestLine, Slot};

use crate::compile::Compiler;
use crate::exec::Op;
use crate::isa;
use crate::isa::fmt::{F_NAMES, X_NAMES};
use crate::lift::Call;
use crate::state::{State, slot};

/// What a slot is called.
pub(crate) fn slot_name(Slot(number): Slot) -> String {
    let float = number.wrapping_sub(slot::FLOAT) as usize;
    match (X_NAMES.get(number as usize), F_NAMES.get(float)) {
        (Some(name), _) | (None, Some(name)) => name.to_string(),
        _ => match number {
            slot::FLOAT_DIRTY => "fs_dirty".into(),
            slot::FLOAT_FLAGS => "fflags".into(),
            _ => format!("slot{number}"),
        },
    }
}

impl<const XLEN: u32> Compiler<XLEN> {
    /// Lists the block that was just compiled, if it is wanted.
    pub fn list(&mut self, state: &State<XLEN>, block: &Block<Op<XLEN>>, lifted: &cpu_jit::Block<Call>) {
        let Some(listing) = &mut self.listing else { return };
        let compiled = self.engine.take_noted();
        let start = state.frame.pc.get();
        if !listing.wants(start, block.bytes) {
            return;
        }
        let Some(compiled) = compiled else {
            listing.refused(start, lifted.instructions);
            return;
        };
        let mut guest = Vec::with_capacity(block.ops.len());
        let mut offset = 0;
        for op in &block.ops {
            let len = op.len();
            let bits = state.memory.read_le(block.paddr + offset, len).unwrap_or(0) as u32;
            let address = State::<XLEN>::mask_address(start.wrapping_add(offset));
            guest.push(GuestLine {
                address,
                word: format!("{bits:0digits$x}", digits = 2 * len),
                text: isa::disassemble(bits, address, &state.config.extensions),
            });
            offset += len as u64;
        }
        listing.show(&guest, lifted, self.engine.backend(), &compiled, &slot_name);
    }
}
