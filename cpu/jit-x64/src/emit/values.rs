//! Where values are: temporaries, spilling, operands.

use cpu_jit::ir::{Node, Ref};

use super::{Emitter, Loc, Owner};
use crate::asm::Op;
use crate::places::{self, Place};

impl Emitter<'_> {
    pub(super) fn loc(&self, value: Ref) -> Loc {
        self.scratch.loc[value.0 as usize]
    }

    pub(super) fn constant(&self, value: Ref) -> Option<u64> {
        match self.loc(value) {
            Loc::Const(number) => Some(number),
            _ => None,
        }
    }

    /// Whether a value is needed behind this node.
    pub(super) fn lives(&self, node: u32) -> bool {
        self.scratch.last[node as usize] > self.at
    }

    /// The node's value is what the slot holds.
    pub(super) fn alias(&mut self, node: u32, slot: u16) {
        self.scratch.loc[node as usize] = Loc::Slot(slot);
        self.scratch.aliases.push(node);
    }

    /// A value that was just written to a slot's register is there from now on.
    pub(super) fn becomes_slot(&mut self, node: u32, slot: u16) {
        match self.scratch.loc[node as usize] {
            Loc::Reg(r) => {
                self.temps[r as usize % 3] = Owner::Free;
                self.alias(node, slot);
            }
            Loc::X(x) => {
                self.xtemps[x as usize % 4] = Owner::Free;
                self.alias(node, slot);
            }
            Loc::Spill(number) => {
                self.spills &= !(1 << number);
                self.alias(node, slot);
            }
            // Constants are cheap, and other slots as good.
            _ => {}
        }
    }

    /// A general temporary for `owner`. It is locked until the end of the node.
    fn take(&mut self, owner: Owner) -> u8 {
        let free = (0..3u8).find(|&r| self.temps[r as usize] == Owner::Free && self.locked >> r & 1 == 0);
        let r = free.unwrap_or_else(|| {
            let is = |this: &Self, r: u8, cheap: bool| {
                this.locked >> r & 1 == 0
                    && match this.temps[r as usize] {
                        Owner::Node(node) => {
                            matches!(this.scratch.loc[node as usize], Loc::Both(..)) == cheap
                        }
                        _ => false,
                    }
            };
            let victim = (0..3u8).find(|&r| is(self, r, true)).or((0..3u8).find(|&r| is(self, r, false)));
            match victim {
                Some(r) => {
                    self.evict(r);
                    r
                }
                None => {
                    self.too_complex = true;
                    0
                }
            }
        });
        self.temps[r as usize] = owner;
        self.locked |= 1 << r;
        r
    }

    /// A temporary until the end of the node.
    pub(super) fn scratch(&mut self) -> u8 {
        self.take(Owner::Scratch)
    }

    /// How many temporaries this node can still get.
    pub(super) fn obtainable(&self) -> u32 {
        3 - (self.locked & 7).count_ones()
    }

    /// Moves what a temporary holds elsewhere.
    pub(super) fn evict(&mut self, r: u8) {
        if let Owner::Node(node) = self.temps[r as usize] {
            match self.scratch.loc[node as usize] {
                Loc::Both(_, slot) => self.scratch.loc[node as usize] = Loc::Slot(slot),
                _ => {
                    let number = self.spill_place();
                    self.sink.hot.mov_home(places::spill(number), Op::Reg(r));
                    self.spilled(node, number);
                }
            }
        }
        self.temps[r as usize] = Owner::Free;
    }

    /// Moves what a vector temporary holds elsewhere.
    pub(super) fn spill_x(&mut self, x: u8) {
        if let Owner::Node(node) = self.xtemps[x as usize & 3] {
            let number = self.spill_place();
            self.sink.hot.store_x_home(places::spill(number), x);
            self.spilled(node, number);
        }
        self.xtemps[x as usize & 3] = Owner::Free;
    }

    pub(super) fn spill_place(&mut self) -> u8 {
        let number = (!(self.spills | self.reserved)).trailing_zeros() as u8;
        if number >= places::SPILLS {
            self.too_complex = true;
            return places::SPILLS - 1;
        }
        self.spills |= 1 << number;
        number
    }

    /// A spill place that is not for a value; few are left for those.
    pub(super) fn spare_place(&mut self) -> Option<u8> {
        let number = (!(self.spills | self.reserved)).trailing_zeros() as u8;
        (number < places::SPILLS / 2).then(|| {
            self.spills |= 1 << number;
            number
        })
    }

    /// Notes whose value a spill place holds, to give it back.
    pub(super) fn spilled(&mut self, node: u32, number: u8) {
        self.scratch.loc[node as usize] = Loc::Spill(number);
        self.scratch.spilled.push(node);
    }

    /// Gets a certain temporary for this node.
    pub(super) fn claim(&mut self, r: u8) {
        if self.temps[r as usize] != Owner::Free {
            self.evict(r);
        }
        self.temps[r as usize] = Owner::Scratch;
        self.locked |= 1 << r;
    }

    /// Puts a value that is in a temporary into the frame.
    pub(super) fn put_in_frame(&mut self, value: Ref) {
        if let Loc::Reg(r) | Loc::Both(r, _) = self.loc(value) {
            self.evict(r);
            self.locked &= !(1 << r);
        }
    }

    /// The node's value is in the temporary `r` from now on, until its last use.
    pub(super) fn bind(&mut self, r: u8) {
        let node = self.at;
        self.temps[r as usize] = Owner::Node(node);
        self.scratch.loc[node as usize] = Loc::Reg(r);
    }

    /// Values that the slot holds and that are needed behind this node move away, all but `except`.
    pub(super) fn evacuate(&mut self, slot: u16, except: Option<u32>) {
        let mut i = 0;
        while let Some(&node) = self.scratch.aliases.get(i) {
            let loc = self.scratch.loc[node as usize];
            let concerned = matches!(loc, Loc::Slot(s) | Loc::Both(_, s) if s == slot);
            if !concerned {
                // It may have moved since, or be of no use any more.
                let gone = self.scratch.last[node as usize] < self.at;
                if gone || !matches!(loc, Loc::Slot(_) | Loc::Both(..)) {
                    self.scratch.aliases.swap_remove(i);
                } else {
                    i += 1;
                }
                continue;
            }
            if Some(node) == except {
                // It is what the slot is about to hold.
                if let Loc::Both(r, _) = loc {
                    self.scratch.loc[node as usize] = Loc::Reg(r);
                    self.scratch.aliases.swap_remove(i);
                } else {
                    i += 1;
                }
                continue;
            }
            // Operands that end at this node are still read by it.
            if self.scratch.last[node as usize] < self.at {
                self.scratch.aliases.swap_remove(i);
                continue;
            }
            if !self.lives(node) {
                i += 1;
                continue;
            }
            self.scratch.aliases.swap_remove(i);
            self.move_away(node, slot, loc);
        }
    }

    fn move_away(&mut self, node: u32, slot: u16, loc: Loc) {
        if let Loc::Both(r, _) = loc {
            self.scratch.loc[node as usize] = Loc::Reg(r);
            return;
        }
        let place = self.places.of(slot);
        if let Place::X(x) = place {
            let number = self.spill_place();
            self.sink.hot.store_x_home(places::spill(number), x);
            self.spilled(node, number);
            return;
        }
        let free = (0..3u8).find(|&r| self.temps[r as usize] == Owner::Free && self.locked >> r & 1 == 0);
        match (free, place) {
            (Some(r), _) => {
                let from = self.slot_operand(slot);
                self.sink.hot.mov(r, from);
                self.temps[r as usize] = Owner::Node(node);
                self.scratch.loc[node as usize] = Loc::Reg(r);
            }
            (None, Place::Reg(pin)) => {
                let number = self.spill_place();
                self.sink.hot.mov_home(places::spill(number), Op::Reg(pin));
                self.spilled(node, number);
            }
            (None, _) => {
                let r = self.take(Owner::Node(node));
                self.locked &= !(1 << r);
                self.sink.hot.mov(r, Op::Home(places::home(slot)));
                self.scratch.loc[node as usize] = Loc::Reg(r);
            }
        }
    }

    fn slot_operand(&self, slot: u16) -> Op {
        match self.places.of(slot) {
            Place::Reg(r) => Op::Reg(r),
            _ => Op::Home(places::home(slot)),
        }
    }

    /// A general register that holds the value; it stays so until the end of the node.
    pub(super) fn reg(&mut self, value: Ref) -> u8 {
        let node = value.0;
        match self.loc(value) {
            Loc::Reg(r) | Loc::Both(r, _) => {
                self.locked |= 1 << r;
                r
            }
            Loc::Slot(slot) => match self.places.of(slot) {
                Place::Reg(r) => r,
                place => {
                    let r = self.take(Owner::Node(node));
                    match place {
                        Place::X(x) => self.sink.hot.movq_from_x(r, x),
                        _ => self.sink.hot.mov(r, Op::Home(places::home(slot))),
                    }
                    self.scratch.loc[node as usize] = Loc::Both(r, slot);
                    r
                }
            },
            Loc::Spill(number) => {
                let r = self.take(Owner::Node(node));
                self.sink.hot.mov(r, Op::Home(places::spill(number)));
                self.spills &= !(1 << number);
                self.scratch.loc[node as usize] = Loc::Reg(r);
                r
            }
            Loc::X(x) => {
                let r = self.take(Owner::Scratch);
                self.sink.hot.movq_from_x(r, x);
                r
            }
            Loc::Const(_) | Loc::Page(_) => {
                let r = self.take(Owner::Scratch);
                self.move_to(r, value);
                r
            }
            Loc::Deferred => {
                let cc = self.condition(value);
                let r = self.take(Owner::Node(node));
                self.sink.hot.setcc(cc, r);
                self.scratch.loc[node as usize] = Loc::Reg(r);
                r
            }
            Loc::None => {
                debug_assert!(false, "v{node} is used before it is made");
                self.too_complex = true;
                0
            }
        }
    }

    /// The value as a right operand: a register, the frame, or a small number.
    pub(super) fn op(&mut self, value: Ref) -> Op {
        match self.loc(value) {
            Loc::Const(number) => match i32::try_from(number as i64) {
                Ok(number) => Op::Imm(number),
                Err(_) => Op::Reg(self.reg(value)),
            },
            Loc::Slot(slot) if self.places.of(slot) == Place::Memory => Op::Home(places::home(slot)),
            Loc::Spill(number) => Op::Home(places::spill(number)),
            _ => Op::Reg(self.reg(value)),
        }
    }

    /// Puts a value into a register. Keeps the flags, unless the value is an address or waits to be made.
    pub(super) fn move_to(&mut self, r: u8, value: Ref) {
        match self.loc(value) {
            Loc::Const(number) => self.sink.hot.set(r, number),
            Loc::Page(offset) => {
                self.sink.hot.mov(r, Op::Home(places::PAGE));
                match i32::try_from(offset) {
                    Ok(offset) => self.sink.hot.add(crate::asm::Size::Q, r, Op::Imm(offset)),
                    Err(_) => {
                        // Far from any page: only an odd instruction makes that.
                        self.sink.hot.mov_home(places::ARG0, Op::Reg(r));
                        self.sink.hot.set(r, offset as u64);
                        self.sink.hot.add(crate::asm::Size::Q, r, Op::Home(places::ARG0));
                    }
                }
            }
            Loc::Slot(slot) => match self.places.of(slot) {
                Place::X(x) => self.sink.hot.movq_from_x(r, x),
                _ => {
                    let from = self.slot_operand(slot);
                    self.sink.hot.mov(r, from);
                }
            },
            Loc::Spill(number) => self.sink.hot.mov(r, Op::Home(places::spill(number))),
            Loc::X(x) => self.sink.hot.movq_from_x(r, x),
            Loc::Reg(from) | Loc::Both(from, _) => self.sink.hot.mov(r, Op::Reg(from)),
            Loc::Deferred => {
                let cc = self.condition(value);
                self.sink.hot.setcc(cc, r);
            }
            Loc::None => {
                debug_assert!(false, "v{} is used before it is made", value.0);
                self.too_complex = true;
            }
        }
    }

    /// Puts a value into a vector register.
    pub(super) fn move_to_x(&mut self, x: u8, value: Ref) {
        match self.loc(value) {
            Loc::X(from) => self.sink.hot.mov_x(x, from),
            Loc::Slot(slot) => match self.places.of(slot) {
                Place::X(from) => self.sink.hot.mov_x(x, from),
                Place::Reg(from) => self.sink.hot.movq_to_x(x, from),
                Place::Memory => self.sink.hot.load_x_home(x, places::home(slot)),
            },
            Loc::Spill(number) => self.sink.hot.load_x_home(x, places::spill(number)),
            Loc::Const(0) => self.sink.hot.zero_x(x),
            _ => {
                let r = self.reg(value);
                self.sink.hot.movq_to_x(x, r);
            }
        }
    }

    /// The slot in a general register that this node's value is written to next, if it may be made there: nothing
    /// can leave the block in between.
    pub(super) fn hint(&self) -> Option<u16> {
        let slot = self.next_slot()?;
        matches!(self.places.of(slot), Place::Reg(_)).then_some(slot)
    }

    /// The slot that this node's value is written to next.
    pub(super) fn next_slot(&self) -> Option<u16> {
        let from = self.at as usize + 1;
        for node in self.unit.nodes.get(from..)?.iter().take(4) {
            match node {
                Node::Set(slot, value) if value.0 == self.at => return Some(slot.0),
                Node::Set(..) | Node::Const(_) => {}
                _ => return None,
            }
        }
        None
    }

    /// A register for this node's value. Operands that end here are still where they were, and may be in this register.
    pub(super) fn define(&mut self) -> u8 {
        if let Some(slot) = self.hint()
            && let Place::Reg(r) = self.places.of(slot)
        {
            self.evacuate(slot, None);
            return r;
        }
        // An operand's own temporary will do, if it ends here.
        self.take(Owner::Scratch)
    }

    /// This node's value was made in `r`, which [`Emitter::define`] gave.
    pub(super) fn defined(&mut self, r: u8) {
        match self.hint().map(|slot| (slot, self.places.of(slot))) {
            Some((slot, Place::Reg(pin))) if pin == r => {
                // Whoever else was there ended here.
                self.alias(self.at, slot);
            }
            _ => self.bind(r),
        }
    }

    pub(super) fn end_of_node(&mut self) {
        self.locked = 0;
        self.xlocked = 0;
        for r in 0..3 {
            match self.temps[r] {
                Owner::Scratch => self.temps[r] = Owner::Free,
                Owner::Node(node) if !self.lives(node) => {
                    self.temps[r] = Owner::Free;
                    if node != self.at || self.scratch.last[node as usize] <= self.at {
                        self.scratch.loc[node as usize] = match self.scratch.loc[node as usize] {
                            Loc::Both(_, slot) => Loc::Slot(slot),
                            _ => Loc::None,
                        };
                    }
                }
                _ => {}
            }
        }
        let group = self.scratch.group_of.get(self.at as usize).copied();
        if let Some(group) = group.and_then(|group| self.scratch.groups.get(group as usize))
            && group.last == self.at
            && let Some(place) = group.place
        {
            self.spills &= !(1 << place);
        }
        let mut i = 0;
        while let Some(&node) = self.scratch.spilled.get(i) {
            let Loc::Spill(number) = self.scratch.loc[node as usize] else {
                self.scratch.spilled.swap_remove(i);
                continue;
            };
            if self.lives(node) {
                i += 1;
            } else {
                self.spills &= !(1 << number);
                self.scratch.loc[node as usize] = Loc::None;
                self.scratch.spilled.swap_remove(i);
            }
        }
        for x in 0..4 {
            match self.xtemps[x] {
                Owner::Scratch => self.xtemps[x] = Owner::Free,
                Owner::Node(node) if !self.lives(node) => {
                    self.xtemps[x] = Owner::Free;
                    self.scratch.loc[node as usize] = Loc::None;
                }
                _ => {}
            }
        }
    }
}
