//! Records instruction meanings as a block.
//!
//! While it records, it folds constants, and it knows what each slot holds: reading a slot that the block has read or
//! written gives the same value again, without a node.

use std::cell::{Cell, RefCell};

use cpu_core::{Binary, FloatFormat, FloatOp, Flow, Next, Rmw, Rounding, Semantics, Unary, Width};

use crate::Isa;
use crate::ir::{Block, Node, Ref, Slot};

mod conditions;

use conditions::Assumed;

/// The recorded instruction has ended the block with an exception.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Ended(());

/// Slots that [`Lifter::choose`] may choose values for.
const CHOICES: usize = 2;

/// Where control goes from the end of what was recorded.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub struct Ways {
    /// Where the last instruction jumps to if it does.
    pub taken: Option<i32>,
    /// Behind it, if control may go there.
    pub behind: Option<i32>,
}

/// Records for instruction set `I`.
pub struct Lifter<I: Isa> {
    isa: I,
    nodes: RefCell<Vec<Node>>,
    calls: RefCell<Vec<I::Call>>,
    /// What each slot is known to hold, by number.
    slots: RefCell<Vec<Option<Ref>>>,
    /// What the instruction writes, where that is not recorded as it comes.
    writes: RefCell<Option<Vec<(Slot, Ref)>>>,
    under_condition: Cell<bool>,
    instructions: Cell<u32>,
    offset: Cell<i32>,
    /// Offset behind the instruction that is recorded.
    end: Cell<i32>,
}

/// Memory that recorders use one after another.
#[derive(Default)]
pub struct Space {
    nodes: Vec<Node>,
    slots: Vec<Option<Ref>>,
}

impl Space {
    /// Takes back what a block was recorded in.
    pub fn reclaim<C>(&mut self, block: Block<C>) {
        self.nodes = block.nodes;
        self.nodes.clear();
    }
}

impl<I: Isa> Lifter<I> {
    /// An empty block.
    pub fn new(isa: I) -> Lifter<I> {
        Self::within(isa, &mut Space::default())
    }

    /// The same in memory that was used before.
    pub fn within(isa: I, space: &mut Space) -> Lifter<I> {
        let mut slots = std::mem::take(&mut space.slots);
        slots.clear();
        Lifter {
            isa,
            nodes: RefCell::new(std::mem::take(&mut space.nodes)),
            calls: RefCell::new(Vec::new()),
            slots: RefCell::new(slots),
            writes: RefCell::new(None),
            under_condition: Cell::new(false),
            instructions: Cell::new(0),
            offset: Cell::new(0),
            end: Cell::new(0),
        }
    }

    /// What the ISA gave.
    pub fn isa(&self) -> &I {
        &self.isa
    }

    /// Instructions recorded so far.
    pub fn instructions(&self) -> u32 {
        self.instructions.get()
    }

    /// The instructions that follow are recorded as the next one, of `len` bytes.
    pub fn start(&self, len: u32) {
        let index = self.instructions.get();
        self.instructions.set(index + 1);
        self.offset.set(self.end.get());
        self.push(Node::Start { index, offset: self.offset.get() });
        self.end.set(self.end.get() + len as i32);
    }

    /// Where control goes from what is recorded, as offsets from the first instruction: to where the last one jumps if it does,
    /// and behind it. Neither where that is not known.
    pub fn ways(&self) -> Ways {
        let target = |by: i64| i32::try_from(self.offset.get() as i64 + by).ok();
        match self.nodes.borrow().last() {
            Some(Node::BranchIf(_, by)) => Ways { taken: target(*by), behind: Some(self.end.get()) },
            Some(Node::JumpBy(by)) => Ways { taken: target(*by), behind: None },
            Some(node) if node.ends() => Ways { taken: None, behind: None },
            _ => Ways { taken: None, behind: Some(self.end.get()) },
        }
    }

    /// The next instruction is the one at the offset that [`Lifter::ways`] gave: what jumped leaves the block where control goes
    /// the other way.
    pub fn follow(&self, taken: bool) {
        let last = self.nodes.borrow_mut().pop_if(|node| node.ends());
        let target = |by: i64| self.offset.get() + by as i32;
        match last {
            Some(Node::BranchIf(cond, by)) if taken => {
                let not = self.binary(Binary::Eq, cond, self.imm(0));
                self.exit_if(not, (self.end.get() - self.offset.get()) as i64);
                self.end.set(target(by));
            }
            Some(Node::BranchIf(cond, by)) => self.exit_if(cond, by),
            Some(Node::JumpBy(by)) => self.end.set(target(by)),
            Some(node) => {
                debug_assert!(false, "{node:?} can not be followed");
                self.push(node);
            }
            None => {}
        }
    }

