//! The decision tree from instruction word to id and operands.

use super::{Out, constraint_expr, extract_expr, feature_expr};
use crate::Config;
use crate::check::specialises;
use crate::names::variant_name;
use crate::table::*;

/// Widest group of bits that one `match` looks at.
const MAX_MATCH_BITS: u32 = 8;
/// Up to this many lines, comparing one after the other beats another jump.
const LINEAR: usize = 2;

pub fn emit(table: &Table, config: &Config, out: &mut Out) {
    let mut layouts = Vec::new();
    for width in [16, 32] {
        let list: Vec<&Insn> = table.insns.iter().filter(|i| i.width == width).collect();
        out.line(format!("/// Decodes a {width}-bit instruction."));
        out.line(format!("pub fn decode{width}(w: u32, ext: &Features) -> Option<Decoded> {{"));
        out.line("let e = ext.0;");
        tree(&Source { table, config }, &list, 0, &mut layouts, out);
        out.line("None");
        out.line("}");
    }
    for (i, body) in layouts.iter().enumerate() {
        out.line("#[inline]");
        let unused = if body == "Operands::ZERO" { "_" } else { "" };
        out.line(format!("fn operands{i}({unused}w: u32) -> Operands {{"));
        out.line(body);
        out.line("}");
    }
    match &table.length {
        Some(Length { high, patterns }) => {
            let tests: Vec<String> =
                patterns.iter().map(|(mask, value)| format!("first & {mask:#x} == {value:#x}")).collect();
            let (half, shift) = if *high { ("high", 16) } else { ("low", 0) };
            out.lines(&format!(
                "/// Whether the instruction whose first halfword is `first` has 32 bits.
                pub const fn is_wide(first: u32) -> bool {{
                {}
                }}
                /// Decodes the instruction in `bits`; a 16-bit one stands in the {half} half, and the rest is ignored.
                pub fn decode(bits: u32, ext: &Features) -> Option<Decoded> {{
                if is_wide(bits >> {shift} & 0xffff) {{
                decode32(bits, ext)
                }} else {{
                decode16(bits >> {shift} & 0xffff, ext)
                }}
                }}",
                tests.join(" || ")
            ));
        }
        None => out.lines(
            "/// Decodes a 32-bit instruction.
            pub fn decode(bits: u32, ext: &Features) -> Option<Decoded> {
            decode32(bits, ext)
            }",
        ),
    }
}

/// What the tree is made from.
struct Source<'a> {
    table: &'a Table,
    config: &'a Config,
}

fn tree(from: &Source<'_>, list: &[&Insn], tested: u32, layouts: &mut Vec<String>, out: &mut Out) {
    if list.len() > LINEAR {
        if let Some((lo, len)) = best_run(list, tested) {
            out.line(format!("match w >> {lo} & {:#x} {{", ones(len)));
            let mut values: Vec<u32> = list.iter().map(|i| i.value >> lo & ones(len)).collect();
            values.sort_unstable();
            values.dedup();
            for v in values {
                let rest: Vec<&Insn> =
                    list.iter().filter(|i| i.value >> lo & ones(len) == v).copied().collect();
                out.line(format!("{v:#b} => {{"));
                tree(from, &rest, tested | ones(len) << lo, layouts, out);
                out.line("}");
            }
            out.line("_ => {}");
            out.line("}");
            return;
        }
        if let Some(bit) = best_bit(list, tested) {
            out.line(format!("if w >> {bit} & 1 != 0 {{"));
            for side in [1, 0] {
                let rest: Vec<&Insn> = list
                    .iter()
                    .filter(|i| i.mask >> bit & 1 == 0 || i.value >> bit & 1 == side)
                    .copied()
                    .collect();
                tree(from, &rest, tested | 1 << bit, layouts, out);
                if side == 1 {
                    out.line("} else {");
                }
            }
            out.line("}");
            return;
        }
    }
    for insn in by_precedence(from.table, list) {
        leaf(from, insn, tested, layouts, out);
    }
}

