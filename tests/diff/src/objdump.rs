//! Other people's disassemblers: GNU objdump and llvm-objdump.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use crate::elf;
use crate::tool::{output, require_tool, scratch_file};

/// A disassembler to compare with.
#[derive(Clone, Debug)]
pub struct Objdump {
    program: PathBuf,
    /// LLVM's, not binutils'.
    pub llvm: bool,
    /// Version times 100, e.g. 240 for binutils 2.40, 1900 for LLVM 19.
    pub version: u32,
}

impl Objdump {
    /// binutils' objdump for RISC-V.
    pub fn gnu() -> Objdump {
        let program = require_tool(&["riscv64-linux-gnu-objdump"], "binutils-riscv64-linux-gnu");
        let text = String::from_utf8_lossy(&output(Command::new(&program).arg("--version"))).into_owned();
        // "GNU objdump (GNU Binutils for Debian) 2.40"
        let number = text.lines().next().and_then(|l| l.rsplit(' ').next()).unwrap_or_default();
        let mut parts = number.split(['.', '-']).map(|p| p.parse::<u32>().unwrap_or(0));
        let version = parts.next().unwrap_or(0) * 100 + parts.next().unwrap_or(0);
        Objdump { program, llvm: false, version }
    }

    /// LLVM's, which knows extensions earlier.
    pub fn llvm() -> Objdump {
        let names = ["llvm-objdump-19", "llvm-objdump-20", "llvm-objdump-21", "llvm-objdump-22"];
        Objdump { program: require_tool(&names, "llvm-19"), llvm: true, version: 1900 }
    }

    /// For messages.
    pub fn name(&self) -> String {
        format!("{} {}", self.program.display(), self.version)
    }

    /// Whether it knows what binutils of this version (times 100) introduced.
    pub fn knows(&self, since: u32) -> bool {
        self.llvm || self.version >= since
    }

    /// Texts (mnemonic and operands, single spaces, no blanks in operands) of instructions laid one after
    /// the other from address 0. `arch` is an ISA string with versions, as in ELF attributes.
    pub fn disassemble(&self, xlen: u32, arch: &str, words: &[u32]) -> Vec<String> {
        let mut code = Vec::new();
        let mut starts = Vec::new();
        for word in words {
            starts.push(code.len() as u64);
            code.extend(&word.to_le_bytes()[..if word & 3 == 3 { 4 } else { 2 }]);
        }
        let file = scratch_file("code.o", &elf::object(xlen, arch, &code));
        let mut command = Command::new(&self.program);
        command.args(["-d", "-z", "-M", "no-aliases", "-M", "numeric"]).arg(&file.0);
        let text = String::from_utf8_lossy(&output(&mut command)).into_owned();
        let mut lines = BTreeMap::new();
        for line in text.lines() {
            let Some((address, rest)) = line.trim_start().split_once(':') else { continue };
            let Ok(address) = u64::from_str_radix(address, 16) else { continue };
            // Bytes, then a tab, then the text.
            let Some((_, insn)) = rest.trim_start().split_once('\t') else { continue };
            lines.insert(address, self.normalise(insn));
        }
        starts.iter().map(|a| lines.get(a).cloned().unwrap_or_else(|| panic!("nothing at {a:#x}"))).collect()
    }

    fn normalise(&self, text: &str) -> String {
        let text = text.trim();
        let (mnemonic, operands) = text.split_once(['\t', ' ']).unwrap_or((text, ""));
        let operands = operands.split(" <").next().unwrap_or_default();
        let operands =
            operands.split(" # ").next().unwrap_or_default().split("\t#").next().unwrap_or_default();
        let operands: String = operands.chars().filter(|c| !c.is_whitespace()).collect();
        if self.llvm && mnemonic == "<unknown>" {
            return ".word".into();
        }
        let text = format!("{mnemonic} {operands}").trim_end().to_string();
        if self.llvm { decimal(&text) } else { text }
    }
}

/// The operands' hexadecimal numbers in decimal, upper immediates as 20 bits: LLVM chooses the base its own
/// way.
pub fn decimal(text: &str) -> String {
    let Some((mnemonic, operands)) = text.split_once(' ') else { return text.to_string() };
    let number = |part: &str| {
        let (sign, digits) = part.strip_prefix('-').map_or((1, part), |p| (-1, p));
        let value = digits.strip_prefix("0x").and_then(|hex| i64::from_str_radix(hex, 16).ok());
        let value = value.or_else(|| digits.parse().ok()).map(|v| sign * v)?;
        Some(if mnemonic.ends_with("lui") { value & 0xf_ffff } else { value }.to_string())
    };
    let parts = operands.split(',').map(|operand| match operand.split_once('(') {
        Some((offset, rest)) => format!("{}({rest}", number(offset).unwrap_or_else(|| offset.to_string())),
        None => number(operand).unwrap_or_else(|| operand.to_string()),
    });
    format!("{mnemonic} {}", parts.collect::<Vec<_>>().join(","))
}
