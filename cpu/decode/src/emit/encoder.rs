//! Operands to instruction word, and random valid words.

use super::{Out, constraint_expr};
use crate::Config;
use crate::names::variant_name;
use crate::table::*;

pub fn emit(table: &Table, config: &Config, out: &mut Out) {
    out.lines(
        "/// The word for an instruction and its operands; ignored bits are zero and members that the instruction does
        /// not have are not looked at. `None` when an operand does not fit its field or breaks a constraint.
        pub fn encode(id: Id, o: &Operands) -> Option<u32> {
        let insn = &INSNS[id.index()];
        let fields = match id {",
    );
    let mut layouts: Vec<(Vec<String>, Vec<String>)> = Vec::new();
    for insn in &table.insns {
        let body = layout(table, config, insn);
        let id = format!("Id::{}", variant_name(&insn.name));
        match layouts.iter_mut().find(|l| l.0 == body) {
            Some(l) => l.1.push(id),
            None => layouts.push((body, vec![id])),
        }
    }
    for (i, (_, ids)) in layouts.iter().enumerate() {
        out.line(format!("{} => fields{i}(o)?,", ids.join(" | ")));
    }
    out.lines(
        "};
        let w = insn.value | fields;
        allowed(id, w, &Features::ALL).then_some(w)
        }",
    );
    for (i, (body, _)) in layouts.iter().enumerate() {
        let unused = if body.is_empty() { "_" } else { "" };
        out.line(format!("fn fields{i}({unused}o: &Operands) -> Option<u32> {{"));
        if body.is_empty() {
            out.line("Some(0)");
        } else {
            out.line("let mut w = 0;");
            body.iter().for_each(|l| out.line(l));
            out.line("Some(w)");
        }
        out.line("}");
    }
    out.lines(
        "/// `v` as an unsigned value whose bits `hi..=lo` are stored and whose lower bits are zero.
        fn fit(v: i64, hi: u32, lo: u32, signed: bool) -> Option<u32> {
        let (min, end) = if signed { (-(1i64 << hi), 1i64 << hi) } else { (0, 1i64 << (hi + 1)) };
        (v >= min && v < end && v & ((1i64 << lo) - 1) == 0).then_some(v as u32)
        }
        #[allow(unused_variables)]
        fn allowed(id: Id, w: u32, ext: &Features) -> bool {
        let e = ext.0;
        match id {",
    );
    for insn in &table.insns {
        if let Some(expr) = constraint_expr(insn) {
            out.line(format!("Id::{} => {expr},", variant_name(&insn.name)));
        }
    }
    out.lines(
        "_ => true,
        }
        }
        /// A random word that decodes as `id`; `None` when the features deny the instruction.
        pub fn random_of(id: Id, rng: &mut impl FnMut() -> u64, ext: &Features) -> Option<u32> {
        if !id.available(ext) {
        return None;
        }
        let insn = &INSNS[id.index()];
        let width = if insn.len == 2 { 0xffff } else { u32::MAX };
        (0..100_000).find_map(|_| {
        let w = insn.value | (rng() as u32 & !insn.mask & width);
        let found = if insn.len == 2 { decode16(w, ext) } else { decode32(w, ext) };
        (found?.id == id).then_some(w)
        })
        }
        /// A random word of a random instruction; `None` when the features leave no instruction at all.
        pub fn random(rng: &mut impl FnMut() -> u64, ext: &Features) -> Option<u32> {
        for _ in 0..4 * Id::COUNT {
        let id = Id::ALL[(rng() % Id::COUNT as u64) as usize];
        if let Some(w) = random_of(id, rng, ext) {
        return Some(w);
        }
        }
        Id::ALL.iter().find_map(|id| random_of(*id, rng, ext))
        }",
    );
}

/// Statements that place every operand into `w`.
fn layout(table: &Table, config: &Config, insn: &Insn) -> Vec<String> {
    let mut lines = Vec::new();
    for index in insn.fields() {
        let field = &table.fields[index];
        let operand = format!("o.{}", table.slots[field.slot].name);
        let value = match (&field.via, &field.map) {
            (Some(via), _) => format!("{}::{via}_raw(i32::from({operand}))?", config.formatters),
            (_, Some(map)) => format!("{map:?}.iter().position(|m| *m == i64::from({operand}))? as u32"),
            (None, None) => {
                let sum = if field.add != 0 { format!(" - {}", field.add) } else { String::new() };
                format!("fit(i64::from({operand}){sum}, {}, {}, {})?", field.hi, field.lo, field.signed)
            }
        };
        lines.push(format!("let v = {value};"));
        for p in insn.pieces.iter().filter(|p| p.field == index) {
            lines.push(format!("w |= (v >> {} & {:#x}) << {};", p.field_lo, ones(p.len), p.word_lo));
        }
    }
    lines
}