    /// Where the block ends with a short jump forward: records what `body` does as chosen or not, without a jump, and goes on where the
    /// two ways meet, at offset `join`. False, with nothing changed, if `body` does more than compute and write few slots.
    pub fn choose(&self, join: i32, body: impl FnOnce() -> bool) -> bool {
        let Some(Node::BranchIf(cond, by)) = self.nodes.borrow_mut().pop_if(|node| node.ends()) else {
            return false;
        };
        let (nodes, calls) = (self.nodes.borrow().len(), self.calls.borrow().len());
        let slots = self.slots.borrow().clone();
        let (instructions, offset, end) = (self.instructions.get(), self.offset.get(), self.end.get());
        self.writes.replace(Some(Vec::new()));
        let whole = body() && self.end.get() == join;
        // None is left where a part under a condition was recorded inside.
        let writes = self.writes.take();
        let computes = |node: &Node| !node.has_effect() || matches!(node, Node::Start { .. });
        let plain = self.nodes.borrow().iter().skip(nodes).all(computes);
        let Some(writes) = writes.filter(|writes| whole && plain && writes.len() <= CHOICES) else {
            self.nodes.borrow_mut().truncate(nodes);
            self.calls.borrow_mut().truncate(calls);
            self.slots.replace(slots);
            self.instructions.set(instructions);
            self.offset.set(offset);
            self.end.set(end);
            self.push(Node::BranchIf(cond, by));
            return false;
        };
        for (slot, value) in writes {
            let old = self.get(slot);
            self.set(slot, self.select(cond, old, value));
        }
        // Made once more, for a flag has one user.
        let again = self.node(cond).filter(|node| matches!(node, Node::Binary(..)));
        let again = again.map_or(cond, |node| self.push(node));
        self.push(Node::Skip(again, self.instructions.get() - instructions));
        true
    }

    /// The offset of the address that a value is. Instructions have even ones, and nothing above 32 bits where registers have not.
    fn address_of(&self, value: Ref) -> Option<i32> {
        let narrow = if I::WORDS > 0 { 0xffff_ffff << 32 } else { 0 };
        match self.node(value)? {
            Node::Address(offset) => Some(offset),
            Node::Unary(Unary::Zext32 | Unary::Sext32, inner) if narrow != 0 => self.address_of(inner),
            Node::Binary(Binary::And, inner, mask) if self.constant(mask)? | narrow == !1 => {
                self.address_of(inner)
            }
            _ => None,
        }
    }

    /// The block.
    pub fn finish(self) -> Block<I::Call> {
        self.finish_within(&mut Space::default())
    }

    /// The same; what is not part of the block goes back.
    pub fn finish_within(self, space: &mut Space) -> Block<I::Call> {
        space.slots = self.slots.into_inner();
        Block {
            nodes: self.nodes.into_inner(),
            calls: self.calls.into_inner(),
            instructions: self.instructions.get(),
            behind: self.end.get(),
            clear: I::CLEAR,
        }
    }

    fn push(&self, node: Node) -> Ref {
        let mut nodes = self.nodes.borrow_mut();
        nodes.push(node);
        Ref(nodes.len() as u32 - 1)
    }

    pub(crate) fn look<R>(&self, f: impl FnOnce(&[Node]) -> R) -> R {
        f(&self.nodes.borrow())
    }

    pub(crate) fn constant(&self, value: Ref) -> Option<u64> {
        match self.nodes.borrow().get(value.0 as usize) {
            Some(Node::Const(value)) => Some(*value),
            _ => None,
        }
    }

    pub(crate) fn node(&self, value: Ref) -> Option<Node> {
        self.nodes.borrow().get(value.0 as usize).copied()
    }

    /// Bits that an `or` with a constant has set in a value.
    fn ones(&self, value: Ref) -> u64 {
        match self.node(value) {
            Some(Node::Binary(Binary::Or, _, ones)) => self.constant(ones).unwrap_or(0),
            _ => 0,
        }
    }

