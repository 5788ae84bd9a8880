//! Integer arithmetic, comparisons, selection.

use cpu_core::{Binary, Unary};
use cpu_jit::ir::{Node, Ref};
use cpu_jit::is_word;

use super::{Emitter, Loc, exchanged};
use crate::asm::Size::{D, Q};
use crate::asm::{Op, Size, reg};
use crate::places;
use crate::sink::{Bytes, Cc};

type Alu = fn(&mut Bytes, Size, u8, Op);

/// Whether both values are words with their signs extended.
pub(super) fn are_words(nodes: &[Node], a: Ref, b: Ref) -> bool {
    [a, b].iter().all(|value| match nodes.get(value.0 as usize) {
        Some(Node::Unary(Unary::Sext32, _)) => true,
        Some(Node::Const(number)) => *number as i32 as u64 == *number,
        _ => false,
    })
}

/// Whether a node is the sign of a word.
pub(super) fn is_sign(nodes: &[Node], node: &Node, words: u16) -> bool {
    let Node::Binary(Binary::Shr, word, by) = *node else { return false };
    matches!(nodes.get(by.0 as usize), Some(Node::Const(31))) && is_word(nodes, word, words)
}

impl Emitter<'_> {
    pub(super) fn binary(&mut self, op: Binary, a: Ref, b: Ref) {
        use Binary::*;
        if matches!(op, And | Or | Xor) && self.vector_bits(op, a, b) {
            return;
        }
        match op {
            Add => {
                if let (Loc::Page(offset), Some(number)) = (self.loc(a), self.constant(b)) {
                    self.scratch.loc[self.at as usize] = Loc::Page(offset.wrapping_add(number as i64));
                    return;
                }
                self.add(Q, a, b);
            }
            Sub => self.sub(Q, a, b),
            Mul => self.mul(Q, a, b),
            And if self.masks(a, b) => {}
            And => self.commutative(a, b, Bytes::and),
            Or => self.commutative(a, b, Bytes::or),
            Xor if self.constant(b) == Some(u64::MAX) => {
                let from = self.op(a);
                let d = self.define();
                self.sink.hot.mov(d, from);
                self.sink.hot.not(d);
                self.defined(d);
            }
            Xor => self.commutative(a, b, Bytes::xor),
            Shl | Shr | Sar | Ror => self.shift(op, Q, a, b),
            Ror32 => self.shift(op, D, a, b),
            MulHu | MulHs | MulHsu => self.multiply_high(op, a, b),
            Divu | Divs | Remu | Rems => self.divide(op, a, b),
            Eq | Ne | Ltu | Lts | AddOverflows32 | SubOverflows32 => {
                let cc = self.compare(op, a, b);
                let d = self.define();
                self.sink.hot.setcc(cc, d);
                self.defined(d);
            }
            Clmul => self.call_pure(|a, b| Clmul.eval(a, b), a, b),
            Clmulh => self.call_pure(|a, b| Clmulh.eval(a, b), a, b),
        }
    }

    /// `a + b`; of the low halves, upper halves zero, with `D`.
    fn add(&mut self, size: Size, a: Ref, b: Ref) {
        if self.add_to_page(size, a, b)
            || self.add_to_page(size, b, a)
            || self.add_multiple(size, a, b)
            || self.add_multiple(size, b, a)
        {
            return;
        }
        let (mut x, mut y) = (self.op(a), self.op(b));
        if matches!(x, Op::Imm(_)) || (matches!(x, Op::Home(_)) && matches!(y, Op::Reg(_))) {
            (x, y) = (y, x);
        }
        let d = self.define();
        let hot = &mut self.sink.hot;
        match (x, y) {
            (Op::Reg(x), y) if x == d => {
                hot.add(size, d, y);
                self.note_zero();
            }
            (x, Op::Reg(y)) if y == d => {
                hot.add(size, d, x);
                self.note_zero();
            }
            (Op::Reg(x), Op::Imm(imm)) => hot.lea(size, d, x, imm),
            (Op::Reg(x), Op::Reg(y)) => hot.lea_sum(size, d, x, y, 0),
            (Op::Reg(x), y) => {
                hot.mov(d, y);
                hot.add(size, d, Op::Reg(x));
            }
            (x, y) => {
                hot.mov(d, x);
                hot.add(size, d, y);
            }
        }
        self.defined(d);
    }

    /// The same where `a` is an address in the page.
    fn add_to_page(&mut self, size: Size, a: Ref, b: Ref) -> bool {
        let Loc::Page(offset) = self.loc(a) else { return false };
        let Ok(offset) = i32::try_from(offset) else { return false };
        let (index, scale) = self.multiple(b).unwrap_or((b, 0));
        if matches!(self.loc(index), Loc::Const(_) | Loc::Page(_)) {
            return false;
        }
        let (y, t) = (self.reg(index), self.scratch());
        self.sink.hot.mov(t, Op::Home(places::PAGE));
        let d = self.define();
        self.sink.hot.lea_all(size, d, (t, y, scale), offset);
        self.defined(d);
        true
    }

    /// A small multiple that waits: of what, and the amount of its shift.
    fn multiple(&self, value: Ref) -> Option<(Ref, u8)> {
        match (self.loc(value), self.unit.nodes.get(value.0 as usize)) {
            (Loc::Deferred, Some(&Node::Binary(Binary::Shl, index, by))) => {
                Some((index, self.constant(by)? as u8))
            }
            _ => None,
        }
    }

    /// The same where `b` is a small multiple that waits.
    fn add_multiple(&mut self, size: Size, a: Ref, b: Ref) -> bool {
        let Some((index, scale)) = self.multiple(b) else { return false };
        let (x, y) = (self.reg(a), self.reg(index));
        let d = self.define();
        self.sink.hot.lea_sum(size, d, x, y, scale);
        self.defined(d);
        true
    }

    fn sub(&mut self, size: Size, a: Ref, b: Ref) {
        let (x, y) = (self.op(a), self.op(b));
        let d = self.define();
        let hot = &mut self.sink.hot;
        match (x, y) {
            (Op::Reg(x), Op::Imm(imm)) if x != d && imm != i32::MIN => hot.lea(size, d, x, -imm),
            (Op::Reg(x), y) if x == d => {
                hot.sub(size, d, y);
                self.note_zero();
            }
            (x, Op::Reg(y)) if y == d && x != Op::Reg(d) => {
                hot.neg(d);
                hot.add(size, d, x);
            }
            (x, y) => {
                hot.mov(d, x);
                hot.sub(size, d, y);
            }
        }
        self.defined(d);
    }

    fn mul(&mut self, size: Size, a: Ref, b: Ref) {
        let (x, y) = (self.op(a), self.op(b));
        let d = self.define();
        let hot = &mut self.sink.hot;
        match (x, y) {
            (x, Op::Reg(y)) if y == d => hot.imul(size, d, x),
            (x, y) => {
                hot.mov(d, x);
                hot.imul(size, d, y);
            }
        }
        self.defined(d);
    }

    /// A mask that is an extension.
    fn masks(&mut self, a: Ref, b: Ref) -> bool {
        let bits = match self.constant(b) {
            Some(0xff) => 8,
            Some(0xffff) => 16,
            Some(0xffff_ffff) => 32,
            _ => return false,
        };
        let from = self.op(a);
        let d = self.define();
        self.sink.hot.widen(d, from, bits, false);
        self.defined(d);
        true
    }

    /// Whether nothing of a value is above its low 32 bits.
    pub(super) fn is_word(&self, value: Ref) -> bool {
        is_word(self.unit.nodes, value, self.places.layout.words)
    }

    /// A right operand of an operation of 32 bits or of 64.
    fn sized_op(&mut self, size: Size, value: Ref) -> Op {
        if size == D { self.low_half(value) } else { self.op(value) }
    }

    fn commutative(&mut self, a: Ref, b: Ref, op: Alu) {
        // Of words, the high halves stay zero.
        let size = if self.is_word(a) && self.is_word(b) { D } else { Q };
        let (mut x, mut y) = (self.sized_op(size, a), self.sized_op(size, b));
        if matches!(x, Op::Imm(_)) {
            (x, y) = (y, x);
        }
        let d = self.define();
        if y == Op::Reg(d) {
            (x, y) = (y, x);
        }
        self.sink.hot.mov(d, x);
        op(&mut self.sink.hot, size, d, y);
        self.defined(d);
    }

    fn shift(&mut self, op: Binary, size: Size, a: Ref, b: Ref) {
        if let Some(amount) = self.constant(b) {
            let amount = (amount & 63) as u8;
            if let (Loc::Deferred, Some(&Node::Unary(Unary::Zext32, word))) =
                (self.loc(a), self.unit.nodes.get(a.0 as usize))
            {
                let from = self.op(word);
                let d = self.define();
                self.sink.hot.mov32(d, from);
                self.sink.hot.shr(D, d, amount);
                self.defined(d);
                return;
            }
            let from = self.op(a);
            let d = self.define();
            let hot = &mut self.sink.hot;
            match (op, from) {
                (Binary::Ror | Binary::Ror32, Op::Reg(from)) => hot.rorx(size, d, from, amount),
                _ => {
                    hot.mov(d, from);
                    match op {
                        Binary::Shl => hot.shl(size, d, amount),
                        Binary::Shr => hot.shr(size, d, amount),
                        Binary::Sar => hot.sar(size, d, amount),
                        _ => hot.rorx(size, d, d, amount),
                    }
                }
            }
            self.defined(d);
            return;
        }
        // A mask that the host applies anyway is left out.
        let amount = match (self.loc(b), self.unit.nodes.get(b.0 as usize)) {
            (Loc::Deferred, Some(&Node::Binary(Binary::And, amount, _))) => amount,
            _ => b,
        };
        if matches!(op, Binary::Ror | Binary::Ror32) {
            self.claim(reg::RCX);
            self.move_to(reg::RCX, amount);
            let from = self.op(a);
            let d = self.scratch();
            self.sink.hot.mov(d, from);
            self.sink.hot.ror_cl(size, d);
            self.bind(d);
            return;
        }
        let (x, y) = (self.reg(a), self.reg(amount));
        let d = self.define();
        match op {
            Binary::Shl => self.sink.hot.shlx(size, d, x, y),
            Binary::Shr => self.sink.hot.shrx(size, d, x, y),
            _ => self.sink.hot.sarx(size, d, x, y),
        }
        self.defined(d);
    }

    fn multiply_high(&mut self, op: Binary, a: Ref, b: Ref) {
        self.claim(reg::RAX);
        self.claim(reg::RDX);
        let y = self.reg(b);
        self.move_to(reg::RAX, a);
        self.sink.hot.mul_wide(y, op == Binary::MulHs);
        if op == Binary::MulHsu {
            // The first operand as unsigned is 2^64 more where it is negative.
            self.move_to(reg::RAX, a);
            let hot = &mut self.sink.hot;
            hot.sar(Q, reg::RAX, 63);
            hot.and(Q, reg::RAX, Op::Reg(y));
            hot.sub(Q, reg::RDX, Op::Reg(reg::RAX));
        }
        self.bind(reg::RDX);
    }

    fn divide(&mut self, op: Binary, a: Ref, b: Ref) {
        use Binary::*;
        for r in [reg::RAX, reg::RDX, reg::RCX] {
            self.claim(r);
        }
        self.move_to(reg::RCX, b);
        self.move_to(reg::RAX, a);
        let signed = matches!(op, Divs | Rems);
        let remainder = matches!(op, Remu | Rems);
        let constant = self.constant(b);
        let (maybe_zero, maybe_minus) =
            (constant.is_none_or(|b| b == 0), signed && constant.is_none_or(|b| b == u64::MAX));
        let zero = maybe_zero.then(|| {
            self.sink.hot.test(Q, reg::RCX, Op::Reg(reg::RCX));
            let here = self.sink.here_cold();
            self.sink.jcc(Cc::E, here);
            if remainder {
                self.sink.cold.mov(reg::RDX, Op::Reg(reg::RAX));
            } else {
                self.sink.cold.set(reg::RAX, 0);
            }
            let hot = self.sink.here();
            self.sink.jmp_cold(hot)
        });
        let minus = maybe_minus.then(|| {
            self.sink.hot.cmp(Q, reg::RCX, Op::Imm(-1));
            let here = self.sink.here_cold();
            self.sink.jcc(Cc::E, here);
            if remainder {
                self.sink.cold.set(reg::RDX, 0);
            } else {
                self.sink.cold.neg(reg::RAX);
            }
            let hot = self.sink.here();
            self.sink.jmp_cold(hot)
        });
        self.sink.hot.divide(reg::RCX, signed);
        for back in [zero, minus].into_iter().flatten() {
            self.sink.land(back);
        }
        self.bind(if remainder { reg::RDX } else { reg::RAX });
    }

    pub(super) fn unary(&mut self, op: Unary, a: Ref) {
        let (bits, signed) = match op {
            Unary::Sext8 => (8, true),
            Unary::Sext16 => (16, true),
            Unary::Sext32 => (32, true),
            Unary::Zext8 => (8, false),
            Unary::Zext16 => (16, false),
            Unary::Zext32 => (32, false),
            Unary::BitSwapBytes => {
                self.call_pure(|a, _| Unary::BitSwapBytes.eval(a), a, a);
                return;
            }
            Unary::Not | Unary::Bswap => {
                let from = self.op(a);
                let d = self.define();
                self.sink.hot.mov(d, from);
                match op {
                    Unary::Not => self.sink.hot.not(d),
                    _ => self.sink.hot.bswap(d),
                }
                self.defined(d);
                return;
            }
            Unary::Clz | Unary::Ctz | Unary::Popcount => {
                let from = match self.op(a) {
                    Op::Imm(_) => Op::Reg(self.reg(a)),
                    from => from,
                };
                let d = self.define();
                match op {
                    Unary::Clz => self.sink.hot.lzcnt(d, from),
                    Unary::Ctz => self.sink.hot.tzcnt(d, from),
                    _ => self.sink.hot.popcnt(d, from),
                }
                self.defined(d);
                return;
            }
        };
        let narrow = match (self.loc(a), self.unit.nodes.get(a.0 as usize)) {
            (Loc::Deferred, Some(&Node::Binary(op, x, y)))
                if bits == 32 && matches!(op, Binary::Add | Binary::Sub | Binary::Mul | Binary::Shl) =>
            {
                Some((op, x, y))
            }
            _ => None,
        };
        if let Some((op, x, y)) = narrow {
            match op {
                Binary::Add | Binary::Sub
                    if !signed
                        && self.wants_flags(op == Binary::Add, x, y)
                        && ![x, y].iter().any(|side| self.loc(*side) == Loc::Deferred) =>
                {
                    self.add_with_flags(op == Binary::Add, x, y);
                }
                Binary::Add => self.add(D, x, y),
                Binary::Sub => self.sub(D, x, y),
                Binary::Mul => self.mul(D, x, y),
                _ => self.shift(op, D, x, y),
            }
            if signed && let Some(d) = self.made() {
                let held = self.flags_hold();
                self.sink.hot.widen(d, Op::Reg(d), 32, true);
                self.flags_stay(held);
            }
            // The last of a word's operations leaves nothing above it.
            return;
        }
        let from = self.op(a);
        let d = self.define();
        self.sink.hot.widen(d, from, bits, signed);
        self.defined(d);
    }

    /// The register in which this node's value was just made.
    fn made(&self) -> Option<u8> {
        match self.scratch.loc[self.at as usize] {
            Loc::Reg(r) => Some(r),
            Loc::Slot(slot) => match self.places.of(slot) {
                crate::places::Place::Reg(r) => Some(r),
                _ => None,
            },
            _ => None,
        }
    }

    /// Compares, and gives the condition under which `op(a, b)` is true.
    fn compare(&mut self, op: Binary, a: Ref, b: Ref) -> Cc {
        if let Some(cc) = self.known_condition(op, a, b) {
            return cc;
        }
        let cc = match op {
            Binary::Eq => Cc::E,
            Binary::Ne => Cc::NE,
            Binary::Ltu => Cc::B,
            Binary::AddOverflows32 => return self.sum_overflows(a, b),
            Binary::SubOverflows32 => return self.compare_words(Cc::O, a, b),
            Binary::Lts if are_words(self.unit.nodes, a, b) => {
                let (a, b) = (self.word(a), self.word(b));
                if let Some(cc) = self.known_words(a, b) {
                    return cc;
                }
                if self.constant(a).is_some() {
                    return self.compare_words(Cc::G, b, a);
                }
                return self.compare_words(Cc::L, a, b);
            }
            _ => Cc::L,
        };
        if self.constant(b) == Some(0) && matches!(cc, Cc::E | Cc::NE) && self.loc(a) == Loc::Deferred {
            let true_where = self.condition(a);
            return if cc == Cc::NE { true_where } else { true_where.not() };
        }
        if matches!(op, Binary::Eq | Binary::Ne | Binary::Ltu)
            && self.is_word(a)
            && self.is_word(b)
            && self.constant(a).is_none()
            && self.constant(b) != Some(0)
            && (self.is_in_register(a) || self.wants_flags(false, a, b))
        {
            return self.compare_words(cc, a, b);
        }
        if self.constant(a).is_some() && self.constant(b).is_none() {
            return self.compare_ordered(exchanged(cc), b, a);
        }
        self.compare_ordered(cc, a, b)
    }

    fn is_in_register(&self, value: Ref) -> bool {
        match self.loc(value) {
            Loc::Reg(_) | Loc::Both(..) => true,
            Loc::Slot(slot) => self.places.of(slot) != crate::places::Place::Memory,
            _ => false,
        }
    }

    /// A word, without an extension that waits.
    fn word(&self, value: Ref) -> Ref {
        match (self.loc(value), self.unit.nodes.get(value.0 as usize)) {
            (Loc::Deferred, Some(&Node::Unary(Unary::Sext32 | Unary::Zext32, word))) => word,
            _ => value,
        }
    }

    /// A right operand of which only the low half counts.
    pub(super) fn low_half(&mut self, value: Ref) -> Op {
        match self.constant(value) {
            Some(number) => Op::Imm(number as i32),
            None => self.op(value),
        }
    }

    fn compare_ordered(&mut self, cc: Cc, a: Ref, b: Ref) -> Cc {
        let y = self.op(b);
        match (self.op(a), y) {
            (Op::Home(disp), Op::Imm(imm)) => self.sink.hot.cmp_home(disp, Op::Imm(imm)),
            (Op::Home(disp), Op::Reg(y)) => self.sink.hot.cmp_home(disp, Op::Reg(y)),
            (Op::Reg(x), Op::Imm(0)) if matches!(cc, Cc::E | Cc::NE | Cc::L | Cc::GE | Cc::G | Cc::LE) => {
                self.sink.hot.test(Q, x, Op::Reg(x));
            }
            (Op::Reg(x), y) => self.sink.hot.cmp(Q, x, y),
            _ => {
                let x = self.reg(a);
                self.sink.hot.cmp(Q, x, y);
            }
        }
        self.note_wide(a, b);
        cc
    }

    /// Makes flags of a value, and gives the condition under which it is not zero.
    pub(super) fn condition(&mut self, value: Ref) -> Cc {
        if self.loc(value) == Loc::Deferred
            && let Some(&Node::Binary(op, a, b)) = self.unit.nodes.get(value.0 as usize)
        {
            if op == Binary::Shr {
                // See `is_sign`.
                let word = self.word(a);
                let x = self.reg(word);
                self.sink.hot.test(D, x, Op::Reg(x));
                return Cc::S;
            }
            if op != Binary::And {
                return self.compare(op, a, b);
            }
            let y = match self.op(b) {
                Op::Home(_) => Op::Reg(self.reg(b)),
                y => y,
            };
            let x = self.reg(a);
            self.sink.hot.test(Q, x, y);
            return Cc::NE;
        }
        if self.loc(value) == Loc::Deferred {
            debug_assert!(false, "v{} waits for a user that can not make it", value.0);
            self.too_complex = true;
            return Cc::NE;
        }
        match self.op(value) {
            Op::Home(disp) => self.sink.hot.cmp_home(disp, Op::Imm(0)),
            _ => {
                let x = self.reg(value);
                self.sink.hot.test(Q, x, Op::Reg(x));
            }
        }
        Cc::NE
    }

    pub(super) fn select(&mut self, cond: Ref, yes: Ref, no: Ref) {
        let d = self.select_into(cond, yes);
        self.move_to(d, no);
        // Moving an address or a waiting comparison changes flags: before the condition.
        if matches!(self.loc(yes), Loc::Deferred | Loc::Page(_)) {
            let r = self.scratch();
            self.move_to(r, yes);
            let cc = self.condition_in_frame(cond);
            self.sink.hot.cmov(cc, d, r);
            self.defined(d);
            return;
        }
        let cc = self.condition_in_frame(cond);
        let held = self.flags_hold();
        match self.op(yes) {
            Op::Reg(yes) => self.sink.hot.cmov(cc, d, yes),
            from => {
                // The condition's own temporary is no longer needed.
                let r = if self.obtainable() > 0 { self.scratch() } else { self.too_many() };
                self.sink.hot.mov(r, from);
                self.sink.hot.cmov(cc, d, r);
            }
        }
        self.flags_stay(held);
        self.defined(d);
    }

    /// A register for what is selected: that of the slot which it is written to, unless the condition or the first value are
    /// still read from there when the second is in it.
    fn select_into(&mut self, cond: Ref, yes: Ref) -> u8 {
        match self.hint() {
            Some(slot) if !self.reads(cond, slot) && !self.reads(yes, slot) => self.define(),
            _ => self.scratch(),
        }
    }

    /// Whether making a value reads a slot.
    fn reads(&self, value: Ref, slot: u16) -> bool {
        match self.loc(value) {
            Loc::Slot(at) | Loc::Both(_, at) => at == slot,
            Loc::Deferred => {
                let mut found = false;
                if let Some(node) = self.unit.nodes.get(value.0 as usize) {
                    node.operands(|operand| found |= self.reads(operand, slot));
                }
                found
            }
            _ => false,
        }
    }

    /// A condition, after which its operands' temporaries may be used again.
    fn condition_in_frame(&mut self, cond: Ref) -> Cc {
        let before = self.locked;
        let cc = self.condition(cond);
        self.locked = before;
        cc
    }

    fn too_many(&mut self) -> u8 {
        self.too_complex = true;
        0
    }
}
