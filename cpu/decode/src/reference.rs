//! A decoder that tries every line in turn: slow and plain, the measure for the generated tree in tests.

use crate::check::specialises;
use crate::table::*;

/// What [`Table::reference_decode`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found<'a> {
    /// Name of the line.
    pub name: &'a str,
    /// Operands that its fields set, without those by `via`.
    pub operands: Vec<(&'a str, i64)>,
    /// The others: the operand, the function, what that is given.
    pub via: Vec<(&'a str, &'a str, u32)>,
}

impl Table {
    /// Decodes a word of `width` bits under the named features.
    pub fn reference_decode(&self, width: u32, word: u32, features: &[&str]) -> Option<Found<'_>> {
        let set = features
            .iter()
            .filter_map(|name| self.features.iter().position(|f| f == name))
            .fold(0u128, |set, i| set | 1 << i);
        let matching: Vec<&Insn> = self
            .insns
            .iter()
            .filter(|i| i.width == width && word & i.mask == i.value && i.accepts(word, set))
            .collect();
        let insn = matching.iter().find(|a| !matching.iter().any(|b| specialises(self, b, a)))?;
        let (via, plain): (Vec<usize>, Vec<usize>) =
            insn.fields().into_iter().partition(|f| self.fields[*f].via.is_some());
        let via = via.into_iter().map(|f| {
            let field = &self.fields[f];
            let function = field.via.as_deref().unwrap_or_default();
            (self.slots[field.slot].name.as_str(), function, insn.extract(f, word))
        });
        let operands = plain.into_iter().map(|f| {
            let field = &self.fields[f];
            let raw = i64::from(insn.extract(f, word));
            let value = match &field.map {
                Some(map) => map[raw as usize],
                None if field.signed && raw >> field.hi & 1 != 0 => raw - (2 << field.hi) + field.add,
                None => raw + field.add,
            };
            (self.slots[field.slot].name.as_str(), value)
        });
        Some(Found { name: &insn.name, operands: operands.collect(), via: via.collect() })
    }

    /// Names of all lines, in table order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.insns.iter().map(|i| i.name.as_str())
    }

    /// Names of all features.
    pub fn feature_names(&self) -> impl Iterator<Item = &str> {
        self.features.iter().map(String::as_str)
    }
}
