//! Parts of a block that happen only under a condition, and ways out of its middle.
//!
//! The part is jumped over. Where the two ways meet, every value has to be where it was at the jump: what is needed behind it
//! moves to the frame first, unless a slot that the part does not write holds it.

use cpu_jit::ir::{Node, Ref};

use super::{Emitter, Loc, Owner};
use crate::asm::Size::Q;
use crate::asm::{Op, reg};
use crate::places::{self, Place};

/// How things were at the jump.
pub struct Part {
    start: u32,
    over: usize,
    loc: Vec<Loc>,
    aliases: Vec<u32>,
    spilled: Vec<u32>,
    spills: u64,
}

impl Emitter<'_> {
    /// The part that begins here happens only where `cond` is not zero.
    pub(super) fn begin_if(&mut self, cond: Ref) {
        let cc = self.condition(cond);
        // From here to the jump, flags stay.
        self.settle();
        let over = self.sink.here();
        let over = self.sink.jcc(cc.not(), over);
        self.reserved = self.spills;
        self.part = Some(Part {
            start: self.at,
            over,
            loc: self.scratch.loc.clone(),
            aliases: self.scratch.aliases.clone(),
            spilled: self.scratch.spilled.clone(),
            spills: self.spills,
        });
    }

    /// Moves what is needed behind this node to where the part that follows leaves it alone.
    fn settle(&mut self) {
        let rest = self.unit.nodes.get(self.at as usize..).unwrap_or_default();
        let inside = rest.iter().take_while(|node| !matches!(node, Node::EndIf));
        let writes =
            |slot: u16| inside.clone().any(|node| matches!(node, Node::Set(set, _) if set.0 == slot));
        for r in 0..3u8 {
            let Owner::Node(node) = self.temps[r as usize] else { continue };
            if self.lives(node) {
                if let Loc::Both(_, slot) = self.scratch.loc[node as usize]
                    && writes(slot)
                {
                    self.scratch.loc[node as usize] = Loc::Reg(r);
                }
                self.evict(r);
            }
        }
        for x in 0..4u8 {
            if matches!(self.xtemps[x as usize], Owner::Node(node) if self.lives(node)) {
                self.spill_x(x);
            }
        }
        for node in self.scratch.aliases.clone() {
            let Loc::Slot(slot) = self.scratch.loc[node as usize] else { continue };
            if !self.lives(node) || !writes(slot) {
                continue;
            }
            let number = self.spill_place();
            let to = places::spill(number);
            match self.places.of(slot) {
                Place::Reg(pin) => self.sink.hot.mov_home(to, Op::Reg(pin)),
                Place::X(x) => self.sink.hot.store_x_home(to, x),
                Place::Memory => {
                    // No value is in a temporary any more, but the condition's own.
                    self.sink.hot.mov(reg::RAX, Op::Home(places::home(slot)));
                    self.sink.hot.mov_home(to, Op::Reg(reg::RAX));
                }
            }
            self.spilled(node, number);
        }
    }

    /// The part ends.
    pub(super) fn end_if(&mut self) {
        let Some(part) = self.part.take() else { return };
        self.sink.land(part.over);
        self.flags = None;
        for (at, loc) in self.scratch.loc.iter_mut().enumerate().take(self.at as usize) {
            *loc = if at < part.start as usize { part.loc[at] } else { Loc::None };
        }
        // What waited to be made inside stays so behind it.
        self.scratch.aliases = part.aliases;
        self.scratch.spilled = part.spilled;
        self.spills = part.spills;
        self.reserved = 0;
        self.temps = [Owner::Free; 3];
        self.xtemps = [Owner::Free; 4];
    }

    /// Counts `count` of the instructions as not run where `cond` is not zero.
    pub(super) fn skip(&mut self, cond: Ref, count: u32) {
        let cc = self.condition(cond);
        let t = self.scratch();
        self.sink.hot.lea(Q, t, reg::R15, count as i32);
        self.sink.hot.cmov(cc, reg::R15, t);
    }

    /// Leaves the block behind this instruction for `offset` from the start of the page where `cond` is not zero.
    pub(super) fn exit_if(&mut self, cond: Ref, offset: i64) {
        let cc = self.condition(cond);
        let stub = self.sink.here_cold();
        self.sink.jcc(cc, stub);
        let left = self.unit.instructions - self.index - 1;
        if left > 0 {
            self.sink.cold.add(Q, reg::R15, Op::Imm(left as i32));
        }
        self.go_to_cold(offset);
    }
}
