use super::*;
use cpu_core::SemanticsExt;

struct Nothing;
impl Isa for Nothing {
    type Call = ();
}

#[test]
fn constants_fold_and_slots_are_remembered() {
    let s = Lifter::new(Nothing);
    s.start(4);
    let a = s.get(Slot(1));
    assert_eq!(s.get(Slot(1)), a);
    let b = s.add_imm(a, 0);
    assert_eq!(b, a);
    let five = s.add(s.imm(2), s.imm(3));
    assert_eq!(s.constant(five), Some(5));
    s.set(Slot(2), five);
    assert_eq!(s.get(Slot(2)), five);
    assert_eq!(s.select(s.imm(0), a, five), five);
    let wide = s.sext32(a);
    assert_eq!(s.sext32(wide), wide);
    assert_ne!(s.not(s.not(a)), s.not(a));
    s.call((), [a, a]);
    assert_ne!(s.get(Slot(1)), a, "a call may change it");
    let block = s.finish();
    assert_eq!(block.verify(), Ok(()));
    assert_eq!((block.instructions, block.behind), (1, 4));
}

#[test]
fn what_follows_a_jump_leaves_where_control_goes_the_other_way() {
    let s = Lifter::new(Nothing);
    s.start(4);
    let a = s.get(Slot(1));
    assert_eq!(s.branch_if(a, 0x20), Ok(Next::Jump));
    assert_eq!(s.ways(), Ways { taken: Some(0x20), behind: Some(4) });
    s.follow(true);
    s.start(2);
    assert_eq!(s.branch_if(a, -0x40), Ok(Next::Jump));
    assert_eq!(s.ways(), Ways { taken: Some(-0x20), behind: Some(0x22) });
    s.follow(false);
    // A call, and its return.
    s.start(4);
    s.set(Slot(2), s.next_pc());
    assert_eq!(s.jump_by(-0x30), Ok(Next::Jump));
    s.follow(true);
    s.start(4);
    assert_eq!(s.jump(s.and_imm(s.get(Slot(2)), !1)), Ok(Next::Jump));
    assert_eq!(s.ways(), Ways { taken: Some(0x26), behind: None });
    s.follow(true);
    s.start(2);
    let block = s.finish();
    assert_eq!(block.verify(), Ok(()));
    assert_eq!((block.instructions, block.behind), (5, 0x28));
    let offsets = block.nodes.iter().filter_map(|node| match node {
        Node::Start { offset, .. } => Some(*offset),
        _ => None,
    });
    assert_eq!(offsets.collect::<Vec<_>>(), [0, 0x20, 0x22, -0xe, 0x26]);
    let exits = block.nodes.iter().filter_map(|node| match node {
        Node::ExitIf(cond, by) => Some((*cond == a, *by)),
        _ => None,
    });
    assert_eq!(exits.collect::<Vec<_>>(), [(false, 4), (true, -0x40)]);
}

struct Words;
impl Isa for Words {
    type Call = ();
    const WORDS: u16 = 8;
}

/// The last node, of two shifts of a slot put together.
fn rotated<I: Isa>(isa: I, extend: fn(&Lifter<I>, Ref) -> Ref, low: fn(&Lifter<I>, Ref) -> Ref) -> Node {
    let s = Lifter::new(isa);
    s.start(4);
    let a = s.get(Slot(1));
    let high = extend(&s, s.shl(a, s.imm(12)));
    let both = s.or(high, s.shr(low(&s, a), s.imm(20)));
    s.node(both).unwrap()
}

#[test]
fn two_shifts_of_a_word_are_a_rotation_extended_as_they_were() {
    use Unary::{Sext32, Zext32};
    let ror = |node| matches!(node, Node::Binary(Binary::Ror32, ..));
    assert!(matches!(
        rotated(Nothing, |s, a| s.unary(Sext32, a), |s, a| s.zext32(a)),
        Node::Unary(Sext32, _)
    ));
    assert!(ror(rotated(Nothing, |s, a| s.unary(Zext32, a), |s, a| s.zext32(a))));
    assert!(ror(rotated(Words, |s, a| s.unary(Zext32, a), |_, a| a)));
    let whole = rotated(Nothing, |s, a| s.unary(Sext32, a), |_, a| a);
    assert!(matches!(whole, Node::Binary(Binary::Or, ..)), "the low part is of all 64 bits");
}

#[test]
fn a_return_address_that_lost_its_high_half_is_none() {
    let target = |extend: fn(&Lifter<Nothing>, Ref) -> Ref| {
        let s = Lifter::new(Nothing);
        s.start(4);
        let target = extend(&s, s.next_pc());
        assert_eq!(s.jump(s.and_imm(target, !1)), Ok(Next::Jump));
        matches!(s.finish().nodes.last(), Some(Node::JumpBy(4)))
    };
    assert!(target(|_, a| a) && !target(|s, a| s.sext32(a)) && !target(|s, a| s.zext32(a)));
}

#[test]
fn what_is_chosen_holds_no_part_under_a_condition() {
    let s = Lifter::new(Nothing);
    s.start(4);
    let a = s.get(Slot(1));
    assert_eq!(s.branch_if(a, 8), Ok(Next::Jump));
    let body = |nested: bool| {
        s.start(4);
        s.set(Slot(2), s.imm(7));
        // It comes to nothing.
        if nested {
            s.only_if(s.get(Slot(3)), || s.set(Slot(4), s.get(Slot(4))));
        }
        true
    };
    assert!(!s.choose(8, || body(true)));
    assert!(matches!(s.look(|nodes| nodes.last().copied()), Some(Node::BranchIf(..))));
    assert!(s.choose(8, || body(false)));
    let block = s.finish();
    assert_eq!((block.verify(), block.instructions), (Ok(()), 2));
    assert!(matches!(block.nodes.last(), Some(Node::Skip(_, 1))));
}

#[test]
fn a_constant_branch_is_a_jump_or_nothing() {
    let s = Lifter::new(Nothing);
    s.start(2);
    assert_eq!(s.branch_if(s.imm(0), 8), Ok(Next::Fall));
    assert_eq!(s.raise_if(s.imm(0), 1, s.imm(0)), Ok(()));
    assert_eq!(s.branch_if(s.imm(9), 8), Ok(Next::Jump));
    assert!(matches!(s.finish().nodes.last(), Some(Node::JumpBy(8))));
}
