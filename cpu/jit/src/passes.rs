//! Smaller blocks that do the same.

use std::collections::BTreeSet;

use crate::ir::{Block, Node, Ref};

/// Removes writes of slots that are overwritten before anything can see them, then values that nothing uses.
pub fn simplify<C>(block: &mut Block<C>) {
    dead_sets(block);
    dead_values(block);
}

/// A write is dead if the same slot is written again before the block can be left. Reads were forwarded when the block
/// was recorded, except those after calls, which count as leaving. The start of an instruction is a place to leave only
/// where the instruction before may have stopped.
fn dead_sets<C>(block: &mut Block<C>) {
    let mut left = vec![false; block.nodes.len()];
    let mut stops = false;
    for (place, node) in left.iter_mut().zip(&block.nodes) {
        match node {
            Node::Start { .. } => *place = std::mem::take(&mut stops),
            _ => {
                *place = node.may_stop();
                stops |= *place;
            }
        }
    }
    let mut overwritten = BTreeSet::new();
    let mut dead = Vec::new();
    for (at, node) in block.nodes.iter().enumerate().rev() {
        match node {
            Node::Set(slot, _) if !overwritten.insert(*slot) => dead.push(at),
            Node::Set(..) => {}
            Node::Get(slot) => {
                overwritten.remove(slot);
            }
            _ if left[at] => overwritten.clear(),
            _ => {}
        }
    }
    remove(block, |at| dead.binary_search_by(|place| at.cmp(place)).is_ok());
}

fn dead_values<C>(block: &mut Block<C>) {
    let mut used = vec![false; block.nodes.len()];
    for at in (0..block.nodes.len()).rev() {
        let node = &block.nodes[at];
        if node.has_effect() || used[at] {
            node.operands(|Ref(operand)| used[operand as usize] = true);
            used[at] = true;
        }
    }
    remove(block, |at| !used[at]);
}

/// Removes nodes whose values nothing uses, and renumbers.
fn remove<C>(block: &mut Block<C>, mut gone: impl FnMut(usize) -> bool) {
    let mut names = Vec::with_capacity(block.nodes.len());
    let mut kept = Vec::with_capacity(block.nodes.len());
    for (at, mut node) in block.nodes.drain(..).enumerate() {
        names.push(Ref(kept.len() as u32));
        if gone(at) {
            continue;
        }
        node.map_operands(|Ref(operand)| names[operand as usize]);
        kept.push(node);
    }
    block.nodes = kept;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ir::Slot;
    use crate::{Isa, Lifter};
    use cpu_core::{Semantics, SemanticsExt, Width};

    struct Nothing;
    impl Isa for Nothing {
        type Call = ();
    }

    #[test]
    fn what_nobody_sees_goes() {
        let s = Lifter::new(Nothing);
        s.start(4);
        let a = s.get(Slot(1));
        let b = s.add_imm(a, 5);
        s.set(Slot(1), b);
        s.start(4);
        let c = s.add_imm(s.get(Slot(1)), 6);
        s.set(Slot(1), c);
        s.mul(c, c);
        let mut block = s.finish();
        // The block can not be left between the two writes.
        simplify(&mut block);
        assert_eq!(block.nodes.iter().filter(|node| matches!(node, Node::Set(..))).count(), 1);
        assert!(!block.nodes.iter().any(|node| matches!(node, Node::Binary(cpu_core::Binary::Mul, ..))));
        assert_eq!(block.verify(), Ok(()));
    }

    #[test]
    fn a_write_before_a_possible_stop_stays() {
        let s = Lifter::new(Nothing);
        s.start(4);
        let a = s.get(Slot(1));
        s.set(Slot(2), a);
        s.set(Slot(2), s.imm(1));
        let loaded = s.load(a, Width::B8, false).unwrap();
        s.set(Slot(2), loaded);
        s.start(4);
        s.set(Slot(2), a);
        let mut block = s.finish();
        simplify(&mut block);
        // The first is overwritten; behind a load the block may be left.
        assert_eq!(block.nodes.iter().filter(|node| matches!(node, Node::Set(..))).count(), 3);
        assert_eq!(block.verify(), Ok(()));
    }
}