    /// Where the two are the parts of a word that was rotated right: the word, by how much, and whether the sum is sign-extended or
    /// zero-extended, as its high part is.
    fn rotation(&self, a: Ref, b: Ref) -> Option<(Ref, u64, Unary)> {
        let parts = |high: Ref, low: Ref| {
            let Some(Node::Unary(extends @ (Unary::Sext32 | Unary::Zext32), left)) = self.node(high) else {
                return None;
            };
            let left = match self.node(left) {
                // As it is in a slot for words.
                Some(Node::Unary(Unary::Zext32, left)) => left,
                _ => left,
            };
            let Some(Node::Binary(Binary::Shl, word, left)) = self.node(left) else { return None };
            let Some(Node::Binary(Binary::Shr, right, by)) = self.node(low) else { return None };
            let same = match self.node(right) {
                Some(Node::Unary(Unary::Zext32, right)) => right == word,
                _ => right == word && self.is_word(word),
            };
            let (left, by) = (self.constant(left)?, self.constant(by)?);
            (same && (1..32).contains(&by) && left == 32 - by).then_some((word, by, extends))
        };
        parts(a, b).or_else(|| parts(b, a))
    }

    /// Records what `body` does as happening only where `cond` is not zero. `body` must not end the block; it is called again
    /// where it does more than make values and write slots.
    pub fn only_if<R>(&self, cond: Ref, body: impl Fn() -> R) -> Option<R> {
        match self.constant(cond) {
            Some(0) => return None,
            Some(_) => {
                self.under_condition.set(true);
                let result = body();
                self.under_condition.set(false);
                return Some(result);
            }
            None => {}
        }
        let assumed = self.assume(cond);
        let result = self.record_under(cond, &assumed, body);
        self.assume_no_more(&assumed);
        result
    }

    fn record_under<R>(&self, cond: Ref, assumed: &[Assumed], body: impl Fn() -> R) -> Option<R> {
        let before = self.slots.borrow().clone();
        let (start, calls) = (self.nodes.borrow().len(), self.calls.borrow().len());
        self.under_condition.set(true);
        self.writes.replace(Some(Vec::new()));
        let mut result = body();
        let writes = self.writes.take().unwrap_or_default();
        let effects = self.nodes.borrow()[start..].iter().any(Node::has_effect);
        if let ([(slot, value)], false) = (&writes[..], effects) {
            // What is cheap to choose needs no jump.
            self.under_condition.set(false);
            self.assume_no_more(assumed);
            let old = self.get(*slot);
            let old = self.chosen(cond, old).map_or(old, |(_, otherwise)| otherwise);
            self.set(*slot, self.select(cond, *value, old));
            return Some(result);
        }
        if effects {
            self.nodes.borrow_mut().truncate(start);
            self.calls.borrow_mut().truncate(calls);
            self.slots.borrow_mut().clone_from(&before);
            self.push(Node::If(cond));
            result = body();
        } else {
            self.push(Node::If(cond));
            writes.into_iter().for_each(|(slot, value)| self.set(slot, value));
        }
        self.push(Node::EndIf);
        self.under_condition.set(false);
        // Values from inside are none behind it.
        for (slot, value) in self.slots.borrow_mut().iter_mut().enumerate() {
            *value = value.filter(|value| before.get(slot) == Some(&Some(*value)));
        }
        Some(result)
    }

    /// Writes a number to a slot at the end of the block, before control goes on; not where its last instruction stops or calls.
    pub fn set_before_end(&self, slot: Slot, value: u64) {
        let last = self.nodes.borrow_mut().pop_if(|node| node.ends());
        if !matches!(last, Some(Node::Leave(..) | Node::Raise(..))) {
            self.set(slot, self.imm(value));
        }
        if let Some(last) = last {
            self.push(last);
        }
    }

    /// Leaves the block for `offset` from this instruction where `cond` is not zero.
    pub fn exit_if(&self, cond: Ref, offset: i64) {
        if self.constant(cond) != Some(0) {
            self.push(Node::ExitIf(cond, offset));
        }
    }

    /// Reads a slot.
    pub fn get(&self, slot: Slot) -> Ref {
        if let Some(writes) = &*self.writes.borrow()
            && let Some((_, value)) = writes.iter().rev().find(|(written, _)| *written == slot)
        {
            return *value;
        }
        if let Some(Some(value)) = self.slots.borrow().get(slot.0 as usize) {
            return *value;
        }
        let value = self.push(Node::Get(slot));
        self.know(slot, value);
        value
    }

