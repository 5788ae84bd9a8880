//! What is known of values that are words: 32 bits, in the low half of a value.
//!
//! Instructions of 32 bits extend what they read and what they write. Most of that changes nothing, because of where the
//! value came from or because nothing looks at its high half: those extensions are never recorded.

use cpu_core::{Binary, Semantics, Unary, Width};

use crate::Isa;
use crate::ir::{Node, Ref};
use crate::lift::Lifter;

/// How far a value is followed to what it was made of.
const DEPTH: u32 = 4;

/// Whether a value has nothing above its low 32 bits; slots below number `words` have not.
pub fn is_word(nodes: &[Node], value: Ref, words: u16) -> bool {
    is_word_to(nodes, value, words, DEPTH)
}

fn is_word_to(nodes: &[Node], value: Ref, words: u16, depth: u32) -> bool {
    use Binary::*;
    let word = |value| depth > 0 && is_word_to(nodes, value, words, depth - 1);
    match nodes.get(value.0 as usize) {
        Some(Node::Const(value)) => *value >> 32 == 0,
        Some(Node::Get(slot)) => slot.0 < words,
        Some(Node::Unary(Unary::Zext8 | Unary::Zext16 | Unary::Zext32, _)) => true,
        Some(Node::Load { width, signed: false, .. }) => *width != Width::B8,
        Some(Node::Binary(Ror32 | Eq | Ne | Ltu | Lts | AddOverflows32 | SubOverflows32, ..)) => true,
        Some(Node::Binary(And, a, b)) => word(*a) || word(*b),
        Some(Node::Binary(Or | Xor, a, b)) => word(*a) && word(*b),
        Some(Node::Binary(Shr, a, _)) => word(*a),
        Some(Node::Select(_, yes, no)) => word(*yes) && word(*no),
        _ => false,
    }
}

/// Whether a value is the sign extension of its low 32 bits.
fn is_signed_word(nodes: &[Node], value: Ref, words: u16, depth: u32) -> bool {
    use Binary::*;
    let word = |value| depth > 0 && is_signed_word(nodes, value, words, depth - 1);
    let constant = |value: Ref| match nodes.get(value.0 as usize) {
        Some(Node::Const(number)) => Some(*number),
        _ => None,
    };
    match nodes.get(value.0 as usize) {
        Some(Node::Const(value)) => *value as i32 as u64 == *value,
        Some(Node::Unary(Unary::Sext8 | Unary::Sext16 | Unary::Sext32, _)) => true,
        Some(Node::Unary(Unary::Zext8 | Unary::Zext16, _)) => true,
        Some(Node::Load { width, signed, .. }) => width.bits() < 32 || *signed && *width == Width::B4,
        Some(Node::Binary(Eq | Ne | Ltu | Lts | AddOverflows32 | SubOverflows32, ..)) => true,
        Some(Node::Binary(And | Or | Xor, a, b)) => word(*a) && word(*b),
        Some(Node::Binary(Sar, a, _)) => word(*a),
        Some(Node::Binary(Shr, a, by)) => {
            constant(*by).is_some_and(|by| (1..64).contains(&by)) && is_word(nodes, *a, words)
        }
        Some(Node::Select(_, yes, no)) => word(*yes) && word(*no),
        _ => false,
    }
}

impl<I: Isa> Lifter<I> {
    pub(crate) fn is_word(&self, value: Ref) -> bool {
        self.look(|nodes| is_word(nodes, value, I::WORDS))
    }

    /// A word that a value is the sign extension of, or the value.
    pub(crate) fn unextended(&self, value: Ref) -> Ref {
        match self.node(value) {
            Some(Node::Unary(Unary::Sext32, word)) if self.is_word(word) => word,
            _ => value,
        }
    }

    /// The extension of the low 32 bits of a value, `op` being one of the two: without a node, or else what a node has to extend.
    pub(crate) fn extend(&self, op: Unary, value: Ref) -> Result<Ref, Ref> {
        let a = match self.node(value) {
            // Where slots hold words, nobody else wants the sign.
            Some(Node::Unary(Unary::Sext32, inner)) if op == Unary::Zext32 && I::WORDS > 0 => inner,
            _ => value,
        };
        let nothing = match op {
            Unary::Zext32 => self.is_word(a),
            _ => self.look(|nodes| is_signed_word(nodes, a, I::WORDS, DEPTH)),
        };
        if nothing {
            return Ok(a);
        }
        // The low half of these depends on low halves alone.
        let narrowed = match self.node(a) {
            Some(Node::Binary(op @ (Binary::Add | Binary::Sub | Binary::Mul), x, y)) => Some((op, x, y)),
            Some(Node::Binary(op @ (Binary::And | Binary::Or | Binary::Xor), x, y)) => Some((op, x, y)),
            Some(Node::Binary(Binary::Shl, x, by)) if self.constant(by).is_some_and(|by| by < 32) => {
                Some((Binary::Shl, x, by))
            }
            _ => None,
        };
        let Some((operation, x, y)) = narrowed else { return Err(a) };
        let (mut narrow_x, mut narrow_y) = (self.unextended(x), self.unextended(y));
        if op == Unary::Zext32 && matches!(operation, Binary::And | Binary::Or | Binary::Xor) {
            // Then what the two are made to is a word, too.
            for side in [&mut narrow_x, &mut narrow_y] {
                if let Some(number) = self.constant(*side)
                    && number >> 32 != 0
                {
                    *side = self.imm(number as u32 as u64);
                }
            }
        }
        if (narrow_x, narrow_y) == (x, y) {
            return Err(a);
        }
        let narrow = self.binary(operation, narrow_x, narrow_y);
        // Made of others, it may be one of those that need nothing.
        self.extend(op, narrow)
    }

    /// The operands of a comparison of two sign-extended words as words, if they are that; `None` also where that is no gain.
    pub(crate) fn as_words(&self, a: Ref, b: Ref) -> Option<(Ref, Ref)> {
        let word = |value: Ref| match self.node(value)? {
            Node::Unary(Unary::Sext32, inner) => self.is_word(inner).then_some(inner),
            Node::Const(number) if number as i32 as u64 == number => Some(self.imm(number as u32 as u64)),
            // One that both extensions leave as it is.
            _ => self
                .look(|nodes| {
                    is_word(nodes, value, I::WORDS) && is_signed_word(nodes, value, I::WORDS, DEPTH)
                })
                .then_some(value),
        };
        let extended = |value| matches!(self.node(value), Some(Node::Unary(Unary::Sext32, _)));
        if !extended(a) && !extended(b) { None } else { Some((word(a)?, word(b)?)) }
    }
}
