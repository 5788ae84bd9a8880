//! Loads and stores by way of the TLB, and calls of helpers.
//!
//! One comparison with the tag of the entry in the address's place checks page, context and alignment: numbers of
//! contexts are multiples of 8, so that an address whose low bits are left in equals no tag. What fails goes the slow
//! way in the cold part, which comes back with the value.

use cpu_core::{Binary, Tlb, Unary, Width};
use cpu_jit::ir::{Node, Ref};
use cpu_jit::is_word;

use super::{Emitter, Loc, chase};
use crate::asm::Size::{D, Q};
use crate::asm::{Op, Size, reg};
use crate::places::{self, ARG0, ARG1, ARG2, Place, WHY};
use crate::sink::{Bytes, Cc, Sink};

/// log2 of the bytes of a TLB entry.
const ENTRY_SHIFT: u32 = 4;

/// Accesses by one base in a block, all loads or all stores, which check once that all of them are in one page.
#[derive(Copy, Clone, Debug)]
pub(super) struct Group {
    base: Ref,
    stores: bool,
    /// From here to `end`, as distances from the base.
    start: i32,
    end: i32,
    pub(super) count: u32,
    /// The last access.
    pub last: u32,
    /// Where the host's address is kept, once it was found.
    pub place: Option<u8>,
}

/// No group.
pub(super) const NONE: u16 = u16::MAX;
/// No group either, and a load that looks into the mirror.
pub(super) const NEAR: u16 = u16::MAX - 1;
/// The longest range that is checked at once.
const RANGE: i32 = 512;

/// What [`Emitter::translate`] found.
pub(super) struct Found {
    /// Holds the host's address of the page minus the guest's. With `place`: only behind the check in the cold part.
    pub t: u8,
    /// Is free.
    pub u: u8,
    /// Holds the place in the window or mirror that the access goes to.
    pub place: Option<u8>,
    /// With `place`: the jumps in the cold part that are taken where the TLB does not know the page either; up to them, the
    /// cold part makes the access itself.
    pub retry: [Option<usize>; 2],
}

impl Found {
    /// Where the access in the hot part goes.
    fn host(&self, a: u8, offset: i32) -> (u8, u8, i32) {
        match self.place {
            Some(place) => (reg::FRAME, place, places::WINDOW + offset),
            None => (self.t, a, offset),
        }
    }

    /// Something was emitted in the hot part between the check and the access.
    fn move_fault(&self, sink: &mut Sink) {
        let here = sink.hot.0.len() as u32;
        if self.place.is_some()
            && let Some((hot, _)) = sink.faults.last_mut()
        {
            *hot = here;
        }
    }
}

/// What the TLB is asked: whether the bytes from `base + first` to `base + last` are in a page that it knows.
#[derive(Copy, Clone)]
pub(super) struct Check {
    pub(super) base: u8,
    first: i32,
    pub(super) last: i32,
    /// Bits of the last byte's address that the tag is compared with: the page, and those that must be zero.
    pub(super) keep: i32,
    pub(super) table: i32,
}

impl Check {
    /// Leaves the entry's place in `t`, and flags that say whether it is the one.
    pub(super) fn emit(&self, b: &mut Bytes, t: u8, u: u8) {
        let &Check { base, first, last, keep, table } = self;
        let mut from = base;
        if first != 0 {
            b.lea(Q, u, base, first);
            from = u;
        }
        b.rorx(Q, t, from, 12 - ENTRY_SHIFT as u8);
        b.and(D, t, Op::Imm(((Tlb::ENTRIES - 1) << ENTRY_SHIFT) as i32));
        match last {
            _ if last == first && first != 0 => {}
            0 => b.mov(u, Op::Reg(base)),
            _ => b.lea(Q, u, base, last),
        }
        b.and(Q, u, Op::Imm(keep));
        b.or(Q, u, Op::Home(places::DATA_CONTEXT));
        b.cmp_table(u, t, table);
    }
}

