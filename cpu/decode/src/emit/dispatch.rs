//! From id and operands to the semantic function.

use super::Out;
use crate::Config;
use crate::names::{function_name, variant_name};
use crate::table::*;

pub fn emit(table: &Table, config: &Config, out: &mut Out) {
    // Lines that call alike share one arm: compressed forms cost no code.
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for insn in &table.insns {
        let call = call(table, insn, config);
        let id = format!("Id::{}", variant_name(&insn.name));
        match groups.iter_mut().find(|g| g.0 == call) {
            Some(group) => group.1.push(id),
            None => groups.push((call, vec![id])),
        }
    }
    let (semantics, flow) = (&config.semantics, &config.flow);
    out.lines(&format!(
        "/// Runs one instruction through its semantic function.
        #[allow(unused_variables)]
        pub fn execute<S: {semantics}>(s: &S, id: Id, o: &Operands) -> {flow}<S> {{
        match id {{"
    ));
    for (call, ids) in &groups {
        out.line(format!("{} => {call},", ids.join(" | ")));
    }
    out.lines(&format!(
        "}}
        }}
        /// A semantic function with its operands still to come.
        pub type Handler<S> = fn(&S, &Operands) -> {flow}<S>;
        /// The function that [`execute`] would call, for predecoded code.
        pub fn handler<S: {semantics}>(id: Id) -> Handler<S> {{
        match id {{"
    ));
    for (call, ids) in &groups {
        let o = if call.contains("o.") { "o" } else { "_o" };
        out.line(format!("{} => |s, {o}| {call},", ids.join(" | ")));
    }
    out.lines("}\n}");
}

fn call(table: &Table, insn: &Insn, config: &Config) -> String {
    let mut args = vec!["s".to_string()];
    for arg in &insn.args {
        args.push(match arg {
            Arg::Number(n) => n.to_string(),
            Arg::Slot(i) => match table.slots[*i].ty {
                SlotType::U8 => format!("o.{}", table.slots[*i].name),
                SlotType::I32 => format!("i64::from(o.{})", table.slots[*i].name),
            },
        });
    }
    format!("{}::{}({})", config.functions, function_name(&insn.function), args.join(", "))
}
