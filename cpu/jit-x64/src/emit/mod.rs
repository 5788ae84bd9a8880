//! From a block's nodes to host code, in one pass forward.
//!
//! A value has no register of its own. It is where it came from (a slot, a constant) as long as that is true, and in a
//! temporary only between its making and its use; once it is written to a slot, the slot is where it is. What is
//! overwritten while it is still needed moves away first. Comparisons and narrow sums wait for whoever uses them.

mod chase;
mod conditional;
mod control;
mod flags;
mod float;
mod integer;
mod loops;
mod memory;
mod values;

use cpu_core::{Binary, Unary};
use cpu_jit::ir::{Node, Ref};
use cpu_jit::site::Site;
use cpu_jit::{Layout, Unit};

use crate::asm::Op;
use crate::places::{self, Place, Places};
use crate::sink::{At, Cc, Sink};
use crate::trampoline::Trampolines;

/// Where a value is.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Loc {
    /// Not made yet, or used up.
    None,
    /// A number.
    Const(u64),
    /// At this distance from the start of the page that runs.
    Page(i64),
    /// What the slot holds.
    Slot(u16),
    /// A temporary.
    Reg(u8),
    /// A temporary, and the slot.
    Both(u8, u16),
    /// A vector temporary.
    X(u8),
    /// A spilled value's place.
    Spill(u8),
    /// Made where it is used.
    Deferred,
}

/// What a temporary holds.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Owner {
    Free,
    Node(u32),
    /// Until the end of the node.
    Scratch,
}

/// Space that emitting uses again and again.
#[derive(Default)]
pub struct Scratch {
    last: Vec<u32>,
    user: Vec<u32>,
    loc: Vec<Loc>,
    aliases: Vec<u32>,
    spilled: Vec<u32>,
    groups: Vec<memory::Group>,
    group_of: Vec<u16>,
}

/// The state of emitting one block.
pub struct Emitter<'a> {
    sink: &'a mut Sink,
    places: &'a Places,
    shared: &'a Trampolines,
    base: u64,
    unit: &'a Unit<'a>,
    scratch: &'a mut Scratch,
    temps: [Owner; 3],
    xtemps: [Owner; 4],
    locked: u8,
    xlocked: u8,
    spills: u64,
    /// Spill places that are not given out although their values are elsewhere: see `conditional`.
    reserved: u64,
    part: Option<conditional::Part>,
    /// The node that is emitted, and the instruction it belongs to.
    at: u32,
    index: u32,
    offset: u32,
    ended: bool,
    too_complex: bool,
    flags: Option<flags::Made>,
    /// Accesses of a loop that keep their page, and where the loop begins.
    kept: Vec<loops::Kept>,
    head: At,
    /// Jumps to other blocks: offset in the page, number of the fixup.
    pub links: Vec<(u32, usize)>,
}

impl<'a> Emitter<'a> {
    /// For a block; `base` is where the shared code is.
    pub fn new(
        sink: &'a mut Sink,
        places: &'a Places,
        shared: &'a Trampolines,
        base: u64,
        unit: &'a Unit<'a>,
        scratch: &'a mut Scratch,
    ) -> Self {
        Emitter {
            sink,
            places,
            shared,
            base,
            unit,
            scratch,
            temps: [Owner::Free; 3],
            xtemps: [Owner::Free; 4],
            locked: 0,
            xlocked: 0,
            spills: 0,
            reserved: 0,
            part: None,
            at: 0,
            index: 0,
            offset: unit.offset,
            ended: false,
            too_complex: false,
            flags: None,
            kept: Vec::new(),
            head: At::Hot(0),
            links: Vec::new(),
        }
    }

    /// Emits all of it; false if it needs more than there is.
    pub fn run(&mut self) -> bool {
        self.plan();
        self.plan_loop();
        self.head();
        let nodes = self.unit.nodes;
        for (at, node) in nodes.iter().enumerate() {
            self.at = at as u32;
            if self.ended {
                // Only a part under a condition was left.
                if !matches!(node, Node::EndIf) {
                    continue;
                }
                self.ended = false;
            }
            self.node(node);
            self.end_of_node();
            if self.ended && self.part.is_none() {
                break;
            }
        }
        if !self.ended {
            self.go_to(self.unit.behind);
        }
        !self.too_complex
    }

