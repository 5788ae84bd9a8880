//! Conditions made of flags, seen as the comparisons they come from.

use cpu_core::{Binary, Semantics, Unary};

use super::Lifter;
use crate::Isa;
use crate::ir::{Node, Ref, Slot};

/// A slot, what is known of it, and what is known under a condition.
pub(super) type Assumed = (Slot, Ref, Ref);

/// How deep two values are compared.
const DEPTH: usize = 4;

impl<I: Isa> Lifter<I> {
    /// Where `sign` is the sign of a word that is a difference, and `overflow` whether that overflows: what was subtracted from what.
    /// The two differ where the first is less than the second.
    pub(super) fn signed_less(&self, sign: Ref, overflow: Ref) -> Option<(Ref, Ref)> {
        let (most, word) = self.operands(sign, Binary::Ltu)?;
        let (a, b) = self.difference(word)?;
        let same = self.operands(overflow, Binary::SubOverflows32) == Some((a, b));
        (same && self.constant(most) == Some(0x7fff_ffff)).then_some((a, b))
    }

    /// Where one says that a word, most often a difference, is not zero, and the other that it is not less: that it is greater.
    pub(super) fn greater(&self, nonzero: Ref, not_less: Ref) -> Option<Ref> {
        let (word, zero) = self.operands(nonzero, Binary::Ne)?;
        let (less, no) = self.operands(not_less, Binary::Eq)?;
        if (self.constant(zero), self.constant(no)) != (Some(0), Some(0)) {
            return None;
        }
        if let Some((most, value)) = self.operands(less, Binary::Ltu)
            && self.constant(most) == Some(0x7fff_ffff)
            && value == word
            && self.is_word(word)
        {
            // Not negative.
            let before = self.binary(Binary::Add, word, self.imm(u64::MAX));
            return Some(self.binary(Binary::Ltu, before, most));
        }
        let (a, b) = self.difference(word)?;
        if self.operands(less, Binary::Ltu) == Some((a, b)) && self.is_word(a) && self.is_word(b) {
            return Some(self.binary(Binary::Ltu, b, a));
        }
        let (x, y) = self.operands(less, Binary::Lts)?;
        (self.extends(x, a) && self.extends(y, b)).then(|| self.binary(Binary::Lts, y, x))
    }

    /// The operands of a value that is made by `op`.
    fn operands(&self, value: Ref, op: Binary) -> Option<(Ref, Ref)> {
        match self.node(value)? {
            Node::Binary(made, a, b) if made == op => Some((a, b)),
            _ => None,
        }
    }

    /// What was subtracted from what where `word` is the low half of a difference.
    fn difference(&self, word: Ref) -> Option<(Ref, Ref)> {
        let Node::Unary(Unary::Zext32, difference) = self.node(word)? else { return None };
        self.operands(difference, Binary::Sub)
    }

    /// Whether `wide` is the sign extension of a word.
    fn extends(&self, wide: Ref, word: Ref) -> bool {
        match (self.node(wide), self.constant(wide), self.constant(word)) {
            (_, Some(wide), Some(word)) => wide == word as i32 as u64,
            (Some(Node::Unary(Unary::Sext32, inner)), ..) => inner == word,
            _ => false,
        }
    }

    /// Whether the two are the same value, made twice.
    fn same(&self, a: Ref, b: Ref, depth: usize) -> bool {
        let deeper = |x, y| depth > 0 && self.same(x, y, depth - 1);
        a == b
            || match (self.node(a), self.node(b)) {
                (Some(Node::Const(a)), Some(Node::Const(b))) => a == b,
                (Some(Node::Unary(f, a)), Some(Node::Unary(g, b))) => f == g && deeper(a, b),
                (Some(Node::Binary(f, a, b)), Some(Node::Binary(g, c, d))) => {
                    f == g && deeper(a, c) && deeper(b, d)
                }
                _ => false,
            }
    }

    /// What a choice comes to under `cond`, and what it comes to otherwise, where that decides it.
    pub(super) fn chosen(&self, cond: Ref, value: Ref) -> Option<(Ref, Ref)> {
        let Node::Select(by, yes, no) = self.node(value)? else { return None };
        let is_not = |not: Ref, of: Ref| {
            self.operands(not, Binary::Eq)
                .is_some_and(|(what, zero)| self.constant(zero) == Some(0) && self.same(what, of, DEPTH))
        };
        if self.same(by, cond, DEPTH) {
            return Some((yes, no));
        }
        (is_not(by, cond) || is_not(cond, by)).then_some((no, yes))
    }

    /// Makes known of each slot what it holds under `cond`. Gives what was known before, of those for which that differs.
    pub(super) fn assume(&self, cond: Ref) -> Vec<Assumed> {
        let mut slots = self.slots.borrow_mut();
        let mut assumed = Vec::new();
        for (slot, known) in slots.iter_mut().enumerate() {
            if let Some(value) = *known
                && let Some((chosen, _)) = self.chosen(cond, value)
            {
                *known = Some(chosen);
                assumed.push((Slot(slot as u16), value, chosen));
            }
        }
        assumed
    }

    /// Takes back what [`Lifter::assume`] made known, where no other value was written since.
    pub(super) fn assume_no_more(&self, assumed: &[Assumed]) {
        let mut slots = self.slots.borrow_mut();
        for (slot, value, chosen) in assumed {
            if let Some(known) = slots.get_mut(slot.0 as usize)
                && *known == Some(*chosen)
            {
                *known = Some(*value);
            }
        }
    }
}
