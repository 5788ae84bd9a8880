//! Judges a whole table: overlapping encodings, names that collide in Rust, lengths.

use std::collections::BTreeMap;

use crate::names::{function_name, variant_name};
use crate::table::*;

/// More free bits or features than this in one overlap question is refused rather than searched.
const MAX_SEARCH_BITS: u32 = 22;

/// Reports every mistake that no single line shows.
pub fn check(table: &Table) -> Vec<Error> {
    let mut errors = Vec::new();
    names(table, &mut errors);
    lengths(table, &mut errors);
    overlaps(table, &mut errors);
    errors
}

fn fail(errors: &mut Vec<Error>, insn: &Insn, message: String) {
    errors.push(Error { pos: insn.pos.clone(), message });
}

fn names(table: &Table, errors: &mut Vec<Error>) {
    let mut variants = BTreeMap::new();
    let mut arities = BTreeMap::new();
    for insn in &table.insns {
        let variant = variant_name(&insn.name);
        if let Some(other) = variants.insert(variant.clone(), &insn.name) {
            let message = format!("`{}` and `{other}` both become the Rust name `{variant}`", insn.name);
            fail(errors, insn, message);
        }
        let function = function_name(&insn.function);
        let first = arities.entry(function.clone()).or_insert(insn.args.len());
        if *first != insn.args.len() {
            let message = format!(
                "semantic function `{function}` takes {first} arguments elsewhere, {} here",
                insn.args.len()
            );
            fail(errors, insn, message);
        }
        for over in &insn.over {
            if !table.insns.iter().any(|i| i.name == *over) {
                fail(errors, insn, format!("`over {over}`: no such instruction"));
            }
        }
    }
}

fn lengths(table: &Table, errors: &mut Vec<Error>) {
    let Some(length) = &table.length else { return };
    for insn in &table.insns {
        let (fixed, bits) = length.first(insn);
        let matches = |(mask, value): &(u32, u32)| fixed & mask == *mask && bits & mask == *value;
        if insn.width == 32 && !length.patterns.iter().any(matches) {
            fail(errors, insn, "its bits contradict `length`, which would read it as 16 bits".into());
        }
        let denies = |(mask, value): &(u32, u32)| fixed & mask & (bits ^ value) != 0;
        if insn.width == 16 && !length.patterns.iter().all(denies) {
            fail(errors, insn, "its bits contradict `length`, which would read it as 32 bits".into());
        }
    }
}

fn overlaps(table: &Table, errors: &mut Vec<Error>) {
    for (i, a) in table.insns.iter().enumerate() {
        for b in &table.insns[..i] {
            let related = specialises(table, a, b) || specialises(table, b, a);
            let direct = a.over.contains(&b.name) || b.over.contains(&a.name);
            match overlap(table, a, b) {
                Ok(Some(_)) if related => {}
                Ok(Some(word)) => {
                    let message = format!(
                        "`{}` overlaps `{}` of {}:{}, for example in {word:#x}; add a constraint, or `over` to the \
                         special case",
                        a.name,
                        b.name,
                        b.pos.file.display(),
                        b.pos.line,
                    );
                    fail(errors, a, message);
                }
                Ok(None) if direct => {
                    fail(
                        errors,
                        a,
                        format!("`{}` and `{}` are related by `over`, but do not overlap", a.name, b.name),
                    );
                }
                Ok(None) => {}
                Err(message) => fail(errors, a, message),
            }
        }
    }
}

/// Whether `a` takes precedence over `b`, directly or through others.
pub fn specialises(table: &Table, a: &Insn, b: &Insn) -> bool {
    let mut todo: Vec<&str> = a.over.iter().map(String::as_str).collect();
    let mut seen: Vec<&str> = Vec::new();
    while let Some(name) = todo.pop() {
        if name == b.name {
            return true;
        }
        if seen.contains(&name) {
            continue;
        }
        seen.push(name);
        if let Some(next) = table.insns.iter().find(|i| i.name == name) {
            todo.extend(next.over.iter().map(String::as_str));
        }
    }
    false
}

/// A word that both lines accept under some possible set of features.
fn overlap(table: &Table, a: &Insn, b: &Insn) -> Result<Option<u32>, String> {
    if a.width != b.width || (a.value ^ b.value) & a.mask & b.mask != 0 {
        return Ok(None);
    }
    let (mask, value) = (a.mask | b.mask, a.value | b.value);
    // Only bits of constrained fields and mentioned features can matter.
    let mut bits = 0;
    let mut features = a.features.mentions() | b.features.mentions();
    for insn in [a, b] {
        for atom in insn.constraints.iter().flatten() {
            match atom {
                Atom::Feature(f) => features |= 1 << f,
                Atom::Compare(field, _, rhs) => {
                    bits |= insn.field_bits(*field);
                    if let Rhs::Field(other) = rhs {
                        bits |= insn.field_bits(*other);
                    }
                }
            }
        }
    }
    bits &= !mask;
    if bits.count_ones() + features.count_ones() > MAX_SEARCH_BITS {
        return Err(format!(
            "cannot decide whether `{}` and `{}` overlap: too many constrained bits",
            a.name, b.name
        ));
    }
    let mut set = 0u128;
    loop {
        let possible = table.exclusive.iter().all(|e| (set & e).count_ones() <= 1);
        if possible && a.features.eval(set) && b.features.eval(set) {
            let mut free = 0u32;
            loop {
                let word = value | free;
                if a.accepts(word, set) && b.accepts(word, set) {
                    return Ok(Some(word));
                }
                free = free.wrapping_sub(bits) & bits;
                if free == 0 {
                    break;
                }
            }
        }
        set = set.wrapping_sub(features) & features;
        if set == 0 {
            return Ok(None);
        }
    }
}
