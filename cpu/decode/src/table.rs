//! The instruction tables as data: what the parser builds, the checker judges and the emitters print.

use std::fmt;
use std::path::PathBuf;

/// A place in a table file, for messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pos {
    /// The file as it was given to the generator.
    pub file: PathBuf,
    /// One-based line.
    pub line: usize,
}

/// A mistake in a table, with where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Where.
    pub pos: Pos,
    /// What is wrong and, where it helps, what was expected.
    pub message: String,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.pos.file.display(), self.pos.line, self.message)
    }
}

impl std::error::Error for Error {}

/// Rust type of an operand slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotType {
    /// Register numbers and small codes.
    U8,
    /// Immediates.
    I32,
}

/// One member of the generated `Operands` struct.
#[derive(Clone, Debug)]
pub struct Slot {
    pub name: String,
    pub ty: SlotType,
    /// Formatter of the ISA crate used by `{slot}` in assembly text; decimal when absent.
    pub format: Option<String>,
}

/// A named bit field. Its value has bits `hi..=lo`; bits below `lo` read as zero.
#[derive(Clone, Debug)]
pub struct Field {
    pub name: String,
    pub hi: u32,
    pub lo: u32,
    pub signed: bool,
    /// Added to the value after sign extension (compressed register numbers).
    pub add: i64,
    /// Replaces the value by an entry of this list.
    pub map: Option<Vec<i64>>,
    /// The value is what this function of the ISA crate makes of the encoded one.
    pub via: Option<String>,
    /// Unsigned encoded values that the field must not have.
    pub not: Vec<u32>,
    /// Index of the operand slot that receives the value.
    pub slot: usize,
}

impl Field {
    /// Number of encoded bits.
    pub fn width(&self) -> u32 {
        self.hi - self.lo + 1
    }
}

/// A run of instruction bits that belongs to a field.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Piece {
    pub field: usize,
    /// Lowest bit of the run in the field's value.
    pub field_lo: u32,
    /// Lowest bit of the run in the instruction word.
    pub word_lo: u32,
    pub len: u32,
}

/// A boolean expression over features, as written in the second column.
#[derive(Clone, Debug)]
pub enum Expr {
    Feature(usize),
    Not(Box<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
}

impl Expr {
    /// Value under a set of features given as a bit mask.
    pub fn eval(&self, features: u128) -> bool {
        match self {
            Expr::Feature(i) => features >> i & 1 != 0,
            Expr::Not(e) => !e.eval(features),
            Expr::And(list) => list.iter().all(|e| e.eval(features)),
            Expr::Or(list) => list.iter().any(|e| e.eval(features)),
        }
    }

    /// Mask of the features it mentions.
    pub fn mentions(&self) -> u128 {
        match self {
            Expr::Feature(i) => 1 << i,
            Expr::Not(e) => e.mentions(),
            Expr::And(list) | Expr::Or(list) => list.iter().fold(0, |m, e| m | e.mentions()),
        }
    }
}

/// Comparison in a constraint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cmp {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl Cmp {
    /// The Rust (and table) operator.
    pub fn op(self) -> &'static str {
        match self {
            Cmp::Eq => "==",
            Cmp::Ne => "!=",
            Cmp::Lt => "<",
            Cmp::Le => "<=",
            Cmp::Gt => ">",
            Cmp::Ge => ">=",
        }
    }

    fn holds(self, a: u32, b: u32) -> bool {
        match self {
            Cmp::Eq => a == b,
            Cmp::Ne => a != b,
            Cmp::Lt => a < b,
            Cmp::Le => a <= b,
            Cmp::Gt => a > b,
            Cmp::Ge => a >= b,
        }
    }
}

/// Right side of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rhs {
    Number(u32),
    Field(usize),
}

/// One alternative of a constraint term.
#[derive(Clone, Debug)]
pub enum Atom {
    /// Compares the field's unsigned encoded value (before sign, `+` and `map`).
    Compare(usize, Cmp, Rhs),
    /// True when the feature is present.
    Feature(usize),
}