/// An address as a value and a distance, where the sum is left to the access.
pub(super) fn parts(nodes: &[Node], loc: &[Loc], addr: Ref) -> (Ref, i32) {
    match nodes.get(addr.0 as usize) {
        Some(&Node::Binary(Binary::Add, base, by)) if loc.get(addr.0 as usize) == Some(&Loc::Deferred) => {
            match nodes.get(by.0 as usize) {
                Some(Node::Const(by)) => (base, *by as i32),
                _ => (addr, 0),
            }
        }
        _ => (addr, 0),
    }
}

/// Whether `node` is a sum that an access makes itself.
pub(super) fn defers(nodes: &[Node], node: &Node) -> bool {
    let Node::Binary(Binary::Add, _, by) = *node else { return false };
    // Far from any overflow of what is added to it.
    let small = |by: u64| (by as i64).unsigned_abs() < 1 << 20;
    matches!(nodes.get(by.0 as usize), Some(Node::Const(by)) if small(*by))
}

/// Whether `node` is the address of an access to a window which adds it up itself: the sum of a word and a small number.
pub(super) fn defers_to_window(
    nodes: &[Node],
    loc: &[Loc],
    node: &Node,
    user: &Node,
    at: u32,
    words: u16,
) -> bool {
    let Node::Unary(Unary::Zext32, sum) = *node else { return false };
    let (base, by) = parts(nodes, loc, sum);
    let near = by.unsigned_abs() < cpu_core::Window::MARGIN as u32 - 8;
    let is_address = match *user {
        Node::Load { addr, .. } => addr.0 == at,
        Node::Store { addr, value, .. } => addr.0 == at && value.0 != at,
        _ => false,
    };
    is_address && base != sum && near && is_word(nodes, base, words)
}

/// Finds the groups of a block.
pub(super) fn group(
    nodes: &[Node],
    loc: &[Loc],
    mirror: bool,
    groups: &mut Vec<Group>,
    group_of: &mut Vec<u16>,
) {
    groups.clear();
    group_of.clear();
    group_of.resize(nodes.len(), NONE);
    if mirror {
        chase::mark(nodes, group_of);
    }
    // Groups before this one ended with a call, which may change address spaces.
    let mut open = 0;
    for (at, node) in nodes.iter().enumerate() {
        let (addr, width, stores) = match *node {
            Node::Load { .. } if group_of[at] == NEAR => continue,
            Node::Load { addr, width, .. } => (addr, width, false),
            Node::Store { addr, width, .. } => (addr, width, true),
            // Nor is what a part under a condition finds known behind it.
            Node::Call(..) | Node::Rmw { .. } | Node::CompareExchange(..) | Node::If(_) | Node::EndIf => {
                open = groups.len();
                continue;
            }
            _ => continue,
        };
        let (base, offset) = parts(nodes, loc, addr);
        if !matches!(nodes.get(base.0 as usize), Some(Node::Const(_))) {
            let end = offset + width.bytes() as i32;
            let known = groups.iter_mut().enumerate().skip(open).rev();
            let fits = |group: &Group| group.end.max(end) - group.start.min(offset) <= RANGE;
            let found = known
                .filter(|(_, group)| group.base == base && group.stores == stores)
                .find(|(_, group)| fits(group));
            match found {
                Some((number, group)) => {
                    group.start = group.start.min(offset);
                    group.end = group.end.max(end);
                    group.count += 1;
                    group.last = at as u32;
                    group_of[at] = number as u16;
                }
                None => {
                    group_of[at] = groups.len() as u16;
                    let (count, last) = (1, at as u32);
                    groups.push(Group { base, stores, start: offset, end, count, last, place: None });
                }
            }
        }
    }
}

