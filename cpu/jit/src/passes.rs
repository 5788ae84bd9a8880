//! Smaller blocks that do the same.

use cpu_core::{Binary, Unary, Width};

use crate::ir::{Block, Node, Ref, Slot};

/// Space that passes use again and again.
#[derive(Default)]
pub struct Scratch {
    /// Nodes that stay.
    kept: Vec<bool>,
    /// Nodes of which somebody sees the high half.
    high: Vec<bool>,
    /// Nodes at which the block may be left.
    left: Vec<bool>,
    names: Vec<Ref>,
}

/// Removes writes of slots that are overwritten before anything can see them, values that nothing uses, and extensions of words
/// of which nobody sees the high half.
///
/// A write is dead if the same slot is written again before the block can be left. Reads were forwarded when the block
/// was recorded, except those after calls, which count as leaving. The start of an instruction is a place to leave only
/// where the instruction before may have stopped.
pub fn simplify<C>(block: &mut Block<C>, scratch: &mut Scratch) {
    let Scratch { kept, high, left, names } = scratch;
    let mut stops = false;
    left.clear();
    left.extend(block.nodes.iter().map(|node| match node {
        Node::Start { .. } => std::mem::take(&mut stops),
        _ => {
            stops |= node.may_stop();
            node.may_stop()
        }
    }));
    // A bit for each slot: it is written again before the block can be left; the same behind a part under a condition.
    let (mut overwritten, mut behind) = (0u128, 0);
    const _: () = assert!(cpu_core::frame::SLOTS <= u128::BITS as usize);
    kept.clear();
    kept.resize(block.nodes.len(), false);
    high.clear();
    high.resize(block.nodes.len(), false);
    for (at, node) in block.nodes.iter().enumerate().rev() {
        match node {
            Node::Set(slot, _) => {
                let bit = bit(*slot);
                if overwritten & bit != 0 {
                    continue;
                }
                overwritten |= bit;
            }
            Node::Get(slot) if kept[at] => overwritten &= !bit(*slot),
            Node::EndIf => behind = overwritten,
            // Either way, the part under the condition and what follows, or only that.
            Node::If(_) => overwritten &= behind,
            _ if left[at] => overwritten = 0,
            _ => {}
        }
        if kept[at] || node.has_effect() {
            kept[at] = true;
            node.operands(|Ref(operand)| kept[operand as usize] = true);
            if let Node::Unary(Unary::Sext32 | Unary::Zext32, _) = node {
                kept[at] = high[at];
            } else {
                sees_high(node, high[at], |Ref(operand)| high[operand as usize] = true);
            }
        }
    }
    clear_as_before(block, kept);
    names.clear();
    let mut count = 0;
    for (at, keep) in kept.iter().enumerate() {
        if let (false, Node::Unary(Unary::Sext32 | Unary::Zext32, Ref(word))) = (*keep, block.nodes[at]) {
            names.push(names[word as usize]);
            continue;
        }
        names.push(Ref(count as u32));
        if *keep {
            let mut node = block.nodes[at];
            node.map_operands(|Ref(operand)| names[operand as usize]);
            block.nodes[count] = node;
            count += 1;
        }
    }
    block.nodes.truncate(count);
}

/// A slot as a bit.
fn bit(slot: Slot) -> u128 {
    1 << (slot.0 & 127)
}

/// Removes writes of zero to a slot that is zero at the start, up to the first that is kept of something else.
fn clear_as_before<C>(block: &Block<C>, kept: &mut [bool]) {
    let Some(clear) = block.clear else { return };
    for (at, node) in block.nodes.iter().enumerate().filter(|(_, node)| node.has_effect()) {
        match *node {
            Node::Set(slot, Ref(value)) if slot == clear && kept[at] => {
                if !matches!(block.nodes[value as usize], Node::Const(0)) {
                    return;
                }
                kept[at] = false;
            }
            Node::Call(..) => return,
            _ => {}
        }
    }
}

/// Calls `f` with each operand whose high half counts; `high`: that of the node's value does.
fn sees_high(node: &Node, high: bool, mut f: impl FnMut(Ref)) {
    use Binary::*;
    match *node {
        Node::Binary(Add | Sub | Mul | And | Or | Xor, ..) if !high => {}
        Node::Binary(Shl, _, amount) if !high => f(amount),
        Node::Binary(Ror32 | AddOverflows32 | SubOverflows32, ..) => {}
        Node::Unary(Unary::Sext8 | Unary::Sext16 | Unary::Zext8 | Unary::Zext16, _) => {}
        Node::Store { addr, width, .. } if width != Width::B8 => f(addr),
        _ => node.operands(f),
    }
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
        simplify(&mut block, &mut Scratch::default());
        assert_eq!(block.nodes.iter().filter(|node| matches!(node, Node::Set(..))).count(), 1);
        assert!(!block.nodes.iter().any(|node| matches!(node, Node::Binary(cpu_core::Binary::Mul, ..))));
        assert_eq!(block.verify(), Ok(()));
    }

    #[test]
    fn an_extension_stays_where_its_high_half_is_seen() {
        let extensions = |wide: bool| {
            let s = Lifter::new(Nothing);
            s.start(4);
            let a = s.get(Slot(1));
            let word = s.sext32(s.add(a, a));
            s.start(4);
            let both = s.xor(word, s.shl(word, s.imm(3)));
            let result = if wide { both } else { s.sext32(both) };
            s.set(Slot(1), result);
            let mut block = s.finish();
            simplify(&mut block, &mut Scratch::default());
            assert_eq!(block.verify(), Ok(()));
            block.nodes.iter().filter(|node| matches!(node, Node::Unary(..))).count()
        };
        assert_eq!((extensions(true), extensions(false)), (1, 1), "one of two, and the first");
        let s = Lifter::new(Nothing);
        s.start(4);
        let a = s.get(Slot(1));
        s.store(a, Width::B4, s.sext32(s.mul(a, a))).unwrap();
        let mut block = s.finish();
        simplify(&mut block, &mut Scratch::default());
        assert!(!block.nodes.iter().any(|node| matches!(node, Node::Unary(..))));
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
        simplify(&mut block, &mut Scratch::default());
        // The first is overwritten; behind a load the block may be left.
        assert_eq!(block.nodes.iter().filter(|node| matches!(node, Node::Set(..))).count(), 3);
        assert_eq!(block.verify(), Ok(()));
    }
}
