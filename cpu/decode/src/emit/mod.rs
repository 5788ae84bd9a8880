//! Prints Rust source from a checked table.

mod decoder;
mod dispatch;
mod encoder;
mod ids;
mod text;

use std::fmt::Write;

use crate::table::*;
use crate::{Config, Generated};

/// Output with indentation, so that the generated file can be read and stepped through.
#[derive(Default)]
pub struct Out {
    pub text: String,
    indent: usize,
}

impl Out {
    pub fn line(&mut self, line: impl AsRef<str>) {
        let line = line.as_ref();
        if line.starts_with('}') {
            self.indent = self.indent.saturating_sub(1);
        }
        let _ = writeln!(self.text, "{:1$}{line}", "", self.indent * 4);
        if line.ends_with('{') {
            self.indent += 1;
        }
    }

    pub fn lines(&mut self, text: &str) {
        for line in text.lines() {
            self.line(line.trim());
        }
    }
}

pub fn emit(table: &Table, config: &Config) -> Generated {
    let mut isa = Out::default();
    isa.line("// Generated from the instruction tables; do not edit.");
    ids::features(table, &mut isa);
    ids::operands(table, &mut isa);
    ids::ids(table, &mut isa);
    decoder::emit(table, config, &mut isa);
    encoder::emit(table, config, &mut isa);
    text::emit(table, config, &mut isa);
    let mut dispatch = Out::default();
    dispatch.line("// Generated from the instruction tables; do not edit.");
    dispatch::emit(table, config, &mut dispatch);
    Generated { isa: isa.text, dispatch: dispatch.text }
}

/// Rust expression for a feature expression over the bit set `e`.
fn feature_expr(expr: &Expr) -> String {
    match expr {
        Expr::Feature(i) => format!("e & {:#x} != 0", 1u128 << i),
        Expr::Not(inner) => format!("!({})", feature_expr(inner)),
        Expr::And(list) => {
            // Features that must all be there are one comparison.
            let plain =
                list.iter().filter(|e| matches!(e, Expr::Feature(_))).fold(0, |m, e| m | e.mentions());
            let mut parts: Vec<String> = Vec::new();
            if plain != 0 {
                parts.push(format!("e & {plain:#x} == {plain:#x}"));
            }
            let rest = list.iter().filter(|e| !matches!(e, Expr::Feature(_)));
            parts.extend(rest.map(|e| format!("({})", feature_expr(e))));
            parts.join(" && ")
        }
        Expr::Or(list) if list.iter().all(|e| matches!(e, Expr::Feature(_))) => {
            format!("e & {:#x} != 0", expr.mentions())
        }
        Expr::Or(list) => {
            let parts: Vec<String> = list.iter().map(|e| format!("({})", feature_expr(e))).collect();
            parts.join(" || ")
        }
    }
}

/// Rust expression for the unsigned value of a field in the word `w`.
fn extract_expr(insn: &Insn, field: usize) -> String {
    let parts: Vec<String> = insn
        .pieces
        .iter()
        .filter(|p| p.field == field)
        .map(|p| {
            let shifted = if p.word_lo == 0 { "w".to_string() } else { format!("w >> {}", p.word_lo) };
            let value = format!("({shifted} & {:#x})", ones(p.len));
            if p.field_lo == 0 { value } else { format!("({value} << {})", p.field_lo) }
        })
        .collect();
    parts.join(" | ")
}

/// Rust expression for a line's constraints, `None` when there are none.
fn constraint_expr(insn: &Insn) -> Option<String> {
    let terms: Vec<String> = insn
        .constraints
        .iter()
        .map(|term| {
            let atoms: Vec<String> = term
                .iter()
                .map(|atom| match atom {
                    Atom::Feature(f) => format!("e & {:#x} != 0", 1u128 << f),
                    Atom::Compare(field, cmp, rhs) => {
                        let right = match rhs {
                            Rhs::Number(n) => format!("{n}"),
                            Rhs::Field(f) => format!("({})", extract_expr(insn, *f)),
                        };
                        format!("({}) {} {right}", extract_expr(insn, *field), cmp.op())
                    }
                })
                .collect();
            if atoms.len() == 1 { atoms[0].clone() } else { format!("({})", atoms.join(" || ")) }
        })
        .collect();
    (!terms.is_empty()).then(|| terms.join(" && "))
}