    /// Finds which nodes wait for their user, and how long each value is needed.
    fn plan(&mut self) {
        let nodes = self.unit.nodes;
        let (flat, words) = (self.unit.flat, self.places.layout.words);
        let layout = &self.places.layout;
        let Scratch { last, user, loc, aliases, spilled, groups, group_of } = &mut *self.scratch;
        aliases.clear();
        spilled.clear();
        last.clear();
        last.resize(nodes.len(), 0);
        // The only user of each node, or NONE, or MANY.
        const NONE: u32 = u32::MAX;
        const MANY: u32 = u32::MAX - 1;
        user.clear();
        user.resize(nodes.len(), NONE);
        for (at, node) in nodes.iter().enumerate() {
            node.operands(|Ref(operand)| {
                let user = &mut user[operand as usize];
                *user = if *user == NONE { at as u32 } else { MANY };
            });
        }
        loc.clear();
        loc.resize(nodes.len(), Loc::None);
        for (at, node) in nodes.iter().enumerate() {
            let Some(only) = nodes.get(user[at] as usize) else { continue };
            // A word's shift takes it from where it is, which a narrow sum that waits for it is not.
            let deep = matches!(*node, Node::Unary(_, word) if loc[word.0 as usize] == Loc::Deferred);
            if !deep && defers(nodes, node, only, at as u32, layout)
                || flat && memory::defers_to_window(nodes, loc, node, only, at as u32, words)
            {
                loc[at] = Loc::Deferred;
            }
        }
        if flat {
            groups.clear();
            group_of.clear();
        } else {
            memory::group(nodes, loc, self.unit.mirror, groups, group_of);
        }
        for (at, node) in nodes.iter().enumerate().rev() {
            let when = if loc[at] == Loc::Deferred { last[at] } else { at as u32 };
            node.operands(|Ref(operand)| {
                let last = &mut last[operand as usize];
                *last = (*last).max(when);
            });
        }
    }

    fn node(&mut self, node: &Node) {
        let at = self.at;
        if self.scratch.loc[at as usize] == Loc::Deferred {
            return;
        }
        match *node {
            Node::Start { index, offset } => {
                self.index = index;
                self.offset = self.unit.offset.wrapping_add_signed(offset);
                self.sink.mark(index);
            }
            Node::Const(value) => self.scratch.loc[at as usize] = Loc::Const(value),
            Node::Address(offset) => {
                self.scratch.loc[at as usize] = Loc::Page(self.unit.offset as i64 + offset as i64);
            }
            Node::Get(slot) if slot == self.places.layout.float_flags => self.float_flags(),
            Node::Get(slot) => self.alias(at, slot.0),
            Node::Binary(op, a, b) => self.binary(op, a, b),
            Node::Unary(op, a) => self.unary(op, a),
            Node::Select(cond, yes, no) => self.select(cond, yes, no),
            Node::Pure(f, a, b) => self.call_pure(f, a, b),
            Node::Float(op, format, rounding, args) => self.float(op, format, rounding, args),
            Node::Set(slot, value) if slot == self.places.layout.float_flags => self.set_float_flags(value),
            Node::Set(slot, value) => self.set_slot(slot.0, value),
            Node::Load { addr, width, signed } => self.load(addr, width, signed),
            Node::Store { addr, width, value } => self.store(addr, width, value),
            Node::Rmw { op, addr, width, value } => {
                let code = width.bytes() | cpu_jit::helpers::rmw_code(op) << 8;
                self.call_helper(self.shared.rmw, code, [Some(addr), Some(value), None]);
            }
            Node::CompareExchange(width, args) => {
                self.call_helper(self.shared.compare_exchange, width.bytes(), args.map(Some));
            }
            Node::RaiseIf(_, cond, _) => {
                let cc = self.condition(cond);
                let stub = self.leave_stub();
                self.sink.jcc(cc, stub);
            }
            Node::Call(call, [a, b]) => match self.unit.calls.get(call as usize).copied().flatten() {
                Some(number) => self.call_helper(self.shared.call, number, [Some(a), Some(b), None]),
                None => self.leave(),
            },
            Node::If(cond) => self.begin_if(cond),
            Node::EndIf => self.end_if(),
            Node::ExitIf(cond, by) => self.exit_if(cond, self.offset as i64 + by),
            Node::Skip(cond, count) => self.skip(cond, count),
            Node::Raise(..) | Node::Leave(..) => self.leave(),
            Node::Jump(target) => self.jump(target),
            Node::JumpBy(by) => self.jump_by(self.offset as i64 + by),
            Node::BranchIf(cond, by) => {
                let cc = self.condition(cond);
                self.branch(cc, self.offset as i64 + by);
            }
        }
    }

