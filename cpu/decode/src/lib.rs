//! Build-time generator: instruction tables to decoder, disassembler, encoder and random generator.
//!
//! A build script calls [`build_script`]; the crate includes the two files it writes to `OUT_DIR`. An ISA
//! is described by `*.insn` files, one readable line per instruction:
//!
//! ```text
//! operand rd rs1 : u8 x                     # members of `Operands`; `x` is the formatter of `{rd}`
//! operand imm    : i32                      # no formatter: decimal
//! feature rv32 rv64 i c                     # members of `Features`
//! exclusive rv32 rv64                       # never both
//! flag jump                                 # properties, see `Id::flags`
//! length 32 if 11 else 16                   # low bits that mark a 32-bit word; absent when all have one width
//! length 32 if high 11101 1111- else 16     # so where the first halfword is the high half: its highest bits
//! field rd[4:0]                -> rd        # a field, the bits its value has, the operand it sets
//! field rd'[2:0]   +8          -> rd        # compressed register number
//! field joff[20:1] signed      -> imm       # bit 0 is not stored and reads as zero
//! field rd_n0[4:0] not=0       -> rd        # words with this value do not decode
//! field r4[2:0] map=8,9,18,19,20,21,22,23 -> rd
//! field imm12[11:0] via=expand -> imm       # `expand(u32) -> i32`, of the formatters' module; to encode, an inverse
//!                                           # `expand_raw(i32) -> Option<u32>`
//!
//! # name | features | encoding, highest bit first         | call          | assembly     | notes
//! jal    | i        | joff[20|10:1|11|19:12] rd 1101111   | rd imm        | {rd}, {imm:target} | jump
//! c.li   | c        | 010 imm6[5] rd_n0 imm6[4:0] 01      | => addi rd 0 imm | {rd}, {imm}
//! ```
//!
//! - **name**: unique; `name=mnemonic` where the assembler uses another word.
//! - **features**: names with `and`, `or`, `not` and parentheses.
//! - **encoding**: fixed bits (`0`, `1`, `-` for ignored), whole fields, or slices `field[12|10:5]`.
//!   Together 16 or 32 bits.
//! - **call**: operands in the order of the semantic function's parameters; `=> function` before them where
//!   it is not named like the instruction; a number is passed as it is.
//! - **assembly**: text with `{operand}` or `{operand:formatter}`; formatters are functions
//!   `fn(&mut String, i64, &Context)`. `{a,b:formatter}` passes two operands, the second from bit 32 up. A leading `+` glues the text up to the first space to the mnemonic.
//! - **notes**: `;`-separated. `if` constraints (`and` of `or`s of comparisons on the unsigned encoded
//!   field, or features); `over NAME`: this line is a special case and wins where both match; anything else
//!   is a flag.
//!
//! Rejected with file and line: overlapping encodings under features that can hold together, unknown names,
//! names that collide, bits missing from or repeated in a field, wrong widths, operands that nothing sets,
//! a semantic function called with different numbers of arguments, words that `length` would cut wrongly.

mod check;
mod emit;
mod names;
mod parse;
mod reference;
mod table;

use std::path::{Path, PathBuf};

pub use reference::Found;
pub use table::{Error, Pos, Table};

/// What to read and which Rust paths the generated code refers to.
#[derive(Clone, Debug)]
pub struct Config {
    /// Table files, read in this order.
    pub tables: Vec<PathBuf>,
    /// Module with the formatters, `Context` and the functions of `via`, e.g. `crate::isa::fmt`.
    pub formatters: String,
    /// Module with one generic function per instruction, e.g. `crate::sem`.
    pub functions: String,
    /// Trait that those functions are generic over, e.g. `crate::Semantics`.
    pub semantics: String,
    /// Their return type, generic over the same parameter, e.g. `crate::Flow`.
    pub flow: String,
}

/// Generated Rust source.
#[derive(Clone, Debug)]
pub struct Generated {
    /// Features, operands, ids, decoder, encoder, random generator, disassembler.
    pub isa: String,
    /// `execute` and `handler`; needs the semantic functions.
    pub dispatch: String,
}

/// Reads and checks tables given as (name, text).
pub fn load<'a>(files: impl IntoIterator<Item = (&'a Path, &'a str)>) -> Result<Table, Vec<Error>> {
    let mut table = Table::default();
    for (name, text) in files {
        parse::parse(&mut table, name, text).map_err(|e| vec![e])?;
    }
    let errors = check::check(&table);
    if errors.is_empty() { Ok(table) } else { Err(errors) }
}

/// Prints the Rust source for a checked table.
pub fn generate(table: &Table, config: &Config) -> Generated {
    emit::emit(table, config)
}

/// For `build.rs`: writes `isa.rs` and `dispatch.rs` to `OUT_DIR`, or prints every mistake and fails the
/// build.
pub fn build_script(config: &Config) {
    if let Err(messages) = run(config) {
        for message in &messages {
            eprintln!("error: {message}");
            println!("cargo::error={message}");
        }
        std::process::exit(1);
    }
}

fn run(config: &Config) -> Result<(), Vec<String>> {
    let mut texts = Vec::new();
    for file in &config.tables {
        println!("cargo::rerun-if-changed={}", file.display());
        let text = std::fs::read_to_string(file).map_err(|e| vec![format!("{}: {e}", file.display())])?;
        texts.push((file.as_path(), text));
    }
    let table = load(texts.iter().map(|(f, t)| (*f, t.as_str())))
        .map_err(|errors| errors.iter().map(Error::to_string).collect::<Vec<_>>())?;
    let generated = generate(&table, config);
    let out = std::env::var_os("OUT_DIR").ok_or_else(|| vec!["OUT_DIR is not set".to_string()])?;
    for (name, text) in [("isa.rs", &generated.isa), ("dispatch.rs", &generated.dispatch)] {
        let path = Path::new(&out).join(name);
        std::fs::write(&path, text).map_err(|e| vec![format!("{}: {e}", path.display())])?;
    }
    Ok(())
}