impl Emitter<'_> {
    /// The parts of an address: a value in a register, and a distance.
    fn parts(&self, addr: Ref) -> (Ref, i32) {
        let (nodes, loc) = (self.unit.nodes, &self.scratch.loc);
        match nodes.get(addr.0 as usize) {
            // A sum that the window's margin wraps as the guest does.
            Some(&Node::Unary(Unary::Zext32, sum)) if loc.get(addr.0 as usize) == Some(&Loc::Deferred) => {
                parts(nodes, loc, sum)
            }
            _ => parts(nodes, loc, addr),
        }
    }

    /// A register that holds the base of an access; in a window, without anything above its 32 bits.
    fn address_reg(&mut self, base: Ref) -> u8 {
        if !self.unit.flat || self.is_word(base) {
            return self.reg(base);
        }
        let from = self.op(base);
        let r = self.scratch();
        self.sink.hot.mov32(r, from);
        r
    }

    /// The check of one access.
    pub(super) fn check(&self, base: u8, offset: i32, width: Width, table: i32) -> Check {
        let keep = -4096 | (width.bytes() as i32 - 1);
        // A sum that passes the end of a 32-bit address space is in no entry.
        Check { base, first: offset, last: offset, keep, table }
    }

    fn address_size(&self) -> Size {
        if self.places.layout.address_bits == 32 { D } else { Q }
    }

    /// Finds the host's address of `base + offset` minus that address. The cold part that it begins goes on where the TLB does
    /// not know.
    fn translate(&mut self, base: u8, offset: i32, width: Width, table: i32) -> Found {
        let (t, u) = (self.scratch(), self.scratch());
        if self.unit.flat {
            self.sink.faults_to_here();
            self.check(base, offset, width, table).emit(&mut self.sink.cold, t, u);
            let here = self.sink.here_cold();
            let miss = self.sink.jcc_cold(Cc::NE, here);
            self.sink.cold.load_table(t, t, table + 8);
            return Found { t, u, place: Some(base), retry: [Some(miss), None] };
        }
        let number = self.scratch.group_of.get(self.at as usize).copied().unwrap_or(NONE);
        let group = self.scratch.groups.get(number as usize).copied().filter(|group| group.count > 1);
        let one = self.check(base, offset, width, table);
        let cold = self.sink.here_cold();
        let known = group.and_then(|group| group.place);
        let Some(place) = known.or_else(|| group.and_then(|_| self.spare_place())) else {
            if self.by_kept_page(&one, width, (t, u)) {
                return Found { t, u, place: None, retry: [None; 2] };
            }
            one.emit(&mut self.sink.hot, t, u);
            self.sink.jcc(Cc::NE, cold);
            self.sink.hot.load_table(t, t, table + 8);
            return Found { t, u, place: None, retry: [None; 2] };
        };
        if known.is_some() {
            // Checked before; zero if that failed.
            self.sink.hot.mov(t, Op::Home(places::spill(place)));
            self.sink.hot.test(Q, t, Op::Reg(t));
            self.sink.jcc(Cc::E, cold);
        } else if let Some(group) = group {
            // The last byte of all decides: where it is in another page, its tag is not in the first byte's place.
            let all = Check { first: group.start, last: group.end - 1, keep: -4096, ..one };
            all.emit(&mut self.sink.hot, t, u);
            self.sink.jcc(Cc::NE, cold);
            self.sink.hot.load_table(t, t, table + 8);
            self.sink.hot.mov_home(places::spill(place), Op::Reg(t));
            self.scratch.groups[number as usize].place = Some(place);
            self.sink.cold.mov_home(places::spill(place), Op::Imm(0));
        }
        // Each for itself.
        one.emit(&mut self.sink.cold, t, u);
        let slow = self.sink.jcc_cold(Cc::NE, cold);
        self.sink.cold.load_table(t, t, table + 8);
        let back = self.sink.here();
        self.sink.jmp_cold(back);
        self.sink.land_cold(slow);
        Found { t, u, place: None, retry: [None; 2] }
    }

    /// The rest of the cold part of an access: its address as an operand of the helper.
    fn slow_address(&mut self, found: &Found, base: u8, offset: i32) {
        let (why, size) = (self.site(self.is_sole()).number(), self.address_size());
        let cold = &mut self.sink.cold;
        let address = if offset == 0 {
            base
        } else {
            cold.lea(size, found.t, base, offset);
            found.t
        };
        cold.mov_home(ARG0, Op::Reg(address));
        cold.set_home32(WHY, why);
    }

    /// Whether the access that is emitted is the only one of its instruction, which nothing stops afterwards.
    fn is_sole(&self) -> bool {
        let goes = |node: &Node| {
            !node.may_stop()
                || matches!(node, Node::JumpBy(..) | Node::Jump(..) | Node::BranchIf(..) | Node::ExitIf(..))
        };
        let reaches = |node: &Node| {
            matches!(
                node,
                Node::Load { .. }
                    | Node::Store { .. }
                    | Node::Rmw { .. }
                    | Node::CompareExchange(..)
                    | Node::Call(..)
            )
        };
        let rest = self.unit.nodes.get(self.at as usize + 1..).unwrap_or_default();
        !self.own_nodes().any(|(_, node)| reaches(node))
            && rest.iter().take_while(|node| !matches!(node, Node::Start { .. })).all(goes)
    }

    /// Calls a helper for an access, from the cold part. It may enter translations in the place of others: what groups found is to be
    /// looked up again.
    fn call_slow(&mut self, trampoline: usize) {
        let trampoline = self.fixed(trampoline);
        self.sink.call_cold(trampoline);
        self.void_kept();
        let at = self.at;
        for group in self.scratch.groups.iter().filter(|group| group.last > at) {
            if let Some(place) = group.place {
                self.sink.cold.mov_home(places::spill(place), Op::Imm(0));
            }
        }
    }

    fn land_retries(&mut self, found: &Found) {
        found.retry.iter().flatten().for_each(|miss| self.sink.land_cold(*miss));
    }

    fn unlock(&mut self, r: u8) {
        self.locked &= !(1 << r);
        if self.temps[r as usize] == super::Owner::Scratch {
            self.temps[r as usize] = super::Owner::Free;
        }
    }

    fn trampoline(list: [usize; 4], width: Width) -> usize {
        list[width.bytes().trailing_zeros() as usize & 3]
    }

    pub(super) fn load(&mut self, addr: Ref, width: Width, signed: bool) {
        let slot = self.next_slot().map(|slot| (slot, self.places.of(slot)));
        if let Some((slot, Place::Reg(_) | Place::X(_))) = slot {
            self.evacuate(slot, None);
        }
        let (base, offset) = self.parts(addr);
        let a = self.address_reg(base);
        let near = self.scratch.group_of.get(self.at as usize) == Some(&NEAR);
        let found = if near && offset.unsigned_abs() < cpu_core::Window::MARGIN as u32 - 8 {
            self.translate_near(a, offset, width)
        } else {
            self.translate(a, offset, width, places::TLB_READ)
        };
        let vector = match slot {
            // A single loads zero-extended.
            Some((slot, Place::X(x))) if width == Width::B8 || width == Width::B4 && !signed => {
                Some((slot, x))
            }
            _ => None,
        };
        let d = match slot {
            Some((_, Place::Reg(pin))) => pin,
            _ => found.t,
        };
        let read = |b: &mut Bytes, (host, a, offset)| match vector {
            Some((_, x)) => b.load_x(x, (host, a, offset), width.bytes()),
            None => b.load(d, (host, a, offset), width.bytes(), signed),
        };
        read(&mut self.sink.hot, found.host(a, offset));
        if found.place.is_some() {
            read(&mut self.sink.cold, (found.t, a, offset));
            let back = self.sink.here();
            self.sink.jmp_cold(back);
            self.land_retries(&found);
        }
        self.slow_address(&found, a, offset);
        self.call_slow(Self::trampoline(self.shared.load, width));
        match vector {
            Some((slot, x)) => {
                self.sink.cold.load_x_home(x, ARG0);
                self.alias(self.at, slot);
            }
            None => {
                self.sink.cold.widen(d, Op::Home(ARG0), width.bits(), signed);
                match slot {
                    Some((slot, Place::Reg(_))) => self.alias(self.at, slot),
                    _ => self.bind(found.t),
                }
            }
        }
        let back = self.sink.here();
        self.sink.jmp_cold(back);
    }

    pub(super) fn store(&mut self, addr: Ref, width: Width, value: Ref) {
        let x = match self.loc(value) {
            Loc::X(x) if width.bytes() >= 4 => {
                self.xlocked |= 1 << x;
                Some(x)
            }
            Loc::Slot(slot) => match self.places.of(slot) {
                Place::X(x) if width.bytes() >= 4 => Some(x),
                _ => None,
            },
            _ => None,
        };
        let operand = match self.loc(value) {
            _ if x.is_some() => Op::Imm(0),
            Loc::Const(number) if width != Width::B8 || i32::try_from(number as i64).is_ok() => {
                Op::Imm(number as i32)
            }
            // What has to be made needs a temporary, and the access needs them all: by way of the frame.
            Loc::Const(_) | Loc::Page(_) | Loc::Deferred => {
                let (r, place) = (self.scratch(), places::spill(places::CODE));
                self.move_to(r, value);
                self.sink.hot.mov_home(place, Op::Reg(r));
                self.unlock(r);
                Op::Home(place)
            }
            _ => {
                // The address and its check may need all temporaries.
                let (base, _) = self.parts(addr);
                let address_in_temp = match self.loc(base) {
                    Loc::Slot(slot) => !matches!(self.places.of(slot), Place::Reg(_)),
                    _ => true,
                };
                if address_in_temp {
                    self.put_in_frame(value);
                }
                self.op(value)
            }
        };
        let (base, offset) = self.parts(addr);
        let a = self.address_reg(base);
        let found = self.translate(a, offset, width, places::TLB_WRITE);
        let (value, home) = match operand {
            Op::Home(disp) if x.is_none() => (Op::Reg(found.u), Some(disp)),
            operand => (operand, None),
        };
        let write = |b: &mut Bytes, place| match x {
            Some(x) => b.store_x(place, x, width.bytes()),
            None => b.store(place, value, width.bytes()),
        };
        let fetch = |b: &mut Bytes| {
            if let (Op::Reg(v), Some(disp)) = (value, home) {
                b.mov(v, Op::Home(disp));
            }
        };
        fetch(&mut self.sink.hot);
        found.move_fault(self.sink);
        write(&mut self.sink.hot, found.host(a, offset));
        if found.place.is_some() {
            fetch(&mut self.sink.cold);
            write(&mut self.sink.cold, (found.t, a, offset));
            let back = self.sink.here();
            self.sink.jmp_cold(back);
            self.land_retries(&found);
        }
        self.slow_address(&found, a, offset);
        fetch(&mut self.sink.cold);
        match x {
            Some(x) => self.sink.cold.store_x_home(ARG1, x),
            None => self.sink.cold.mov_home(ARG1, value),
        }
        self.call_slow(Self::trampoline(self.shared.store, width));
        let back = self.sink.here();
        self.sink.jmp_cold(back);
    }

    /// Calls a helper in the hot part; this node's value is what it gives.
    pub(super) fn call_helper(&mut self, trampoline: usize, code: u64, args: [Option<Ref>; 3]) {
        for (arg, disp) in args.into_iter().zip([ARG0, ARG1, ARG2]) {
            let Some(arg) = arg else { continue };
            match self.op(arg) {
                Op::Home(from) => {
                    let r = self.scratch();
                    self.sink.hot.mov(r, Op::Home(from));
                    self.sink.hot.mov_home(disp, Op::Reg(r));
                }
                operand => self.sink.hot.mov_home(disp, operand),
            }
            // Operands are in the frame now.
            for r in [reg::RAX, reg::RCX, reg::RDX] {
                self.unlock(r);
            }
        }
        let place = places::spill(places::CODE);
        match i32::try_from(code) {
            Ok(code) => self.sink.hot.mov_home(place, Op::Imm(code)),
            Err(_) => {
                let r = self.scratch();
                self.sink.hot.set(r, code);
                self.sink.hot.mov_home(place, Op::Reg(r));
                self.unlock(r);
            }
        }
        let why = self.here();
        self.sink.hot.set_home32(WHY, why);
        let target = self.fixed(trampoline);
        self.sink.call(target);
        let d = self.define();
        self.sink.hot.mov(d, Op::Home(ARG0));
        self.defined(d);
    }

    pub(super) fn call_pure(&mut self, f: fn(u64, u64) -> u64, a: Ref, b: Ref) {
        self.sink.name_function(f as usize as u64);
        self.call_helper(self.shared.pure, f as usize as u64, [Some(a), Some(b), None]);
    }
}
