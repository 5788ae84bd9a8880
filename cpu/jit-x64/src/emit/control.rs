//! The head of a block, and where control goes from it.

use cpu_core::Binary;
use cpu_jit::ir::{Node, Ref};

use super::{Emitter, Loc};
use crate::asm::Size::{D, Q};
use crate::asm::{Op, reg};
use crate::places::{self, Place};
use crate::sink::{At, Bytes, Cc};

/// log2 of the bytes of an entry of the jump cache.
const ENTRY_SHIFT: u32 = 4;

impl Emitter<'_> {
    /// Counts the block's instructions, or leaves where fewer remain. Long enough to be overwritten by a jump.
    pub(super) fn head(&mut self) {
        let count = self.unit.instructions as i32;
        self.head = self.enter_loop();
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
                self.sink.jmp(self.head);
            }
            Some(offset) => {
                let stub = self.follow_stub(offset);
                let fixup = self.sink.jmp(stub);
                self.links.push((offset, fixup));
            }
            None => {
                self.address(offset, false);
                self.indirect(false, None);
            }
        }
        self.ended = true;
    }

    /// The same, from the cold part.
    pub(super) fn go_to_cold(&mut self, offset: i64) {
        match self.is_in_page(offset) {
            Some(offset) if offset == self.unit.offset => {
                self.sink.jmp_cold(self.head);
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
                self.indirect(true, None);
            }
        }
    }

    /// Continues at `offset` from the start of the page where the condition holds, else behind the block.
    pub(super) fn branch(&mut self, cc: Cc, offset: i64) {
        let head = self.unit.offset as i64;
        if self.unit.behind == head && offset != head {
            // A loop goes on by one jump.
            self.sink.jcc(cc.not(), self.head);
            self.go_to(offset);
            return;
        }
        match self.is_in_page(offset) {
            Some(offset) if offset == self.unit.offset => {
                self.sink.jcc(cc, self.head);
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
                self.indirect(true, None);
            }
        }
        self.go_to(self.unit.behind);
    }

    /// Continues at an address.
    pub(super) fn jump(&mut self, target: Ref) {
        let even = match self.unit.nodes.get(target.0 as usize) {
            Some(&Node::Binary(Binary::And, value, mask)) if self.loc(target) == Loc::Deferred => {
                self.constant(mask).map(|mask| (value, mask))
            }
            _ => None,
        };
        let call = self.call_before();
        if let Some((value, _)) = even
            && call.is_none()
            && self.is_return(value)
        {
            let r = self.reg(value);
            self.sink.hot.ret_if_pushed(r);
        }
        // Nothing else is needed any more.
        match even {
            Some((value, mask)) => {
                self.move_to(reg::RCX, value);
                // Where addresses are words, what stands above one goes, too.
                let size = if self.places.layout.address_bits == 32 { D } else { Q };
                self.sink.hot.and(size, reg::RCX, Op::Imm(mask as i32));
            }
            None => self.move_to(reg::RCX, target),
        }
        self.indirect(false, call);
        self.ended = true;
    }

    /// Where in the page the jump that is emitted wants to be returned to, if it is a call.
    fn call_before(&self) -> Option<u32> {
        let link = self.own_nodes().find_map(|(_, node)| match *node {
            Node::Set(slot, value) if slot == self.places.layout.link => Some(value),
            _ => None,
        })?;
        let to = match *self.unit.nodes.get(link.0 as usize)? {
            Node::Address(to) => to,
            Node::Binary(Binary::Or, address, _) => match *self.unit.nodes.get(address.0 as usize)? {
                Node::Address(to) => to,
                _ => return None,
            },
            _ => return None,
        };
        self.is_in_page(self.unit.offset as i64 + to as i64)
    }

    /// Whether a jump to this value is most likely a return: it is in the slot for that, or was loaded for the jump.
    fn is_return(&self, value: Ref) -> bool {
        let link = self.places.layout.link;
        let (before, _) = self.unit.nodes.split_at_checked(self.at as usize).unwrap_or_default();
        let known = before.iter().enumerate().rev().find_map(|(at, node)| match *node {
            Node::Set(slot, value) if slot == link => Some(value),
            Node::Get(slot) if slot == link => Some(Ref(at as u32)),
            _ => None,
        });
        known == Some(value)
            || self.own_nodes().any(|(at, node)| at as u32 == value.0 && matches!(node, Node::Load { .. }))
    }

    /// Before a call: keeps what the guest is to return to on the host's stack, so that the host foresees where that is. A return
    /// compares ([`Bytes::ret_if_pushed`]); who returns elsewhere goes by the jump cache, and leaves what was kept where it is.
    fn push_link(&mut self) {
        let link = self.places.layout.link.0;
        self.sink.hot.cmp_rsp_home(places::STACK_END);
        let cold = self.sink.here_cold();
        self.sink.jcc(Cc::B, cold);
        self.sink.cold.rsp_from_home(places::STACK);
        let back = self.sink.here();
        self.sink.jmp_cold(back);
        match self.places.of(link) {
            Place::Reg(r) => self.sink.hot.push_reg(r),
            _ => {
                self.sink.hot.mov(reg::RDX, Op::Home(places::home(link)));
                self.sink.hot.push_reg(reg::RDX);
            }
        }
    }

    /// Behind a call, which has returned.
    fn continue_at(&mut self, offset: u32) {
        let hot = &mut self.sink.hot;
        hot.pop_reg(reg::RCX);
        hot.and(Q, reg::RCX, Op::Imm(-4096));
        hot.mov_home(places::PAGE, Op::Reg(reg::RCX));
        if offset == self.unit.offset {
            // Others have run: from the start, not from where a loop goes on.
            self.sink.jmp(At::Hot(0));
            return;
        }
        self.go_to(offset as i64);
    }

    /// Continues at `offset` from the start of the page, which may be a call.
    pub(super) fn jump_by(&mut self, offset: i64) {
        let Some(back) = self.call_before() else { return self.go_to(offset) };
        match self.is_in_page(offset) {
            Some(offset) => {
                self.push_link();
                if offset == self.unit.offset {
                    self.sink.call(self.head);
                } else {
                    let stub = self.follow_stub(offset);
                    let fixup = self.sink.call(stub);
                    self.links.push((offset, fixup));
                }
                self.continue_at(back);
            }
            None => {
                self.address(offset, false);
                self.indirect(false, Some(back));
            }
        }
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

    /// Continues at the address in `rcx`, by the jump cache; from the hot part, with a `call`, it is one that returns to an offset.
    fn indirect(&mut self, cold: bool, call: Option<u32>) {
        if call.is_some() {
            self.push_link();
        }
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
        match call {
            Some(back) => {
                self.sink.hot.call_table(reg::RAX, places::JUMPS + 8);
                self.continue_at(back);
            }
            None => self.bytes(cold).jmp_table(reg::RAX, places::JUMPS + 8),
        }
    }
}
