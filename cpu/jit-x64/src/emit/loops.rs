//! Loops of one unit: accesses whose address moves on by little keep the page that the TLB gave them from round to round.
//!
//! Each has two words of the frame: the page of its last address, and where the host has it. While the loop runs, the TLB changes by
//! helpers only, and those void the words of all. Whoever comes from outside passes by the start, which voids them too.

use cpu_core::{Binary, Unary, Width};
use cpu_jit::ir::{Node, Ref};

use super::memory::{self, Check, NONE};
use super::{Emitter, places};
use crate::asm::Op;
use crate::asm::Size::Q;
use crate::sink::{At, Cc};

/// An access that keeps its page.
#[derive(Copy, Clone, Debug)]
pub struct Kept {
    /// The node.
    node: u32,
    /// Places for the page and for the host's address.
    page: u8,
    host: u8,
}

/// The most accesses of a loop that do.
const MOST: u8 = 6;
/// The largest step from round to round; with larger ones, pages change too often.
const STEP: u64 = 256;
/// What stands for no page. Addresses that are compared have bits above 11 and below 3 only.
const NO_PAGE: i32 = 1 << 11;

/// Whether control goes from the end of the nodes, behind which `behind` follows, back to their start.
fn is_loop(nodes: &[Node], behind: i64) -> bool {
    let last = nodes.iter().rev().find_map(|node| match node {
        Node::Start { offset, .. } => Some(*offset as i64),
        _ => None,
    });
    match (nodes.last(), last) {
        (Some(Node::BranchIf(_, by)), Some(at)) => at + by == 0 || behind == 0,
        (Some(Node::JumpBy(by)), Some(at)) => at + by == 0,
        _ => false,
    }
}

/// The slot, as it is at the start, that a value is a constant away from, and how far.
fn distance(nodes: &[Node], value: Ref) -> Option<(u16, u64)> {
    let (mut at, mut by) = (value, 0u64);
    loop {
        match *nodes.get(at.0 as usize)? {
            Node::Get(slot) => return Some((slot.0, by)),
            Node::Unary(Unary::Sext32 | Unary::Zext32, inner) => at = inner,
            Node::Binary(Binary::Add, inner, step) => match nodes.get(step.0 as usize)? {
                Node::Const(step) => (at, by) = (inner, by.wrapping_add(*step)),
                _ => return None,
            },
            _ => return None,
        }
    }
}

/// Whether a value is little more or less in each round than in the one before, or the same.
fn moves_little(nodes: &[Node], value: Ref) -> bool {
    let Some((slot, _)) = distance(nodes, value) else { return false };
    let written = nodes.iter().rev().find_map(|node| match *node {
        Node::Set(to, value) if to.0 == slot => Some(value),
        _ => None,
    });
    let step = written.map_or(Some((slot, 0)), |value| distance(nodes, value));
    step.is_some_and(|(from, by)| from == slot && by.wrapping_add(STEP) <= 2 * STEP)
}

impl Emitter<'_> {
    /// Chooses the accesses that keep their page.
    pub(super) fn plan_loop(&mut self) {
        let nodes = self.unit.nodes;
        let changes =
            |node: &Node| matches!(node, Node::Rmw { .. } | Node::CompareExchange(..) | Node::Call(..));
        let behind = self.unit.behind - self.unit.offset as i64;
        if self.unit.flat || !is_loop(nodes, behind) || nodes.iter().any(changes) {
            return;
        }
        let mut next = places::SPILLS;
        for (at, node) in nodes.iter().enumerate() {
            let (Node::Load { addr, .. } | Node::Store { addr, .. }) = *node else { continue };
            let number = self.scratch.group_of.get(at).copied().unwrap_or(NONE);
            let alone = number == NONE
                || self.scratch.groups.get(number as usize).is_some_and(|group| group.count == 1);
            let (base, _) = memory::parts(nodes, &self.scratch.loc, addr);
            if alone && self.kept.len() < MOST as usize && moves_little(nodes, base) {
                next -= 2;
                self.spills |= 3 << next;
                self.kept.push(Kept { node: at as u32, page: next, host: next + 1 });
            }
        }
    }

    /// At the start, where others enter. Gives where the loop goes on.
    pub(super) fn enter_loop(&mut self) -> At {
        for kept in &self.kept {
            self.sink.hot.mov_home(places::spill(kept.page), Op::Imm(NO_PAGE));
        }
        self.sink.here()
    }

    /// Behind what may have changed the TLB, in the cold part.
    pub(super) fn void_kept(&mut self) {
        for kept in &self.kept {
            self.sink.cold.mov_home(places::spill(kept.page), Op::Imm(NO_PAGE));
        }
    }

    /// Finds the host's address of an access by the page it has kept, into `t`; false if it keeps none. The cold part asks the TLB, and goes
    /// on where that does not know.
    pub(super) fn by_kept_page(&mut self, check: &Check, width: Width, (t, u): (u8, u8)) -> bool {
        let Some(kept) = self.kept.iter().find(|kept| kept.node == self.at).copied() else { return false };
        let (page, host) = (places::spill(kept.page), places::spill(kept.host));
        debug_assert_eq!(check.keep, -4096 | (width.bytes() as i32 - 1));
        let cold = self.sink.here_cold();
        let b = &mut self.sink.hot;
        check.masked(b, u);
        b.cmp_home(page, Op::Reg(u));
        self.sink.jcc(Cc::NE, cold);
        self.sink.hot.mov(t, Op::Home(host));
        let back = self.sink.here();
        check.emit(&mut self.sink.cold, t, u);
        let slow = self.sink.jcc_cold(Cc::NE, cold);
        let b = &mut self.sink.cold;
        b.load_table(t, t, check.table + 8);
        b.mov_home(host, Op::Reg(t));
        check.masked(b, u);
        b.mov_home(page, Op::Reg(u));
        self.sink.jmp_cold(back);
        self.sink.land_cold(slow);
        true
    }
}

impl Check {
    /// Leaves in `u` the page, with the bits below that have to be zero.
    fn masked(&self, b: &mut crate::sink::Bytes, u: u8) {
        match self.last {
            0 => b.mov(u, Op::Reg(self.base)),
            last => b.lea(Q, u, self.base, last),
        }
        b.and(Q, u, Op::Imm(self.keep));
    }
}
