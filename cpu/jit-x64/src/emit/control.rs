//! The head of a block, and where control goes from it.

use cpu_jit::ir::Ref;

use super::Emitter;
use crate::asm::Size::{D, Q};
use crate::asm::{Op, reg};
use crate::places;
use crate::sink::{At, Bytes, Cc};

/// log2 of the bytes of an entry of the jump cache.
const ENTRY_SHIFT: u32 = 4;

impl Emitter<'_> {
    /// Counts the block's instructions, or leaves where fewer remain. Long enough to be overwritten by a jump.
    pub(super) fn head(&mut self) {
        let count = self.unit.instructions as i32;
        self.sink.hot.sub(Q, reg::R15, Op::Imm(count));
        let stub = self.sink.here_cold();
        self.sink.jcc(Cc::S, stub);
        self.sink.cold.add(Q, reg::R15, Op::Imm(count));
        self.sink.cold.set(reg::RAX, self.unit.offset as u64);
        self.sink.jmp_cold(self.fixed(self.shared.budget));
    }

    fn is_in_page(&self, offset: i64) -> Option<u32> {
        (0..4096).contains(&offset).then_some(offset as u32)
    }

    /// Code in the cold part for a jump to `offset` in the page that is not linked.
    fn follow_stub(&mut self, offset: u32) -> At {
        let stub = self.sink.here_cold();
        self.sink.cold.set(reg::RAX, offset as u64);
        self.sink.jmp_cold(self.fixed(self.shared.follow));
        stub
    }

    /// Continues at `offset` from the start of the page.
    pub(super) fn go_to(&mut self, offset: i64) {
        match self.is_in_page(offset) {
            Some(offset) if offset == self.unit.offset => {
                self.sink.jmp(At::Hot(0));
            }
            Some(offset) => {
                let stub = self.follow_stub(offset);
                let fixup = self.sink.jmp(stub);
                self.links.push((offset, fixup));
            }
            None => {
                self.address(offset, false);
                self.indirect(false);
            }
        }
        self.ended = true;
    }

    /// The same, from the cold part.
    pub(super) fn go_to_cold(&mut self, offset: i64) {
        match self.is_in_page(offset) {
            Some(offset) if offset == self.unit.offset => {
                self.sink.jmp_cold(At::Hot(0));
            }
            Some(offset) => {
                let here = self.sink.here_cold();
                let fixup = self.sink.jmp_cold(here);
                self.links.push((offset, fixup));
                let stub = self.follow_stub(offset);
                self.sink.lead(fixup, stub);
            }
            None => {
                self.address(offset, true);
                self.indirect(true);
            }
        }
    }

    /// Continues at `offset` from the start of the page where the condition holds, else behind the block.
    pub(super) fn branch(&mut self, cc: Cc, offset: i64) {
        let head = self.unit.offset as i64;
        if self.unit.behind == head && offset != head {
            // A loop goes on by one jump.
            self.sink.jcc(cc.not(), At::Hot(0));
            self.go_to(offset);
            return;
        }
        match self.is_in_page(offset) {
            Some(offset) if offset == self.unit.offset => {
                self.sink.jcc(cc, At::Hot(0));
            }
            Some(offset) => {
                let stub = self.follow_stub(offset);
                let fixup = self.sink.jcc(cc, stub);
                self.links.push((offset, fixup));
            }
            None => {
                let stub = self.sink.here_cold();
                self.sink.jcc(cc, stub);
                self.address(offset, true);
                self.indirect(true);
            }
        }
        self.go_to(self.unit.behind);
    }

    /// Continues at an address.
    pub(super) fn jump(&mut self, target: Ref) {
        // Nothing else is needed any more.
        self.move_to(reg::RCX, target);
        self.indirect(false);
        self.ended = true;
    }

    fn bytes(&mut self, cold: bool) -> &mut Bytes {
        if cold { &mut self.sink.cold } else { &mut self.sink.hot }
    }

    /// The address at `offset` from the start of the page, into `rcx`.
    fn address(&mut self, offset: i64, cold: bool) {
        let narrow = self.places.layout.address_bits == 32;
        let b = self.bytes(cold);
        b.mov(reg::RCX, Op::Home(places::PAGE));
        b.add(Q, reg::RCX, Op::Imm(offset as i32));
        if narrow {
            b.mov32(reg::RCX, Op::Reg(reg::RCX));
        }
    }

    /// Continues at the address in `rcx`, by the jump cache.
    fn indirect(&mut self, cold: bool) {
        let lookup = self.fixed(self.shared.lookup);
        let mask = ((cpu_core::frame::JUMPS - 1) << ENTRY_SHIFT) as i32;
        let b = self.bytes(cold);
        // See `Frame::jump_index`.
        b.rorx(Q, reg::RAX, reg::RCX, 64 - (ENTRY_SHIFT as u8 - 1));
        b.rorx(Q, reg::RDX, reg::RCX, 13 - ENTRY_SHIFT as u8);
        b.xor(D, reg::RAX, Op::Reg(reg::RDX));
        b.and(D, reg::RAX, Op::Imm(mask));
        b.mov(reg::RDX, Op::Reg(reg::RCX));
        b.and(Q, reg::RDX, Op::Imm(-4096));
        b.mov_home(places::PAGE, Op::Reg(reg::RDX));
        b.or(Q, reg::RDX, Op::Home(places::FETCH_CONTEXT));
        b.cmp_table(reg::RDX, reg::RAX, places::JUMPS);
        if cold {
            self.sink.jcc_cold(Cc::NE, lookup);
        } else {
            self.sink.jcc(Cc::NE, lookup);
        }
        self.bytes(cold).jmp_table(reg::RAX, places::JUMPS + 8);
    }
}