    /// The instruction that is emitted.
    fn site(&self, sole: bool) -> Site {
        Site { offset: self.offset, left: self.unit.instructions - self.index, sole }
    }

    /// What comes before this node in the instruction that is emitted, with its place; the last first.
    fn own_nodes(&self) -> impl Iterator<Item = (usize, &Node)> {
        let before = self.unit.nodes.iter().enumerate().take(self.at as usize).rev();
        before.take_while(|(_, node)| !matches!(node, Node::Start { .. }))
    }

    /// The number that names the instruction that is emitted.
    fn here(&self) -> u32 {
        self.site(false).number()
    }

    fn fixed(&self, offset: usize) -> At {
        At::Fixed(self.base + offset as u64)
    }

    /// Code in the cold part that leaves this instruction to the interpreter.
    fn leave_stub(&mut self) -> At {
        let stub = self.sink.here_cold();
        self.sink.cold.set(crate::asm::reg::RAX, self.here() as u64);
        self.sink.jmp_cold(self.fixed(self.shared.interpret));
        stub
    }

    /// Leaves this instruction to the interpreter.
    fn leave(&mut self) {
        self.sink.hot.set(crate::asm::reg::RAX, self.here() as u64);
        self.sink.jmp(self.fixed(self.shared.interpret));
        self.ended = true;
    }

    fn set_slot(&mut self, slot: u16, value: Ref) {
        let at = value.0 as usize;
        if self.scratch.loc[at] == Loc::Slot(slot) {
            return;
        }
        let kept = self.flags_hold();
        self.evacuate(slot, Some(value.0));
        let home = places::home(slot);
        if self.places.of(slot) == Place::Memory && self.scratch.loc[at] == Loc::Deferred {
            self.flags_stay(kept);
            let cc = self.condition(value);
            let kept = self.flags_hold();
            self.sink.hot.setcc_home(cc, home);
            self.flags_stay(kept);
            return;
        }
        let kept = kept && !matches!(self.scratch.loc[at], Loc::Deferred | Loc::Page(_));
        match self.places.of(slot) {
            Place::Reg(r) => {
                self.move_to(r, value);
                self.becomes_slot(value.0, slot);
            }
            Place::X(x) => {
                self.move_to_x(x, value);
                self.becomes_slot(value.0, slot);
            }
            Place::Memory => match self.scratch.loc[at] {
                Loc::Const(number) if i32::try_from(number as i64).is_ok() => {
                    self.sink.hot.mov_home(home, Op::Imm(number as i32));
                }
                Loc::X(x) => self.sink.hot.store_x_home(home, x),
                Loc::Slot(other) if matches!(self.places.of(other), Place::X(_)) => {
                    if let Place::X(x) = self.places.of(other) {
                        self.sink.hot.store_x_home(home, x);
                    }
                }
                _ => {
                    let r = self.reg(value);
                    self.sink.hot.mov_home(home, Op::Reg(r));
                    if self.scratch.loc[at] == Loc::Reg(r) {
                        self.scratch.loc[at] = Loc::Both(r, slot);
                        self.scratch.aliases.push(value.0);
                    }
                }
            },
        }
        self.flags_stay(kept);
    }
}

