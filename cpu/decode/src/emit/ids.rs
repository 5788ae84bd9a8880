//! Feature set, operand struct, instruction ids and their static properties.

use super::{Out, feature_expr};
use crate::names::{function_name, variant_name};
use crate::table::*;

pub fn features(table: &Table, out: &mut Out) {
    let repr = if table.features.len() <= 64 { "u64" } else { "u128" };
    out.lines(&format!(
        "/// A set of ISA features: extensions and the base width.
        #[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, Default)]
        pub struct Features({repr});
        #[allow(missing_docs)]
        impl Features {{"
    ));
    for (i, name) in table.features.iter().enumerate() {
        out.line(format!("pub const {}: Features = Features({:#x});", name.to_uppercase(), 1u128 << i));
    }
    out.lines(
        "/// No feature at all.
        pub const NONE: Features = Features(0);
        /// Every declared feature, those that exclude one another included: for metadata, not for a core.
        pub const ALL: Features = Features(ALL_FEATURES);
        /// Both sets together.
        pub const fn with(self, other: Features) -> Features {
        Features(self.0 | other.0)
        }
        /// This set without the members of the other.
        pub const fn without(self, other: Features) -> Features {
        Features(self.0 & !other.0)
        }
        /// Whether every member of `other` is in this set.
        pub const fn contains(self, other: Features) -> bool {
        self.0 & other.0 == other.0
        }
        /// Whether the two sets share a member.
        pub const fn intersects(self, other: Features) -> bool {
        self.0 & other.0 != 0
        }
        /// The feature with this lower-case name.
        pub fn from_name(name: &str) -> Option<Features> {
        FEATURE_NAMES.iter().position(|n| *n == name).map(|i| Features(1 << i))
        }
        /// Names of the members, in the order of the tables.
        pub fn names(self) -> impl Iterator<Item = &'static str> {
        FEATURE_NAMES.iter().enumerate().filter(move |(i, _)| self.0 >> i & 1 != 0).map(|(_, n)| *n)
        }
        }
        impl core::ops::BitOr for Features {
        type Output = Features;
        fn bitor(self, other: Features) -> Features {
        self.with(other)
        }
        }",
    );
    let all = if table.features.len() == 128 { u128::MAX } else { (1u128 << table.features.len()) - 1 };
    out.line(format!("const ALL_FEATURES: {repr} = {all:#x};"));
    out.line(format!("static FEATURE_NAMES: [&str; {}] = {:?};", table.features.len(), table.features));
}

pub fn operands(table: &Table, out: &mut Out) {
    out.lines(
        "/// Operands of a decoded instruction; what an instruction does not have is zero.
        #[derive(Copy, Clone, PartialEq, Eq, Hash, Debug, Default)]
        #[allow(missing_docs)]
        pub struct Operands {",
    );
    for slot in &table.slots {
        out.line(format!("pub {}: {},", slot.name, slot_type(slot)));
    }
    out.lines(
        "}
        impl Operands {
        /// All zero.",
    );
    let zeros: Vec<String> = table.slots.iter().map(|s| format!("{}: 0", s.name)).collect();
    out.line(format!("pub const ZERO: Operands = Operands {{ {} }};", zeros.join(", ")));
    out.lines(
        "}
        /// An instruction word taken apart.
        #[derive(Copy, Clone, PartialEq, Eq, Hash, Debug)]
        pub struct Decoded {
        /// Which instruction.
        pub id: Id,
        /// Bytes it occupies.
        pub len: u8,
        /// Its operands.
        pub ops: Operands,
        }",
    );
}

pub fn slot_type(slot: &Slot) -> &'static str {
    match slot.ty {
        SlotType::U8 => "u8",
        SlotType::I32 => "i32",
    }
}

pub fn ids(table: &Table, out: &mut Out) {
    let n = table.insns.len();
    out.lines(
        "/// An instruction of the tables; also its coverage number.
        #[repr(u16)]
        #[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Id {",
    );
    for insn in &table.insns {
        out.line(format!("/// `{}`", insn.name));
        out.line(format!("{},", variant_name(&insn.name)));
    }
    out.line("}");
    out.line("/// Properties of instructions, as bits of [`Id::flags`].");
    out.line("pub mod flags {");
    for (i, flag) in table.flags.iter().enumerate() {
        out.line(format!("/// `{flag}` in the tables."));
        out.line(format!("pub const {}: u32 = {:#x};", flag.to_uppercase(), 1u32 << i));
    }
    out.line("}");
    out.lines(&format!(
        "impl Id {{
        /// Number of instructions in the tables.
        pub const COUNT: usize = {n};
        /// Every instruction, in the order of the tables.
        pub const ALL: [Id; {n}] = ["
    ));
    for insn in &table.insns {
        out.line(format!("Id::{},", variant_name(&insn.name)));
    }
    out.lines(
        "];
        /// Position in [`Id::ALL`].
        pub const fn index(self) -> usize {
        self as usize
        }
        /// The instruction with this number.
        pub fn from_index(index: usize) -> Option<Id> {
        Id::ALL.get(index).copied()
        }
        /// Unique name, as in the tables.
        pub fn name(self) -> &'static str {
        INSNS[self.index()].name
        }
        /// Assembly mnemonic; several instructions can share one.
        pub fn mnemonic(self) -> &'static str {
        INSNS[self.index()].mnemonic
        }
        /// Name of the semantic function.
        pub fn function(self) -> &'static str {
        INSNS[self.index()].function
        }
        /// Bytes it occupies.
        pub fn len(self) -> u8 {
        INSNS[self.index()].len
        }
        /// Bits of [`flags`].
        pub fn flags(self) -> u32 {
        INSNS[self.index()].flags
        }
        /// Whether a core with these features has it.
        pub fn available(self, ext: &Features) -> bool {
        let e = ext.0;
        match self {",
    );
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for insn in &table.insns {
        let expr = feature_expr(&insn.features);
        let id = format!("Id::{}", variant_name(&insn.name));
        match groups.iter_mut().find(|g| g.0 == expr) {
            Some(group) => group.1.push(id),
            None => groups.push((expr, vec![id])),
        }
    }
    for (expr, ids) in groups {
        out.line(format!("{} => {expr},", ids.join(" | ")));
    }
    out.lines(
        "}
        }
        }
        struct Insn {
        name: &'static str,
        mnemonic: &'static str,
        function: &'static str,
        len: u8,
        flags: u32,
        mask: u32,
        value: u32,
        }",
    );
    out.line(format!("static INSNS: [Insn; {n}] = ["));
    for insn in &table.insns {
        out.line(format!(
            "Insn {{ name: {:?}, mnemonic: {:?}, function: {:?}, len: {}, flags: {:#x}, mask: {:#010x}, value: \
             {:#010x} }},",
            insn.name,
            insn.mnemonic,
            function_name(&insn.function),
            insn.width / 8,
            insn.flags,
            insn.mask,
            insn.value
        ));
    }
    out.line("];");
}
