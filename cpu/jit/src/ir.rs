//! Blocks of nodes.
//!
//! A block is a flat vector. A node's value is named by its index; operands come before their uses, so that one scan
//! forward evaluates and one scan backward finds lifetimes. Nodes with an effect happen in their order. The first
//! node of every instruction is [`Node::Start`]: what stops or leaves the block does so with the guest's state as it
//! is there, which makes traps precise.
//!
//! Inside an instruction, [`Node::If`] and [`Node::EndIf`] enclose what happens only under a condition. A value that is made
//! between the two is not used behind them.

use std::fmt;

use cpu_core::{Binary, FloatFormat, FloatOp, Rmw, Rounding, Unary, Width};

/// A node's value.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ref(pub u32);

/// A piece of guest state, numbered by the ISA.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Slot(pub u16);

/// One operation.
#[derive(Copy, Clone, Debug)]
pub enum Node {
    /// The instruction at this offset from the block's first begins. `index` counts instructions.
    Start {
        /// Number of the instruction in the block.
        index: u32,
        /// Bytes from the block's first instruction, which need not be the lowest.
        offset: i32,
    },
    /// A number.
    Const(u64),
    /// The address at an offset from the block's first instruction.
    Address(i32),
    /// Reads a slot.
    Get(Slot),
    /// `op(a, b)`.
    Binary(Binary, Ref, Ref),
    /// `op(a)`.
    Unary(Unary, Ref),
    /// The second where the first is not zero, else the third.
    Select(Ref, Ref, Ref),
    /// A host function without effect.
    Pure(fn(u64, u64) -> u64, Ref, Ref),
    /// A floating-point operation; reads the rounding mode if dynamic, adds to the flags.
    Float(FloatOp, FloatFormat, Rounding, [Ref; 3]),
    /// Writes a slot.
    Set(Slot, Ref),
    /// Reads memory; may stop.
    Load {
        /// Address.
        addr: Ref,
        /// Size.
        width: Width,
        /// Sign-extends.
        signed: bool,
    },
    /// Writes memory; may stop.
    Store {
        /// Address.
        addr: Ref,
        /// Size.
        width: Width,
        /// What.
        value: Ref,
    },
    /// Reads, changes and writes memory; gives what was there; may stop.
    Rmw {
        /// How.
        op: Rmw,
        /// Address.
        addr: Ref,
        /// Size.
        width: Width,
        /// Operand.
        value: Ref,
    },
    /// Compares and swaps; gives what was there; may stop. Operands: address, expected, new.
    CompareExchange(Width, [Ref; 3]),
    /// Stops with an exception where the condition is not zero. Operands: condition, value.
    RaiseIf(u64, Ref, Ref),
    /// Calls the ISA's operation of this number in [`Block::calls`]; gives its value; may stop. Slots may change.
    Call(u32, [Ref; 2]),
    /// What follows, up to [`Node::EndIf`], happens only where the value is not zero.
    If(Ref),
    /// Ends what [`Node::If`] began.
    EndIf,
    /// Continues at an offset from this instruction where the condition is not zero, else goes on.
    ExitIf(Ref, i64),
    /// Where the value is not zero, this many of the instructions before have not run: what they wrote was chosen so.
    Skip(Ref, u32),
    /// Stops with an exception. Ends the block.
    Raise(u64, Ref),
    /// Calls as [`Node::Call`]; the operation says where control goes. Ends the block.
    Leave(u32, [Ref; 2]),
    /// Continues at an address. Ends the block.
    Jump(Ref),
    /// Continues at an offset from this instruction. Ends the block.
    JumpBy(i64),
    /// Continues at an offset from this instruction where the condition is not zero, else behind it. Ends the block.
    BranchIf(Ref, i64),
}

impl Node {
    /// Whether nothing follows it.
    #[inline]
    pub fn ends(&self) -> bool {
        matches!(
            self,
            Node::Raise(..) | Node::Leave(..) | Node::Jump(_) | Node::JumpBy(_) | Node::BranchIf(..)
        )
    }

    /// Whether it does anything but give a value.
    #[inline]
    pub fn has_effect(&self) -> bool {
        !matches!(
            self,
            Node::Const(_)
                | Node::Address(_)
                | Node::Get(_)
                | Node::Binary(..)
                | Node::Unary(..)
                | Node::Select(..)
                | Node::Pure(..)
        )
    }

    /// Whether control may leave the block here with the guest's state observed.
    #[inline]
    pub fn may_stop(&self) -> bool {
        self.has_effect()
            && !matches!(self, Node::Set(..) | Node::Float(..) | Node::If(_) | Node::EndIf | Node::Skip(..))
    }