/// The run of bits fixed in all lines that tells most of them apart.
fn best_run(list: &[&Insn], tested: u32) -> Option<(u32, u32)> {
    let common = list.iter().fold(u32::MAX, |m, i| m & i.mask) & !tested;
    let mut best = None;
    for lo in 0..32 {
        for len in 1..=MAX_MATCH_BITS.min(32 - lo) {
            let bits = ones(len) << lo;
            if common & bits != bits {
                break;
            }
            let mut values: Vec<u32> = list.iter().map(|i| i.value & bits).collect();
            values.sort_unstable();
            values.dedup();
            // The narrowest of those that tell apart equally many.
            if values.len() > 1 && best.is_none_or(|(n, _, _)| values.len() > n) {
                best = Some((values.len(), lo, len));
            }
        }
    }
    best.map(|(_, lo, len)| (lo, len))
}

/// Without a common run: the bit that splits the lines most evenly.
fn best_bit(list: &[&Insn], tested: u32) -> Option<u32> {
    let count =
        |bit: u32, v: u32| list.iter().filter(|i| i.mask >> bit & 1 == 1 && i.value >> bit & 1 == v).count();
    let scored = (0..32).filter(|b| tested >> b & 1 == 0).map(|b| (count(b, 0).min(count(b, 1)), b));
    scored.filter(|(n, _)| *n > 0).max().map(|(_, b)| b)
}

/// Special cases before what they specialise, else in table order.
fn by_precedence<'a>(table: &Table, list: &[&'a Insn]) -> Vec<&'a Insn> {
    let mut rest = list.to_vec();
    let mut sorted = Vec::new();
    while !rest.is_empty() {
        let next = rest.iter().position(|a| !rest.iter().any(|b| specialises(table, b, a)));
        sorted.push(rest.remove(next.unwrap_or(0)));
    }
    sorted
}

fn leaf(from: &Source<'_>, insn: &Insn, tested: u32, layouts: &mut Vec<String>, out: &mut Out) {
    let mut conditions = Vec::new();
    let mask = insn.mask & !tested;
    if mask != 0 {
        conditions.push(format!("w & {mask:#x} == {:#x}", insn.value & mask));
    }
    let features = feature_expr(&insn.features);
    conditions.push(if features.contains("||") { format!("({features})") } else { features });
    conditions.extend(constraint_expr(insn));
    let body = layout(from, insn);
    let index = layouts.iter().position(|l| *l == body).unwrap_or_else(|| {
        layouts.push(body);
        layouts.len() - 1
    });
    out.line(format!("if {} {{", conditions.join(" && ")));
    out.line(format!(
        "return Some(Decoded {{ id: Id::{}, len: {}, ops: operands{index}(w) }});",
        variant_name(&insn.name),
        insn.width / 8
    ));
    out.line("}");
}

/// Rust expression that extracts all operands of a line from `w`.
fn layout(&Source { table, config }: &Source<'_>, insn: &Insn) -> String {
    let mut members = Vec::new();
    for index in insn.fields() {
        let field = &table.fields[index];
        let slot = &table.slots[field.slot];
        let raw = extract_expr(insn, index);
        let ty = super::ids::slot_type(slot);
        let value = if let Some(map) = &field.map {
            format!("{map:?}[({raw}) as usize]")
        } else if let Some(via) = &field.via {
            let cast = if ty == "i32" { "" } else { " as u8" };
            format!("{}::{via}({raw}){cast}", config.formatters)
        } else {
            let mut v = format!("({raw})");
            if field.signed {
                let shift = 31 - field.hi;
                v = if shift == 0 {
                    format!("{v} as i32")
                } else {
                    format!("(({v} << {shift}) as i32 >> {shift})")
                };
            } else {
                v = format!("{v} as {ty}");
            }
            if field.add != 0 { format!("({v}) + {}", field.add) } else { v }
        };
        members.push(format!("{}: {value}", slot.name));
    }
    if members.is_empty() {
        "Operands::ZERO".into()
    } else if members.len() == table.slots.len() {
        format!("Operands {{ {} }}", members.join(", "))
    } else {
        format!("Operands {{ {}, ..Operands::ZERO }}", members.join(", "))
    }
}
