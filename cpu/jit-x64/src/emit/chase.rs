//! Loads that follow pointers: each gives the address of the next, round by round, so that their latency is what a loop costs.
//!
//! They look into the mirror of the TLB (`cpu_core::Tlb::NEAR`), where the place of the data does not wait for the entry: the
//! comparison with its tag runs beside the load. Others do not gain by that, and may lose: what the host still has in its
//! store buffer under another address is slow to load, as with a pointer that was just put on the stack.

use cpu_core::{Binary, Tlb, Width};
use cpu_jit::ir::{Node, Ref};

use super::Emitter;
use super::memory::{Found, NEAR};
use crate::asm::Op;
use crate::places;
use crate::sink::Cc;

/// Where a pointer comes from, but for what is added to it or masked out.
fn origin(nodes: &[Node], value: Ref) -> Option<usize> {
    let constant = |r: Ref| matches!(nodes.get(r.0 as usize), Some(Node::Const(_)));
    match *nodes.get(value.0 as usize)? {
        Node::Binary(Binary::Add | Binary::And, base, by) if constant(by) => Some(base.0 as usize),
        _ => Some(value.0 as usize),
    }
}

/// The load of a pointer that gives `value`, and where its own address comes from.
fn pointer(nodes: &[Node], value: usize) -> Option<usize> {
    match *nodes.get(value)? {
        Node::Load { addr, width: Width::B8, .. } => origin(nodes, addr),
        _ => None,
    }
}

/// Marks, as members of the group [`NEAR`], the loads that lead from a slot back to it.
pub(super) fn mark(nodes: &[Node], group_of: &mut [u16]) {
    // The last load that was marked, and its slot: where a loop is unrolled, the next one begins there.
    let mut known = None;
    for node in nodes {
        let Node::Set(slot, value) = *node else { continue };
        let Some(last) = origin(nodes, value) else { continue };
        let mut at = last;
        while let Some(before) = pointer(nodes, at)
            && known != Some((at, slot))
        {
            at = before;
        }
        let begins =
            known == Some((at, slot)) || matches!(nodes.get(at), Some(Node::Get(from)) if *from == slot);
        if !begins || at == last {
            continue;
        }
        known = Some((last, slot));
        let (stop, mut at) = (at, last);
        while at != stop {
            group_of[at] = NEAR;
            at = pointer(nodes, at).unwrap_or(stop);
        }
    }
}

impl Emitter<'_> {
    /// As [`Emitter::translate`], by way of the mirror. The cold part that it begins looks into the read table where the mirror
    /// does not have the page.
    pub(super) fn translate_near(&mut self, base: u8, offset: i32, width: Width) -> Found {
        let (t, u) = (self.scratch(), self.scratch());
        self.check(base, offset, width, places::TLB_NEAR).emit(&mut self.sink.hot, t, u);
        let cold = self.sink.here_cold();
        self.sink.jcc(Cc::NE, cold);
        // The table's entries are as large as those of the others.
        self.sink.cold.cmp_table(u, t, places::TLB_READ + Tlb::ENTRY_TAG as i32);
        let miss = self.sink.jcc_cold(Cc::NE, cold);
        self.sink.cold.sub_table(t, places::TLB_NEAR, cpu_core::memory::PAGE_SIZE as i32);
        let due = self.sink.jcc_cold(Cc::S, cold);
        self.sink.cold.load_table(t, t, places::TLB_READ + Tlb::ENTRY_HOST as i32);
        self.sink.hot.mov32(t, Op::Reg(base));
        Found { t, u, place: Some(t), retry: [Some(miss), Some(due)] }
    }
}