    fn know(&self, slot: Slot, value: Ref) {
        let mut slots = self.slots.borrow_mut();
        let place = slot.0 as usize;
        if place >= slots.len() {
            slots.resize(place + 1, None);
        }
        slots[place] = Some(value);
    }

    /// Writes a slot.
    pub fn set(&self, slot: Slot, value: Ref) {
        if let Some(writes) = &mut *self.writes.borrow_mut() {
            writes.retain(|(written, _)| *written != slot);
            writes.push((slot, value));
            return;
        }
        let known = self.slots.borrow().get(slot.0 as usize).copied().flatten();
        if let Some(known) = known
            && (known == value
                || (self.constant(known).is_some() && self.constant(known) == self.constant(value)))
        {
            return;
        }
        self.push(Node::Set(slot, value));
        self.know(slot, value);
    }

    fn add_call(&self, call: I::Call) -> u32 {
        let mut calls = self.calls.borrow_mut();
        calls.push(call);
        calls.len() as u32 - 1
    }

    /// Records an operation of the ISA, which may stop, and after which no slot is known.
    pub fn call(&self, call: I::Call, args: [Ref; 2]) -> Ref {
        let number = self.add_call(call);
        let value = self.push(Node::Call(number, args));
        self.slots.borrow_mut().clear();
        value
    }

    /// Records an operation of the ISA that decides where control goes.
    pub fn leave(&self, call: I::Call, args: [Ref; 2]) -> Flow<Self> {
        let number = self.add_call(call);
        self.push(Node::Leave(number, args));
        Ok(Next::Leave)
    }
}

impl<I: Isa> Semantics for Lifter<I> {
    type Value = Ref;
    type Stop = Ended;

    fn imm(&self, value: u64) -> Ref {
        self.push(Node::Const(value))
    }

    fn binary(&self, op: Binary, a: Ref, b: Ref) -> Ref {
        match (op, self.constant(a), self.constant(b)) {
            (_, Some(a), Some(b)) => self.imm(op.eval(a, b)),
            (Binary::Add | Binary::Sub | Binary::Or | Binary::Xor | Binary::Shl, _, Some(0)) => a,
            (Binary::Shr | Binary::Sar | Binary::Ror, _, Some(0)) => a,
            (Binary::Or | Binary::Xor | Binary::Add, None, None)
                if let Some((word, by, extends)) = self.rotation(a, b) =>
            {
                let by = self.imm(by);
                let rotated = self.push(Node::Binary(Binary::Ror32, word, by));
                self.unary(extends, rotated)
            }
            (Binary::Add | Binary::Or | Binary::Xor, Some(0), _) => b,
            (Binary::And, _, Some(u64::MAX)) | (Binary::Mul, _, Some(1)) => a,
            (Binary::And | Binary::Mul, _, Some(0)) => b,
            (Binary::Shr, _, Some(by)) if self.ones(a) >> (by & 63) == u64::MAX >> (by & 63) => {
                self.imm(u64::MAX >> (by & 63))
            }
            (Binary::And, _, Some(mask)) if self.ones(a) & mask == 0 && self.ones(a) != 0 => {
                let Some(Node::Binary(_, inner, _)) = self.node(a) else {
                    return self.push(Node::Binary(op, a, b));
                };
                self.binary(op, inner, b)
            }
            (Binary::And, _, Some(mask)) if mask >> 32 == 0 && self.unextended(a) != a => {
                self.binary(op, self.unextended(a), b)
            }
            (Binary::AddOverflows32 | Binary::SubOverflows32 | Binary::Ltu, _, Some(0)) => b,
            (Binary::Eq | Binary::Ne | Binary::Ltu, ..) if let Some((a, b)) = self.as_words(a, b) => {
                self.binary(op, a, b)
            }
            (Binary::Xor, None, None) if let Some((a, b)) = self.signed_less(a, b) => {
                let (a, b) = (self.unary(Unary::Sext32, a), self.unary(Unary::Sext32, b));
                self.binary(Binary::Lts, a, b)
            }
            (Binary::And, None, None)
                if let Some(value) = self.greater(a, b).or_else(|| self.greater(b, a)) =>
            {
                value
            }
            _ => self.push(Node::Binary(op, a, b)),
        }
    }