/// Whether `node` is better made by its only user.
fn defers(nodes: &[Node], node: &Node, user: &Node, at: u32, layout: &Layout) -> bool {
    use cpu_core::Binary::*;
    let constant = |r: Ref| match nodes.get(r.0 as usize) {
        Some(Node::Const(value)) => Some(*value),
        _ => None,
    };
    if let Node::Unary(Unary::Sext32, _) = node {
        // A comparison of words.
        return matches!(*user, Node::Binary(Lts, a, b) if a != b && integer::are_words(nodes, a, b));
    }
    if let Node::Unary(Unary::Zext32, _) = node {
        // A shift of a word.
        return matches!(*user, Node::Binary(Shr, word, by) if word.0 == at && constant(by).is_some_and(|by| by < 32));
    }
    let Node::Binary(op, _, b) = *node else { return false };
    match *user {
        Node::BranchIf(cond, _)
        | Node::RaiseIf(_, cond, _)
        | Node::If(cond)
        | Node::ExitIf(cond, _)
        | Node::Skip(cond, _)
            if cond.0 == at =>
        {
            is_condition(op) || integer::is_sign(nodes, node, layout.words)
        }
        Node::Select(cond, yes, no) if cond.0 == at && yes.0 != at && no.0 != at => {
            is_condition(op) || integer::is_sign(nodes, node, layout.words)
        }
        // A jump makes its address even itself.
        Node::Jump(_) => {
            let even = if layout.address_bits == 32 { 0xffff_ffff } else { u64::MAX };
            op == And && constant(b).is_some_and(|mask| mask & even == even - 1)
        }
        // The opposite of a comparison; and bits that are compared with zero.
        Node::Binary(Eq | Ne, x, zero) if x.0 == at && constant(zero) == Some(0) => {
            is_condition(op) || integer::is_sign(nodes, node, layout.words)
        }
        Node::Unary(Unary::Sext32 | Unary::Zext32, _) => match op {
            Add | Sub | Mul => true,
            Shl => constant(b).is_some_and(|amount| amount < 32),
            _ => false,
        },
        // A flag goes to its slot without a register.
        Node::Set(slot, value) if value.0 == at && layout.bits.contains(&slot) => {
            matches!(op, Eq | Ne | Ltu | Lts | AddOverflows32 | SubOverflows32)
        }
        Node::Float(..) => float::defers(nodes, node, user, at, layout.float_rules),
        Node::Load { addr, .. } if addr.0 == at => memory::defers(nodes, node),
        Node::Store { addr, value, .. } if addr.0 == at && value.0 != at => memory::defers(nodes, node),
        // A sum adds a multiple of a register.
        Node::Binary(Add, x, y) if op == Shl && x != y && matches!(constant(b), Some(1..=3)) => {
            let other = if x.0 == at { y } else { x };
            constant(other).is_none()
                && !matches!(nodes.get(other.0 as usize), Some(Node::Binary(Shl, ..) | Node::Address(_)))
        }
        // Shifts take their amount modulo their width themselves.
        Node::Binary(Shl | Shr | Sar | Ror, x, amount) if amount.0 == at && x.0 != at => {
            op == And && constant(b) == Some(63)
        }
        Node::Binary(Ror32, x, amount) if amount.0 == at && x.0 != at => op == And && constant(b) == Some(31),
        _ => false,
    }
}

/// Whether an operation can be left in the host's flags.
fn is_condition(op: Binary) -> bool {
    use Binary::*;
    matches!(op, Eq | Ne | Ltu | Lts | AddOverflows32 | SubOverflows32 | And)
}

/// The condition that is true where the other is false, with its operands exchanged.
fn exchanged(cc: Cc) -> Cc {
    match cc {
        Cc::B => Cc::A,
        Cc::AE => Cc::BE,
        Cc::L => Cc::G,
        Cc::GE => Cc::LE,
        Cc::A => Cc::B,
        Cc::BE => Cc::AE,
        Cc::G => Cc::L,
        Cc::LE => Cc::GE,
        other => other,
    }
}
