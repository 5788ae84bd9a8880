//! Nodes as text.

use std::fmt::Debug;

use crate::ir::{Block, Node, Ref, Slot};

/// A value of an enumeration as its name in small letters.
fn word(value: impl Debug) -> String {
    format!("{value:?}").to_lowercase()
}

/// A distance with its sign.
fn distance(offset: i32) -> String {
    format!("{} {:#x}", if offset < 0 { '-' } else { '+' }, offset.unsigned_abs())
}

fn values<const N: usize>(list: [Ref; N]) -> String {
    list.map(|value| format!("v{}", value.0)).join(", ")
}

impl<C: Debug> Block<C> {
    /// The node at this index, with slots by their names; empty behind the last.
    pub fn line(&self, at: usize, name: &dyn Fn(Slot) -> String) -> String {
        let Some(node) = self.nodes.get(at) else { return String::new() };
        let call = |number: u32| {
            self.calls.get(number as usize).map_or("nothing".into(), |call| format!("{call:?}"))
        };
        let makes = |what: String| format!("v{at} = {what}");
        match *node {
            Node::Start { index, offset } => format!("instruction {index} at {}", distance(offset)),
            Node::Const(value) => makes(format!("{value:#x}")),
            Node::Address(offset) => makes(format!("start {}", distance(offset))),
            Node::Get(slot) => makes(name(slot)),
            Node::Binary(op, a, b) => makes(format!("{} {}", word(op), values([a, b]))),
            Node::Unary(op, a) => makes(format!("{} {}", word(op), values([a]))),
            Node::Select(cond, yes, no) => makes(format!("select {}", values([cond, yes, no]))),
            Node::Pure(_, a, b) => makes(format!("pure {}", values([a, b]))),
            Node::Float(op, format, rounding, args) => {
                let rounding = match rounding {
                    cpu_core::Rounding::Static(round) => word(round),
                    dynamic => word(dynamic),
                };
                makes(format!("{}.{} {rounding} {}", word(op), word(format), values(args)))
            }
            Node::Set(slot, value) => format!("{} = {}", name(slot), values([value])),
            Node::Load { addr, width, signed } => {
                let sign = if signed { "s" } else { "u" };
                makes(format!("load{}{sign} [{}]", width.bits(), values([addr])))
            }
            Node::Store { addr, width, value } => {
                format!("store{} [{}], {}", width.bits(), values([addr]), values([value]))
            }
            Node::Rmw { op, addr, width, value } => {
                makes(format!("{}{} [{}], {}", word(op), width.bits(), values([addr]), values([value])))
            }
            Node::CompareExchange(width, [addr, expected, new]) => makes(format!(
                "compare_exchange{} [{}], {}",
                width.bits(),
                values([addr]),
                values([expected, new])
            )),
            Node::RaiseIf(cause, cond, value) => {
                format!("raise {cause} ({}) if {}", values([value]), values([cond]))
            }
            Node::Call(number, args) => makes(format!("call {} {}", call(number), values(args))),
            Node::If(cond) => format!("if {}", values([cond])),
            Node::EndIf => "end if".into(),
            Node::ExitIf(cond, by) => format!("leave for {by:+} if {}", values([cond])),
            Node::Skip(cond, count) => format!("skipped {count} if {}", values([cond])),
            Node::Raise(cause, value) => format!("raise {cause} ({})", values([value])),
            Node::Leave(number, args) => format!("leave to {} {}", call(number), values(args)),
            Node::Jump(target) => format!("jump {}", values([target])),
            Node::JumpBy(by) => format!("jump {by:+}"),
            Node::BranchIf(cond, by) => format!("jump {by:+} if {}", values([cond])),
        }
    }
}
