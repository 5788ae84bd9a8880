//! binutils' disassembler for Thumb.

use std::collections::BTreeMap;
use std::process::Command;

use crate::tool::{output, require_tool, scratch_file};

/// Texts (mnemonic and operands, single spaces) of instructions laid one after the other from address 0, 32-bit ones with
/// their first half-word in the upper half. `None` where the oracle puts an instruction of another length.
pub fn disassemble(words: &[(u32, u8)]) -> Vec<Option<String>> {
    let program = require_tool(&["arm-none-eabi-objdump"], "binutils-arm-none-eabi");
    let mut code = Vec::new();
    let mut starts = Vec::new();
    for (word, len) in words {
        starts.push(code.len() as u64);
        code.extend(((word >> 16) as u16).to_le_bytes());
        if *len == 4 {
            code.extend((*word as u16).to_le_bytes());
        }
    }
    let file = scratch_file("thumb.bin", &code);
    let mut command = Command::new(&program);
    command.args(["-D", "-z", "-b", "binary", "-m", "arm", "-M", "force-thumb"]).arg(&file.0);
    let text = String::from_utf8_lossy(&output(&mut command)).into_owned();
    let mut lines = BTreeMap::new();
    for line in text.lines() {
        let Some((address, rest)) = line.trim_start().split_once(':') else { continue };
        let Ok(address) = u64::from_str_radix(address, 16) else { continue };
        let mut parts = rest.trim_start().splitn(2, '\t');
        let (Some(_), Some(insn)) = (parts.next(), parts.next()) else { continue };
        lines.insert(address, normalise(insn));
    }
    starts.iter().map(|a| lines.get(a).cloned()).collect()
}

/// Without comments and with single spaces.
pub fn normalise(text: &str) -> String {
    let text = text.split(['@', ';']).next().unwrap_or_default();
    let text = text.split(" <").next().unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