    fn unary(&self, op: Unary, a: Ref) -> Ref {
        if let Some(value) = self.constant(a) {
            return self.imm(op.eval(value));
        }
        if matches!(op, Unary::Zext32 | Unary::Sext32) {
            return self.extend(op, a).unwrap_or_else(|a| self.push(Node::Unary(op, a)));
        }
        let same =
            matches!(self.nodes.borrow().get(a.0 as usize), Some(Node::Unary(inner, _)) if *inner == op);
        // Extending twice is extending once.
        if same
            && !matches!(
                op,
                Unary::Not | Unary::Bswap | Unary::BitSwapBytes | Unary::Clz | Unary::Ctz | Unary::Popcount
            )
        {
            return a;
        }
        self.push(Node::Unary(op, a))
    }

    fn select(&self, cond: Ref, yes: Ref, no: Ref) -> Ref {
        match self.constant(cond) {
            Some(0) => no,
            Some(_) => yes,
            None if yes == no => yes,
            None => self.push(Node::Select(cond, yes, no)),
        }
    }

    fn pure(&self, f: fn(u64, u64) -> u64, a: Ref, b: Ref) -> Ref {
        self.push(Node::Pure(f, a, b))
    }

    fn float(&self, op: FloatOp, format: FloatFormat, rounding: Rounding, args: [Ref; 3]) -> Ref {
        if let Some(flags) = I::FLOAT_FLAGS
            && let Some(known) = self.slots.borrow_mut().get_mut(flags.0 as usize)
        {
            *known = None;
        }
        self.push(Node::Float(op, format, self.isa.rounding(rounding), args))
    }

    fn pc(&self) -> Ref {
        let offset = self.offset.get();
        // Made once an instruction.
        let made = self.look(|nodes| {
            let mut back = nodes.iter().enumerate().rev();
            let parts = |node: &Node| matches!(node, Node::Start { .. } | Node::If(_) | Node::EndIf);
            back.by_ref()
                .take_while(|(_, node)| !parts(node))
                .find(|(_, node)| matches!(node, Node::Address(made) if *made == offset))
                .map(|(at, _)| Ref(at as u32))
        });
        made.unwrap_or_else(|| self.push(Node::Address(offset)))
    }

    fn next_pc(&self) -> Ref {
        self.push(Node::Address(self.end.get()))
    }

    fn jump(&self, target: Ref) -> Flow<Self> {
        // A return to where the block itself called.
        if let Some(to) = self.address_of(target) {
            return self.jump_by((to - self.offset.get()) as i64);
        }
        self.push(Node::Jump(target));
        Ok(Next::Jump)
    }

    fn jump_by(&self, offset: i64) -> Flow<Self> {
        self.push(Node::JumpBy(offset));
        Ok(Next::Jump)
    }

    fn branch_if(&self, cond: Ref, offset: i64) -> Flow<Self> {
        match self.constant(cond) {
            Some(0) => Ok(Next::Fall),
            Some(_) => self.jump_by(offset),
            None => {
                self.push(Node::BranchIf(cond, offset));
                Ok(Next::Jump)
            }
        }
    }

    fn raise(&self, cause: u64, value: Ref) -> Ended {
        if self.under_condition.get() {
            // The block goes on behind it.
            let always = self.imm(1);
            self.push(Node::RaiseIf(cause, always, value));
        } else {
            self.push(Node::Raise(cause, value));
        }
        Ended(())
    }

    fn raise_if(&self, cond: Ref, cause: u64, value: Ref) -> Result<(), Ended> {
        match self.constant(cond) {
            Some(0) => {}
            Some(_) => return Err(self.raise(cause, value)),
            None => {
                self.push(Node::RaiseIf(cause, cond, value));
            }
        }
        Ok(())
    }

    fn load(&self, addr: Ref, width: Width, signed: bool) -> Result<Ref, Ended> {
        Ok(self.push(Node::Load { addr, width, signed }))
    }

    fn store(&self, addr: Ref, width: Width, value: Ref) -> Result<(), Ended> {
        let value = if width == Width::B8 { value } else { self.unextended(value) };
        self.push(Node::Store { addr, width, value });
        Ok(())
    }

    fn rmw(&self, op: Rmw, addr: Ref, width: Width, value: Ref) -> Result<Ref, Ended> {
        Ok(self.push(Node::Rmw { op, addr, width, value }))
    }

    fn compare_exchange(&self, addr: Ref, width: Width, expected: Ref, new: Ref) -> Result<Ref, Ended> {
        Ok(self.push(Node::CompareExchange(width, [addr, expected, new])))
    }
}

#[cfg(test)]
mod tests;
