//! Runs a block on a guest.

use cpu_core::{Flow, Next, Semantics};

use crate::ir::{Block, Node, Ref, Slot};

/// A guest that runs blocks: an interpreter's state, with its slots by number.
pub trait Guest<C>: Semantics<Value = u64> {
    /// The value of a slot.
    fn get(&self, slot: Slot) -> u64;
    /// Sets a slot.
    fn set(&self, slot: Slot, value: u64);
    /// The instruction at `address`, number `index` of the block, begins; false to leave before it, which only an access to
    /// memory or a call in the instruction before may bring about.
    fn begin(&self, index: u32, address: u64) -> bool;
    /// Runs an operation of the ISA for its value.
    fn call(&self, call: &C, args: [u64; 2]) -> Result<u64, Self::Stop>;
    /// Runs an operation of the ISA that decides where control goes.
    fn leave(&self, call: &C, args: [u64; 2]) -> Flow<Self>;
}

/// Runs `block`, whose first instruction is at `address`. Gives how many instructions were begun, and how the last one
/// ended; [`Next::Fall`] also where the guest left early. `values` is scratch space, kept by the caller.
pub fn run<C, G: Guest<C>>(
    block: &Block<C>,
    guest: &G,
    address: u64,
    values: &mut Vec<u64>,
) -> (u32, Flow<G>) {
    values.clear();
    let (mut begun, mut skipped) = (0, 0);
    let mut skips = false;
    for node in &block.nodes {
        if skips {
            skips = !matches!(node, Node::EndIf);
            values.push(0);
            continue;
        }
        let v = |r: Ref| values.get(r.0 as usize).copied().unwrap_or(0);
        let args = |[a, b]: [Ref; 2]| [v(a), v(b)];
        let result = match *node {
            Node::Start { index, offset } => {
                if !guest.begin(index, address.wrapping_add_signed(offset as i64)) {
                    return (begun, Ok(Next::Fall));
                }
                begun = index + 1 - skipped;
                Ok(0)
            }
            Node::Const(value) => Ok(value),
            Node::Address(offset) => Ok(address.wrapping_add_signed(offset as i64)),
            Node::Get(slot) => Ok(guest.get(slot)),
            Node::Binary(op, a, b) => Ok(op.eval(v(a), v(b))),
            Node::Unary(op, a) => Ok(op.eval(v(a))),
            Node::Select(cond, yes, no) => Ok(if v(cond) != 0 { v(yes) } else { v(no) }),
            Node::Pure(f, a, b) => Ok(f(v(a), v(b))),
            Node::Float(op, format, rounding, [a, b, c]) => {
                Ok(guest.float(op, format, rounding, [v(a), v(b), v(c)]))
            }
            Node::Set(slot, value) => {
                guest.set(slot, v(value));
                Ok(0)
            }
            Node::Load { addr, width, signed } => guest.load(v(addr), width, signed),
            Node::Store { addr, width, value } => guest.store(v(addr), width, v(value)).map(|()| 0),
            Node::Rmw { op, addr, width, value } => guest.rmw(op, v(addr), width, v(value)),
            Node::CompareExchange(width, [addr, expected, new]) => {
                guest.compare_exchange(v(addr), width, v(expected), v(new))
            }
            Node::RaiseIf(cause, cond, value) => guest.raise_if(v(cond), cause, v(value)).map(|()| 0),
            Node::Call(call, list) => match block.calls.get(call as usize) {
                Some(call) => guest.call(call, args(list)),
                None => Ok(0),
            },
            Node::Leave(call, list) => match block.calls.get(call as usize) {
                Some(call) => return (begun, guest.leave(call, args(list))),
                None => return (begun, Ok(Next::Leave)),
            },
            Node::If(cond) => {
                skips = v(cond) == 0;
                Ok(0)
            }
            Node::EndIf => Ok(0),
            Node::ExitIf(cond, offset) if v(cond) != 0 => return (begun, guest.jump_by(offset)),
            Node::ExitIf(..) => Ok(0),
            Node::Skip(cond, count) => {
                if v(cond) != 0 {
                    skipped += count;
                    begun -= count;
                }
                Ok(0)
            }
            Node::Raise(cause, value) => return (begun, Err(guest.raise(cause, v(value)))),
            Node::Jump(target) => return (begun, guest.jump(v(target))),
            Node::JumpBy(offset) => return (begun, guest.jump_by(offset)),
            Node::BranchIf(cond, offset) => return (begun, guest.branch_if(v(cond), offset)),
        };
        match result {
            Ok(value) => values.push(value),
            Err(stop) => return (begun, Err(stop)),
        }
    }
    (begun, Ok(Next::Fall))
}