    /// Calls `f` with each operand.
    #[inline]
    pub fn operands(&self, mut f: impl FnMut(Ref)) {
        match *self {
            Node::Start { .. }
            | Node::Const(_)
            | Node::Address(_)
            | Node::Get(_)
            | Node::EndIf
            | Node::JumpBy(_) => {}
            Node::Unary(_, a)
            | Node::Set(_, a)
            | Node::Raise(_, a)
            | Node::Jump(a)
            | Node::If(a)
            | Node::ExitIf(a, _)
            | Node::Skip(a, _)
            | Node::BranchIf(a, _)
            | Node::Load { addr: a, .. } => f(a),
            Node::Binary(_, a, b)
            | Node::Pure(_, a, b)
            | Node::RaiseIf(_, a, b)
            | Node::Store { addr: a, value: b, .. }
            | Node::Rmw { addr: a, value: b, .. }
            | Node::Call(_, [a, b])
            | Node::Leave(_, [a, b]) => {
                f(a);
                f(b);
            }
            Node::Select(a, b, c) | Node::Float(_, _, _, [a, b, c]) | Node::CompareExchange(_, [a, b, c]) => {
                f(a);
                f(b);
                f(c);
            }
        }
    }

    /// Replaces each operand.
    #[inline]
    pub fn map_operands(&mut self, mut f: impl FnMut(Ref) -> Ref) {
        match self {
            Node::Start { .. }
            | Node::Const(_)
            | Node::Address(_)
            | Node::Get(_)
            | Node::EndIf
            | Node::JumpBy(_) => {}
            Node::Unary(_, a)
            | Node::Set(_, a)
            | Node::Raise(_, a)
            | Node::Jump(a)
            | Node::If(a)
            | Node::ExitIf(a, _)
            | Node::Skip(a, _)
            | Node::BranchIf(a, _)
            | Node::Load { addr: a, .. } => *a = f(*a),
            Node::Binary(_, a, b)
            | Node::Pure(_, a, b)
            | Node::RaiseIf(_, a, b)
            | Node::Store { addr: a, value: b, .. }
            | Node::Rmw { addr: a, value: b, .. }
            | Node::Call(_, [a, b])
            | Node::Leave(_, [a, b]) => {
                *a = f(*a);
                *b = f(*b);
            }
            Node::Select(a, b, c) | Node::Float(_, _, _, [a, b, c]) | Node::CompareExchange(_, [a, b, c]) => {
                *a = f(*a);
                *b = f(*b);
                *c = f(*c);
            }
        }
    }
}

/// A run of instructions that control enters at the first only; it may be left in many places.
#[derive(Clone, Debug)]
pub struct Block<C> {
    /// The operations, in order.
    pub nodes: Vec<Node>,
    /// What [`Node::Call`] and [`Node::Leave`] call.
    pub calls: Vec<C>,
    /// Instructions in it.
    pub instructions: u32,
    /// Offset behind the last one from the first: where control goes on unless a node says otherwise.
    pub behind: i32,
    /// A slot that is zero at the start.
    pub clear: Option<Slot>,
}

impl<C> Block<C> {
    /// Checks the shape: operands before uses, every instruction started once and in order, nothing after an end.
    pub fn verify(&self) -> Result<(), String> {
        let mut started = 0;
        // The part under a condition that is open, and those before.
        let (mut open, mut closed) = (None, Vec::new());
        for (at, node) in self.nodes.iter().enumerate() {
            let mut bad = None;
            node.operands(|operand| {
                let operand_at = operand.0 as usize;
                if operand_at >= at
                    || closed.iter().any(|part: &std::ops::Range<usize>| part.contains(&operand_at))
                {
                    bad = Some(operand);
                }
            });
            if let Some(operand) = bad {
                return Err(format!("v{at} uses v{}, which is not made then", operand.0));
            }
            match node {
                Node::Start { .. } if open.is_some() => {
                    return Err(format!("v{at} starts under a condition"));
                }
                Node::Start { index, .. } if *index != started => {
                    return Err(format!("v{at} starts instruction {index}, expected {started}"));
                }
                Node::Start { .. } => started += 1,
                Node::If(_) if open.is_some() => return Err(format!("v{at} is a condition in another")),
                Node::If(_) => open = Some(at),
                Node::EndIf => match open.take() {
                    Some(from) => closed.push(from..at),
                    None => return Err(format!("v{at} ends no condition")),
                },
                _ if started == 0 => return Err(format!("v{at} stands before the first instruction")),
                Node::Call(call, _) | Node::Leave(call, _) if *call as usize >= self.calls.len() => {
                    return Err(format!("v{at} calls number {call}"));
                }
                _ => {}
            }
            if node.ends() && at + 1 != self.nodes.len() {
                return Err(format!("v{at} ends the block, and more follows"));
            }
        }
        if started == self.instructions { Ok(()) } else { Err(format!("{started} instructions start")) }
    }
}

impl<C: fmt::Debug> fmt::Display for Block<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (0..self.nodes.len())
            .try_for_each(|at| writeln!(f, "{}", self.line(at, &|slot| format!("s{}", slot.0))))
    }
}
