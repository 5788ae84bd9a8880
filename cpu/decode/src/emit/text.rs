//! The disassembler: one static list of parts per instruction.

use super::Out;
use crate::Config;
use crate::table::*;

pub fn emit(table: &Table, config: &Config, out: &mut Out) {
    let fmt = &config.formatters;
    out.lines(&format!(
        "// A table may format every operand.
        #[allow(dead_code)]
        enum Part {{
        Text(&'static str),
        Decimal(fn(&Operands) -> i64),
        Format(fn(&Operands) -> i64, fn(&mut String, i64, &{fmt}::Context)),
        }}
        /// Appends the assembly text of a decoded instruction: mnemonic, a tab, operands.
        pub fn format_insn(out: &mut String, d: &Decoded, cx: &{fmt}::Context) {{
        out.push_str(d.id.mnemonic());
        for part in ASM[d.id.index()] {{
        match part {{
        Part::Text(text) => out.push_str(text),
        Part::Decimal(get) => out.push_str(&get(&d.ops).to_string()),
        Part::Format(get, print) => print(out, get(&d.ops), cx),
        }}
        }}
        }}"
    ));
    out.line(format!("static ASM: [&[Part]; {}] = [", table.insns.len()));
    for insn in &table.insns {
        let parts: Vec<String> = insn
            .asm
            .iter()
            .map(|part| match part {
                AsmPart::Text(text) => format!("Part::Text({text:?})"),
                AsmPart::Slot(slot, format) => {
                    operand(&format!("|o| o.{} as i64", table.slots[*slot].name), format, fmt)
                }
                AsmPart::Pair(a, b, format) => {
                    let [a, b] = [a, b].map(|slot| &table.slots[*slot].name);
                    operand(
                        &format!("|o| o.{a} as u32 as i64 | (o.{b} as i64) << 32"),
                        &Some(format.clone()),
                        fmt,
                    )
                }
                AsmPart::Number(n, format) => operand(&format!("|_| {n}"), format, fmt),
            })
            .collect();
        out.line(format!("&[{}],", parts.join(", ")));
    }
    out.line("];");
}

fn operand(get: &str, format: &Option<String>, formatters: &str) -> String {
    match format {
        Some(f) => format!("Part::Format({get}, {formatters}::{f})"),
        None => format!("Part::Decimal({get})"),
    }
}
