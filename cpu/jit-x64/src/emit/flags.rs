//! The host's flags as values: those of a sum, a difference or a comparison of words serve for as long as only moves follow.

use cpu_core::Binary;
use cpu_jit::ir::{Node, Ref};

use super::Emitter;
use crate::asm::Op;
use crate::asm::Size::D;
use crate::sink::Cc;

/// What the host's flags were made by.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Made {
    /// A sum, or else a difference, of the low halves of two values.
    sum: bool,
    a: Ref,
    b: Ref,
    /// Of all 64 bits, and no sum.
    wide: bool,
    /// The node whose value that is, if there is one.
    result: Option<Ref>,
    /// Length of the hot part up to which they hold.
    end: usize,
}

/// How far ahead a use of flags is looked for.
const AHEAD: usize = 12;

impl Emitter<'_> {
    /// Whether the flags are those that were noted last.
    pub(super) fn flags_hold(&self) -> bool {
        self.flags.is_some_and(|made| made.end == self.sink.hot.0.len())
    }

    /// What was emitted since [`Emitter::flags_hold`] gave `held` changes no flags.
    pub(super) fn flags_stay(&mut self, held: bool) {
        if held && let Some(made) = &mut self.flags {
            made.end = self.sink.hot.0.len();
        }
    }

    /// Whether somebody asks soon whether this sum or difference of words overflows.
    pub(super) fn wants_flags(&self, sum: bool, a: Ref, b: Ref) -> bool {
        let wanted = if sum { Binary::AddOverflows32 } else { Binary::SubOverflows32 };
        let from = self.at as usize + 1;
        let rest = self.unit.nodes.get(from..).unwrap_or_default();
        let near = rest.iter().take(AHEAD).take_while(|node| !matches!(node, Node::Start { .. }));
        near.into_iter().any(|node| matches!(node, Node::Binary(op, x, y) if (*op, *x, *y) == (wanted, a, b)))
    }

    /// The last instruction has left flags that say whether this node is zero, and nothing else.
    pub(super) fn note_zero(&mut self) {
        let nothing = Ref(u32::MAX);
        let (result, end) = (Some(Ref(self.at)), self.sink.hot.0.len());
        self.flags = Some(Made { sum: true, wide: false, a: nothing, b: nothing, result, end });
    }

    /// The last instruction has compared two values.
    pub(super) fn note_wide(&mut self, a: Ref, b: Ref) {
        self.flags = Some(Made { sum: false, wide: true, a, b, result: None, end: self.sink.hot.0.len() });
    }

    /// The last instruction has left the flags of the sum or the difference of words that this node is.
    pub(super) fn note_flags(&mut self, sum: bool, a: Ref, b: Ref) {
        let end = self.sink.hot.0.len();
        self.flags = Some(Made { sum, wide: false, a, b, result: Some(Ref(self.at)), end });
    }

    /// The condition of the flags at hand under which a comparison is true, if they tell.
    pub(super) fn known_condition(&self, op: Binary, a: Ref, b: Ref) -> Option<Cc> {
        let made = self.flags.filter(|_| self.flags_hold())?;
        let zero = matches!(self.unit.nodes.get(b.0 as usize), Some(Node::Const(0)));
        let same = (made.a, made.b) == (a, b);
        if made.wide {
            return match op {
                Binary::Eq if same => Some(Cc::E),
                Binary::Ne if same => Some(Cc::NE),
                Binary::Ltu if same && !zero => Some(Cc::B),
                Binary::Lts if same => Some(Cc::L),
                _ => None,
            };
        }
        // Of others, the low halves are not all.
        let words = self.is_word(a) && self.is_word(b);
        match op {
            Binary::Eq if zero && made.result == Some(a) || same && words && !made.sum => Some(Cc::E),
            Binary::Ne if zero && made.result == Some(a) || same && words && !made.sum => Some(Cc::NE),
            Binary::Ltu if same && words && !made.sum => Some(Cc::B),
            Binary::Ltu if (made.b, made.a) == (a, b) && words && !made.sum => Some(Cc::A),
            // A sum is less than what was added to where it carries.
            Binary::Ltu if made.sum && words && made.result == Some(a) && made.a == b => Some(Cc::B),
            Binary::AddOverflows32 if same && made.sum => Some(Cc::O),
            Binary::SubOverflows32 if same && !made.sum => Some(Cc::O),
            _ => None,
        }
    }

    /// The condition of the flags at hand under which the low half of `a` is less than that of `b`, as signed numbers.
    pub(super) fn known_words(&self, a: Ref, b: Ref) -> Option<Cc> {
        let made = self.flags.filter(|made| self.flags_hold() && !made.sum && !made.wide)?;
        match (made.a, made.b) {
            sides if sides == (a, b) => Some(Cc::L),
            sides if sides == (b, a) => Some(Cc::G),
            _ => None,
        }
    }

    /// Flags of the difference of the low halves.
    pub(super) fn compare_words(&mut self, cc: Cc, a: Ref, b: Ref) -> Cc {
        let y = self.low_half(b);
        let x = self.reg(a);
        self.sink.hot.cmp(D, x, y);
        self.flags = Some(Made { sum: false, wide: false, a, b, result: None, end: self.sink.hot.0.len() });
        cc
    }

    /// Flags of the sum of the low halves.
    pub(super) fn sum_overflows(&mut self, a: Ref, b: Ref) -> Cc {
        let y = self.low_half(b);
        let x = self.op(a);
        let t = self.scratch();
        self.sink.hot.mov(t, x);
        self.sink.hot.add(D, t, y);
        self.flags = Some(Made { sum: true, wide: false, a, b, result: None, end: self.sink.hot.0.len() });
        Cc::O
    }

    /// The sum or difference of the low halves, with its flags.
    pub(super) fn add_with_flags(&mut self, sum: bool, a: Ref, b: Ref) {
        let (x, y) = (self.op(a), self.low_half(b));
        let d = self.define();
        let hot = &mut self.sink.hot;
        // A register that the result is made in may be the right operand.
        let (x, y) = if sum && y == Op::Reg(d) { (y, x) } else { (x, y) };
        if y == Op::Reg(d) && x != y {
            let t = self.scratch();
            let hot = &mut self.sink.hot;
            hot.mov(t, x);
            hot.sub(D, t, y);
            hot.mov(d, Op::Reg(t));
        } else {
            hot.mov(d, x);
            if sum { hot.add(D, d, y) } else { hot.sub(D, d, y) }
        }
        self.note_flags(sum, a, b);
        self.defined(d);
    }
}