/// An argument of the semantic function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arg {
    Slot(usize),
    Number(i64),
}

/// A part of the assembly text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AsmPart {
    Text(String),
    /// A slot with the formatter to print it with; decimal when absent.
    Slot(usize, Option<String>),
    /// Two slots in one value, the second from bit 32 up, and the formatter that prints them.
    Pair(usize, usize, String),
    /// A constant, printed like an operand.
    Number(i64, Option<String>),
}

/// One instruction line.
#[derive(Clone, Debug)]
pub struct Insn {
    pub pos: Pos,
    /// Unique name; the `Id` variant and, by default, the mnemonic and the semantic function.
    pub name: String,
    pub mnemonic: String,
    pub features: Expr,
    /// 16 or 32.
    pub width: u32,
    /// Bits with a fixed value, and that value.
    pub mask: u32,
    pub value: u32,
    pub pieces: Vec<Piece>,
    /// Semantic function and its arguments.
    pub function: String,
    pub args: Vec<Arg>,
    pub asm: Vec<AsmPart>,
    /// Conjunction of disjunctions.
    pub constraints: Vec<Vec<Atom>>,
    /// Names of the lines that this one specialises.
    pub over: Vec<String>,
    /// Mask of the table's flags.
    pub flags: u32,
}

impl Insn {
    /// Fields of this line, each once, in the order in which they appear.
    pub fn fields(&self) -> Vec<usize> {
        let mut list = Vec::new();
        for p in &self.pieces {
            if !list.contains(&p.field) {
                list.push(p.field);
            }
        }
        list
    }

    /// Instruction bits that hold a field.
    pub fn field_bits(&self, field: usize) -> u32 {
        self.pieces.iter().filter(|p| p.field == field).fold(0, |m, p| m | (ones(p.len) << p.word_lo))
    }

    /// The unsigned value of a field in a word.
    pub fn extract(&self, field: usize, word: u32) -> u32 {
        self.pieces
            .iter()
            .filter(|p| p.field == field)
            .fold(0, |v, p| v | ((word >> p.word_lo & ones(p.len)) << p.field_lo))
    }

    /// Whether a word whose fixed bits match satisfies features and constraints.
    pub fn accepts(&self, word: u32, features: u128) -> bool {
        self.features.eval(features)
            && self.constraints.iter().all(|term| {
                term.iter().any(|atom| match atom {
                    Atom::Feature(f) => features >> f & 1 != 0,
                    Atom::Compare(field, cmp, rhs) => {
                        let right = match rhs {
                            Rhs::Number(n) => *n,
                            Rhs::Field(f) => self.extract(*f, word),
                        };
                        cmp.holds(self.extract(*field, word), right)
                    }
                })
            })
    }
}

/// How the first halfword tells a 16-bit instruction from a 32-bit one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Length {
    /// The first halfword is the high half of a 32-bit word (Thumb), not the low half (RISC-V).
    pub high: bool,
    /// Masks and values: an instruction is 32 bits wide where its first halfword matches one of them, else 16.
    pub patterns: Vec<(u32, u32)>,
}

impl Length {
    /// Fixed bits and their values in the first halfword.
    pub fn first(&self, insn: &Insn) -> (u32, u32) {
        let shift = if self.high && insn.width == 32 { 16 } else { 0 };
        (insn.mask >> shift & 0xffff, insn.value >> shift & 0xffff)
    }
}

/// Everything the tables of one ISA say.
#[derive(Clone, Debug, Default)]
pub struct Table {
    pub(crate) slots: Vec<Slot>,
    pub(crate) features: Vec<String>,
    /// Masks of features of which at most one can be present.
    pub(crate) exclusive: Vec<u128>,
    pub(crate) fields: Vec<Field>,
    pub(crate) flags: Vec<String>,
    pub(crate) length: Option<Length>,
    pub(crate) insns: Vec<Insn>,
}

/// A mask of the `n` lowest bits, `n` up to 32.
pub fn ones(n: u32) -> u32 {
    1u32.checked_shl(n).map_or(u32::MAX, |v| v.wrapping_sub(1))
}
